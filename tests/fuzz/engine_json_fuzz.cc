// store/docker_json.h: what an engine answers never breaks the daemon, and a
// reading keeps to what its header says.

#include "base/check.h"
#include "store/docker_json.h"
#include "tests/fuzz/fuzz_target.h"

namespace reclaim::store {
namespace {

constexpr size_t kLayerCountMax = 3;

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
  // No oracle beyond "does not crash".
  (void)docker_json::ParseImage(input);
  (void)docker_json::ParseContainers(input);
  (void)docker_json::ParseLibpodContainers(input);
  (void)docker_json::ParseNetworks(input);
  (void)docker_json::ParseVolumes(input);
  (void)docker_json::ParseUsage(input);
  (void)docker_json::ParseText(input, "message");
}

}  // namespace
}  // namespace reclaim::store
