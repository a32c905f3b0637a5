// gc/records.h, gc/policy_codec.h: plans, items, runs, quarantine entries,
// evidence, rules, schedules, tenants and quotas out of the database.  What
// decodes is encoded to something that decodes to the same.

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/check.h"
#include "gc/policy_codec.h"
#include "gc/records.h"
#include "tests/fuzz/fuzz_target.h"

namespace reclaim::gc {
namespace {

// Encodes what was decoded and goes round once more.
template <typename Decode, typename Encode>
void GoRound(absl::string_view input, Decode decode, Encode encode) {
  const auto value = decode(input);
  if (!value.ok()) return;
  const absl::StatusOr<std::string> bytes = encode(*value);
  RECLAIM_CHECK(bytes.ok(), "what was decoded is text");
  const auto again = decode(*bytes);
  RECLAIM_CHECK(again.ok(), "what was encoded decodes");
  RECLAIM_CHECK(*encode(*again) == *bytes, "and is the same");
}

RECLAIM_FUZZ_TARGET(records) {
  GoRound(input, DecodePlan, EncodePlan);
  GoRound(input, DecodeItems, [](const std::vector<PlanItem>& items) {
    return EncodeItems(items);
  });
  GoRound(input, DecodeRun, EncodeRun);
  GoRound(input, DecodeQuarantine, EncodeQuarantine);
  GoRound(input, DecodeEvidence, EncodeEvidence);
  GoRound(input, DecodeRuleSet, EncodeRuleSet);
  GoRound(input, DecodeSchedule, EncodeSchedule);
  GoRound(input, DecodeState, EncodeState);
  GoRound(input, DecodeTenant, EncodeTenant);
  GoRound(input, DecodeQuota, EncodeQuota);
}

}  // namespace
}  // namespace reclaim::gc
