// Plans and their items.

#include <utility>

#include "base/status_macros.h"
#include "gc/record_fields.h"
#include "gc/records.h"
#include "index/record_encoding.h"

namespace reclaim::gc {
namespace codec {
namespace {

void ToProto(const store::Removal& removal, pb::RemovalRecord* out) {
  out->set_kind(static_cast<uint32_t>(removal.kind));
  out->set_place(removal.place);
  out->set_repository(removal.repository);
  out->set_tag(removal.tag);
  out->set_upload_id(removal.upload_id);
  out->set_name(removal.name);
  if (removal.digest) out->set_digest(removal.digest->ToString());
}

absl::StatusOr<store::Removal> FromProto(const pb::RemovalRecord& record) {
  store::Removal removal;
  removal.kind = static_cast<store::RemovalKind>(record.kind());
  removal.place = record.place();
  removal.repository = record.repository();
  removal.tag = record.tag();
  removal.upload_id = record.upload_id();
  removal.name = record.name();
  if (!record.digest().empty()) {
    RECLAIM_ASSIGN_OR_RETURN(removal.digest,
                             oci::Digest::Parse(record.digest()));
  }
  return removal;
}

}  // namespace

void ToProto(const PlanItem& item, pb::PlanItemRecord* out) {
  if (item.node != index::kNoNode) out->set_node(item.node);
  out->set_kind(static_cast<uint32_t>(item.kind));
  if (item.removal) ToProto(*item.removal, out->mutable_removal());
  out->set_scope(item.scope);
  out->set_name(item.name);
  if (item.digest) out->set_digest(item.digest->ToString());
  ToProto(item.bytes, out->mutable_bytes());
  if (item.held != store::Bytes()) ToProto(item.held, out->mutable_held());
  out->set_reason(static_cast<uint32_t>(item.reason));
  out->set_detail(item.detail);
  out->mutable_linked_by()->Add(item.linked_by.begin(), item.linked_by.end());
  if (item.last_used != absl::InfinitePast()) {
    out->set_last_used(ToMicros(item.last_used));
  }
  if (item.unreferenced_since != absl::InfiniteFuture()) {
    out->set_unreferenced_since(ToMicros(item.unreferenced_since));
  }
}

absl::StatusOr<PlanItem> FromProto(const pb::PlanItemRecord& record) {
  PlanItem item;
  if (record.has_node()) item.node = record.node();
  item.kind = static_cast<index::NodeKind>(record.kind());
  if (record.has_removal()) {
    RECLAIM_ASSIGN_OR_RETURN(item.removal, FromProto(record.removal()));
  }
  item.scope = record.scope();
  item.name = record.name();
  if (!record.digest().empty()) {
    RECLAIM_ASSIGN_OR_RETURN(item.digest, oci::Digest::Parse(record.digest()));
  }
  item.bytes = FromProto(record.bytes());
  item.held = FromProto(record.held());
  item.reason = static_cast<DoomReason>(record.reason());
  item.detail = record.detail();
  item.linked_by.assign(record.linked_by().begin(), record.linked_by().end());
  item.last_used = record.has_last_used() ? FromMicros(record.last_used())
                                          : absl::InfinitePast();
  item.unreferenced_since = record.has_unreferenced_since()
                                ? FromMicros(record.unreferenced_since())
                                : absl::InfiniteFuture();
  return item;
}

}  // namespace codec

namespace {

using codec::FromMicros;
using codec::ToMicros;
namespace pb = codec::pb;

int64_t ToMicros(absl::Duration duration) {
  return absl::ToInt64Microseconds(duration);
}

void ToProto(const GcPolicy& policy, pb::PolicyRecord* out) {
  out->set_grace_period(ToMicros(policy.grace_period));
  out->set_quarantine_period(ToMicros(policy.quarantine_period));
  out->set_plan_lifetime(ToMicros(policy.plan_lifetime));
  out->set_upload_lifetime(ToMicros(policy.upload_lifetime));
  out->set_batch_item_count(policy.batch_item_count);
  out->set_pace_bytes_per_second(policy.pace_bytes_per_second);
  out->set_large_plan_percent(policy.large_plan_percent);
}

GcPolicy FromProto(const pb::PolicyRecord& record) {
  GcPolicy policy;
  policy.grace_period = absl::Microseconds(record.grace_period());
  policy.quarantine_period = absl::Microseconds(record.quarantine_period());
  policy.plan_lifetime = absl::Microseconds(record.plan_lifetime());
  policy.upload_lifetime = absl::Microseconds(record.upload_lifetime());
  policy.batch_item_count = record.batch_item_count();
  policy.pace_bytes_per_second = record.pace_bytes_per_second();
  policy.large_plan_percent = record.large_plan_percent();
  return policy;
}

void ToProto(const SpaceTarget& target, pb::SpaceTargetRecord* out) {
  out->set_kind(static_cast<uint32_t>(target.kind));
  out->set_high_percent(target.high_percent);
  out->set_low_percent(target.low_percent);
  out->set_bytes(target.bytes);
  out->set_reserved_bytes(target.reserved_bytes);
}

SpaceTarget FromProto(const pb::SpaceTargetRecord& record) {
  SpaceTarget target;
  target.kind = static_cast<TargetKind>(record.kind());
  target.high_percent = record.high_percent();
  target.low_percent = record.low_percent();
  target.bytes = record.bytes();
  target.reserved_bytes = record.reserved_bytes();
  return target;
}

void ToProto(const TargetOutcome& outcome, pb::TargetOutcomeRecord* out) {
  out->set_needed_bytes(outcome.needed_bytes);
  out->set_purge_bytes(outcome.purge_bytes);
  out->set_short_by_bytes(outcome.short_by_bytes);
  out->set_evicted_count(outcome.evicted_count);
  out->set_lower_bound_count(outcome.lower_bound_count);
  for (const std::string& warning : outcome.warnings) {
    out->add_warnings(warning);
  }
}

TargetOutcome FromProto(const pb::TargetOutcomeRecord& record) {
  TargetOutcome outcome;
  outcome.needed_bytes = record.needed_bytes();
  outcome.purge_bytes = record.purge_bytes();
  outcome.short_by_bytes = record.short_by_bytes();
  outcome.evicted_count = record.evicted_count();
  outcome.lower_bound_count = record.lower_bound_count();
  outcome.warnings.assign(record.warnings().begin(), record.warnings().end());
  return outcome;
}

}  // namespace

namespace codec {

void ToProto(const PruneRequest& request, pb::PruneRequestRecord* out) {
  out->set_store(request.store);
  out->set_verb(static_cast<uint32_t>(request.verb));
  out->set_all_images(request.all_images);
  out->set_with_volumes(request.with_volumes);
  out->set_all_volumes(request.all_volumes);
  out->set_all_cache(request.all_cache);
  out->set_containers_are_complete(request.containers_are_complete);
  for (const std::string& reference : request.only_references) {
    out->add_only_references(reference);
  }
  out->set_force(request.force);
  for (const LabelTest& test : request.filter.labels) {
    pb::LabelTestRecord* label = out->add_labels();
    label->set_key(test.key);
    if (test.value) label->set_value(*test.value);
    label->set_is_negative(test.is_negative);
  }
  for (const TimeTest& test : request.filter.times) {
    pb::TimeTestRecord* time = out->add_times();
    time->set_clock(static_cast<uint32_t>(test.clock));
    time->set_before(ToMicros(test.before));
  }
  for (const std::string& reference : request.filter.references) {
    out->add_references(reference);
  }
  if (request.filter.dangling) out->set_dangling(*request.filter.dangling);
  if (request.filter.all) out->set_all(*request.filter.all);
  gc::ToProto(request.policy, out->mutable_policy());
  out->set_actor(request.actor);
  out->set_schedule(request.schedule);
  out->set_proposer(request.proposer);
  out->set_needs_approval(request.needs_approval);
  if (request.target.is_set()) {
    gc::ToProto(request.target, out->mutable_target());
  }
}

PruneRequest FromProto(const pb::PruneRequestRecord& record) {
  PruneRequest request;
  request.store = record.store();
  request.verb = static_cast<PruneVerb>(record.verb());
  request.all_images = record.all_images();
  request.with_volumes = record.with_volumes();
  request.all_volumes = record.all_volumes();
  request.all_cache = record.all_cache();
  request.containers_are_complete = record.containers_are_complete();
  request.only_references.assign(record.only_references().begin(),
                                 record.only_references().end());
  request.force = record.force();
  for (const pb::LabelTestRecord& label : record.labels()) {
    LabelTest test;
    test.key = label.key();
    if (label.has_value()) test.value = label.value();
    test.is_negative = label.is_negative();
    request.filter.labels.push_back(std::move(test));
  }
  for (const pb::TimeTestRecord& time : record.times()) {
    request.filter.times.push_back(
        {static_cast<TimeClock>(time.clock()), FromMicros(time.before())});
  }
  request.filter.references.assign(record.references().begin(),
                                   record.references().end());
  if (record.has_dangling()) request.filter.dangling = record.dangling();
  if (record.has_all()) request.filter.all = record.all();
  request.policy = gc::FromProto(record.policy());
  request.actor = record.actor();
  request.schedule = record.schedule();
  request.proposer = record.proposer();
  request.needs_approval = record.needs_approval();
  if (record.has_target()) request.target = gc::FromProto(record.target());
  return request;
}

}  // namespace codec

absl::StatusOr<std::string> EncodePlan(const StoredPlan& stored) {
  const Plan& plan = stored.plan;
  pb::PlanRecord out;
  out.set_format_version(kRecordVersion);
  out.set_id(plan.id);
  out.set_store(plan.store);
  out.set_store_id(plan.store_id);
  out.set_epoch(plan.epoch);
  codec::ToProto(plan.request, out.mutable_request());
  out.set_created(ToMicros(plan.created));
  out.set_names_seen(ToMicros(plan.names_seen));
  out.set_expires(ToMicros(plan.expires));
  out.set_item_count(plan.totals.item_count);
  out.set_blob_count(plan.totals.blob_count);
  out.set_image_count(plan.totals.image_count);
  codec::ToProto(plan.totals.bytes, out.mutable_bytes());
  for (const KeptScope& scope : plan.kept_scopes) {
    pb::KeptScope* kept = out.add_kept_scopes();
    kept->set_scope(scope.scope);
    kept->set_why(scope.why);
  }
  out.set_cached_blob_count(plan.cached.blob_count);
  codec::ToProto(plan.cached.bytes, out.mutable_cached_bytes());
  if (plan.request.target.is_set()) {
    ToProto(plan.target_outcome, out.mutable_target_outcome());
  }
  out.set_run_id(stored.run_id);
  if (!stored.approver.empty()) {
    out.set_approver(stored.approver);
    out.set_approved(ToMicros(stored.approved));
  }
  return index::EncodeRecord(out);
}

absl::StatusOr<StoredPlan> DecodePlan(absl::string_view bytes) {
  pb::PlanRecord in;
  RECLAIM_RETURN_IF_ERROR(codec::Parse(bytes, "plan", &in));
  RECLAIM_RETURN_IF_ERROR(codec::CheckVersion(in.format_version(), "plan"));
  StoredPlan stored;
  Plan& plan = stored.plan;
  plan.id = in.id();
  plan.store = in.store();
  plan.store_id = static_cast<index::StoreId>(in.store_id());
  plan.epoch = in.epoch();
  plan.request = codec::FromProto(in.request());
  plan.created = FromMicros(in.created());
  // A plan of an earlier version does not tell: then every name is younger.
  plan.names_seen = FromMicros(in.names_seen());
  plan.expires = FromMicros(in.expires());
  plan.totals.item_count = in.item_count();
  plan.totals.blob_count = in.blob_count();
  plan.totals.image_count = in.image_count();
  plan.totals.bytes = codec::FromProto(in.bytes());
  for (const pb::KeptScope& kept : in.kept_scopes()) {
    plan.kept_scopes.push_back({kept.scope(), kept.why()});
  }
  plan.cached = {in.cached_blob_count(), codec::FromProto(in.cached_bytes())};
  if (in.has_target_outcome()) {
    plan.target_outcome = FromProto(in.target_outcome());
  }
  stored.run_id = in.run_id();
  stored.approver = in.approver();
  if (in.has_approved()) stored.approved = FromMicros(in.approved());
  return stored;
}

absl::StatusOr<std::string> EncodeItems(absl::Span<const PlanItem> items) {
  pb::PlanChunkRecord out;
  for (const PlanItem& item : items) codec::ToProto(item, out.add_items());
  return index::EncodeRecord(out);
}

absl::StatusOr<std::vector<PlanItem>> DecodeItems(absl::string_view bytes) {
  pb::PlanChunkRecord in;
  RECLAIM_RETURN_IF_ERROR(codec::Parse(bytes, "plan", &in));
  std::vector<PlanItem> items;
  items.reserve(static_cast<size_t>(in.items_size()));
  for (const pb::PlanItemRecord& record : in.items()) {
    RECLAIM_ASSIGN_OR_RETURN(PlanItem item, codec::FromProto(record));
    items.push_back(std::move(item));
  }
  return items;
}

}  // namespace reclaim::gc
