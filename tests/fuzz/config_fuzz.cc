// server/config.h: the operator's TOML.

#include "base/check.h"
#include "server/config.h"
#include "tests/fuzz/fuzz_target.h"

namespace reclaim::server {
namespace {

RECLAIM_FUZZ_TARGET(config) {
  const auto config = ParseConfig(input, "config.toml");
  if (!config.ok()) {
    RECLAIM_CHECK(!config.status().message().empty(), "a refusal says why");
    return;
  }
  if (!CheckConfig(*config).ok()) return;
  RECLAIM_CHECK(config->policy.grace_period >= absl::ZeroDuration() &&
                    config->policy.quarantine_period >= absl::ZeroDuration(),
                "no period is negative");
}

}  // namespace
}  // namespace reclaim::server
