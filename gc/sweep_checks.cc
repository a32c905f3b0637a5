#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/status_macros.h"
#include "gc/sweep.h"
#include "index/graph_view.h"
#include "index/hints.h"
#include "index/mutation.h"
#include "index/node.h"
#include "store/name_reader.h"

namespace reclaim::gc {

using store::RemovalKind;

std::optional<store::MembershipKind> Sweep::LinkKindOf(const PlanItem& item) {
  if (!item.removal) return std::nullopt;
  if (item.removal->kind == RemovalKind::kRevisionLink) {
    return store::MembershipKind::kRevision;
  }
  if (item.removal->kind == RemovalKind::kLayerLink) {
    return store::MembershipKind::kLayer;
  }
  return std::nullopt;
}

std::vector<Verdict> Sweep::CheckFiles(
    const std::vector<PlanItem>& items,
    std::vector<index::Operation>* links) const {
  std::vector<Verdict> verdicts(items.size());
  for (size_t i = 0; i < items.size(); ++i) {
    if (!items[i].removal) continue;
    const absl::Status named = site_->store->CheckRemoval(*items[i].removal);
    if (named.ok()) continue;
    verdicts[i] = {SkipReason::kGone,
                   absl::StrCat(named.message(),
                                "; a client has recorded it, and the next scan "
                                "finds that it is not there")};
  }
  if (!site_->store->traits().has_foreign_writers) return verdicts;
  std::vector<absl::Time> recorded(items.size(), absl::InfiniteFuture());
  std::vector<std::optional<uint64_t>> link_counts(items.size());
  {
    const auto reader = site_->graph->Read();
    const index::GraphView& view = reader->view();
    for (size_t i = 0; i < items.size(); ++i) {
      const index::NodeId node = items[i].node;
      if (node == index::kNoNode || !view.Exists(node)) continue;
      recorded[i] = view.fields(node).recorded;
      if (view.state(node) != index::NodeState::kPresent) continue;
      const index::NodeId file = view.ExtentOf(node);
      link_counts[i] = file == index::kNoNode ? 0 : view.LinkCount(file);
    }
  }
  for (size_t i = 0; i < items.size(); ++i) {
    if (!items[i].removal || items[i].removal->kind != RemovalKind::kBlob) {
      continue;
    }
    const auto stat =
        site_->store->Stat(items[i].removal->place, *items[i].digest);
    if (stat.ok() &&
        absl::ToUnixMicros(stat->modified) > absl::ToUnixMicros(recorded[i])) {
      verdicts[i] = {SkipReason::kTouched,
                     "the file was written anew since the last scan"};
    } else if (stat.ok() && link_counts[i] &&
               *link_counts[i] != stat->link_count) {
      index::PutBlob put;
      put.name = {site_->name, items[i].removal->place, *items[i].digest};
      put.bytes = stat->bytes;
      put.extent = stat->extent;
      put.modified = stat->modified;
      put.link_count = stat->link_count;
      links->push_back(std::move(put));
    }
  }
  return verdicts;
}

// Of uploads it is the time of the last write that a scan has seen: a later one
// is another, also where the clock of a file server is behind.
absl::Time Sweep::SeenUntil(const std::vector<PlanItem>& items) const {
  absl::Time last = absl::InfinitePast();
  const auto reader = site_->graph->Read();
  const index::GraphView& view = reader->view();
  for (const PlanItem& item : items) {
    if (!item.removal || item.removal->kind != RemovalKind::kUpload) {
      return plan_.names_seen;
    }
    if (item.node == index::kNoNode || !view.Exists(item.node)) continue;
    last = std::max(last, view.fields(item.node).recorded);
  }
  return std::min(last, plan_.names_seen);
}

// Another time than the graph's is another write, wherever the clocks stand.
bool Sweep::IsAnotherWrite(const PlanItem& item, absl::Time modified) const {
  if (IsSincePlan(modified)) return true;
  std::optional<absl::Time> recorded;
  const auto reader = site_->graph->Read();
  const index::GraphView& view = reader->view();
  if (const auto kind = LinkKindOf(item)) {
    const index::PlaceId place = view.FindPlace(site_->id, item.removal->place);
    const index::NodeId repository =
        view.FindNamed({index::NodeKind::kRepository, site_->id, "",
                        item.removal->repository});
    const index::NodeId content =
        place == index::kNoPlace
            ? index::kNoNode
            : view.FindContent(place, *item.removal->digest);
    if (repository != index::kNoNode && content != index::kNoNode) {
      recorded = view.LinkedAt(repository, content, *kind);
    }
    // Taken away since the plan, the graph was told, and is there.
    if (!recorded) return true;
  } else if (item.node != index::kNoNode && view.Exists(item.node)) {
    const index::NodeFields fields = view.fields(item.node);
    // A writer of ours has put it since: the guard knows.
    if (fields.stamp >= plan_.epoch) return false;
    recorded = fields.recorded;
  }
  return recorded &&
         absl::ToUnixMicros(*recorded) != absl::ToUnixMicros(modified);
}

absl::StatusOr<std::optional<index::Hint>> Sweep::LookAtLink(
    const PlanItem& item) const {
  RECLAIM_ASSIGN_OR_RETURN(
      const std::optional<store::MembershipFact> link,
      site_->store->names()->FindLink(
          item.removal->repository, *item.removal->digest, *LinkKindOf(item)));
  if (!link || !IsAnotherWrite(item, link->modified)) return std::nullopt;
  index::Hint hint;
  hint.repository = item.removal->repository;
  hint.digest = item.removal->digest;
  return hint;
}

absl::StatusOr<std::optional<index::Hint>> Sweep::LookAtTag(
    const PlanItem& item, Verdict* veto) const {
  const store::Removal& removal = *item.removal;
  const absl::StatusOr<std::optional<store::TagFact>> tag =
      site_->store->names()->FindTag(removal.repository, removal.tag);
  if (absl::IsUnavailable(tag.status())) {
    *veto = {SkipReason::kTouched, "a writer is writing the tag"};
    return std::nullopt;
  }
  RECLAIM_RETURN_IF_ERROR(tag.status());
  if (!tag->has_value()) return std::nullopt;
  const bool is_new = IsAnotherWrite(item, (*tag)->modified);
  if (!is_new && (*tag)->digest == *removal.digest) return std::nullopt;
  if (is_new) {
    *veto = {SkipReason::kTouched, "the tag was pushed anew since the plan"};
  }
  index::Hint hint;
  hint.repository = removal.repository;
  hint.tag = removal.tag;
  hint.digest = (*tag)->digest;
  return hint;
}

absl::Status Sweep::FollowNames(const std::vector<PlanItem>& items,
                                std::vector<Verdict>* vetoes) const {
  if (site_->store->names() == nullptr) return absl::OkStatus();
  std::vector<SeenName> seen;
  for (size_t i = 0; i < items.size(); ++i) {
    if (!(*vetoes)[i].may_go()) continue;
    std::optional<index::Hint> hint;
    if (LinkKindOf(items[i])) {
      RECLAIM_ASSIGN_OR_RETURN(hint, LookAtLink(items[i]));
    } else if (items[i].removal &&
               items[i].removal->kind == RemovalKind::kTag) {
      RECLAIM_ASSIGN_OR_RETURN(hint, LookAtTag(items[i], &(*vetoes)[i]));
    }
    if (hint) seen.push_back({i, *std::move(hint)});
  }
  const absl::Status followed = Follow(items, seen);
  if (!absl::IsAlreadyExists(followed)) return followed;
  // What one of them leads to cannot come out of quarantine, for something else
  // is in its place.  That is no other's business.
  for (const SeenName& name : seen) {
    absl::Status alone = Follow(items, absl::MakeConstSpan(&name, 1));
    if (absl::IsAlreadyExists(alone) && LinkKindOf(items[name.item])) {
      (*vetoes)[name.item] = {
          SkipReason::kTouched,
          absl::StrCat("it was written anew since the plan, and what it leads "
                       "to is not whole: ",
                       alone.message())};
      alone = KeepLinked(items[name.item]);
    }
    RECLAIM_RETURN_IF_ERROR(alone);
  }
  return absl::OkStatus();
}

absl::Status Sweep::Follow(const std::vector<PlanItem>& items,
                           absl::Span<const SeenName> seen) const {
  if (seen.empty()) return absl::OkStatus();
  std::vector<index::Hint> hints;
  std::vector<index::ContentName> linked;
  for (const SeenName& name : seen) {
    hints.push_back(name.hint);
    const PlanItem& item = items[name.item];
    if (!LinkKindOf(item)) continue;
    linked.push_back({site_->name, item.removal->place, *item.removal->digest});
  }
  const std::string& actor = run_->run().actor;
  RECLAIM_RETURN_IF_ERROR(index::FollowHints(site_->graph, site_->name,
                                             *site_->store, hints,
                                             site_->clock->Now(), actor)
                              .status());
  // Who writes a link anew was told that its content is here.  That is an
  // existence check, whatever the time of the link says.
  return site_->graph->CheckExists(linked, actor).status();
}

// The stamp alone, which keeps what is here of what it is made of, too: nobody
// waits for an answer that all of it is.
absl::Status Sweep::KeepLinked(const PlanItem& item) const {
  const auto order = site_->graph->HoldWriteOrder();
  const index::GraphView& view = order->reader().view();
  const index::PlaceId place = view.FindPlace(site_->id, item.removal->place);
  const index::NodeId content =
      place == index::kNoPlace ? index::kNoNode
                               : view.FindContent(place, *item.removal->digest);
  if (content == index::kNoNode ||
      view.state(content) != index::NodeState::kPresent) {
    return absl::OkStatus();
  }
  index::Touch touch;
  touch.name = {site_->name, item.removal->place, *item.removal->digest};
  touch.use = index::UseKind::kExists;
  return order->Commit({}, {index::Operation(touch)}, {}, run_->run().actor);
}

absl::Status Sweep::VetoMoved(const Batch& batch,
                              std::vector<Verdict>* vetoes) const {
  for (size_t i = 0; i < batch.items.size(); ++i) {
    const absl::Status known =
        site_->runs->GetQuarantine({run_->run().id, batch.first + i}).status();
    if (absl::IsNotFound(known)) continue;
    RECLAIM_RETURN_IF_ERROR(known);
    (*vetoes)[i] = {SkipReason::kGone,
                    "it was moved before the run was interrupted, and lies in "
                    "quarantine still; restore the run to have it back"};
  }
  return absl::OkStatus();
}

}  // namespace reclaim::gc
