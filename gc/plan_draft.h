// gc/plan_draft.h — a decided plan in few bytes an item.
//
// A plan of millions of items is too large for memory as rows of names and
// digests.  What the planner decides (what goes, why, who still names it) is
// kept in 12 bytes for content and 4 for a link; the rows are read out of the
// graph a page at a time, and the collector stores one page before it asks for
// the next.
//
// Writers may come between the decision and its rows.  What goes and why is of
// the decision; names and digests never change; the bytes, times and links
// (PlanItem::linked_by) of a row are those of the view that it is read from: a
// link that went in between is one that went before the plan.  Whether an item
// may still go is no matter of its row: the deletion guard judges by the graph
// at the deed (I1).

#ifndef RECLAIM_GC_PLAN_DRAFT_H_
#define RECLAIM_GC_PLAN_DRAFT_H_

#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "gc/plan.h"
#include "index/graph_view.h"
#include "index/node.h"
#include "store/types.h"

namespace reclaim::gc {

class DraftItems {
 public:
  using NodeId = index::NodeId;
  struct Tag {
    NodeId node = index::kNoNode;
    NodeId target = index::kNoNode;  // what it names; kNoNode for nothing
    DoomReason reason = DoomReason::kNamed;
    const std::string* detail = nullptr;
  };
  // Content and what the planner saw of it.
  struct Content {
    NodeId node = index::kNoNode;
    index::NodeKind kind = index::NodeKind::kBlob;
    index::PlaceId place = index::kNoPlace;
    DoomReason reason = DoomReason::kUnreferenced;
    bool is_image = false;           // counts as one
    NodeId keeper = index::kNoNode;  // the first that references it
    uint32_t keeper_count = 0;
  };

  DraftItems() = default;
  DraftItems(DraftItems&&) = default;
  DraftItems& operator=(DraftItems&&) = default;

  // What the planner decides, in any order.  A record (also an upload) is its
  // own row: they are few.
  void AddRecord(PlanItem item);
  void AddTag(NodeId tag, NodeId target, DoomReason reason,
              const std::string& detail);
  void AddLink(NodeId repository, NodeId content, store::MembershipKind kind);
  void AddContent(const Content& content);

  const std::vector<Tag>& tags() const { return tags_; }
  void KeepTagsIf(absl::FunctionRef<bool(const Tag&)> stays);
  // Records and content, in no order.
  std::vector<NodeId> Nodes() const;

  // Puts all of it into the order of the deed; yields.  After the last item.
  void Sort(const index::GraphView& view);
  // Content, in the order of the deed.  REQUIRES: sorted.
  void ForEachContent(absl::FunctionRef<void(NodeId)> visit) const;
  // The bytes of `extent` go with `blob`: it is the last of its names.
  void Charge(NodeId blob, NodeId extent) { charged_[blob] = extent; }

  uint64_t size() const { return size_; }
  // Rows [offset, offset + limit), which are counted in `totals`.  REQUIRES:
  // sorted.  ABORTED: the store was forgotten meanwhile.
  absl::StatusOr<std::vector<PlanItem>> Rows(const index::GraphView& view,
                                             uint64_t offset, uint64_t limit,
                                             PlanTotals* totals) const;

 private:
  struct Packed {
    NodeId node;
    NodeId keeper;
    uint32_t keeper_count : 21;  // at most kKeeperCountMax
    uint32_t reason : 5;
    uint32_t kind : 5;
    uint32_t is_image : 1;
  };
  static constexpr uint32_t kKeeperCountMax = (1 << 21) - 1;
  // Items of one kind and place, one after another in the order of the deed.
  struct Run {
    uint64_t begin = 0;  // number of the first
    // One of these; else records, from that one on.
    bool is_tags = false;
    const std::vector<NodeId>* links = nullptr;
    const std::deque<Packed>* content = nullptr;
    size_t first_record = 0;
    // Of links.
    NodeId repository = index::kNoNode;
    store::MembershipKind link_kind = store::MembershipKind::kRevision;
    // Of content.
    index::PlaceId place = index::kNoPlace;
  };
  // By repository; by depth and place.
  using Links = std::map<NodeId, std::vector<NodeId>>;
  using ContentGroups =
      std::map<std::pair<int, index::PlaceId>, std::deque<Packed>>;

  void SortTags(const index::GraphView& view);
  void AddRun(Run run, uint64_t count);
  void AddLinkRuns(const index::GraphView& view, store::MembershipKind kind,
                   Links* links);
  void AddContentRuns(const index::GraphView& view);
  absl::StatusOr<PlanItem> Row(const index::GraphView& view, const Run& run,
                               uint64_t at, PlanTotals* totals) const;
  static PlanItem RowOfTag(const index::GraphView& view, const Tag& tag);
  static PlanItem RowOfLink(const index::GraphView& view, const Run& run,
                            NodeId content);
  PlanItem RowOfContent(const index::GraphView& view, const Packed& content,
                        index::PlaceId place) const;

  std::vector<PlanItem> records_;
  std::vector<Tag> tags_;
  std::set<std::string> details_;  // of tags
  Links revision_links_;
  Links layer_links_;
  ContentGroups content_;
  absl::flat_hash_map<NodeId, NodeId> charged_;
  uint64_t size_ = 0;
  std::vector<Run> runs_;  // ascending
};

struct PlanDraft {
  Plan plan;  // without totals
  DraftItems items;
};

// Decides a plan, as MakePlan() does, without a row of it.
absl::StatusOr<PlanDraft> DraftPlan(const PlanInputs& inputs,
                                    const PruneRequest& request);

}  // namespace reclaim::gc

#endif  // RECLAIM_GC_PLAN_DRAFT_H_
