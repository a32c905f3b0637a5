#include "gc/plan.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "gc/filter_kinds.h"
#include "gc/planner.h"
#include "index/doubts.h"

namespace reclaim::gc {

std::string SubjectOf(const PlanItem& item) {
  if (!item.removal) return item.name;
  return store::ToString(*item.removal);
}

bool Planner::DropsUnusedTags() const {
  return request_.verb == PruneVerb::kAllImages ||
         (IsSystem() && request_.all_images) ||
         (request_.verb == PruneVerb::kImages &&
          request_.filter.dangling == false);
}

absl::Status Planner::CheckRequest() const {
  RECLAIM_RETURN_IF_ERROR(request_.policy.Validate());
  if (IsExplicit() && request_.verb != PruneVerb::kImages &&
      request_.verb != PruneVerb::kAllImages) {
    return absl::InvalidArgumentError(absl::StrCat(
        "references name images; ", ToString(request_.verb), " takes none"));
  }
  RECLAIM_RETURN_IF_ERROR(CheckFilter());
  RECLAIM_RETURN_IF_ERROR(request_.CheckTarget());
  return CheckThatUnusedCanBeJudged();
}

// The parser refuses these too; a plan must not rest on who called it (rule 2).
absl::Status Planner::CheckFilter() const {
  const Filter& filter = request_.filter;
  if (DropsUnusedTags() && filter.dangling == true) {
    return absl::InvalidArgumentError(
        "filter dangling=true contradicts --all: leave one of them out");
  }
  const bool is_image_verb = request_.verb == PruneVerb::kImages ||
                             request_.verb == PruneVerb::kAllImages;
  const bool has_volumes =
      request_.verb == PruneVerb::kVolumes || request_.with_volumes;
  const char* refused = nullptr;
  if (!is_image_verb && !filter.references.empty()) refused = "reference";
  if (!is_image_verb && filter.dangling) refused = "dangling";
  if (has_volumes && !filter.times.empty()) refused = "until";
  if (request_.verb == PruneVerb::kBuildCache && !filter.labels.empty()) {
    refused = "label";
  }
  if (request_.verb != PruneVerb::kVolumes && filter.all) refused = "all";
  if (refused != nullptr) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the filter ", refused, " cannot be used with ",
        ToString(request_.verb), request_.with_volumes ? " --volumes" : ""));
  }
  for (const TimeTest& test : filter.times) {
    RECLAIM_RETURN_IF_ERROR(CheckClock(test.clock, TargetOf(request_.verb)));
  }
  return absl::OkStatus();
}

absl::Status Planner::CheckThatUnusedCanBeJudged() const {
  if (!DropsUnusedTags() || IsExplicit() || request_.containers_are_complete ||
      in_.store_knows_containers) {
    return absl::OkStatus();
  }
  return absl::FailedPreconditionError(absl::StrCat(
      "whether an image is unused cannot be judged on the store \"",
      view_.StoreName(in_.store),
      "\": nobody has said that all containers that use it are recorded.  "
      "Prune without --all, or add --containers-are-complete if the recorded "
      "containers are all there are"));
}

void Planner::ForEachContent(absl::FunctionRef<void(NodeId)> visit) const {
  constexpr NodeId kYieldInterval = 4096;
  const NodeId count = view_.node_count();
  for (NodeId id = 0; id < count; ++id) {
    if (id % kYieldInterval == kYieldInterval - 1) view_.Yield();
    if (!view_.Exists(id) || !IsContent(view_.kind(id))) continue;
    if (view_.kind(id) == NodeKind::kExtent) continue;
    if (view_.fields(id).store == in_.store) visit(id);
  }
}

// What an unreadable repository names is unknown: its place is kept, in a
// registry all that there is.  A scope that the graph does not know could be
// anywhere (I5).  The plan says how far that goes.
void Planner::KeepScope(const KeptScope& scope) {
  plan_.kept_scopes.push_back(scope);
  if (scope.scope.empty()) {
    is_whole_store_kept_ = true;
    return;
  }
  const NodeId id =
      view_.FindNamed({NodeKind::kRepository, in_.store, "", scope.scope});
  const index::PlaceId place = id == index::kNoNode
                                   ? view_.FindPlace(in_.store, scope.scope)
                                   : view_.fields(id).place;
  if (id != index::kNoNode) kept_repositories_.insert(scope.scope);
  if (place == index::kNoPlace) {
    is_whole_store_kept_ = true;
    plan_.kept_scopes.push_back(
        {"", absl::StrCat(scope.scope,
                          " could not be read, and where that lies which it "
                          "names is not known")});
    return;
  }
  const bool is_new = kept_places_.insert(place).second;
  if (!is_new || view_.PlaceName(place) == scope.scope) return;
  plan_.kept_scopes.push_back(
      {view_.PlaceName(place),
       absl::StrCat("the repository ", scope.scope,
                    " could not be read, and may name anything beside it")});
}

