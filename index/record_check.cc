#include "index/record_check.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "index/digest_shelf.h"

namespace reclaim::index {
namespace {

absl::Status Damaged(absl::string_view what, NodeId id, absl::string_view why) {
  return absl::DataLossError(
      absl::StrCat("the ", what, " record ", id, " ", why,
                   "; move the database away, the graph is rebuilt from the "
                   "stores"));
}

}  // namespace

// Nodes, and none twice: each edge is counted once.
bool RecordCheck::AreEdges(const std::vector<NodeId>& kept) {
  if (kept.size() < 2) return kept.empty() || IsId(kept[0]);
  sorted_.assign(kept.begin(), kept.end());
  std::sort(sorted_.begin(), sorted_.end());
  return std::adjacent_find(sorted_.begin(), sorted_.end()) == sorted_.end() &&
         IsId(sorted_.back());
}

bool RecordCheck::IsStore(StoreId store) {
  if (store_ == store) return true;
  if (graph_.StoreName(store).empty()) return false;
  store_ = store;
  return true;
}

bool RecordCheck::IsPlaceOf(PlaceId place, StoreId store) {
  const std::pair<StoreId, PlaceId> wanted(store, place);
  if (place_ == wanted) return true;
  if (store == kNoStore || graph_.PlaceStore(place) != store) return false;
  place_ = wanted;
  return true;
}

absl::Status RecordCheck::Check(const ContentRow& row) {
  const auto damaged = [&](absl::string_view why) {
    return Damaged("content", row.id, why);
  };
  if (!IsId(row.id)) return damaged("has an id that was never given");
  if (graph_.Exists(row.id)) return damaged("is there twice");
  if (row.kind > NodeKind::kExtent) return damaged("is no content");
  if (row.state > NodeState::kQuarantined) return damaged("has no state");
  if (!IsStore(row.store)) return damaged("is of no store");
  if (!AreEdges(row.children) || !IsIdOrNone(row.subject) ||
      !IsIdOrNone(row.extent)) {
    return damaged("references what was never there");
  }
  const bool is_its_own =
      std::count(row.children.begin(), row.children.end(), row.id) > 0 ||
      row.subject == row.id || row.extent == row.id;
  if (is_its_own) return damaged("references itself");
  // The edges are what a manifest's bytes say: nothing else is written with
  // any, and only of what manifests list do all counters agree.
  if (!IsManifestLike(row.kind) && !row.children.empty()) {
    return damaged("lists parts, and is no manifest");
  }
  // Of links of a repository, and of leases: the counters ask these, and the
  // recount the flags.
  if ((row.flags & (kOnlyName | kFlat)) != 0) {
    return damaged("has flags that content does not have");
  }
  if (row.kind == NodeKind::kExtent) return absl::OkStatus();
  if (row.key.digest.bytes().size() < DigestShelf::kSize) {
    return damaged("has no digest");
  }
  if (!IsPlaceOf(row.key.place, row.store)) {
    return damaged("is in a place that its store does not have");
  }
  return absl::OkStatus();
}

absl::Status RecordCheck::Check(const NamedRow& row) {
  const auto damaged = [&](absl::string_view why) {
    return Damaged("named", row.id, why);
  };
  if (!IsId(row.id)) return damaged("has an id that was never given");
  if (graph_.Exists(row.id)) return damaged("is there twice");
  if (row.key.kind < NodeKind::kRepository ||
      static_cast<int>(row.key.kind) >= kNodeKindCount) {
    return damaged("is of no kind");
  }
  if (!IsStore(row.key.store)) return damaged("is of no store");
  if ((row.flags & kFlat) != 0 && row.key.kind != NodeKind::kLease) {
    return damaged("is flat, and no lease");
  }
  if (row.place != kNoPlace && graph_.PlaceStore(row.place) == kNoStore) {
    return damaged("is in no place");
  }
  if (!AreEdges(row.targets)) {
    return damaged("references what was never there");
  }
  if (graph_.FindNamed(row.key) != kNoNode) {
    return damaged("has the name of another record");
  }
  return absl::OkStatus();
}

absl::Status RecordCheck::Check(const MembershipRow& row) const {
  const auto damaged = [&](absl::string_view why) {
    return Damaged("membership", row.repository, why);
  };
  if (!IsId(row.repository)) return damaged("is of no repository");
  if (!IsId(row.content)) return damaged("links to no content");
  if (row.kind != store::MembershipKind::kRevision &&
      row.kind != store::MembershipKind::kLayer) {
    return damaged("is of no kind");
  }
  return absl::OkStatus();
}

// What was never there has no kind, and is nobody's.
absl::Status RecordCheck::CheckContentEdges() const {
  for (NodeId id = 0; id < graph_.node_count(); ++id) {
    // Nearly all have neither.
    if (!graph_.HasEdges(id)) continue;
    const NodeId file = graph_.ExtentOf(id);
    if (file != kNoNode && graph_.Exists(file) &&
        (graph_.kind(file) != NodeKind::kExtent ||
         graph_.fields(file).store != graph_.fields(id).store)) {
      return Damaged("content", id, "has a file that is none of its store");
    }
    const absl::Span<const NodeId> referrers = graph_.Referrers(id);
    if (!referrers.empty() && graph_.Exists(id) &&
        !IsContent(graph_.kind(id))) {
      return Damaged("content", referrers[0], "has a subject that is a name");
    }
  }
  return absl::OkStatus();
}

absl::Status RecordCheck::CheckLinks(const Memberships& links) const {
  NodeId stranger = kNoNode;
  links.ForEachRepository([&](NodeId id) {
    const bool is_repository =
        graph_.Exists(id) && graph_.kind(id) == NodeKind::kRepository;
    if (!is_repository) stranger = id;
    return is_repository;
  });
  if (stranger != kNoNode) {
    return Damaged("membership", stranger, "is of no repository");
  }
  for (NodeId id = 0; id < links.content_end(); ++id) {
    const absl::Span<const NodeId> repositories = links.RepositoriesOf(id);
    if (repositories.empty()) continue;
    if (!graph_.Exists(id) || !IsContent(graph_.kind(id))) {
      return Damaged("membership", repositories[0], "links to no content");
    }
  }
  return absl::OkStatus();
}

absl::Status RecordCheck::DigestTwice(NodeId content) {
  return Damaged("content", content, "has the digest of another record");
}

}  // namespace reclaim::index
