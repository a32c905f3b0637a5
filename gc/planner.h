// gc/planner.h — private: the state of one MakePlan() call.

#ifndef RECLAIM_GC_PLANNER_H_
#define RECLAIM_GC_PLANNER_H_

#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gc/mark.h"
#include "gc/plan.h"
#include "gc/roots.h"

namespace reclaim::gc {

class Planner {
 public:
  Planner(const PlanInputs& inputs, const PruneRequest& request)
      : in_(inputs), request_(request), view_(*inputs.view) {}

  absl::StatusOr<Plan> Run();

 private:
  using NodeId = index::NodeId;
  using NodeKind = index::NodeKind;

  bool Concerns(PruneVerb verb) const {
    return request_.verb == verb || request_.verb == PruneVerb::kSystem;
  }
  bool ConcernsImages() const {
    return request_.verb == PruneVerb::kImages ||
           request_.verb == PruneVerb::kAllImages ||
           request_.verb == PruneVerb::kSystem;
  }
  bool DropsUnusedTags() const;
  bool IsOurs(NodeId id) const {
    return view_.Exists(id) && view_.fields(id).store == in_.store;
  }

  // plan.cc
  absl::Status CheckThatUnusedCanBeJudged() const;
  void FindKeptScopes();
  void KeepPlaceOf(const std::string& repository, const std::string& why);
  void Finish();

  // plan_records.cc
  absl::Status PlanContainers();
  absl::Status PlanVolumes();
  absl::Status PlanNetworks();
  absl::Status PlanBuildCache();
  bool HasKeeperThatStays(NodeId id) const;
  std::vector<NodeId> Named(NodeKind kind) const;
  void DoomRecord(NodeId id, DoomReason reason, std::string detail);

  // plan_images.cc
  absl::Status PlanImages();
  absl::Status DropNamedReferences();
  absl::Status DropReference(const std::string& text);
  absl::Status DropUnusedTags();
  absl::Status DropTag(NodeId tag, DoomReason reason, std::string detail);
  absl::Status SpareByFilter(const LiveSet& live);
  absl::Status SpareByName(const LiveSet& live);
  absl::StatusOr<bool> MatchesImage(NodeId image) const;
  bool MatchesLoose(NodeId content) const;
  bool IsTopImage(NodeId id) const;
  std::vector<Root> RemainingRoots() const;
  absl::StatusOr<LiveSet> MarkNow(const std::vector<Root>& roots) const;

  // plan_content.cc
  void DoomContent();
  DoomReason ReasonOf(NodeId id) const;
  std::string DetailOf(NodeId id) const;
  absl::Status DoomLinks();
  void DoomLinksOf(NodeId repository, const LiveSet& common);
  void DoomUploads();
  void ChargeExtents();

  const PlanInputs& in_;
  const PruneRequest& request_;
  const index::GraphView& view_;
  Plan plan_;
  std::vector<Root> roots_;
  std::vector<Root> spared_;
  LiveSet kept_;
  absl::flat_hash_set<NodeId> doomed_;  // named nodes and content
  std::map<NodeId, DoomReason> tops_;   // what dropped tags named
  absl::flat_hash_set<NodeId> asked_;   // content named by the caller
  std::set<index::PlaceId> kept_places_;
  std::set<std::string> kept_repositories_;
  bool is_whole_store_kept_ = false;
};

}  // namespace reclaim::gc

#endif  // RECLAIM_GC_PLANNER_H_
