// gc/planner.h — private: the state of one MakePlan() call.
//
// The steps are member functions, one file a subject; the order in which they
// run stands in Planner::Run() (plan.cc).  Docker's order (SEMANTICS.md rule
// 8): what goes first frees what follows, so that one run converges.
//
// The view may let writers in at each mark and each Yield().  So named nodes
// are looked at through Exists(), and nothing that is newer than the marks is
// judged at all.

#ifndef RECLAIM_GC_PLANNER_H_
#define RECLAIM_GC_PLANNER_H_

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "gc/mark.h"
#include "gc/plan.h"
#include "gc/plan_draft.h"
#include "gc/retention.h"
#include "gc/retention_survey.h"
#include "gc/roots.h"
#include "gc/tenants.h"

namespace reclaim::gc {

// A set of nodes that may be millions: a bit an id.
class NodeBits {
 public:
  bool contains(index::NodeId id) const {
    return id < bits_.size() && bits_[id];
  }
  void insert(index::NodeId id) {
    if (id >= bits_.size()) bits_.resize(uint64_t{id} + 1);
    bits_[id] = true;
  }
  void erase(index::NodeId id) {
    if (id < bits_.size()) bits_[id] = false;
  }

 private:
  std::vector<bool> bits_;
};

class Planner {
 public:
  Planner(const PlanInputs& inputs, const PruneRequest& request)
      : in_(inputs), request_(request), view_(*inputs.view) {}

  absl::StatusOr<PlanDraft> Run();
  // The tags alone, without a plan.
  absl::StatusOr<std::vector<TagDecision>> Test();

 private:
  using NodeId = index::NodeId;
  using NodeKind = index::NodeKind;
  using NodeSet = absl::flat_hash_set<NodeId>;
  struct Link {
    NodeId content = index::kNoNode;
    store::MembershipKind kind = store::MembershipKind::kRevision;
  };

  // RETENTION drops tags by rule and is a system prune besides.
  bool IsSystem() const {
    return request_.verb == PruneVerb::kSystem ||
           request_.verb == PruneVerb::kRetention;
  }
  bool Concerns(PruneVerb verb) const {
    return request_.verb == verb || (IsSystem() && !HasTarget());
  }
  bool HasTarget() const { return request_.target.is_set(); }
  // A target of the build cache: chosen among records, not among images.
  bool IsForCache() const { return request_.verb == PruneVerb::kBuildCache; }
  bool ConcernsImages() const {
    return request_.verb == PruneVerb::kImages ||
           request_.verb == PruneVerb::kAllImages || IsSystem();
  }
  bool DropsUnusedTags() const;
  bool IsExplicit() const { return !request_.only_references.empty(); }
  bool IsOurs(NodeId id) const {
    return view_.Exists(id) && view_.fields(id).store == in_.store;
  }
  bool IsYoung(absl::Time time) const {
    return time + request_.policy.grace_period > in_.now;
  }
  // Present content of this store, blobs with the bytes of their own; yields.
  void ForEachContent(absl::FunctionRef<void(NodeId)> visit) const;

  // plan.cc
  absl::Status Begin();
  absl::Status CheckRequest() const;
  absl::Status CheckFilter() const;
  absl::Status CheckThatUnusedCanBeJudged() const;
  void FindKeptScopes();
  void KeepScope(const KeptScope& scope);
  void KeepDoubts();
  bool IsScopeKept(NodeId tag) const;

  // plan_order.cc
  void Finish();
  void ChargeExtents();

  // plan_records.cc
  absl::Status PlanContainers();
  absl::Status PlanVolumes();
  absl::Status PlanNetworks();
  absl::Status PlanBuildCache();
  void PlanSnapshots();
  SpaceState SpaceOfCache() const;
  bool DoomsCacheRecord(NodeId id) const;
  void DoomCacheForTarget();
  bool DoomsLeaf(NodeId id) const {
    return !doomed_.contains(id) && !HasKeeperThatStays(id) &&
           DoomsCacheRecord(id);
  }
  bool DoomsSnapshot(NodeId id) const;
  void DoomLeavesFirst(NodeKind kind, absl::FunctionRef<bool(NodeId)> is_doomed,
                       DoomReason reason, const char* detail);
  bool HasKeeperThatStays(NodeId id) const;
  std::vector<NodeId> Named(NodeKind kind) const;
  PlanItem RecordItem(NodeId id, DoomReason reason, std::string detail);
  void DoomRecord(NodeId id, DoomReason reason, std::string detail);
  void AddRecordRemoval(PlanItem* item) const;
  bool IsRecordKept(NodeId id) const;

  // plan_unused.cc
  absl::Status DropUnusedTags();
  std::set<std::string> NamesThatContainersWrote() const;
  bool Uses(const LiveSet& live, NodeId image) const;
  bool IsTagHeld(NodeId tag, const LiveSet& held) const;
  static void AddSpareNames(const std::map<std::string, NodeId>& names,
                            const std::set<std::string>& written,
                            std::vector<NodeId>* unused);
  void DropTag(NodeId tag, DoomReason reason, const std::string& detail);

