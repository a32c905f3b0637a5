#include "gc/plan.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "gc/planner.h"

namespace reclaim::gc {
namespace {

// Names, then links, then bytes: a crash in between leaves only leaks (I3).
int StageOf(const PlanItem& item) {
  return item.removal ? static_cast<int>(item.removal->kind) : 0;
}

// Containers before what they use; children of snapshots and caches keep the
// order in which they were found (leaves first).
auto OrderOf(const PlanItem& item) {
  const std::string digest = item.digest ? item.digest->ToString() : "";
  const std::string place = item.removal ? item.removal->place : "";
  return std::make_tuple(StageOf(item), place, item.scope, item.name, digest);
}

}  // namespace

bool Planner::DropsUnusedTags() const {
  return request_.verb == PruneVerb::kAllImages ||
         (request_.verb == PruneVerb::kSystem && request_.all_images) ||
         (request_.verb == PruneVerb::kImages &&
          request_.filter.dangling == false);
}

absl::Status Planner::CheckThatUnusedCanBeJudged() const {
  if (!DropsUnusedTags() || request_.containers_are_complete ||
      in_.store_knows_containers) {
    return absl::OkStatus();
  }
  return absl::FailedPreconditionError(absl::StrCat(
      "whether an image is unused cannot be judged on the store \"",
      view_.StoreName(in_.store),
      "\": nobody has said that all containers that use it are recorded.  "
      "Prune without --all, or add --containers-complete if the recorded "
      "containers are all there are"));
}

void Planner::KeepPlaceOf(const std::string& repository,
                          const std::string& why) {
  const NodeId id =
      view_.FindNamed({NodeKind::kRepository, in_.store, "", repository});
  if (id == index::kNoNode) return;
  kept_repositories_.insert(repository);
  kept_places_.insert(view_.fields(id).place);
  plan_.kept_scopes.push_back({repository, why});
}

void Planner::FindKeptScopes() {
  for (const KeptScope& scope : in_.unreadable_scopes) {
    if (scope.scope.empty()) {
      is_whole_store_kept_ = true;
      plan_.kept_scopes.push_back(scope);
      continue;
    }
    // What an unreadable repository names is unknown: its place is kept.
    KeepPlaceOf(scope.scope, scope.why);
  }
  std::set<index::PlaceId> opaque;
  for (NodeId id = 0; id < view_.node_count(); ++id) {
    if (!IsOurs(id) || (view_.fields(id).flags & index::kOpaque) == 0) continue;
    const index::PlaceId place = view_.fields(id).place;
    if (!opaque.insert(place).second) continue;
    kept_places_.insert(place);
    plan_.kept_scopes.push_back(
        {view_.PlaceName(place),
         absl::StrCat("the manifest ", view_.digest(id).ToString(),
                      " is not understood: what it references is unknown")});
  }
}

void Planner::Finish() {
  std::stable_sort(plan_.items.begin(), plan_.items.end(),
                   [](const PlanItem& a, const PlanItem& b) {
                     return OrderOf(a) < OrderOf(b);
                   });
  ChargeExtents();
  for (const PlanItem& item : plan_.items) {
    ++plan_.totals.item_count;
    plan_.totals.bytes.content += item.bytes;
    if (item.removal && item.removal->kind == store::RemovalKind::kBlob) {
      ++plan_.totals.blob_count;
      if (IsTopImage(item.node)) ++plan_.totals.image_count;
    }
  }
}

absl::StatusOr<Plan> Planner::Run() {
  RECLAIM_RETURN_IF_ERROR(request_.policy.Validate());
  RECLAIM_RETURN_IF_ERROR(CheckThatUnusedCanBeJudged());
  plan_.store = view_.StoreName(in_.store);
  plan_.store_id = in_.store;
  plan_.request = request_;
  plan_.created = in_.now;
  FindKeptScopes();
  roots_ = CollectRoots(
      view_, in_.store,
      {in_.now, request_.policy.grace_period, request_.policy.upload_lifetime});
  // Docker's order (rule 8): what goes first frees what follows, so that one
  // run converges.
  if (Concerns(PruneVerb::kContainers)) {
    RECLAIM_RETURN_IF_ERROR(PlanContainers());
  }
  if (Concerns(PruneVerb::kNetworks)) RECLAIM_RETURN_IF_ERROR(PlanNetworks());
  if (request_.verb == PruneVerb::kVolumes ||
      (request_.verb == PruneVerb::kSystem && request_.with_volumes)) {
    RECLAIM_RETURN_IF_ERROR(PlanVolumes());
  }
  if (ConcernsImages() && !is_whole_store_kept_) {
    RECLAIM_RETURN_IF_ERROR(PlanImages());
  }
  if (Concerns(PruneVerb::kBuildCache)) {
    RECLAIM_RETURN_IF_ERROR(PlanBuildCache());
  }
  Finish();
  return std::move(plan_);
}

absl::StatusOr<Plan> MakePlan(const PlanInputs& inputs,
                              const PruneRequest& request) {
  return Planner(inputs, request).Run();
}

}  // namespace reclaim::gc
