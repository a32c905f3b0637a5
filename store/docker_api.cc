#include "store/docker_api.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "store/docker_json.h"

namespace reclaim::store {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(30);
// Lists with sizes: the engine walks its folders for them.
constexpr absl::Duration kListPatience = absl::Minutes(10);
constexpr absl::Duration kPingPatience = absl::Seconds(2);
// While another client has the engine count its bytes.
constexpr absl::Duration kUsagePause = absl::Milliseconds(100);
constexpr int kUsageRounds = 100;
// While another has a record of the build cache for the moment.
constexpr int kPruneRounds = 10;

absl::Status ToStatus(const HttpAnswer& answer, const std::string& what) {
  if (answer.code < 400) return absl::OkStatus();
  std::string said = docker_json::ParseText(answer.body, "message");
  if (said.empty()) said = absl::StrCat("HTTP ", answer.code);
  const std::string message = absl::StrCat(what, ": ", said);
  switch (answer.code) {
    case 404:
      return absl::NotFoundError(message);
    case 403:  // a predefined network
    case 409:
      return absl::AbortedError(message);
    case 400:
      return absl::UnavailableError(absl::StrCat(
          message, "; the engine may be of a version that is not understood"));
    default:
      // podman's service answers 500 where dockerd has a conflict.
      return absl::StrContains(said, "being used") ||
                     absl::StrContains(said, "in use")
                 ? absl::AbortedError(message)
                 : absl::UnavailableError(message);
  }
}

// Why BuildKit has passed over a record: ABORTED says it, NOT_FOUND that it is
// not there any more; OK if it may be asked once more.
absl::Status JudgePassedOver(const std::vector<BuildCacheFact>& records,
                             const std::string& id) {
  const BuildCacheFact* record = nullptr;
  for (const BuildCacheFact& fact : records) {
    if (fact.id == id) record = &fact;
    if (fact.parent == id) {
      return absl::AbortedError(
          absl::StrCat(id, " of the build cache: ", fact.id,
                       " was built on it and is still there"));
    }
  }
  if (record == nullptr) return absl::NotFoundError(id);
  if (!record->is_in_use) return absl::OkStatus();
  return absl::AbortedError(absl::StrCat(id, " of the build cache is in use"));
}

}  // namespace

absl::StatusOr<std::string> DockerApi::Prefix() const {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (!prefix_.empty()) return prefix_;
  }
  RECLAIM_ASSIGN_OR_RETURN(const HttpAnswer answer,
                           http_.Ask("GET", "/_ping", kPatience));
  RECLAIM_RETURN_IF_ERROR(ToStatus(answer, "ping"));
  return Negotiate(answer);
}

absl::Status DockerApi::Ping() const {
  RECLAIM_ASSIGN_OR_RETURN(const HttpAnswer answer,
                           http_.Ask("GET", "/_ping", kPingPatience));
  RECLAIM_RETURN_IF_ERROR(ToStatus(answer, "ping"));
  return Negotiate(answer).status();
}

absl::StatusOr<std::string> DockerApi::Negotiate(const HttpAnswer& ping) const {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (!prefix_.empty()) return prefix_;
  }
  // podman needs more than a second for its /version, and a machine under load
  // many: who answered a ping is there.
  absl::StatusOr<docker_json::EngineVersion> version =
      docker_json::VersionOfPing(ping.headers);
  if (!version.ok()) {
    RECLAIM_ASSIGN_OR_RETURN(const HttpAnswer answer,
                             http_.Ask("GET", "/version", kPatience));
    RECLAIM_RETURN_IF_ERROR(ToStatus(answer, "version"));
    version = docker_json::ParseVersion(answer.body);
  }
  if (!version.ok()) {
    return absl::UnavailableError(
        absl::StrCat(http_.socket(), ": ", version.status().message()));
  }
  std::lock_guard<std::mutex> lock(mutex_);
  prefix_ = absl::StrCat("/v", version->api);
  is_podman_ = version->is_podman;
  return prefix_;
}

