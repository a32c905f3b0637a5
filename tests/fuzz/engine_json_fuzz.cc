// store/docker_json.h: what an engine answers never breaks the daemon, and a
// reading keeps to what its header says.

#include <cstddef>
#include <map>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/check.h"
#include "store/docker_api.h"
#include "store/docker_json.h"
#include "tests/fuzz/fuzz_target.h"

namespace reclaim::store {
namespace {

constexpr size_t kLayerCountMax = 3;

void CheckTime(const std::optional<absl::Time>& time) {
  RECLAIM_CHECK(
      !time || (*time > absl::InfinitePast() && *time < absl::InfiniteFuture()),
      "a time is an instant");
}

RECLAIM_FUZZ_TARGET(engine_json) {
  if (const auto images = docker_json::ParseImages(input); images.ok()) {
    for (const DockerListedImage& image : *images) {
      RECLAIM_CHECK(!image.id.empty(), "an image has an id");
    }
  }
  for (size_t layers = 0; layers <= kLayerCountMax; ++layers) {
    const auto sizes = docker_json::ParseHistory(input, layers);
    RECLAIM_CHECK(!sizes.ok() || sizes->empty() || sizes->size() == layers,
                  "a history has the sizes of all layers or of none");
  }
  if (const auto version = docker_json::ParseVersion(input); version.ok()) {
    RECLAIM_CHECK(version->api.rfind("1.", 0) == 0, "a version that we speak");
  }
  // A ping says the version in a header, bare.
  const std::map<std::string, std::string> headers = {
      {"api-version", std::string(input)}};
  if (const auto version = docker_json::VersionOfPing(headers); version.ok()) {
    RECLAIM_CHECK(version->api.rfind("1.", 0) == 0, "a version that we speak");
  }
  if (const auto gone = docker_json::ParsePrunedCache(input); gone.ok()) {
    RECLAIM_CHECK(!input.empty(), "nothing is no answer");
  }
  if (const auto image = docker_json::ParseImage(input); image.ok()) {
    RECLAIM_CHECK(
        image->details.folders.empty() ||
            image->details.folders.size() == image->details.diffs.size(),
        "each layer has its folder, or none is known");
    CheckTime(image->details.created);
    CheckTime(image->details.tagged);
  }
  DockerContainerDetails container;
  container.fact.state = docker_json::ParseState(input);
  const absl::Status added =
      docker_json::AddContainerDetails(input, &container);
  RECLAIM_CHECK(!added.ok() || container.folders.size() <= 2,
                "a container has a layer, and one below it at most");
  // No oracle beyond "does not crash".
  (void)docker_json::ParseContainers(input);
  (void)docker_json::ParseLibpodContainers(input);
  (void)docker_json::ParseNetworks(input);
  (void)docker_json::ParseVolumes(input);
  (void)docker_json::ParseUsage(input);
  (void)docker_json::ParseText(input, "message");
}

}  // namespace
}  // namespace reclaim::store
