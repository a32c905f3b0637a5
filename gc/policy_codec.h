// gc/policy_codec.h — rule sets, schedules and their states, tenants and quotas
// in durable form.
//
// docs/FORMAT.md is the page for people.  Pure.  Decoding errors are DATA_LOSS
// and name the record.

#ifndef RECLAIM_GC_POLICY_CODEC_H_
#define RECLAIM_GC_POLICY_CODEC_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "gc/retention.h"
#include "gc/schedule.h"
#include "gc/tenants.h"

namespace reclaim::gc {

// Etags are of these bytes: equal sets have equal ones.  Encoding is
// INVALID_ARGUMENT for a text that is not UTF-8.
absl::StatusOr<std::string> EncodeRuleSet(const RuleSet& set);
absl::StatusOr<RuleSet> DecodeRuleSet(absl::string_view bytes);

absl::StatusOr<std::string> EncodeSchedule(const Schedule& schedule);
absl::StatusOr<Schedule> DecodeSchedule(absl::string_view bytes);

absl::StatusOr<std::string> EncodeState(const ScheduleState& state);
absl::StatusOr<ScheduleState> DecodeState(absl::string_view bytes);

absl::StatusOr<std::string> EncodeTenant(const Tenant& tenant);
absl::StatusOr<Tenant> DecodeTenant(absl::string_view bytes);

absl::StatusOr<std::string> EncodeQuota(const RepositoryQuota& quota);
absl::StatusOr<RepositoryQuota> DecodeQuota(absl::string_view bytes);

}  // namespace reclaim::gc

#endif  // RECLAIM_GC_POLICY_CODEC_H_
