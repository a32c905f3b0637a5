#include "gc/link_return.h"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "base/status_macros.h"
#include "gc/restore.h"

namespace reclaim::gc {
namespace {

using index::kNoNode;
using index::NodeId;
using index::NodeKind;
using index::NodeState;
using store::MembershipKind;
using store::RemovalKind;

// Links that are looked at under one lock (I10).
constexpr size_t kPageSize = 256;

bool IsLink(const QuarantineRecord& record) {
  return record.state == QuarantineState::kQuarantined && record.item.removal &&
         (record.item.removal->kind == RemovalKind::kLayerLink ||
          record.item.removal->kind == RemovalKind::kRevisionLink);
}

// Whether a name of the repository, a tag or a manifest that was pushed to it,
// leads to the content.
bool IsNamedIn(const index::GraphView& view, NodeId repository,
               NodeId content) {
  absl::flat_hash_set<NodeId> seen = {content};
  std::vector<NodeId> stack = {content};
  const std::string name = view.named_key(repository).name;
  bool is_named = false;
  while (!stack.empty() && !is_named) {
    const NodeId id = stack.back();
    stack.pop_back();
    view.ForEachKeeper(id, [&](NodeId above) {
      if (!view.Exists(above) || !seen.insert(above).second) return true;
      if (view.kind(above) == NodeKind::kTag) {
        is_named = view.named_key(above).scope == name;
      } else if (IsManifestLike(view.kind(above))) {
        is_named = view.LinkedAt(repository, above, MembershipKind::kRevision)
                       .has_value();
        stack.push_back(above);
      }
      return !is_named;
    });
  }
  return is_named;
}

bool IsNeeded(const index::GraphView& view, index::StoreId store,
              const QuarantineRecord& record) {
  const store::Removal& removal = *record.item.removal;
  const NodeId repository =
      view.FindNamed({NodeKind::kRepository, store, "", removal.repository});
  const index::PlaceId place = view.FindPlace(store, removal.place);
  if (repository == kNoNode || place == index::kNoPlace) return false;
  const NodeId content = view.FindContent(place, *removal.digest);
  if (content == kNoNode) return false;
  // Its links come back with it, and lead nowhere without it.
  if (view.state(content) == NodeState::kQuarantined) return false;
  // One that somebody has made anew stands.
  const MembershipKind kind = removal.kind == RemovalKind::kLayerLink
                                  ? MembershipKind::kLayer
                                  : MembershipKind::kRevision;
  if (view.LinkedAt(repository, content, kind)) return false;
  return IsNamedIn(view, repository, content);
}

// Moves those of `links` that are needed to `needed`.
void TakeNeeded(const CollectedStore& site,
                std::vector<QuarantineRecord>* links,
                std::vector<QuarantineRecord>* needed) {
  const auto reader = site.graph->Read();
  for (QuarantineRecord& record : *links) {
    if (IsNeeded(reader->view(), site.id, record)) {
      needed->push_back(std::move(record));
    }
  }
  links->clear();
}

absl::Status Return(CollectedStore* site, std::vector<QuarantineRecord> needed,
                    absl::string_view actor) {
  if (needed.empty()) return absl::OkStatus();
  return RestoreRecords(site, std::move(needed), actor, nullptr,
                        RestoreOrder::kBytesLast);
}

}  // namespace

absl::Status ReturnLinks(CollectedStore* site, absl::string_view actor) {
  std::vector<QuarantineRecord> links;
  std::vector<QuarantineRecord> needed;
  RECLAIM_RETURN_IF_ERROR(
      site->runs->ForEachQuarantined(site->name, [&](QuarantineRecord record) {
        if (!IsLink(record)) return true;
        links.push_back(std::move(record));
        if (links.size() == kPageSize) TakeNeeded(*site, &links, &needed);
        return true;
      }));
  TakeNeeded(*site, &links, &needed);
  return Return(site, std::move(needed), actor);
}

absl::Status ReturnLinksOf(CollectedStore* site,
                           absl::Span<const index::Hint> hints,
                           absl::string_view actor) {
  std::set<std::pair<store::Place, oci::Digest>> closure;
  {
    const auto reader = site->graph->Read();
    const index::GraphView& view = reader->view();
    for (const index::Hint& hint : hints) {
      if (hint.pulled || !hint.digest) continue;
      const NodeId repository = view.FindNamed(
          {NodeKind::kRepository, site->id, "", hint.repository});
      if (repository == kNoNode) continue;
      const NodeId content =
          view.FindContent(view.fields(repository).place, *hint.digest);
      if (content != kNoNode) AddClosure(view, content, &closure);
    }
  }
  std::vector<QuarantineRecord> links;
  for (const auto& [place, digest] : closure) {
    RECLAIM_ASSIGN_OR_RETURN(
        std::vector<QuarantineRecord> found,
        site->runs->FindQuarantined(site->name, place, digest));
    std::copy_if(std::make_move_iterator(found.begin()),
                 std::make_move_iterator(found.end()),
                 std::back_inserter(links), IsLink);
  }
  std::vector<QuarantineRecord> needed;
  TakeNeeded(*site, &links, &needed);
  return Return(site, std::move(needed), actor);
}

}  // namespace reclaim::gc
