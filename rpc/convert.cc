#include "rpc/convert.h"

#include "absl/strings/str_cat.h"
#include "index/put_codec.h"
#include "rpc/target_convert.h"

namespace reclaim::rpc {
namespace {

const char* ActionOf(const gc::PlanItem& item) {
  if (!item.removal || store::IsEngineRecord(item.removal->kind)) {
    return index::ToString(item.kind);
  }
  switch (item.removal->kind) {
    case store::RemovalKind::kTag:
      return "tag";
    case store::RemovalKind::kRevisionLink:
      return "revision-link";
    case store::RemovalKind::kLayerLink:
      return "layer-link";
    case store::RemovalKind::kBlob:
      return "blob";
    case store::RemovalKind::kUpload:
      return "upload";
    default:
      return "";
  }
}

// A filter's key for one of an object's times (gc/filter.h).
std::string TimeTerm(const gc::TimeTest& test) {
  const std::string key =
      test.clock == gc::TimeClock::kRecorded
          ? "until"
          : absl::StrCat("until.", gc::ToString(test.clock));
  return absl::StrCat(
      key, "=",
      absl::FormatTime(absl::RFC3339_full, test.before, absl::UTCTimeZone()));
}

}  // namespace

v1::Bytes ToProto(const store::Bytes& bytes) {
  v1::Bytes out;
  out.set_logical_bytes(bytes.logical_bytes);
  out.set_allocated_bytes(bytes.allocated_bytes);
  return out;
}

v1::Tally ToProto(const index::Tally& tally) {
  v1::Tally out;
  out.set_count(tally.count);
  *out.mutable_bytes() = ToProto(tally.bytes);
  return out;
}

v1::RemovalBytes ToProto(const store::RemovalBytes& bytes) {
  v1::RemovalBytes out;
  *out.mutable_content() = ToProto(bytes.content);
  *out.mutable_metadata() = ToProto(bytes.metadata);
  if (bytes.held != store::Bytes()) *out.mutable_held() = ToProto(bytes.held);
  return out;
}

google::protobuf::Duration ToProto(absl::Duration duration) {
  google::protobuf::Duration out;
  absl::Duration rest;
  out.set_seconds(absl::IDivDuration(duration, absl::Seconds(1), &rest));
  out.set_nanos(static_cast<int32_t>(absl::ToInt64Nanoseconds(rest)));
  return out;
}

absl::Duration FromProto(const google::protobuf::Duration& duration) {
  return absl::Seconds(duration.seconds()) +
         absl::Nanoseconds(duration.nanos());
}

void SetTimestamp(absl::Time time, google::protobuf::Timestamp* out) {
  *out = index::ToProto(time);
}

// The enumerations of the API follow ours, with 0 for "unspecified".
v1::NodeState ToProto(index::NodeState state) {
  return static_cast<v1::NodeState>(static_cast<int>(state) + 1);
}
v1::RootReason ToProto(index::RootReason reason) {
  return static_cast<v1::RootReason>(reason);
}
v1::EventKind ToProto(index::EventKind kind) {
  return static_cast<v1::EventKind>(kind);
}
v1::RunKind ToProto(gc::RunKind kind) { return static_cast<v1::RunKind>(kind); }
v1::RunPhase ToProto(gc::RunPhase phase) {
  return static_cast<v1::RunPhase>(phase);
}
v1::PruneVerb ToProto(gc::PruneVerb verb) {
  return static_cast<v1::PruneVerb>(verb);
}

v1::Node MakeNode(const index::GraphReader& reader, index::NodeId id) {
  const index::GraphView& view = reader.view();
  const index::NodeFields fields = view.fields(id);
  v1::Node node;
  node.set_kind(index::ToProto(fields.kind));
  node.set_state(ToProto(fields.state));
  node.set_store(view.StoreName(fields.store));
  if (fields.place != index::kNoPlace) {
    node.set_place(view.PlaceName(fields.place));
  }
  if (IsContent(fields.kind)) {
    node.set_digest(view.digest(id).ToString());
  } else {
    const index::NamedKey key = view.named_key(id);
    node.set_scope(key.scope);
    node.set_name(key.name);
    const auto kept = view.Kept(id);
    if (fields.kind == index::NodeKind::kTag && !kept.empty()) {
      node.set_digest(view.digest(kept[0]).ToString());
    }
  }
  store::Bytes bytes = fields.bytes;
  if (const index::NodeId extent = view.ExtentOf(id);
      extent != index::kNoNode && fields.state == index::NodeState::kPresent) {
    bytes = view.fields(extent).bytes;
  }
  *node.mutable_bytes() = ToProto(bytes);
  node.set_is_live(reader.IsLive(id));
  node.set_reference_count(reader.ReferenceCount(id));
  SetTime(fields.recorded, [&] { return node.mutable_record_time(); });
  SetTime(fields.used, [&] { return node.mutable_last_used_time(); });
  SetTime(fields.unreferenced_since,
          [&] { return node.mutable_unreferenced_since_time(); });
  SetTime(fields.expires, [&] { return node.mutable_expire_time(); });
  node.set_is_opaque((fields.flags & index::kOpaque) != 0);
  return node;
}

std::vector<std::string> Terms(const gc::Filter& filter) {
  std::vector<std::string> terms;
  if (filter.dangling) {
    terms.push_back(
        absl::StrCat("dangling=", *filter.dangling ? "true" : "false"));
  }
  if (filter.all) {
    terms.push_back(absl::StrCat("all=", *filter.all ? "true" : "false"));
  }
  for (const gc::LabelTest& test : filter.labels) {
    terms.push_back(
        absl::StrCat(test.is_negative ? "label!=" : "label=", test.key,
                     test.value ? "=" : "", test.value.value_or("")));
  }
  for (const gc::TimeTest& test : filter.times) terms.push_back(TimeTerm(test));
  for (const std::string& reference : filter.references) {
    terms.push_back(absl::StrCat("reference=", reference));
  }
  return terms;
}

v1::Plan ToProto(const gc::Plan& plan) {
  v1::Plan out;
  out.set_id(plan.id);
  out.set_store(plan.store);
  out.set_verb(ToProto(plan.request.verb));
  SetTime(plan.created, [&] { return out.mutable_create_time(); });
  SetTime(plan.expires, [&] { return out.mutable_expire_time(); });
  out.set_item_count(plan.totals.item_count);
  out.set_blob_count(plan.totals.blob_count);
  out.set_image_count(plan.totals.image_count);
  *out.mutable_bytes() = ToProto(plan.totals.bytes);
  for (const gc::KeptScope& kept : plan.kept_scopes) {
    v1::KeptScope* scope = out.add_kept_scopes();
    scope->set_scope(kept.scope);
    scope->set_why(kept.why);
  }
  out.set_cached_blob_count(plan.cached.blob_count);
  *out.mutable_cached_bytes() = ToProto(plan.cached.bytes);
  for (std::string& term : Terms(plan.request.filter)) {
    out.add_resolved_filters(std::move(term));
  }
  out.set_actor(plan.request.actor);
  out.set_run_id(plan.run_id);
  out.set_needs_approval(plan.request.needs_approval);
  out.set_approver(plan.approver);
  SetTime(plan.approved, [&] { return out.mutable_approve_time(); });
  out.set_schedule(plan.request.schedule);
  if (plan.request.target.is_set()) {
    *out.mutable_target() = ToProto(plan.request.target);
    *out.mutable_target_outcome() = ToProto(plan.target_outcome);
  }
  *out.mutable_grace_period() = ToProto(plan.request.policy.grace_period);
  *out.mutable_quarantine_period() =
      ToProto(plan.request.policy.quarantine_period);
  return out;
}

v1::PlanItem ToProto(const gc::PlanItem& item, const std::string& store) {
  v1::PlanItem out;
  v1::Node* node = out.mutable_node();
  node->set_kind(index::ToProto(item.kind));
  node->set_store(store);
  node->set_scope(item.scope);
  node->set_name(item.name);
  if (item.removal) {
    node->set_place(item.removal->place);
    if (item.scope.empty()) node->set_scope(item.removal->repository);
    if (item.name.empty()) {
      node->set_name(item.removal->kind == store::RemovalKind::kUpload
                         ? item.removal->upload_id
                         : item.removal->tag);
    }
  }
  if (item.digest) {
    node->set_digest(item.digest->ToString());
  } else if (item.removal && item.removal->digest) {
    node->set_digest(item.removal->digest->ToString());
  }
  out.set_action(ActionOf(item));
  out.set_subject(gc::SubjectOf(item));
  *out.mutable_bytes() = ToProto(item.bytes);
  if (item.held != store::Bytes()) *out.mutable_held() = ToProto(item.held);
  out.set_reason(gc::ToString(item.reason));
  out.set_detail(item.detail);
  SetTime(item.last_used, [&] { return out.mutable_last_used_time(); });
  SetTime(item.unreferenced_since,
          [&] { return out.mutable_unreferenced_since_time(); });
  return out;
}

v1::Run ToProto(const gc::Run& run) {
  v1::Run out;
  out.set_id(run.id);
  out.set_kind(ToProto(run.kind));
  out.set_phase(ToProto(run.phase));
  out.set_store(run.store);
  out.set_plan_id(run.plan_id);
  out.set_actor(run.actor);
  SetTime(run.started, [&] { return out.mutable_start_time(); });
  SetTime(run.ended, [&] { return out.mutable_end_time(); });
  SetTime(run.restorable_until,
          [&] { return out.mutable_restorable_until_time(); });
  out.set_done_count(run.progress.done_count);
  out.set_total_count(run.progress.total_count);
  *out.mutable_done_bytes() = ToProto(run.progress.done_bytes);
  *out.mutable_total_bytes() = ToProto(run.progress.total_bytes);
  out.set_step(run.progress.step);
  out.set_blob_count(run.blob_count);
  out.set_image_count(run.image_count);
  out.set_item_count(run.item_count);
  *out.mutable_bytes() = ToProto(run.bytes);
  out.set_skipped_count(run.skipped_count);
  for (const gc::SkippedItem& item : run.skipped) {
    v1::SkippedItem* skipped = out.add_skipped();
    skipped->set_subject(item.subject);
    skipped->set_reason(gc::ToString(item.reason));
    skipped->set_detail(item.detail);
  }
  for (const std::string& problem : run.problems) out.add_problems(problem);
  return out;
}

v1::Event ToProto(const index::Event& event) {
  v1::Event out;
  out.set_sequence(event.sequence);
  SetTime(event.time, [&] { return out.mutable_event_time(); });
  out.set_kind(ToProto(event.kind));
  v1::Node* node = out.mutable_node();
  node->set_kind(index::ToProto(event.node_kind));
  node->set_store(event.store);
  node->set_place(event.place);
  if (event.digest) node->set_digest(event.digest->ToString());
  node->set_scope(event.scope);
  node->set_name(event.name);
  *node->mutable_bytes() = ToProto(event.bytes);
  out.set_actor(event.actor);
  out.set_run_id(event.run_id);
  out.set_detail(event.detail);
  return out;
}

}  // namespace reclaim::rpc