// What opaque manifests may reference are roots (gc/roots.h); here is said
// which scopes that are, and their names and links are kept with them.
void Planner::KeepDoubts() {
  for (const Root& root : roots_) {
    if (root.reason != index::RootReason::kOpaque) continue;
    const index::PlaceId place = view_.fields(root.node).place;
    const bool is_missing = view_.state(root.node) == index::NodeState::kAbsent;
    const std::string why =
        absl::StrCat("the manifest ", view_.digest(root.node).ToString(),
                     is_missing ? " is not there" : " is not understood",
                     ": what it references is unknown");
    const index::DoubtScope scope = index::ScopeOfDoubt(view_, root.node);
    if (scope.is_whole && kept_places_.insert(place).second) {
      const bool has_repositories =
          view_.UnitOfDoubt(in_.store) == index::DoubtUnit::kRepository;
      plan_.kept_scopes.push_back(
          {view_.PlaceName(place),
           absl::StrCat(why, has_repositories
                                 ? ", and so is the repository that it is of"
                                 : "")});
    }
    for (const NodeId repository : scope.repositories) {
      if (!doubted_repositories_.insert(repository).second) continue;
      plan_.kept_scopes.push_back(
          {view_.named_key(repository).name,
           absl::StrCat(why,
                        ", so all that this repository links is kept, and what "
                        "no repository links; the others are collected")});
    }
  }
}

// Whether the names and links there stay whatever else is judged.
bool Planner::IsScopeKept(NodeId tag) const {
  const std::string name = view_.named_key(tag).scope;
  return is_whole_store_kept_ ||
         kept_places_.count(view_.fields(tag).place) > 0 ||
         kept_repositories_.count(name) > 0 ||
         doubted_repositories_.count(
             view_.FindNamed({NodeKind::kRepository, in_.store, "", name})) > 0;
}

void Planner::FindKeptScopes() {
  for (const KeptScope& scope : in_.unreadable_scopes) KeepScope(scope);
  KeepDoubts();
}

// The roots, and what cannot be judged.
absl::Status Planner::Begin() {
  RECLAIM_RETURN_IF_ERROR(CheckRequest());
  plan_.store = view_.StoreName(in_.store);
  plan_.store_id = in_.store;
  plan_.request = request_;
  plan_.created = in_.now;
  plan_.names_seen = in_.names_seen;
  RECLAIM_ASSIGN_OR_RETURN(
      target_, ResolveTarget(request_.target,
                             IsForCache() ? SpaceOfCache() : in_.space));
  plan_.target_outcome = target_.outcome;
  roots_ = CollectRoots(
      view_, in_.store,
      {in_.now, request_.policy.grace_period, request_.policy.upload_lifetime});
  if (ConcernsImages() || in_.store_holds_records) FindKeptScopes();
  if (!Concerns(PruneVerb::kContainers)) return absl::OkStatus();
  return PlanContainers();
}

absl::StatusOr<PlanDraft> Planner::Run() {
  RECLAIM_RETURN_IF_ERROR(Begin());
  if (Concerns(PruneVerb::kNetworks)) RECLAIM_RETURN_IF_ERROR(PlanNetworks());
  if (request_.verb == PruneVerb::kVolumes ||
      (IsSystem() && request_.with_volumes)) {
    RECLAIM_RETURN_IF_ERROR(PlanVolumes());
  }
  // Before images: it lets go of layers that it has in common with them.
  if (Concerns(PruneVerb::kBuildCache)) {
    RECLAIM_RETURN_IF_ERROR(PlanBuildCache());
  }
  if (ConcernsImages() && !is_whole_store_kept_) {
    RECLAIM_RETURN_IF_ERROR(PlanImages());
  } else if (HasTarget() && !IsForCache()) {
    plan_.target_outcome.short_by_bytes += target_.free_bytes;
  }
  // A container that goes lets go of the snapshots below it.
  if (request_.verb == PruneVerb::kContainers) PlanSnapshots();
  Finish();
  return PlanDraft{std::move(plan_), std::move(items_)};
}

absl::StatusOr<PlanDraft> DraftPlan(const PlanInputs& inputs,
                                    const PruneRequest& request) {
  return Planner(inputs, request).Run();
}

absl::StatusOr<WholePlan> MakePlan(const PlanInputs& inputs,
                                   const PruneRequest& request) {
  RECLAIM_ASSIGN_OR_RETURN(PlanDraft draft, DraftPlan(inputs, request));
  WholePlan whole;
  static_cast<Plan&>(whole) = std::move(draft.plan);
  RECLAIM_ASSIGN_OR_RETURN(
      whole.items,
      draft.items.Rows(*inputs.view, 0, draft.items.size(), &whole.totals));
  return whole;
}

}  // namespace reclaim::gc