absl::StatusOr<std::string> DockerApi::Get(const std::string& target) const {
  RECLAIM_ASSIGN_OR_RETURN(const std::string prefix, Prefix());
  absl::StatusOr<HttpAnswer> answer =
      http_.Ask("GET", prefix + target, kListPatience);
  if (!answer.ok() || answer->code == 400) {
    // It may come back as another version, and elsewhere.
    std::lock_guard<std::mutex> lock(mutex_);
    prefix_.clear();
    place_.reset();
  }
  RECLAIM_RETURN_IF_ERROR(answer.status());
  RECLAIM_RETURN_IF_ERROR(ToStatus(*answer, target));
  return std::move(answer->body);
}

absl::StatusOr<std::string> DockerApi::Ask(const char* method,
                                           const std::string& target) const {
  RECLAIM_ASSIGN_OR_RETURN(const std::string prefix, Prefix());
  RECLAIM_ASSIGN_OR_RETURN(HttpAnswer answer,
                           http_.Ask(method, prefix + target, kPatience));
  RECLAIM_RETURN_IF_ERROR(ToStatus(answer, absl::StrCat(method, " ", target)));
  return std::move(answer.body);
}

absl::Status DockerApi::Act(const char* method,
                            const std::string& target) const {
  return Ask(method, target).status();
}

absl::StatusOr<std::vector<DockerListedImage>> DockerApi::ListImages() const {
  RECLAIM_ASSIGN_OR_RETURN(const std::string body, Get("/images/json?all=1"));
  return docker_json::ParseImages(body);
}

absl::StatusOr<DockerListedImage> DockerApi::FindImage(
    const std::string& name) const {
  RECLAIM_ASSIGN_OR_RETURN(
      const std::string body,
      Get(absl::StrCat("/images/", UrlEscape(name), "/json")));
  RECLAIM_ASSIGN_OR_RETURN(docker_json::InspectedImage image,
                           docker_json::ParseImage(body));
  return std::move(image.listed);
}

absl::StatusOr<DockerImageDetails> DockerApi::InspectImage(
    const std::string& id) const {
  RECLAIM_ASSIGN_OR_RETURN(
      const std::string body,
      Get(absl::StrCat("/images/", UrlEscape(id), "/json")));
  RECLAIM_ASSIGN_OR_RETURN(docker_json::InspectedImage image,
                           docker_json::ParseImage(body));
  return std::move(image.details);
}

absl::StatusOr<std::vector<uint64_t>> DockerApi::LayerSizes(
    const std::string& id, size_t layer_count) const {
  RECLAIM_ASSIGN_OR_RETURN(
      const std::string history,
      Get(absl::StrCat("/images/", UrlEscape(id), "/history")));
  return docker_json::ParseHistory(history, layer_count);
}

// Of other tools in podman's storage: buildah's working containers.
absl::StatusOr<std::vector<DockerContainerDetails>> DockerApi::ListExternal()
    const {
  RECLAIM_ASSIGN_OR_RETURN(
      const HttpAnswer answer,
      http_.Ask("GET", "/v4.0.0/libpod/containers/json?all=true&external=true",
                kListPatience));
  RECLAIM_RETURN_IF_ERROR(ToStatus(answer, "podman's containers"));
  return docker_json::ParseLibpodContainers(answer.body);
}

absl::StatusOr<std::vector<DockerContainerDetails>> DockerApi::ListContainers()
    const {
  RECLAIM_ASSIGN_OR_RETURN(const std::string body,
                           Get("/containers/json?all=1&size=1"));
  RECLAIM_ASSIGN_OR_RETURN(std::vector<DockerContainerDetails> containers,
                           docker_json::ParseContainers(body));
  std::map<std::string, bool> known;
  for (DockerContainerDetails& container : containers) {
    known[container.fact.id] = true;
    const auto details = Get(
        absl::StrCat("/containers/", UrlEscape(container.fact.id), "/json"));
    if (absl::IsNotFound(details.status())) continue;  // gone meanwhile
    RECLAIM_RETURN_IF_ERROR(details.status());
    RECLAIM_RETURN_IF_ERROR(
        docker_json::AddContainerDetails(*details, &container));
  }
  bool is_podman = false;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    is_podman = is_podman_;
  }
  if (!is_podman) return containers;
  RECLAIM_ASSIGN_OR_RETURN(std::vector<DockerContainerDetails> external,
                           ListExternal());
  for (DockerContainerDetails& container : external) {
    if (known.count(container.fact.id) > 0) continue;
    containers.push_back(std::move(container));
  }
  return containers;
}

