#include "gc/plan_draft.h"

#include <algorithm>
#include <iterator>
#include <tuple>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "gc/digest_order.h"

namespace reclaim::gc {
namespace {

using index::GraphView;
using index::kNoNode;
using index::NodeId;
using index::NodeKind;
using index::PlaceId;
using store::MembershipKind;
using store::RemovalKind;

constexpr uint64_t kStepsPerSlice = 4096;

// Records, names, links, then bytes: a crash in between leaves only leaks (I3).
int StageOf(const PlanItem& record) {
  return record.removal ? store::DeedStage(record.removal->kind) : 0;
}

bool IsRecord(const PlanItem& item) {
  return !item.removal || store::IsEngineRecord(item.removal->kind);
}

// Containers before what they use (rule 8).
int RankOf(NodeKind kind) {
  switch (kind) {
    case NodeKind::kContainer:
      return 0;
    case NodeKind::kNetwork:
      return 1;
    case NodeKind::kVolume:
      return 2;
    case NodeKind::kSnapshot:
      return 3;
    default:
      return 4;
  }
}

// What references goes before what is referenced: an engine lets go of a layer
// with the last image that has it.
int DepthOf(NodeKind kind) {
  if (kind == NodeKind::kImageIndex) return 0;
  return IsManifestLike(kind) ? 1 : 2;
}

bool GoesBefore(const PlanItem& a, const PlanItem& b) {
  if (StageOf(a) != StageOf(b)) return StageOf(a) < StageOf(b);
  // Records of one kind stay in the order in which they were found: by name,
  // but children before their parents (rule 10).
  if (IsRecord(a)) return RankOf(a.kind) < RankOf(b.kind);
  return std::tie(a.removal->place, a.scope, a.name) <
         std::tie(b.removal->place, b.scope, b.name);
}

std::string DetailOf(const GraphView& view, NodeKind kind, NodeId keeper,
                     uint32_t keeper_count, bool is_more) {
  if (keeper_count == 0) {
    return IsManifestLike(kind) ? "no tag names it"
                                : "no manifest references it";
  }
  std::string text =
      absl::StrCat("only referenced by ", view.digest(keeper).ToString());
  if (keeper_count > 1) {
    absl::StrAppend(&text, is_more ? " and at least " : " and ",
                    keeper_count - 1, " more");
  }
  return absl::StrCat(text, ", which nothing keeps");
}

// PlanItem::linked_by.
std::vector<std::string> LinkedBy(const GraphView& view, NodeId content) {
  std::vector<std::string> names;
  if (view.UnitOfDoubt(view.fields(content).store) !=
      index::DoubtUnit::kRepository) {
    return names;
  }
  view.ForEachRepositoryOf(content, [&](NodeId repository) {
    names.push_back(view.named_key(repository).name);
    return names.size() <= kLinkedByMax;
  });
  if (names.size() > kLinkedByMax) names.clear();
  std::sort(names.begin(), names.end());
  return names;
}

absl::Status Forgotten() {
  return absl::AbortedError(
      "the store was forgotten while its plan was made; register it and make "
      "a new plan");
}

}  // namespace

void DraftItems::AddRecord(PlanItem item) {
  records_.push_back(std::move(item));
}

void DraftItems::AddTag(NodeId tag, NodeId target, DoomReason reason,
                        const std::string& detail) {
  tags_.push_back({tag, target, reason, &*details_.insert(detail).first});
}

void DraftItems::AddLink(NodeId repository, NodeId content,
                         MembershipKind kind) {
  Links& links =
      kind == MembershipKind::kRevision ? revision_links_ : layer_links_;
  links[repository].push_back(content);
}

void DraftItems::AddContent(const Content& content) {
  Packed packed;
  packed.node = content.node;
  packed.keeper = content.keeper;
  packed.keeper_count =
      std::min(content.keeper_count, kKeeperCountMax) & kKeeperCountMax;
  packed.reason = static_cast<uint32_t>(content.reason) & 0x1f;
  packed.kind = static_cast<uint32_t>(content.kind) & 0x1f;
  packed.is_image = content.is_image ? 1 : 0;
  content_[{DepthOf(content.kind), content.place}].push_back(packed);
}

void DraftItems::KeepTagsIf(absl::FunctionRef<bool(const Tag&)> stays) {
  tags_.erase(std::remove_if(tags_.begin(), tags_.end(),
                             [&](const Tag& tag) { return !stays(tag); }),
              tags_.end());
}

std::vector<NodeId> DraftItems::Nodes() const {
  std::vector<NodeId> nodes;
  for (const PlanItem& record : records_) nodes.push_back(record.node);
  for (const auto& [group, content] : content_) {
    for (const Packed& one : content) nodes.push_back(one.node);
  }
  return nodes;
}

// By place, scope and name.  The graph lists names in their order.
void DraftItems::SortTags(const GraphView& view) {
  if (tags_.empty()) return;
  uint64_t step = 0;
  const auto pause = [&] {
    if (++step % kStepsPerSlice == 0) view.Yield();
  };
  std::vector<NodeId> names;
  view.ForEachNamed(NodeKind::kTag, view.fields(tags_[0].node).store,
                    [&](NodeId id) {
                      names.push_back(id);
                      return true;
                    });
  absl::flat_hash_map<NodeId, uint32_t> ranks;
  for (const NodeId id : names) {
    pause();
    ranks.emplace(id, static_cast<uint32_t>(ranks.size()));
  }
  struct Ranked {
    const store::Place* place;
    uint32_t rank;
    Tag tag;
  };
  std::map<PlaceId, store::Place> places;
  std::vector<Ranked> order;
  order.reserve(tags_.size());
  for (const Tag& tag : tags_) {
    pause();
    const PlaceId place = view.fields(tag.node).place;
    const auto [name, is_new] = places.try_emplace(place);
    if (is_new) name->second = view.PlaceName(place);
    // What has gone meanwhile comes last.
    const auto rank = ranks.find(tag.node);
    order.push_back({&name->second,
                     rank == ranks.end() ? uint32_t{kNoNode} : rank->second,
                     tag});
  }
  std::sort(order.begin(), order.end(), [&](const Ranked& a, const Ranked& b) {
    pause();
    return std::tie(*a.place, a.rank, a.tag.node) <
           std::tie(*b.place, b.rank, b.tag.node);
  });
  for (size_t i = 0; i < order.size(); ++i) tags_[i] = order[i].tag;
}

void DraftItems::AddRun(Run run, uint64_t count) {
  if (count == 0) return;
  run.begin = size_;
  runs_.push_back(run);
  size_ += count;
}

void DraftItems::AddLinkRuns(const GraphView& view, MembershipKind kind,
                             Links* links) {
  // By place, then repository.
  std::vector<std::tuple<store::Place, std::string, NodeId>> order;
  for (auto& [repository, content] : *links) {
    content.shrink_to_fit();
    SortByDigest(
        view, [](NodeId id) { return id; }, &content);
    order.emplace_back(view.PlaceName(view.fields(repository).place),
                       view.named_key(repository).name, repository);
    view.Yield();
  }
  std::sort(order.begin(), order.end());
  for (const auto& [place, name, repository] : order) {
    Run run;
    run.links = &links->find(repository)->second;
    run.repository = repository;
    run.link_kind = kind;
    AddRun(run, run.links->size());
  }
}

void DraftItems::AddContentRuns(const GraphView& view) {
  std::vector<std::tuple<int, store::Place, PlaceId>> order;
  for (auto& [group, content] : content_) {
    SortByDigest(
        view, [](const Packed& one) { return one.node; }, &content);
    order.emplace_back(group.first, view.PlaceName(group.second), group.second);
  }
  std::sort(order.begin(), order.end());
  for (const auto& [depth, name, place] : order) {
    Run run;
    run.content = &content_.find({depth, place})->second;
    run.place = place;
    AddRun(run, run.content->size());
  }
}

void DraftItems::Sort(const GraphView& view) {
  std::stable_sort(records_.begin(), records_.end(), GoesBefore);
  const auto late = std::find_if(
      records_.begin(), records_.end(), [](const PlanItem& record) {
        return StageOf(record) > store::DeedStage(RemovalKind::kTag);
      });
  const auto early_count = static_cast<size_t>(late - records_.begin());
  SortTags(view);
  AddRun(Run(), early_count);
  Run tags;
  tags.is_tags = true;
  AddRun(tags, tags_.size());
  AddLinkRuns(view, MembershipKind::kRevision, &revision_links_);
  AddLinkRuns(view, MembershipKind::kLayer, &layer_links_);
  AddContentRuns(view);
  Run rest;
  rest.first_record = early_count;
  AddRun(rest, records_.size() - early_count);
}

void DraftItems::ForEachContent(absl::FunctionRef<void(NodeId)> visit) const {
  for (const Run& run : runs_) {
    if (run.content == nullptr) continue;
    for (const Packed& one : *run.content) visit(one.node);
  }
}

PlanItem DraftItems::RowOfTag(const GraphView& view, const Tag& tag) {
  const index::NodeFields fields = view.fields(tag.node);
  index::NamedKey key = view.named_key(tag.node);
  PlanItem item;
  item.node = tag.node;
  item.kind = NodeKind::kTag;
  item.bytes = fields.bytes;
  item.reason = tag.reason;
  item.detail = *tag.detail;
  item.last_used = fields.used;
  item.unreferenced_since = fields.unreferenced_since;
  if (tag.target != kNoNode) item.digest = view.digest(tag.target);
  store::Removal removal;
  removal.kind = RemovalKind::kTag;
  removal.place = view.PlaceName(fields.place);
  removal.repository = key.scope;
  removal.tag = key.name;
  removal.digest = item.digest;
  item.removal = std::move(removal);
  item.scope = std::move(key.scope);
  item.name = std::move(key.name);
  return item;
}

PlanItem DraftItems::RowOfLink(const GraphView& view, const Run& run,
                               NodeId content) {
  const bool is_revision = run.link_kind == MembershipKind::kRevision;
  PlanItem item;
  item.kind = view.kind(content);
  item.scope = view.named_key(run.repository).name;
  item.digest = view.digest(content);
  item.reason =
      is_revision ? DoomReason::kUntaggedLink : DoomReason::kUnusedLayerLink;
  item.detail = is_revision ? "no tag of the repository reaches it"
                            : "no manifest that the repository keeps uses it";
  store::Removal removal;
  removal.kind =
      is_revision ? RemovalKind::kRevisionLink : RemovalKind::kLayerLink;
  removal.place = view.PlaceName(view.fields(run.repository).place);
  removal.repository = item.scope;
  removal.digest = item.digest;
  item.removal = std::move(removal);
  return item;
}

PlanItem DraftItems::RowOfContent(const GraphView& view, const Packed& content,
                                  PlaceId place) const {
  const index::NodeFields fields = view.fields(content.node);
  PlanItem item;
  item.node = content.node;
  item.kind = static_cast<NodeKind>(content.kind);
  item.digest = view.digest(content.node);
  item.bytes = fields.bytes;
  const auto charged = charged_.find(content.node);
  if (charged != charged_.end()) {
    item.bytes += view.fields(charged->second).bytes;
  }
  item.reason = static_cast<DoomReason>(content.reason);
  item.detail = DetailOf(view, item.kind, content.keeper, content.keeper_count,
                         content.keeper_count == kKeeperCountMax);
  item.linked_by = LinkedBy(view, content.node);
  item.last_used = fields.used;
  item.unreferenced_since = fields.unreferenced_since;
  store::Removal removal;
  removal.kind = RemovalKind::kBlob;
  removal.place = view.PlaceName(place);
  removal.digest = item.digest;
  item.removal = std::move(removal);
  return item;
}

absl::StatusOr<PlanItem> DraftItems::Row(const GraphView& view, const Run& run,
                                         uint64_t at,
                                         PlanTotals* totals) const {
  PlanItem item;
  if (run.content != nullptr) {
    const Packed& content = (*run.content)[at];
    if (!view.Exists(content.node)) return Forgotten();
    item = RowOfContent(view, content, run.place);
    ++totals->blob_count;
    totals->image_count += content.is_image;
  } else if (run.links != nullptr) {
    const NodeId content = (*run.links)[at];
    if (!view.Exists(content)) return Forgotten();
    item = RowOfLink(view, run, content);
  } else {
    item = run.is_tags ? RowOfTag(view, tags_[at])
                       : records_[run.first_record + at];
  }
  ++totals->item_count;
  totals->bytes.content += item.bytes;
  return item;
}

absl::StatusOr<std::vector<PlanItem>> DraftItems::Rows(
    const GraphView& view, uint64_t offset, uint64_t limit,
    PlanTotals* totals) const {
  std::vector<PlanItem> rows;
  if (offset >= size_) return rows;
  const uint64_t end = offset + std::min(limit, size_ - offset);
  rows.reserve(end - offset);
  auto run = std::upper_bound(
      runs_.begin(), runs_.end(), offset,
      [](uint64_t at, const Run& one) { return at < one.begin; });
  for (uint64_t at = offset; at < end; ++at) {
    if (run != runs_.end() && run->begin == at) ++run;
    const Run& current = *std::prev(run);
    RECLAIM_ASSIGN_OR_RETURN(PlanItem row,
                             Row(view, current, at - current.begin, totals));
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace reclaim::gc
