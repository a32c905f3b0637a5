#include "gc/link_return.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "base/status_macros.h"
#include "gc/adopted_return.h"
#include "gc/records.h"
#include "gc/restore.h"
#include "gc/run_store.h"
#include "store/name_reader.h"

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

// One that somebody has made anew may be the only one again: his may not have
// come to the disk.
bool IsLink(const QuarantineRecord& record) {
  return (record.state == QuarantineState::kQuarantined ||
          record.state == QuarantineState::kSuperseded) &&
         record.item.removal &&
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

MembershipKind LinkKind(const QuarantineRecord& record) {
  return record.item.removal->kind == RemovalKind::kLayerLink
             ? MembershipKind::kLayer
             : MembershipKind::kRevision;
}

// What a link leads to, from which repository.
struct LinkEnds {
  NodeId repository = kNoNode;
  NodeId content = kNoNode;

  bool are_here() const { return repository != kNoNode && content != kNoNode; }
};

// Not here if the content is in quarantine: its links come back with it, and
// lead nowhere without it.
LinkEnds EndsOf(const index::GraphView& view, index::StoreId store,
                const QuarantineRecord& record) {
  const store::Removal& removal = *record.item.removal;
  LinkEnds ends;
  ends.repository =
      view.FindNamed({NodeKind::kRepository, store, "", removal.repository});
  const index::PlaceId place = view.FindPlace(store, removal.place);
  if (place == index::kNoPlace) return ends;
  ends.content = view.FindContent(place, *removal.digest);
  if (ends.content != kNoNode &&
      view.state(ends.content) == NodeState::kQuarantined) {
    ends.content = kNoNode;
  }
  return ends;
}

// What the disk has of a link that the graph knows.
enum class Standing : uint8_t {
  kStands,
  // It says nothing to anybody: the registry that made it was killed before it
  // wrote (MembershipFact).
  kRuin,
  kNowhere,
};

// Where nobody can say, the one in quarantine may be the only one.
Standing Look(const CollectedStore& site, const QuarantineRecord& record) {
  const store::NameReader* names = site.store->names();
  if (names == nullptr) return Standing::kStands;
  const store::Removal& removal = *record.item.removal;
  const MembershipKind kind = LinkKind(record);
  const auto found = names->FindLink(removal.repository, *removal.digest, kind);
  if (found.ok() && !found->has_value()) return Standing::kNowhere;
  return names->HoldsLink(removal.repository, *removal.digest, kind)
                 .value_or(false)
             ? Standing::kStands
             : Standing::kRuin;
}

// Moves those of `links` that are needed to `needed`, and notes in `in_doubt`,
// unless it is null, of which nobody can say.
void TakeNeeded(const CollectedStore& site,
                std::vector<QuarantineRecord>* links,
                std::vector<QuarantineRecord>* needed,
                std::set<QuarantineKey>* in_doubt) {
  std::vector<QuarantineRecord> made_anew;
  {
    const auto reader = site.graph->Read();
    const index::GraphView& view = reader->view();
    for (QuarantineRecord& record : *links) {
      const LinkEnds ends = EndsOf(view, site.id, record);
      if (!ends.are_here()) continue;
      if (view.LinkedAt(ends.repository, ends.content, LinkKind(record))) {
        made_anew.push_back(std::move(record));
      } else if (IsNamedIn(view, ends.repository, ends.content)) {
        needed->push_back(std::move(record));
      }
    }
  }
  links->clear();
  // One that somebody has made anew stands, if he came to write it.
  std::vector<QuarantineRecord> ruined;
  for (QuarantineRecord& record : made_anew) {
    const Standing standing = Look(site, record);
    if (standing == Standing::kRuin) {
      ruined.push_back(std::move(record));
    } else if (standing == Standing::kNowhere && in_doubt != nullptr) {
      in_doubt->emplace(record.run_id, record.number);
    }
  }
  if (ruined.empty()) return;
  const auto reader = site.graph->Read();
  for (QuarantineRecord& record : ruined) {
    const LinkEnds ends = EndsOf(reader->view(), site.id, record);
    if (ends.are_here() &&
        IsNamedIn(reader->view(), ends.repository, ends.content)) {
      needed->push_back(std::move(record));
    }
  }
}

absl::Status Return(CollectedStore* site, std::vector<QuarantineRecord> needed,
                    absl::string_view actor) {
  if (needed.empty()) return absl::OkStatus();
  std::vector<QuarantineKey> superseded;
  for (QuarantineRecord& record : needed) {
    if (record.state != QuarantineState::kSuperseded) continue;
    superseded.emplace_back(record.run_id, record.number);
    record.state = QuarantineState::kQuarantined;
  }
  RECLAIM_RETURN_IF_ERROR(TakeForOnlyCopies(site, superseded, actor));
  return RestoreRecords(site, std::move(needed), actor, nullptr,
                        RestoreOrder::kBytesLast);
}

// Those of `keys` that are in quarantine still.
absl::StatusOr<std::set<QuarantineKey>> Held(
    const RunStore& runs, const std::vector<QuarantineKey>& keys) {
  std::set<QuarantineKey> held;
  for (const QuarantineKey& key : keys) {
    const absl::StatusOr<QuarantineRecord> record = runs.GetQuarantine(key);
    if (absl::IsNotFound(record.status())) continue;
    RECLAIM_RETURN_IF_ERROR(record.status());
    if (record->state == QuarantineState::kQuarantined) held.insert(key);
  }
  return held;
}

}  // namespace

absl::Status ReturnLinks(CollectedStore* site, absl::string_view actor,
                         HeldLinks* held) {
  std::vector<QuarantineRecord> links;
  std::vector<QuarantineRecord> needed;
  std::set<QuarantineKey>* in_doubt = held ? &held->in_doubt : nullptr;
  RECLAIM_RETURN_IF_ERROR(
      site->runs->ForEachQuarantined(site->name, [&](QuarantineRecord record) {
        if (!IsLink(record)) return true;
        links.push_back(std::move(record));
        if (links.size() == kPageSize) {
          TakeNeeded(*site, &links, &needed, in_doubt);
        }
        return true;
      }));
  TakeNeeded(*site, &links, &needed, in_doubt);
  std::vector<QuarantineKey> keys;
  for (const QuarantineRecord& record : needed) {
    keys.emplace_back(record.run_id, record.number);
  }
  const absl::Status returned = Return(site, std::move(needed), actor);
  if (absl::IsAlreadyExists(returned) && held != nullptr) {
    RECLAIM_ASSIGN_OR_RETURN(held->obstructed, Held(*site->runs, keys));
  }
  return returned;
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
  TakeNeeded(*site, &links, &needed, nullptr);
  return Return(site, std::move(needed), actor);
}

}  // namespace reclaim::gc
