// store/docker_api.h — private to the Docker driver: Docker's HTTP API, as
// dockerd and podman speak it.
//
// The version is negotiated: the newest that both sides know.  Only fields that
// have been there since 1.24 are relied on; those that one engine leaves out
// are empty.  Every call has a deadline.  Errors: NOT_FOUND, ABORTED (in use:
// the engine refuses, and its reason is the message), UNAVAILABLE (away, slow,
// or of a version that we do not speak).  Thread-safe.

#ifndef RECLAIM_STORE_DOCKER_API_H_
#define RECLAIM_STORE_DOCKER_API_H_

#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "oci/digest.h"
#include "store/engine_facts.h"
#include "store/types.h"
#include "store/unix_http.h"

namespace reclaim::store {

// As the list of images has it.
struct DockerListedImage {
  oci::Digest id;  // of its config
  std::optional<oci::Digest> parent;
  std::vector<std::string> tags;     // "repo:tag"
  std::vector<std::string> digests;  // "repo@sha256:…"
};

// What does not change while the image has the same tags.
struct DockerImageDetails {
  std::vector<oci::Digest> diffs;    // of its layers, base first
  std::vector<std::string> folders;  // of its layers, base first; or empty
  std::vector<uint64_t> sizes;       // by its history; or empty
  std::string os;
  std::string architecture;
  LabelMap labels;
  std::optional<absl::Time> created;
  std::optional<absl::Time> tagged;
};

struct DockerContainerDetails {
  ContainerFact fact;
  std::string image_id;
  std::vector<std::string> folders;  // of its own layers; or empty
};

struct DockerVolume {
  VolumeFact fact;
  std::string folder;  // of its files; or ""
};

struct DockerUsage {
  std::vector<VolumeFact> volumes;  // names and sizes only
  std::vector<BuildCacheFact> build_cache;
};

class DockerApi {
 public:
  explicit DockerApi(std::string socket) : http_(std::move(socket)) {}

  absl::Status Ping() const;

  absl::StatusOr<std::vector<DockerListedImage>> ListImages() const;
  // By id or by name; only the id.
  absl::StatusOr<DockerListedImage> FindImage(const std::string& name) const;
  // All but `sizes`.
  absl::StatusOr<DockerImageDetails> InspectImage(const std::string& id) const;
  // By its history, base first; empty if nobody can say.
  absl::StatusOr<std::vector<uint64_t>> LayerSizes(const std::string& id,
                                                   size_t layer_count) const;
  absl::StatusOr<std::vector<DockerContainerDetails>> ListContainers() const;
  absl::StatusOr<std::vector<DockerVolume>> ListVolumes() const;
  absl::StatusOr<std::vector<NetworkFact>> ListNetworks() const;
  absl::StatusOr<DockerUsage> GetUsage() const;
  // The folder of all that it has, and its driver of layers; "" if unknown.
  struct Place {
    std::string root;
    std::string driver;
  };
  absl::StatusOr<Place> GetPlace() const;

  // None takes more away than what is named: untagged parents stay.  ABORTED
  // if the engine has it in use.
  absl::Status DeleteImage(const std::string& name) const;
  absl::Status DeleteContainer(const std::string& id) const;
  absl::Status DeleteVolume(const std::string& name) const;
  absl::Status DeleteNetwork(const std::string& name) const;
  absl::Status DeleteBuildCache(const std::string& id) const;

  const UnixHttp& http() const { return http_; }
  // "/v1.41", or why there is none.
  absl::StatusOr<std::string> Prefix() const;

 private:
  absl::StatusOr<std::string> Negotiate(const HttpAnswer& ping) const;
  absl::StatusOr<std::string> Get(const std::string& target) const;
  absl::StatusOr<std::string> Ask(const char* method,
                                  const std::string& target) const;
  absl::Status Act(const char* method, const std::string& target) const;
  absl::StatusOr<std::vector<DockerContainerDetails>> ListExternal() const;

  const UnixHttp http_;
  mutable std::mutex mutex_;  // guards all below
  mutable std::string prefix_;
  mutable bool is_podman_ = false;
  mutable std::optional<Place> place_;
};

}  // namespace reclaim::store

#endif  // RECLAIM_STORE_DOCKER_API_H_
