#include "rpc/policy_convert.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "rpc/convert.h"
#include "rpc/target_convert.h"

namespace reclaim::rpc {
namespace {

template <typename List>
std::vector<std::string> Texts(const List& list) {
  return std::vector<std::string>(list.begin(), list.end());
}

template <typename List>
void Fill(const std::vector<std::string>& texts, List* list) {
  for (const std::string& text : texts) *list->Add() = text;
}

absl::Status NotKnown(const std::string& name, const char* field) {
  return absl::InvalidArgumentError(
      absl::StrCat(name, ": ", field, " has a value that is not known"));
}

v1::RetentionRule ToProto(const gc::RetentionRule& rule) {
  v1::RetentionRule out;
  out.set_name(rule.name);
  Fill(rule.stores, out.mutable_stores());
  Fill(rule.repositories, out.mutable_repositories());
  Fill(rule.tags, out.mutable_tags());
  out.set_keep(static_cast<v1::KeepWord>(rule.keep));
  out.set_keep_newest(rule.keep_newest);
  if (rule.keep_newest > 0) {
    out.set_newest_by(static_cast<v1::NewestBy>(rule.newest_by));
  }
  if (rule.keep_used_within) {
    *out.mutable_keep_used_within() = rpc::ToProto(*rule.keep_used_within);
  }
  if (rule.keep_pushed_within) {
    *out.mutable_keep_pushed_within() = rpc::ToProto(*rule.keep_pushed_within);
  }
  if (rule.expire_unused_after) {
    *out.mutable_expire_unused_after() =
        rpc::ToProto(*rule.expire_unused_after);
  }
  out.set_unused_counts_from_push(rule.unused_counts_from_push);
  if (rule.expire_untagged_after) {
    *out.mutable_expire_untagged_after() =
        rpc::ToProto(*rule.expire_untagged_after);
  }
  return out;
}

absl::StatusOr<gc::RetentionRule> FromProto(const v1::RetentionRule& in) {
  if (!v1::KeepWord_IsValid(in.keep())) return NotKnown(in.name(), "keep");
  if (!v1::NewestBy_IsValid(in.newest_by())) {
    return NotKnown(in.name(), "newest_by");
  }
  gc::RetentionRule rule;
  rule.name = in.name();
  rule.stores = Texts(in.stores());
  rule.repositories = Texts(in.repositories());
  rule.tags = Texts(in.tags());
  rule.keep = static_cast<gc::KeepWord>(in.keep());
  rule.keep_newest = in.keep_newest();
  rule.newest_by = in.newest_by() == v1::NEWEST_BY_CREATED
                       ? gc::NewestBy::kCreated
                       : gc::NewestBy::kPushed;
  if (in.has_keep_used_within()) {
    rule.keep_used_within = rpc::FromProto(in.keep_used_within());
  }
  if (in.has_keep_pushed_within()) {
    rule.keep_pushed_within = rpc::FromProto(in.keep_pushed_within());
  }
  if (in.has_expire_unused_after()) {
    rule.expire_unused_after = rpc::FromProto(in.expire_unused_after());
  }
  rule.unused_counts_from_push = in.unused_counts_from_push();
  if (in.has_expire_untagged_after()) {
    rule.expire_untagged_after = rpc::FromProto(in.expire_untagged_after());
  }
  return rule;
}

v1::ReferrerRule ToProto(const gc::ReferrerRule& rule) {
  v1::ReferrerRule out;
  out.set_name(rule.name);
  Fill(rule.stores, out.mutable_stores());
  Fill(rule.repositories, out.mutable_repositories());
  out.set_fate(static_cast<v1::ReferrerFate>(rule.fate));
  if (rule.fate == gc::ReferrerFate::kKeepFor) {
    *out.mutable_period() = rpc::ToProto(rule.period);
  }
  out.set_includes_cosign_tags(rule.includes_cosign_tags);
  return out;
}

absl::StatusOr<gc::ReferrerRule> FromProto(const v1::ReferrerRule& in) {
  if (!v1::ReferrerFate_IsValid(in.fate())) return NotKnown(in.name(), "fate");
  gc::ReferrerRule rule;
  rule.name = in.name();
  rule.stores = Texts(in.stores());
  rule.repositories = Texts(in.repositories());
  if (in.fate() != v1::REFERRER_FATE_UNSPECIFIED) {
    rule.fate = static_cast<gc::ReferrerFate>(in.fate());
  }
  if (in.has_period()) rule.period = rpc::FromProto(in.period());
  rule.includes_cosign_tags = in.includes_cosign_tags();
  return rule;
}

v1::ScheduleState ToProto(const gc::ScheduleState& state, absl::Time next) {
  v1::ScheduleState out;
  out.set_is_paused(state.is_paused);
  out.set_is_running(state.is_running());
  SetTime(next, [&] { return out.mutable_next_time(); });
  SetTime(state.last_due, [&] { return out.mutable_last_due_time(); });
  SetTime(state.last_started, [&] { return out.mutable_last_start_time(); });
  SetTime(state.last_ended, [&] { return out.mutable_last_end_time(); });
  if (!state.is_running()) {
    out.set_last_outcome(gc::ToString(state.last_outcome));
    out.set_last_message(state.last_message);
  }
  Fill(state.last_plan_ids, out.mutable_last_plan_ids());
  Fill(state.last_run_ids, out.mutable_last_run_ids());
  out.set_run_count(state.run_count);
  out.set_missed_count(state.missed_count);
  return out;
}

}  // namespace

v1::RuleSet ToProto(const gc::RuleSet& set) {
  v1::RuleSet out;
  out.set_name(set.name);
  for (const gc::RetentionRule& rule : set.rules) {
    *out.add_rules() = ToProto(rule);
  }
  for (const gc::ReferrerRule& rule : set.referrers) {
    *out.add_referrers() = ToProto(rule);
  }
  out.set_allow_remove_all(set.allow_remove_all);
  out.set_etag(set.etag);
  out.set_actor(set.actor);
  SetTime(set.changed, [&] { return out.mutable_change_time(); });
  out.set_is_from_file(set.is_from_file);
  return out;
}

absl::StatusOr<gc::RuleSet> FromProto(const v1::RuleSet& in) {
  gc::RuleSet set;
  set.name = in.name();
  for (const v1::RetentionRule& rule : in.rules()) {
    RECLAIM_ASSIGN_OR_RETURN(gc::RetentionRule one, FromProto(rule));
    set.rules.push_back(std::move(one));
  }
  for (const v1::ReferrerRule& rule : in.referrers()) {
    RECLAIM_ASSIGN_OR_RETURN(gc::ReferrerRule one, FromProto(rule));
    set.referrers.push_back(std::move(one));
  }
  set.allow_remove_all = in.allow_remove_all();
  return set;
}

v1::TagDecision ToProto(const gc::TagDecision& decision) {
  v1::TagDecision out;
  out.set_repository(decision.repository);
  out.set_tag(decision.name);
  out.set_digest(decision.digest.ToString());
  out.set_goes(decision.verdict.goes);
  out.set_rule(decision.verdict.rule);
  out.set_why(decision.verdict.why);
  SetTime(decision.pushed, [&] { return out.mutable_push_time(); });
  SetTime(decision.used, [&] { return out.mutable_last_used_time(); });
  return out;
}

v1::Schedule ToProto(const gc::Schedule& schedule,
                     const gc::ScheduleState& state, absl::Time next) {
  v1::Schedule out;
  out.set_name(schedule.name);
  out.set_cron(schedule.cron);
  if (schedule.cron.empty()) *out.mutable_every() = ToProto(schedule.every);
  out.set_time_zone(schedule.time_zone);
  if (schedule.jitter != absl::ZeroDuration()) {
    *out.mutable_jitter() = ToProto(schedule.jitter);
  }
  Fill(schedule.windows, out.mutable_windows());
  out.set_approve(schedule.needs_approval);
  out.set_action(static_cast<v1::ScheduleAction>(schedule.action));
  out.set_store(schedule.request.store);
  if (schedule.action == gc::ScheduleAction::kPrune) {
    out.set_verb(ToProto(schedule.request.verb));
    out.set_all_images(schedule.request.all_images);
    out.set_with_volumes(schedule.request.with_volumes);
    out.set_containers_are_complete(schedule.request.containers_are_complete);
    if (schedule.request.target.is_set()) {
      *out.mutable_target() = ToProto(schedule.request.target);
    }
  }
  Fill(schedule.filters, out.mutable_filters());
  out.set_etag(schedule.etag);
  out.set_actor(schedule.actor);
  SetTime(schedule.changed, [&] { return out.mutable_change_time(); });
  out.set_is_from_file(schedule.is_from_file);
  *out.mutable_state() = ToProto(state, next);
  return out;
}

absl::StatusOr<gc::Schedule> FromProto(const v1::Schedule& in) {
  if (!v1::ScheduleAction_IsValid(in.action())) {
    return NotKnown(in.name(), "action");
  }
  if (!v1::PruneVerb_IsValid(in.verb())) return NotKnown(in.name(), "verb");
  gc::Schedule schedule;
  schedule.name = in.name();
  schedule.cron = in.cron();
  if (in.has_every()) schedule.every = FromProto(in.every());
  schedule.time_zone = in.time_zone();
  if (in.has_jitter()) schedule.jitter = FromProto(in.jitter());
  schedule.windows = Texts(in.windows());
  schedule.needs_approval = in.approve();
  if (in.action() != v1::SCHEDULE_ACTION_UNSPECIFIED) {
    schedule.action = static_cast<gc::ScheduleAction>(in.action());
  }
  schedule.request.store = in.store();
  schedule.request.verb = in.verb() == v1::PRUNE_VERB_UNSPECIFIED
                              ? gc::PruneVerb::kRetention
                              : static_cast<gc::PruneVerb>(in.verb());
  schedule.request.all_images = in.all_images();
  schedule.request.with_volumes = in.with_volumes();
  schedule.request.containers_are_complete = in.containers_are_complete();
  if (in.has_target()) {
    RECLAIM_ASSIGN_OR_RETURN(schedule.request.target, FromProto(in.target()));
  }
  schedule.filters = Texts(in.filters());
  return schedule;
}

v1::Tenant ToProto(const gc::Tenant& tenant) {
  v1::Tenant out;
  out.set_name(tenant.name);
  Fill(tenant.repositories, out.mutable_repositories());
  Fill(tenant.labels, out.mutable_labels());
  if (tenant.quota_bytes) out.set_quota_bytes(*tenant.quota_bytes);
  out.set_etag(tenant.etag);
  out.set_actor(tenant.actor);
  SetTime(tenant.changed, [&] { return out.mutable_change_time(); });
  out.set_is_from_file(tenant.is_from_file);
  return out;
}

gc::Tenant FromProto(const v1::Tenant& in) {
  gc::Tenant tenant;
  tenant.name = in.name();
  tenant.repositories = Texts(in.repositories());
  tenant.labels = Texts(in.labels());
  if (in.has_quota_bytes()) tenant.quota_bytes = in.quota_bytes();
  return tenant;
}

v1::RepositoryQuota ToProto(const gc::RepositoryQuota& quota) {
  v1::RepositoryQuota out;
  out.set_name(quota.name);
  Fill(quota.repositories, out.mutable_repositories());
  out.set_quota_bytes(quota.quota_bytes.value_or(0));
  out.set_etag(quota.etag);
  out.set_actor(quota.actor);
  SetTime(quota.changed, [&] { return out.mutable_change_time(); });
  out.set_is_from_file(quota.is_from_file);
  return out;
}

gc::RepositoryQuota FromProto(const v1::RepositoryQuota& in) {
  gc::RepositoryQuota quota;
  quota.name = in.name();
  quota.repositories = Texts(in.repositories());
  quota.quota_bytes = in.quota_bytes();
  return quota;
}

}  // namespace reclaim::rpc
