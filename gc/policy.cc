#include "gc/policy.h"

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"

namespace reclaim::gc {
namespace {

absl::Status CheckDuration(const char* name, absl::Duration value,
                           absl::Duration low, absl::Duration high) {
  if (value >= low && value <= high) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      name, " is ", absl::FormatDuration(value), "; it must be between ",
      absl::FormatDuration(low), " and ", absl::FormatDuration(high)));
}

constexpr absl::Duration kTenYears = absl::Hours(24 * 3652);

}  // namespace

absl::Status GcPolicy::Validate() const {
  for (const absl::Status& status :
       {CheckDuration("grace_period", grace_period, absl::ZeroDuration(),
                      kTenYears),
        CheckDuration("quarantine_period", quarantine_period,
                      absl::ZeroDuration(), kTenYears),
        CheckDuration("plan_lifetime", plan_lifetime, absl::Minutes(1),
                      absl::Hours(24 * 30)),
        CheckDuration("upload_lifetime", upload_lifetime, absl::ZeroDuration(),
                      kTenYears)}) {
    if (!status.ok()) return status;
  }
  if (batch_item_count < 1 || batch_item_count > 10000) {
    return absl::InvalidArgumentError(
        absl::StrCat("batch_item_count is ", batch_item_count,
                     "; it must be between 1 and 10000"));
  }
  if (large_plan_percent < 1 || large_plan_percent > 100) {
    return absl::InvalidArgumentError(
        absl::StrCat("large_plan_percent is ", large_plan_percent,
                     "; it must be between 1 and 100"));
  }
  return absl::OkStatus();
}

GcPolicy NoGrace() {
  GcPolicy policy;
  policy.grace_period = absl::ZeroDuration();
  policy.large_plan_percent = 100;
  return policy;
}

}  // namespace reclaim::gc
