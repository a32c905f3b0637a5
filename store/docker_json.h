// store/docker_json.h — private to the Docker driver: what the API's JSON says.
//
// Lenient where engines differ (a missing or null member is empty), strict
// where a wrong reading would delete: an id that is no digest is an error of
// the whole list.  Pure.

#ifndef RECLAIM_STORE_DOCKER_JSON_H_
#define RECLAIM_STORE_DOCKER_JSON_H_

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "store/docker_api.h"

namespace reclaim::store::docker_json {

// The newest version that both sides know: ours are 1.24 to 1.41.
// UNIMPLEMENTED says what the engine speaks.
struct EngineVersion {
  std::string api;  // "1.41"
  bool is_podman = false;
};
absl::StatusOr<EngineVersion> ParseVersion(absl::string_view body);
// By the headers of a ping, whose names are in lower case.  NOT_FOUND if they
// do not tell, or if only the engine's oldest version could.
absl::StatusOr<EngineVersion> VersionOfPing(
    const std::map<std::string, std::string>& headers);

absl::StatusOr<std::vector<DockerListedImage>> ParseImages(
    absl::string_view body);
// Of one image: id, names, and the details but `sizes`.
struct InspectedImage {
  DockerListedImage listed;
  DockerImageDetails details;
};
absl::StatusOr<InspectedImage> ParseImage(absl::string_view body);
// Sizes of `layer_count` layers, base first; empty if the history has another
// number of entries with bytes, for then nobody can say which layer is empty.
absl::StatusOr<std::vector<uint64_t>> ParseHistory(absl::string_view body,
                                                   size_t layer_count);
absl::StatusOr<std::vector<DockerContainerDetails>> ParseContainers(
    absl::string_view body);
// What only the inspection of one container tells: exact times, and the folders
// of its own layers.
absl::Status AddContainerDetails(absl::string_view body,
                                 DockerContainerDetails* container);
// podman's list with the containers of other tools.
absl::StatusOr<std::vector<DockerContainerDetails>> ParseLibpodContainers(
    absl::string_view body);
absl::StatusOr<std::vector<DockerVolume>> ParseVolumes(absl::string_view body);
absl::StatusOr<std::vector<NetworkFact>> ParseNetworks(absl::string_view body);
absl::StatusOr<DockerUsage> ParseUsage(absl::string_view body);
// The ids of the records that a prune of the build cache has taken.
absl::StatusOr<std::vector<std::string>> ParsePrunedCache(
    absl::string_view body);
// A member that is a string; "" if it is none.
std::string ParseText(absl::string_view body, const char* member);

ContainerState ParseState(absl::string_view text);

}  // namespace reclaim::store::docker_json

#endif  // RECLAIM_STORE_DOCKER_JSON_H_
