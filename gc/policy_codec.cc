#include "gc/policy_codec.h"

#include <utility>

#include "base/status_macros.h"
#include "gc/record_fields.h"
#include "gc/records.h"
#include "index/record_encoding.h"
#include "oci/digest.h"
#include "reclaim/storage/v1/policy.pb.h"

namespace reclaim::gc {
namespace {

namespace pb = storage::v1;
using codec::FromMicros;
using codec::ToMicros;

int64_t Micros(absl::Duration period) {
  return absl::ToInt64Microseconds(period);
}

template <typename List>
std::vector<std::string> Texts(const List& list) {
  return std::vector<std::string>(list.begin(), list.end());
}

// The first twelve digits of the digest of a record.
std::string EtagOf(absl::string_view bytes) {
  return oci::Digest::Sha256Of(bytes).Short();
}

void ToRecord(const RetentionRule& rule, pb::RetentionRuleRecord* out) {
  out->set_name(rule.name);
  for (const std::string& text : rule.stores) out->add_stores(text);
  for (const std::string& text : rule.repositories) out->add_repositories(text);
  for (const std::string& text : rule.tags) out->add_tags(text);
  out->set_keep(static_cast<uint32_t>(rule.keep));
  out->set_keep_newest(rule.keep_newest);
  out->set_newest_by(static_cast<uint32_t>(rule.newest_by));
  if (rule.keep_used_within) {
    out->set_keep_used_within(Micros(*rule.keep_used_within));
  }
  if (rule.keep_pushed_within) {
    out->set_keep_pushed_within(Micros(*rule.keep_pushed_within));
  }
  if (rule.expire_unused_after) {
    out->set_expire_unused_after(Micros(*rule.expire_unused_after));
  }
  out->set_unused_counts_from_push(rule.unused_counts_from_push);
  if (rule.expire_untagged_after) {
    out->set_expire_untagged_after(Micros(*rule.expire_untagged_after));
  }
}

RetentionRule FromRecord(const pb::RetentionRuleRecord& record) {
  RetentionRule rule;
  rule.name = record.name();
  rule.stores = Texts(record.stores());
  rule.repositories = Texts(record.repositories());
  rule.tags = Texts(record.tags());
  rule.keep = static_cast<KeepWord>(record.keep());
  rule.keep_newest = record.keep_newest();
  rule.newest_by = static_cast<NewestBy>(record.newest_by());
  if (record.has_keep_used_within()) {
    rule.keep_used_within = absl::Microseconds(record.keep_used_within());
  }
  if (record.has_keep_pushed_within()) {
    rule.keep_pushed_within = absl::Microseconds(record.keep_pushed_within());
  }
  if (record.has_expire_unused_after()) {
    rule.expire_unused_after = absl::Microseconds(record.expire_unused_after());
  }
  rule.unused_counts_from_push = record.unused_counts_from_push();
  if (record.has_expire_untagged_after()) {
    rule.expire_untagged_after =
        absl::Microseconds(record.expire_untagged_after());
  }
  return rule;
}

void ToRecord(const ReferrerRule& rule, pb::ReferrerRuleRecord* out) {
  out->set_name(rule.name);
  for (const std::string& text : rule.stores) out->add_stores(text);
  for (const std::string& text : rule.repositories) out->add_repositories(text);
  out->set_fate(static_cast<uint32_t>(rule.fate));
  out->set_period(Micros(rule.period));
  out->set_includes_cosign_tags(rule.includes_cosign_tags);
}

ReferrerRule FromRecord(const pb::ReferrerRuleRecord& record) {
  ReferrerRule rule;
  rule.name = record.name();
  rule.stores = Texts(record.stores());
  rule.repositories = Texts(record.repositories());
  rule.fate = static_cast<ReferrerFate>(record.fate());
  rule.period = absl::Microseconds(record.period());
  rule.includes_cosign_tags = record.includes_cosign_tags();
  return rule;
}

}  // namespace

absl::StatusOr<std::string> EncodeRuleSet(const RuleSet& set) {
  pb::RuleSetRecord out;
  out.set_format_version(kRecordVersion);
  out.set_name(set.name);
  for (const RetentionRule& rule : set.rules) ToRecord(rule, out.add_rules());
  for (const ReferrerRule& rule : set.referrers) {
    ToRecord(rule, out.add_referrers());
  }
  out.set_allow_remove_all(set.allow_remove_all);
  out.set_actor(set.actor);
  out.set_changed(ToMicros(set.changed));
  return index::EncodeRecord(out);
}

absl::StatusOr<RuleSet> DecodeRuleSet(absl::string_view bytes) {
  pb::RuleSetRecord in;
  RECLAIM_RETURN_IF_ERROR(codec::Parse(bytes, "rule set", &in));
  RECLAIM_RETURN_IF_ERROR(codec::CheckVersion(in.format_version(), "rule set"));
  RuleSet set;
  set.name = in.name();
  for (const auto& rule : in.rules()) set.rules.push_back(FromRecord(rule));
  for (const auto& rule : in.referrers()) {
    set.referrers.push_back(FromRecord(rule));
  }
  set.allow_remove_all = in.allow_remove_all();
  set.actor = in.actor();
  set.changed = FromMicros(in.changed());
  set.etag = EtagOf(bytes);
  return set;
}

absl::StatusOr<std::string> EncodeSchedule(const Schedule& schedule) {
  pb::ScheduleRecord out;
  out.set_format_version(kRecordVersion);
  out.set_name(schedule.name);
  out.set_cron(schedule.cron);
  out.set_every(Micros(schedule.every));
  out.set_time_zone(schedule.time_zone);
  out.set_jitter(Micros(schedule.jitter));
  for (const std::string& window : schedule.windows) out.add_windows(window);
  out.set_needs_approval(schedule.needs_approval);
  out.set_action(static_cast<uint32_t>(schedule.action));
  codec::ToProto(schedule.request, out.mutable_request());
  for (const std::string& filter : schedule.filters) out.add_filters(filter);
  out.set_actor(schedule.actor);
  out.set_changed(ToMicros(schedule.changed));
  return index::EncodeRecord(out);
}

absl::StatusOr<Schedule> DecodeSchedule(absl::string_view bytes) {
  pb::ScheduleRecord in;
  RECLAIM_RETURN_IF_ERROR(codec::Parse(bytes, "schedule", &in));
  RECLAIM_RETURN_IF_ERROR(codec::CheckVersion(in.format_version(), "schedule"));
  Schedule schedule;
  schedule.name = in.name();
  schedule.cron = in.cron();
  schedule.every = absl::Microseconds(in.every());
  schedule.time_zone = in.time_zone();
  schedule.jitter = absl::Microseconds(in.jitter());
  schedule.windows = Texts(in.windows());
  schedule.needs_approval = in.needs_approval();
  schedule.action = static_cast<ScheduleAction>(in.action());
  schedule.request = codec::FromProto(in.request());
  schedule.filters = Texts(in.filters());
  schedule.actor = in.actor();
  schedule.changed = FromMicros(in.changed());
  schedule.etag = EtagOf(bytes);
  return schedule;
}

absl::StatusOr<std::string> EncodeState(const ScheduleState& state) {
  pb::ScheduleStateRecord out;
  out.set_format_version(kRecordVersion);
  out.set_name(state.name);
  out.set_settled(ToMicros(state.settled));
  out.set_anchor(ToMicros(state.anchor));
  out.set_jitter_seed(state.jitter_seed);
  out.set_is_paused(state.is_paused);
  if (state.last_started != absl::InfinitePast()) {
    out.set_last_due(ToMicros(state.last_due));
    out.set_last_started(ToMicros(state.last_started));
    if (!state.is_running()) out.set_last_ended(ToMicros(state.last_ended));
  }
  out.set_last_outcome(static_cast<uint32_t>(state.last_outcome));
  out.set_last_message(state.last_message);
  for (const std::string& id : state.last_plan_ids) out.add_last_plan_ids(id);
  for (const std::string& id : state.last_run_ids) out.add_last_run_ids(id);
  out.set_run_count(state.run_count);
  out.set_missed_count(state.missed_count);
  out.set_timing(state.timing);
  return index::EncodeRecord(out);
}

absl::StatusOr<ScheduleState> DecodeState(absl::string_view bytes) {
  pb::ScheduleStateRecord in;
  RECLAIM_RETURN_IF_ERROR(codec::Parse(bytes, "state of a schedule", &in));
  RECLAIM_RETURN_IF_ERROR(
      codec::CheckVersion(in.format_version(), "state of a schedule"));
  ScheduleState state;
  state.name = in.name();
  state.settled = FromMicros(in.settled());
  state.anchor = FromMicros(in.anchor());
  state.jitter_seed = in.jitter_seed();
  state.is_paused = in.is_paused();
  if (in.has_last_started()) {
    state.last_due = FromMicros(in.last_due());
    state.last_started = FromMicros(in.last_started());
    state.last_ended = in.has_last_ended() ? FromMicros(in.last_ended())
                                           : absl::InfiniteFuture();
  }
  state.last_outcome = static_cast<ScheduleOutcome>(in.last_outcome());
  state.last_message = in.last_message();
  state.last_plan_ids = Texts(in.last_plan_ids());
  state.last_run_ids = Texts(in.last_run_ids());
  state.run_count = in.run_count();
  state.missed_count = in.missed_count();
  state.timing = in.timing();
  return state;
}

absl::StatusOr<std::string> EncodeTenant(const Tenant& tenant) {
  pb::TenantRecord out;
  out.set_format_version(kRecordVersion);
  out.set_name(tenant.name);
  for (const std::string& text : tenant.repositories) {
    out.add_repositories(text);
  }
  for (const std::string& label : tenant.labels) out.add_labels(label);
  if (tenant.quota_bytes) out.set_quota_bytes(*tenant.quota_bytes);
  out.set_actor(tenant.actor);
  out.set_changed(ToMicros(tenant.changed));
  return index::EncodeRecord(out);
}

absl::StatusOr<Tenant> DecodeTenant(absl::string_view bytes) {
  pb::TenantRecord in;
  RECLAIM_RETURN_IF_ERROR(codec::Parse(bytes, "tenant", &in));
  RECLAIM_RETURN_IF_ERROR(codec::CheckVersion(in.format_version(), "tenant"));
  Tenant tenant;
  tenant.name = in.name();
  tenant.repositories = Texts(in.repositories());
  tenant.labels = Texts(in.labels());
  if (in.has_quota_bytes()) tenant.quota_bytes = in.quota_bytes();
  tenant.actor = in.actor();
  tenant.changed = FromMicros(in.changed());
  tenant.etag = EtagOf(bytes);
  return tenant;
}

absl::StatusOr<std::string> EncodeQuota(const RepositoryQuota& quota) {
  pb::RepositoryQuotaRecord out;
  out.set_format_version(kRecordVersion);
  out.set_name(quota.name);
  for (const std::string& text : quota.repositories) out.add_repositories(text);
  out.set_quota_bytes(quota.quota_bytes.value_or(0));
  out.set_actor(quota.actor);
  out.set_changed(ToMicros(quota.changed));
  return index::EncodeRecord(out);
}

absl::StatusOr<RepositoryQuota> DecodeQuota(absl::string_view bytes) {
  pb::RepositoryQuotaRecord in;
  RECLAIM_RETURN_IF_ERROR(codec::Parse(bytes, "quota", &in));
  RECLAIM_RETURN_IF_ERROR(codec::CheckVersion(in.format_version(), "quota"));
  RepositoryQuota quota;
  quota.name = in.name();
  quota.repositories = Texts(in.repositories());
  quota.quota_bytes = in.quota_bytes();
  quota.actor = in.actor();
  quota.changed = FromMicros(in.changed());
  quota.etag = EtagOf(bytes);
  return quota;
}

}  // namespace reclaim::gc
