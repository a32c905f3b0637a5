// oci/image_config.h

#include "base/check.h"
#include "nlohmann/json.hpp"
#include "oci/image_config.h"
#include "oci/json_reader.h"
#include "tests/fuzz/fuzz_target.h"

namespace reclaim::oci {
namespace {

RECLAIM_FUZZ_TARGET(image_config) {
  const auto config = ParseImageConfig(input);
  if (!config.ok()) return;
  const auto json = ReadJsonObject(input);
  RECLAIM_CHECK(json.ok(), "a config is an object");
  const auto again = ParseImageConfig(json->dump());
  RECLAIM_CHECK(again.ok(), "a config is one however it is spaced");
  RECLAIM_CHECK(again->created == config->created &&
                    again->labels == config->labels &&
                    again->diff_ids == config->diff_ids &&
                    again->history.size() == config->history.size(),
                "and says the same");
}

}  // namespace
}  // namespace reclaim::oci
