#include "rpc/target_convert.h"

#include <string>

#include "base/status_macros.h"

namespace reclaim::rpc {

absl::StatusOr<gc::SpaceTarget> FromProto(const v1::PlanTarget& target) {
  gc::SpaceTarget out;
  out.reserved_bytes = target.reserved_bytes();
  switch (target.goal_case()) {
    case v1::PlanTarget::kMarks:
      out.kind = gc::TargetKind::kMarks;
      out.high_percent = target.marks().high_percent();
      out.low_percent = target.marks().low_percent();
      break;
    case v1::PlanTarget::kFreeBytes:
      out.kind = gc::TargetKind::kFree;
      out.bytes = target.free_bytes();
      break;
    case v1::PlanTarget::kKeepUnderBytes:
      out.kind = gc::TargetKind::kKeepUnder;
      out.bytes = target.keep_under_bytes();
      break;
    case v1::PlanTarget::kQuotas:
      if (target.quotas()) out.kind = gc::TargetKind::kQuotas;
      break;
    case v1::PlanTarget::GOAL_NOT_SET:
      break;
  }
  if (!out.is_set()) {
    return absl::InvalidArgumentError(
        "target: it has no goal; set marks, free_bytes, keep_under_bytes or "
        "quotas, or leave the target out");
  }
  RECLAIM_RETURN_IF_ERROR(out.Validate());
  return out;
}

v1::PlanTarget ToProto(const gc::SpaceTarget& target) {
  v1::PlanTarget out;
  out.set_reserved_bytes(target.reserved_bytes);
  switch (target.kind) {
    case gc::TargetKind::kNone:
      break;
    case gc::TargetKind::kMarks:
      out.mutable_marks()->set_high_percent(target.high_percent);
      out.mutable_marks()->set_low_percent(target.low_percent);
      break;
    case gc::TargetKind::kFree:
      out.set_free_bytes(target.bytes);
      break;
    case gc::TargetKind::kKeepUnder:
      out.set_keep_under_bytes(target.bytes);
      break;
    case gc::TargetKind::kQuotas:
      out.set_quotas(true);
      break;
  }
  return out;
}

v1::TargetOutcome ToProto(const gc::TargetOutcome& outcome) {
  v1::TargetOutcome out;
  out.set_needed_bytes(outcome.needed_bytes);
  out.set_purge_bytes(outcome.purge_bytes);
  out.set_short_by_bytes(outcome.short_by_bytes);
  out.set_evicted_count(outcome.evicted_count);
  out.set_lower_bound_count(outcome.lower_bound_count);
  for (const std::string& warning : outcome.warnings) out.add_warnings(warning);
  return out;
}

}  // namespace reclaim::rpc
