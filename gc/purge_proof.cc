// What may be freed: what nobody can name any more, and of what is there twice
// the copy that is not needed.

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/status_macros.h"
#include "gc/adopted_return.h"
#include "gc/cache_proof.h"
#include "gc/graph_changes.h"
#include "gc/own_copy.h"
#include "gc/pacer.h"
#include "gc/purge.h"
#include "index/graph_view.h"
#include "index/node.h"
#include "index/store_scanner.h"
#include "store/content_store.h"

namespace reclaim::gc {
namespace {

constexpr absl::Duration kPatience = absl::Minutes(2);

// A cache of descriptors knows content and who has it, neither tags nor
// uploads.
bool IsInCaches(const QuarantineRecord& record) {
  if (!record.item.removal) return false;
  const store::RemovalKind kind = record.item.removal->kind;
  return kind == store::RemovalKind::kBlob ||
         kind == store::RemovalKind::kRevisionLink ||
         kind == store::RemovalKind::kLayerLink;
}

}  // namespace

bool Purge::NeedsProof(const QuarantineRecord& record) const {
  return record.state == QuarantineState::kQuarantined &&
         record.item.removal.has_value() &&
         site_->store->traits().has_foreign_writers;
}

absl::Time Purge::ProvableFrom(const QuarantineRecord& record) const {
  // Nothing has been taken from anybody's sight by then: a writer who looked
  // before the deletion is the engine's own, within its locks (decisions/0008).
  if (site_->store->traits().deletes_for_good) return record.quarantined;
  // It may have been seen in the registry's memory for as long as that.
  const absl::Time seen = IsInCaches(record)
                              ? forgetting_.ForgottenAt(record.quarantined)
                              : record.quarantined;
  return seen + store_.writers.write_duration_max;
}

// Epochs tell what came after what; only the distance is a matter of clocks
// (one that is set forward in between makes it too short: docs/decisions).
bool Purge::LacksScan(const QuarantineRecord& record) const {
  return NeedsProof(record) && (record.epoch >= store_.last_scan_epoch ||
                                store_.last_scan_begin < ProvableFrom(record));
}

std::string Purge::LackOfProof(const QuarantineRecord& record) const {
  if (LacksScan(record)) {
    return absl::StrCat("no scan began after ",
                        absl::FormatTime(ProvableFrom(record)),
                        ", when the last writer who may have seen it is done; "
                        "purge again");
  }
  if (NeedsProof(record) && IsInCaches(record) &&
      record.quarantined > forgetting_.until) {
    return "the registry may remember it in a descriptor cache; "
           "docs/OPERATING.md, \"Descriptor caches\", says what to do";
  }
  return "";
}

absl::Status Purge::WaitUntil(absl::Time writers_are_done) {
  const absl::Time now = site_->clock->Now();
  if (writers_are_done <= now) return absl::OkStatus();
  run_->run().progress.step = "waiting for writers";
  run_->Report();
  KeepPace(writers_are_done - now, [this] { return run_->IsCancelled(); });
  if (!run_->IsCancelled()) return absl::OkStatus();
  return absl::CancelledError("the run was cancelled");
}

absl::Status Purge::ScanForProof() {
  run_->run().progress.step = "proof";
  run_->Report();
  index::ScanOptions options;
  options.actor = run_->run().actor;
  options.is_proof = true;
  options.is_cancelled = [this] { return run_->IsCancelled(); };
  RECLAIM_RETURN_IF_ERROR(ScanAndReturn(site_, options).status());
  has_scanned_ = true;
  return absl::OkStatus();
}

absl::StatusOr<Purge::Lacking> Purge::FindLacking(absl::Time now) const {
  const std::optional<absl::Time> lost = forgetting_.lost;
  Lacking lacking;
  bool depends_on_loss = false;
  absl::Time writers_are_done = now;
  RECLAIM_RETURN_IF_ERROR(site_->runs->ForEachQuarantined(
      site_->name, [&](const QuarantineRecord& record) {
        // Also what is not meant yet: the registry may have a memory again when
        // it is.
        depends_on_loss |= lost && NeedsProof(record) && IsInCaches(record) &&
                           record.quarantined > forgetting_.until &&
                           record.quarantined <= *lost;
        if (!IsMeant(record, now)) return true;
        lacking.scan |= LacksScan(record);
        const absl::Time from = ProvableFrom(record);
        if (NeedsProof(record) && from - now <= kPatience) {
          writers_are_done = std::max(writers_are_done, from);
        }
        return true;
      }));
  if (request_.may_wait) lacking.writers_are_done = writers_are_done;
  if (depends_on_loss) {
    lacking.scan = true;
    // A process that ends may still write what it has begun.  No later purge
    // would know since when it has, so this one waits in any case.
    lacking.lost_writers_are_done =
        now + std::min(store_.writers.write_duration_max, kPatience);
  }
  return lacking;
}

absl::Status Purge::SeekProof() {
  RECLAIM_ASSIGN_OR_RETURN(forgetting_, AskWhatIsForgotten(site_, store_));
  RECLAIM_ASSIGN_OR_RETURN(const Lacking lacking,
                           FindLacking(site_->clock->Now()));
  if (lacking.scan) {
    RECLAIM_RETURN_IF_ERROR(WaitUntil(
        std::max(lacking.writers_are_done, lacking.lost_writers_are_done)));
    RECLAIM_RETURN_IF_ERROR(ScanForProof());
    RECLAIM_ASSIGN_OR_RETURN(store_, Registered());
  }
  if (!forgetting_.lost ||
      store_.last_scan_begin < lacking.lost_writers_are_done) {
    return absl::OkStatus();
  }
  RECLAIM_RETURN_IF_ERROR(RecordLost(site_, store_, *forgetting_.lost));
  // What was proven before is still.
  RECLAIM_ASSIGN_OR_RETURN(forgetting_, AskWhatIsForgotten(site_, store_));
  return absl::OkStatus();
}

absl::Status Purge::KeepProven(QuarantineKeys* keys) {
  absl::Status status;
  keys->KeepIf([&](const QuarantineKey& key) {
    const absl::StatusOr<std::optional<QuarantineRecord>> loaded = Load(key);
    status.Update(loaded.status());
    if (!loaded.ok() || !*loaded) return false;
    const QuarantineRecord& record = **loaded;
    if (held_links_.obstructed.count(key) > 0) {
      run_->Fail(SubjectOf(record.item),
                 absl::AlreadyExistsError(
                     "a name of its repository needs this link, and what "
                     "stands in its place is none; move that away, then scan "
                     "the store"));
      return false;
    }
    if (held_links_.in_doubt.count(key) > 0) {
      run_->Skip(SubjectOf(record.item), SkipReason::kProofMissing,
                 "the graph has a link in its place, and it is not there; "
                 "scan the store, then purge again");
      return false;
    }
    const std::string lack = LackOfProof(record);
    if (!lack.empty()) {
      run_->Skip(SubjectOf(record.item), SkipReason::kProofMissing, lack);
      return false;
    }
    if (IsSecondCopy(record)) second_copies_.insert(key);
    run_->run().progress.total_bytes += record.bytes.content;
    return true;
  });
  run_->run().progress.total_count = keys->size();
  return status;
}

bool Purge::IsFirst(const QuarantineRecord& record,
                    index::NodeState state) const {
  const auto reader = site_->graph->Read();
  const index::GraphView& view = reader->view();
  const index::PlaceId place =
      view.FindPlace(site_->id, record.item.removal->place);
  if (place == index::kNoPlace) return false;
  const index::NodeId node = view.FindContent(place, *record.item.digest);
  return node != index::kNoNode && view.state(node) == state;
}

// What has no node may have been one before the database was lost, or before a
// purge that was interrupted: then nobody has compared the two.  Also where the
// first was collected since: the one of its node is what a reference gives
// back.
bool Purge::IsSecondCopy(const QuarantineRecord& record) const {
  if (!IsBlob(record)) return false;
  if (record.state == QuarantineState::kSuperseded) return true;
  return record.state == QuarantineState::kQuarantined &&
         record.item.node == index::kNoNode &&
         (IsFirst(record, index::NodeState::kPresent) ||
          IsFirst(record, index::NodeState::kQuarantined));
}

// Not unread even if this purge takes both: they are of two runs, and the first
// may stay, or come back, when the second has gone.
absl::StatusOr<bool> Purge::MayGoBeforeFirst(const QuarantineRecord& second) {
  RECLAIM_ASSIGN_OR_RETURN(
      const std::vector<QuarantineRecord> all,
      site_->runs->FindQuarantined(site_->name, second.item.removal->place,
                                   *second.item.digest));
  absl::Status whole = absl::NotFoundError("no record tells where it lies");
  for (const QuarantineRecord& first : all) {
    if (!IsBlob(first) || first.state != QuarantineState::kQuarantined ||
        first.item.node == index::kNoNode) {
      continue;
    }
    whole = site_->store->VerifyQuarantined(first.run_id, *first.item.removal);
    if (whole.ok()) return true;
  }
  run_->Skip(
      SubjectOf(second.item), SkipReason::kProofMissing,
      absl::StrCat("the store's own copy was collected since and may still be "
                   "restored, and is not known to be whole (",
                   whole.message(), "); purge again when that has gone"));
  return false;
}

absl::StatusOr<bool> Purge::MayFreeSecond(const QuarantineKey& key) {
  if (run_->IsCancelled()) {
    return absl::CancelledError("the run was cancelled");
  }
  RECLAIM_ASSIGN_OR_RETURN(const std::optional<QuarantineRecord> record,
                           Load(key));
  if (!record || !IsSecondCopy(*record)) return true;
  const absl::Status whole = CheckWholeCopy(*record, *site_->store);
  bool may_go = whole.ok();
  if (absl::IsNotFound(whole) &&
      IsFirst(*record, index::NodeState::kQuarantined)) {
    RECLAIM_ASSIGN_OR_RETURN(may_go, MayGoBeforeFirst(*record));
    if (!may_go) return false;
  }
  if (may_go) {
    verified_.insert(key);
    return true;
  }
  if (!absl::IsNotFound(whole)) {
    run_->Fail(SubjectOf(record->item), whole);
    return false;
  }
  RECLAIM_RETURN_IF_ERROR(TakeForOnlyCopies(site_, {key}, run_->run().actor));
  run_->Skip(SubjectOf(record->item), SkipReason::kChanged,
             "the store's own copy is gone, so this is the only one; scan the "
             "store, then purge again");
  return false;
}

absl::Status Purge::CheckSecondCopies(std::vector<QuarantineKey>* batch) {
  std::vector<QuarantineKey> kept;
  for (QuarantineKey& key : *batch) {
    bool may_go = true;
    if (second_copies_.count(key) > 0) {
      RECLAIM_ASSIGN_OR_RETURN(may_go, MayFreeSecond(key));
    }
    if (may_go) kept.push_back(std::move(key));
  }
  *batch = std::move(kept);
  return absl::OkStatus();
}

}  // namespace reclaim::gc