  // plan_retention.cc
  absl::StatusOr<std::vector<TagDecision>> Survey() const;
  absl::Status ApplyRules();
  RepositoryTerms TermsOf(NodeId image) const;
  bool IsPromised(NodeId id) const;
  void SpareByRules(const LiveSet& live);

  // plan_named.cc
  absl::Status DropNamedReferences();
  absl::Status DropReference(const std::string& text);
  absl::Status DropNamedTag(NodeId tag);
  absl::Status DropRepository(NodeId repository);
  absl::Status DropContent(const oci::Digest& digest);
  absl::Status DropFromRepository(NodeId repository, const oci::Digest& digest);
  absl::Status DropTagsOf(NodeId content);
  absl::Status CheckRepository(const std::string& name) const;
  absl::Status CheckUse();
  absl::Status CheckUseBy(const std::vector<Root>& containers,
                          const LiveSet& named, const char* advice);
  std::vector<NodeId> TagsOn(NodeId content) const;
  void Ask(NodeId repository, NodeId content);
  absl::Status SpareByName(const LiveSet& live);

  // plan_match.cc
  absl::StatusOr<bool> MatchesImage(NodeId image, NodeId only_tag) const;
  bool MatchesLoose(NodeId id) const;
  absl::Status SpareByFilter(const LiveSet& live);

  // plan_content.cc
  absl::Status PlanImages();
  bool IsTopImage(NodeId id) const;
  std::vector<Root> RemainingRoots() const;
  absl::StatusOr<LiveSet> MarkNow(const std::vector<Root>& roots) const {
    return Mark(view_, roots, {in_.is_cancelled});
  }
  bool DoomsContent(NodeId id) const;
  void DoomContent();
  absl::Status CountCached();
  void DoomUploads();
  DoomReason ReasonOf(NodeId id, bool is_image) const;
  void AddKeepers(DraftItems::Content* content) const;

  // plan_target.cc
  absl::Status ChooseForTarget();
  absl::Status ChooseForSpace(const std::vector<NodeId>& offered);
  std::vector<NodeId> TryAll();
  std::map<NodeId, uint32_t> RegretOfImages() const;
  absl::Status KeepOffered(absl::Span<const NodeId> kept);
  void KeepTags(absl::FunctionRef<bool(NodeId)> is_kept);
  bool WaitsForSubject(const DraftItems::Tag& tag) const;
  void KeepReferrerNames();
  absl::Status DropNamesOfGoneSubjects();

  // plan_quotas.cc
  absl::Status ChooseForQuotas(const std::vector<NodeId>& offered);
  struct QuotaOffer;
  QuotaOffer OfferOfGroup(absl::Span<const NodeId> tags, const NodeSet& held,
                          const std::map<NodeId, uint32_t>& regret) const;
  uint64_t PromisedBytes(const NodeSet& content, absl::Span<const NodeId> tags,
                         const LiveSet& pinned) const;
  void ChooseForQuota(const TagGroup& group, const LiveSet& pinned,
                      const std::map<NodeId, uint32_t>& regret,
                      NodeSet* dropped);
  NodeSet ReachOfTags(absl::Span<const NodeId> tags) const;
  uint64_t LogicalBytes(const NodeSet& content) const;

  // plan_links.cc
  absl::Status DoomLinks();
  void DoomLeftEntries();
  void GroupTags();
  std::vector<NodeId> LinkStarts(NodeId repository) const;
  void Reach(std::vector<NodeId> starts, NodeSet* reached) const;
  std::vector<Link> LinksOf(NodeId repository) const;
  bool IsAskedFor(NodeId repository, NodeId content) const;
  bool IsLinkInScope(NodeId repository, const Link& link) const;

  const PlanInputs& in_;
  const PruneRequest& request_;
  const index::GraphView& view_;
  Plan plan_;
  DraftItems items_;
  std::vector<Root> roots_;
  std::vector<Root> spared_;
  LiveSet kept_;
  NodeBits doomed_;  // named nodes and content
  // What dropped tags named.
  absl::flat_hash_map<NodeId, DoomReason> tops_;
  std::set<index::PlaceId> kept_places_;
  std::set<std::string> kept_repositories_;
  std::set<NodeId> doubted_repositories_;
  bool is_whole_store_kept_ = false;

  // Explicit removal: content that the caller named or whose name went, the
  // repositories in which that happened, those that were named whole, and the
  // only-names that fall with them.
  std::set<NodeId> asked_;
  NodeSet asked_repositories_;
  NodeSet whole_repositories_;
  NodeSet dropped_only_names_;
  LiveSet asked_reach_;

  NodeBits rule_kept_;  // tags that a retention rule keeps

  ResolvedTarget target_;
  NodeSet kept_uploads_;  // that the target does not need
  // Referrers' names that may go if their subjects do.
  std::vector<DraftItems::Tag> referrer_names_;

  // Tags that stay, by repository name.
  absl::flat_hash_map<std::string, std::vector<NodeId>> tags_of_;
};

}  // namespace reclaim::gc

#endif  // RECLAIM_GC_PLANNER_H_
