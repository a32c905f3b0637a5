#include "index/resident_loader.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <utility>

#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/check.h"
#include "index/doubts.h"
#include "index/id_table.h"
#include "index/reach_counter.h"
#include "index/resident_node.h"
#include "oci/digest.h"

namespace reclaim::index {
namespace {

// Nodes between who is asked of memory and who is looked at.
constexpr NodeId kAhead = 16;
// Links of one repository that are packed at once: of a registry with a single
// repository that would be all that there are, four times as large as packed.
constexpr size_t kRowsAtOnce = 48 << 10;

}  // namespace

void LinkLoader::Put(const MembershipRow& row) {
  const bool is_next =
      row.repository == repository_ && !rows_.empty() &&
      (rows_.back().content != row.content ? rows_.back().content < row.content
                                           : rows_.back().kind < row.kind);
  // Links of one content stay together.
  const bool is_full =
      rows_.size() >= kRowsAtOnce && rows_.back().content != row.content;
  if (!is_next || is_full) {
    Flush();
    repository_ = row.repository;
  }
  rows_.push_back(
      {row.content, row.kind, row.is_only_name, ToPackedMicros(row.linked)});
}

void LinkLoader::Flush() {
  if (rows_.empty()) return;
  if (memberships_.EndsBefore(repository_, rows_.front().content)) {
    memberships_.Fill(repository_, rows_);
    for (const PackedMembers::Row& row : rows_) {
      if (row.is_only_name) only_names_.Add(row.content, +1);
    }
  } else {
    for (const PackedMembers::Row& packed : rows_) {
      MembershipRow row;
      row.repository = repository_;
      row.content = packed.content;
      row.kind = packed.kind;
      row.linked = FromPackedMicros(packed.micros);
      row.is_only_name = packed.is_only_name;
      const std::optional<MembershipRow> old = memberships_.Put(row);
      const bool was_only_name = old && old->is_only_name;
      only_names_.Add(row.content,
                      (row.is_only_name ? 1 : 0) - (was_only_name ? 1 : 0));
    }
  }
  rows_.clear();
}

ResidentLoader::ResidentLoader(ResidentGraph* graph) : graph_(*graph) {
  RECLAIM_CHECK(graph->node_count() == 0,
                "a graph is loaded into an empty one");
}

void ResidentLoader::SetHome(ResidentNode* node, StoreId store, PlaceId place,
                             Epoch stamp) {
  ResidentGraph::Home& last = graph_.homes_[home_];
  if (home_ != 0 && last.store == store && last.place == place &&
      last.stamp == stamp) {
    node->home = home_;
    ++last.node_count;
    return;
  }
  graph_.SetHome(node, store, place, stamp);
  home_ = node->home;
}

void ResidentLoader::SetKept(NodeId id, const std::vector<NodeId>& targets) {
  if (targets.empty()) return;
  for (const NodeId target : targets) graph_.Ensure(target);
  graph_.lists_.Set(&graph_.nodes_[id].kept, targets);
  graph_.NoteEdges(id);
  keepers_.push_back(id);
}

void ResidentLoader::PutContent(const ContentRow& row) {
  ResidentNode& node = graph_.Ensure(row.id);
  node.set_exists(true);
  node.set_kind(row.kind);
  SetHome(&node, row.store, row.key.place, row.stamp);
  node.set_recorded(row.recorded);
  graph_.SetBytes(row.id, row.bytes);
  if (row.kind == NodeKind::kExtent) {
    // Its state is that of its names.
    if (row.link_count > 0) graph_.link_counts_[row.id] = row.link_count;
    return;
  }
  node.set_state(row.state);
  node.set_flags(row.flags);
  graph_.SetUsed(row.id, row.used);
  graph_.ShelveDigest(row.id, row.key);
  ++digest_count_;
  // Nothing is reached yet, so nothing hears of these.
  graph_.SetExtent(row.id, row.extent);
  graph_.SetSubject(row.id, row.subject);
  SetKept(row.id, row.children);
  if ((row.flags & kOpaque) != 0) opaque_.push_back(row.id);
}

void ResidentLoader::PutNamed(const NamedRow& row) {
  ResidentNode& node = graph_.Ensure(row.id);
  node.set_exists(true);
  node.set_kind(row.key.kind);
  node.set_state(NodeState::kPresent);
  node.set_flags(row.flags);
  SetHome(&node, row.key.store, row.place, row.stamp);
  graph_.SetBytes(row.id, row.bytes);
  node.set_recorded(row.recorded);
  graph_.SetUsed(row.id, row.used);
  if (row.expires != absl::InfiniteFuture()) {
    graph_.SetExpiry(row.id, row.expires);
  }
  graph_.AddName(row.id, row.key);
  SetKept(row.id, row.targets);
  if (row.key.kind == NodeKind::kSnapshot) snapshots_.push_back(row.id);
  if (row.key.kind == NodeKind::kLease && (row.flags & kFlat) != 0) {
    flat_leases_.push_back(row.id);
  }
}

NodeId ResidentLoader::IndexDigests() {
  const ResidentGraph& graph = graph_;
  IdTable& ids = graph_.content_ids_;
  ids.Reserve(digest_count_);
  const auto label = [&graph](NodeId id) { return graph.labels_[id]; };
  const NodeId end = graph.node_count();
  for (NodeId id = 0; id < end; ++id) {
    if (end - id > kAhead) ids.Prefetch(label(id + kAhead));
    const ResidentNode& node = graph.nodes_[id];
    // A name or a file, or nothing.
    if (node.algorithm() == oci::DigestAlgorithm::kNone) continue;
    const uint32_t hash = label(id);
    const uint32_t twin = ids.Find(hash, [&](NodeId one) {
      return label(one) == hash &&
             graph.PlaceOf(graph.nodes_[one]) == graph.PlaceOf(node) &&
             graph.digest(one) == graph.digest(id);
    });
    if (twin != IdTable::kNone) return id;
    ids.Insert(hash, id, label);
  }
  return kNoNode;
}

// The reverse of all edges: how many come to each node, then each in its place
// behind those of the node before, then packed.  All edges at once would be a
// seventh of the whole graph: they are walked anew for each part of the nodes.
void ResidentLoader::LinkKeepers(uint32_t edges_at_once) {
  const NodeId end = graph_.node_count();
  // Where the keepers of a node begin, and then how far they have come.
  std::vector<uint32_t> at(size_t{end} + 1);
  for (const NodeId keeper : keepers_) {
    CountReferences(keeper);
    for (const NodeId target : graph_.Kept(keeper)) ++at[target + 1];
  }
  for (NodeId id = 0; id < end; ++id) at[id + 1] += at[id];
  std::vector<NodeId> laid_out(std::min(at[end], edges_at_once));
  for (NodeId begin = 0; begin < end;) {
    NodeId stop = begin + 1;
    while (stop < end && at[stop + 1] - at[begin] <= edges_at_once) ++stop;
    FillKeepers(begin, stop, &at, &laid_out);
    begin = stop;
  }
}

// Of the nodes from `begin` to `end`.  `*laid_out` is for all of these parts.
void ResidentLoader::FillKeepers(NodeId begin, NodeId end,
                                 std::vector<uint32_t>* at,
                                 std::vector<NodeId>* laid_out) {
  const uint32_t base = (*at)[begin];
  const uint32_t count = (*at)[end] - base;
  if (count == 0) return;
  if (laid_out->size() < count) {
    // Without what it had, and with no more than it needs.
    *laid_out = std::vector<NodeId>();
    laid_out->resize(count);
  }
  for (const NodeId keeper : keepers_) {
    for (const NodeId target : graph_.Kept(keeper)) {
      if (target < begin || target >= end) continue;
      (*laid_out)[(*at)[target]++ - base] = keeper;
    }
  }
  const absl::Span<const NodeId> all = *laid_out;
  uint32_t from = base;
  for (NodeId id = begin; id < end; ++id) {
    const uint32_t to = (*at)[id];
    if (to > from) {
      graph_.keepers_.Fill(&graph_.nodes_[id].keepers,
                           all.subspan(from - base, to - from));
    }
    from = to;
  }
}

// As ResidentGraph::CountPresence() and LinkKeeper() do with each row.
void ResidentLoader::CountReferences(NodeId keeper) {
  const NodeKind kind = graph_.nodes_[keeper].kind();
  const absl::Span<const NodeId> kept = graph_.Kept(keeper);
  if (IsContent(kind)) {
    if (graph_.nodes_[keeper].state() != NodeState::kPresent) return;
    const bool is_lister = IsManifestLike(kind);
    for (const NodeId child : kept) {
      graph_.imaged_refs_.Increment(child);
      if (!is_lister) graph_.unlisting_refs_.Add(child, +1);
    }
    return;
  }
  for (const NodeId target : kept) {
    if (kind == NodeKind::kTag) graph_.tag_refs_.Increment(target);
    if (kind == NodeKind::kContainer) graph_.container_refs_.Add(target, +1);
    if (kind == NodeKind::kLease) graph_.lease_refs_.Add(target, +1);
    if (kind == NodeKind::kSnapshot) graph_.snapshot_refs_.Add(target, +1);
  }
}

void ResidentLoader::Finish(LinkLoader links) {
  graph_.memberships_ = std::move(links.memberships_);
  graph_.only_name_refs_ = std::move(links.only_names_);
  // Each asks for what those before it have worked out.
  JoinFiles();
  SpreadDoubt();
  RootAll();
  CountActive();
  const NodeId end = graph_.node_count();
  for (NodeId id = 0; id < end; ++id) graph_.Contribute(id, +1);
}

void ResidentLoader::JoinFiles() {
  for (const auto& [extent, blobs] : graph_.extent_blobs_) {
    const ResidentGraph::FileNames names = graph_.NamesOf(extent);
    graph_.nodes_[extent].set_state(names.state);
    graph_.imaged_refs_.Set(extent,
                            graph_.imaged_refs_[extent] + names.imaged_count);
  }
}

void ResidentLoader::SpreadDoubt() {
  for (const NodeId id : opaque_) {
    graph_.doubts_.Set(id, graph_.PlaceOf(graph_.nodes_[id]),
                       ScopeOfDoubt(graph_, id));
  }
}

void ResidentLoader::RootAll() {
  const NodeId end = graph_.node_count();
  for (NodeId id = 0; id < end; ++id) {
    const ResidentNode& node = graph_.nodes_[id];
    if (!node.exists() || node.kind() == NodeKind::kSnapshot) continue;
    Root(id);
    if (graph_.DoubtAbout(id) == Doubt::kUnlinked) {
      graph_.unlinked_.insert(id);
      HoldFlat(id);
    }
  }
  for (const NodeId lease : flat_leases_) {
    if (graph_.nodes_[lease].root_bits() == 0) continue;
    graph_.nodes_[lease].set_flat_applied(true);
    for (const NodeId target : graph_.Kept(lease)) {
      if (graph_.nodes_[target].kind() != NodeKind::kSnapshot) HoldFlat(target);
    }
  }
  // These are roots by what is reached.
  for (const NodeId id : snapshots_) Root(id);
}

// As ResidentGraph::Reroot(), of a node that has been none.
void ResidentLoader::Root(NodeId id) {
  const uint8_t bits = graph_.RootBits(id);
  if (bits == 0) return;
  graph_.nodes_[id].set_root_bits(bits);
  std::array<ReachCounter, ResidentGraph::kReachClassCount>& reach =
      graph_.nodes_[id].kind() == NodeKind::kSnapshot ? graph_.holds_
                                                      : graph_.reach_;
  for (size_t i = 0; i < reach.size(); ++i) {
    if ((bits >> i & 1) != 0) reach[i].RetainQuietly(id);
  }
  const absl::Time deadline = graph_.Deadline(id);
  if (deadline != absl::InfiniteFuture() && deadline > graph_.now_) {
    graph_.expiries_.push({deadline, id});
  }
}

void ResidentLoader::HoldFlat(NodeId id) {
  for (const NodeId held : {id, graph_.ExtentOf(id)}) {
    if (held == kNoNode) continue;
    for (int i = 0; i < 2; ++i) graph_.reach_[i].RetainFlatQuietly(held);
  }
}

void ResidentLoader::CountActive() {
  for (const NodeId keeper : keepers_) {
    if (graph_.nodes_[keeper].kind() != NodeKind::kImageIndex) continue;
    const absl::Span<const NodeId> children = graph_.Kept(keeper);
    const auto count = std::count_if(
        children.begin(), children.end(),
        [this](NodeId child) { return graph_.IsUsedByContainer(child); });
    graph_.active_children_.Set(keeper, static_cast<uint32_t>(count));
  }
}

}  // namespace reclaim::index