absl::StatusOr<std::vector<DockerVolume>> DockerApi::ListVolumes() const {
  RECLAIM_ASSIGN_OR_RETURN(const std::string body, Get("/volumes"));
  return docker_json::ParseVolumes(body);
}

absl::StatusOr<std::vector<NetworkFact>> DockerApi::ListNetworks() const {
  RECLAIM_ASSIGN_OR_RETURN(const std::string body, Get("/networks"));
  return docker_json::ParseNetworks(body);
}

// dockerd counts for one client at a time, and tells the others so.
absl::StatusOr<DockerUsage> DockerApi::GetUsage() const {
  for (int round = 0;; ++round) {
    const absl::StatusOr<std::string> body = Get("/system/df");
    if (body.ok()) return docker_json::ParseUsage(*body);
    if (round == kUsageRounds ||
        !absl::StrContains(body.status().message(), "already running")) {
      return body.status();
    }
    absl::SleepFor(kUsagePause);
  }
}

absl::StatusOr<DockerApi::Place> DockerApi::GetPlace() const {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (place_) return *place_;
  }
  RECLAIM_ASSIGN_OR_RETURN(const std::string body, Get("/info"));
  const Place place{docker_json::ParseText(body, "DockerRootDir"),
                    docker_json::ParseText(body, "Driver")};
  std::lock_guard<std::mutex> lock(mutex_);
  place_ = place;
  return place;
}

absl::Status DockerApi::DeleteImage(const std::string& name) const {
  return Act("DELETE", absl::StrCat("/images/", UrlEscape(name), "?noprune=1"));
}

absl::Status DockerApi::DeleteContainer(const std::string& id) const {
  return Act("DELETE", absl::StrCat("/containers/", UrlEscape(id)));
}

absl::Status DockerApi::DeleteVolume(const std::string& name) const {
  return Act("DELETE", absl::StrCat("/volumes/", UrlEscape(name)));
}

absl::Status DockerApi::DeleteNetwork(const std::string& name) const {
  return Act("DELETE", absl::StrCat("/networks/", UrlEscape(name)));
}

// BuildKit passes over a record that somebody has, if only to count its bytes,
// and says nothing of it.  One count ends before the next begins, so that the
// look tells a build from a count.
absl::Status DockerApi::DeleteBuildCache(const std::string& id) const {
  const std::string filter =
      UrlEscape(absl::StrCat("{\"id\":{\"", id, "\":true}}"));
  for (int round = 0; round < kPruneRounds; ++round) {
    if (round > 0) absl::SleepFor(kUsagePause);
    RECLAIM_ASSIGN_OR_RETURN(
        const std::string body,
        Ask("POST", absl::StrCat("/build/prune?all=1&filters=", filter)));
    RECLAIM_ASSIGN_OR_RETURN(const std::vector<std::string> gone,
                             docker_json::ParsePrunedCache(body));
    if (std::find(gone.begin(), gone.end(), id) != gone.end()) {
      return absl::OkStatus();
    }
    RECLAIM_ASSIGN_OR_RETURN(const DockerUsage usage, GetUsage());
    const absl::Status judged = JudgePassedOver(usage.build_cache, id);
    if (absl::IsNotFound(judged)) return absl::OkStatus();
    RECLAIM_RETURN_IF_ERROR(judged);
  }
  return absl::AbortedError(absl::StrCat(
      id, " of the build cache: the engine keeps it and does not say why"));
}

}  // namespace reclaim::store
