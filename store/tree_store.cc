#include "store/tree_store.h"

#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "base/status_macros.h"
#include "store/run_id.h"

namespace reclaim::store {
namespace {

// What has taken a name meanwhile is newer: that stands.  Of an upload there is
// no newer one, for nobody is given its id again: what a client has written of
// it is not freed for what lies in its place.
bool IsOutdone(const Removal& removal, const absl::Status& returned) {
  return absl::IsAlreadyExists(returned) &&
         removal.kind != RemovalKind::kUpload;
}

}  // namespace

BlobStat TreeStore::ToBlobStat(const FileStat& stat) const {
  BlobStat out;
  out.bytes = stat.bytes;
  out.modified = stat.modified;
  if (stat.link_count > 1) {
    out.extent = Extent{stat.device, stat.inode};
    out.link_count = stat.link_count;
  }
  return out;
}

absl::StatusOr<BlobStat> TreeStore::Stat(const Place& place,
                                         const oci::Digest& digest) const {
  const std::string path = BlobPath(place, digest);
  RECLAIM_ASSIGN_OR_RETURN(const std::optional<FileStat> stat,
                           root_->StatIfThere(path));
  if (!stat) return absl::NotFoundError(absl::StrCat(path, " is not there"));
  if (stat->type != FileType::kFile) {
    return absl::FailedPreconditionError(
        absl::StrCat(path, " is not a regular file"));
  }
  return ToBlobStat(*stat);
}

absl::StatusOr<std::string> TreeStore::Read(const Place& place,
                                            const oci::Digest& digest,
                                            uint64_t max_bytes) const {
  const std::string path = BlobPath(place, digest);
  RECLAIM_ASSIGN_OR_RETURN(std::optional<std::string> bytes,
                           root_->ReadIfThere(path, max_bytes));
  if (bytes) return *std::move(bytes);
  return absl::NotFoundError(absl::StrCat(path, " is not there"));
}

absl::Status TreeStore::VerifyDigest(const Place& place,
                                     const oci::Digest& digest) const {
  return VerifyFile(BlobPath(place, digest), digest);
}

absl::Status TreeStore::VerifyQuarantined(const RunId& run_id,
                                          const Removal& blob) const {
  RECLAIM_RETURN_IF_ERROR(CheckRunId(run_id));
  return VerifyFile(
      QuarantineFolder::MovedPath(run_id, BlobPath(blob.place, *blob.digest)),
      *blob.digest);
}

absl::Status TreeStore::VerifyFile(const std::string& path,
                                   const oci::Digest& digest) const {
  oci::Hasher hasher(digest.algorithm());
  RECLAIM_RETURN_IF_ERROR(root_->ReadPieces(path, [&](absl::string_view piece) {
    hasher.Update(piece);
    return absl::OkStatus();
  }));
  const oci::Digest found = hasher.Finish();
  if (found == digest) return absl::OkStatus();
  return absl::DataLossError(
      absl::StrCat(path, " holds ", found.ToString(),
                   "; the file is damaged: push or pull the content again"));
}

absl::StatusOr<Capacity> TreeStore::GetCapacity() const {
  RECLAIM_RETURN_IF_ERROR(root_->CheckInPlace());
  return root_->GetCapacity();
}

absl::StatusOr<std::string> TreeStore::NoteOf(const Removal& removal) const {
  return absl::UnimplementedError(ToString(removal));
}
absl::Status TreeStore::CheckUndone(const Removal& removal) const {
  return absl::UnimplementedError(ToString(removal));
}
absl::Status TreeStore::EditAway(const Removal& removal, absl::Time) {
  return absl::UnimplementedError(ToString(removal));
}
absl::Status TreeStore::UndoEdit(const Removal& removal, const std::string&) {
  return absl::UnimplementedError(ToString(removal));
}

absl::StatusOr<QuarantineFolder::Measured> TreeStore::Locate(
    absl::Span<const Removal> removals, std::vector<size_t>* numbers) const {
  RECLAIM_RETURN_IF_ERROR(root_->CheckInPlace());
  QuarantineFolder::Measured paths;
  for (size_t i = 0; i < removals.size(); ++i) {
    const Removal& removal = removals[i];
    if (IsEdit(removal) || !CheckRemoval(removal).ok()) continue;
    absl::StatusOr<RemovalPaths> found = PathsOf(removal);
    if (absl::IsNotFound(found.status()) || absl::IsAborted(found.status())) {
      continue;
    }
    RECLAIM_RETURN_IF_ERROR(found.status());
    paths.emplace_back(removal, *std::move(found));
    numbers->push_back(i);
  }
  return paths;
}

absl::StatusOr<Measurement> TreeStore::Measure(
    absl::Span<const Removal> removals) const {
  std::vector<size_t> numbers;
  RECLAIM_ASSIGN_OR_RETURN(const QuarantineFolder::Measured paths,
                           Locate(removals, &numbers));
  RECLAIM_ASSIGN_OR_RETURN(Measurement measured, quarantine_.Measure(paths));
  for (SharedFile& name : measured.shared) name.removal = numbers[name.removal];
  return measured;
}

class TreeStore::Meter final : public RemovalMeter {
 public:
  explicit Meter(const TreeStore* store)
      : store_(store), meter_(&store->quarantine_) {}

  absl::Status Add(absl::Span<const Removal> removals,
                   std::vector<SharedFile>* shared) override {
    std::vector<size_t> numbers;
    RECLAIM_ASSIGN_OR_RETURN(const QuarantineFolder::Measured paths,
                             store_->Locate(removals, &numbers));
    std::vector<SharedFile> found;
    RECLAIM_RETURN_IF_ERROR(meter_.Add(paths, &found));
    for (SharedFile& name : found) {
      name.removal = numbers[name.removal];
      shared->push_back(name);
    }
    return absl::OkStatus();
  }
  absl::StatusOr<RemovalBytes> Finish() override {
    RECLAIM_RETURN_IF_ERROR(store_->root_->CheckInPlace());
    return meter_.Finish();
  }

 private:
  const TreeStore* store_;
  QuarantineFolder::Meter meter_;
};

std::unique_ptr<RemovalMeter> TreeStore::NewMeter() const {
  return std::make_unique<Meter>(this);
}

TreeStore::Departure TreeStore::Prepare(const Removal& removal) const {
  Departure departure;
  departure.removal = removal;
  if (IsEdit(removal)) {
    absl::StatusOr<std::string> undo = NoteOf(removal);
    departure.status = undo.status();
    if (undo.ok()) departure.note = *std::move(undo);
  } else {
    absl::StatusOr<RemovalPaths> found = PathsOf(removal);
    departure.status = found.status();
    if (found.ok()) departure.paths = *std::move(found);
  }
  return departure;
}

void TreeStore::EditOne(const RunId& run_id, absl::Time planned,
                        Departure* departure) {
  departure->status = EditAway(departure->removal, planned);
  // A writer took it away first, or wrote it anew: the note has nothing to
  // undo.
  if (!absl::IsNotFound(departure->status) &&
      !absl::IsAborted(departure->status)) {
    return;
  }
  const absl::Status dropped =
      quarantine_.Restore(run_id, departure->removal).status();
  if (!dropped.ok()) departure->status = NotGone(dropped);
}

void TreeStore::QuarantineOne(const RunId& run_id, absl::Time planned,
                              Departure* departure) {
  const Removal& removal = departure->removal;
  if (!IsEdit(removal)) {
    departure->status.Update(CheckBeforeMove(removal, planned));
  }
  quarantine_.Move(run_id, departure);
  if (!departure->status.ok()) return;
  if (IsEdit(removal)) {
    EditOne(run_id, planned, departure);
    return;
  }
  departure->status = CheckMoved(run_id, removal, planned);
  // What could not be read may be either: the caller undoes it, or tries again.
  if (!absl::IsAborted(departure->status)) return;
  const absl::Status returned = RestoreOne(run_id, removal).status;
  if (returned.ok()) return;
  departure->status =
      IsOutdone(removal, returned) ? absl::OkStatus() : NotGone(returned);
}

void TreeStore::QuarantineBatch(const RunId& run_id, absl::Time planned,
                                absl::Span<const Removal> removals,
                                std::vector<RemovalOutcome>* outcomes) {
  std::vector<Departure> batch;
  for (const Removal& removal : removals) batch.push_back(Prepare(removal));
  quarantine_.Remember(run_id, absl::MakeSpan(batch));
  for (Departure& departure : batch) {
    QuarantineOne(run_id, planned, &departure);
  }
  quarantine_.Finish(run_id, absl::MakeSpan(batch));
  for (const Departure& departure : batch) {
    RemovalOutcome outcome;
    outcome.status = departure.status;
    if (outcome.status.ok()) outcome.bytes = departure.bytes;
    outcomes->push_back(std::move(outcome));
  }
}

absl::StatusOr<std::vector<RemovalOutcome>> TreeStore::Quarantine(
    const DeletionPermit& permit, const RunId& run_id,
    absl::Span<const Removal> removals) {
  RECLAIM_RETURN_IF_ERROR(CheckDeletion(is_read_only_, run_id));
  RECLAIM_RETURN_IF_ERROR(root_->CheckInPlace());
  std::vector<RemovalOutcome> outcomes;
  while (!removals.empty()) {
    // What one stage has moved is durable before the next begins.  The note of
    // an edit tells of the file as the edit before has left it.
    const int stage = DeedStage(removals[0].kind);
    size_t count = 1;
    while (!IsEdit(removals[0]) && count < removals.size() &&
           DeedStage(removals[count].kind) == stage) {
      ++count;
    }
    QuarantineBatch(run_id, permit.planned(), removals.subspan(0, count),
                    &outcomes);
    removals.remove_prefix(count);
  }
  return outcomes;
}

RemovalOutcome TreeStore::RestoreOne(const RunId& run_id,
                                     const Removal& removal) {
  RemovalOutcome outcome;
  if (IsEdit(removal)) {
    const absl::StatusOr<std::string> note = quarantine_.Note(run_id, removal);
    outcome.status = note.ok() ? UndoEdit(removal, *note) : note.status();
    if (absl::IsNotFound(note.status())) {
      const absl::Status undone = CheckUndone(removal);
      if (!undone.ok()) outcome.status = undone;
    }
    if (!outcome.status.ok()) return outcome;
  }
  const absl::StatusOr<RemovalBytes> bytes =
      quarantine_.Restore(run_id, removal);
  outcome.status = bytes.status();
  if (bytes.ok()) {
    outcome.bytes = *bytes;
  } else if (absl::IsAlreadyExists(bytes.status())) {
    // 0 if it can't be looked at: then no large file is a copy.
    const RemovalBytes moved =
        quarantine_.WeighMoved(run_id, removal).value_or(RemovalBytes());
    outcome.quarantined_size = (moved.content + moved.held).logical_bytes;
  }
  return outcome;
}

absl::StatusOr<std::vector<RemovalOutcome>> TreeStore::Restore(
    const RunId& run_id, absl::Span<const Removal> removals) {
  RECLAIM_RETURN_IF_ERROR(CheckDeletion(is_read_only_, run_id));
  RECLAIM_RETURN_IF_ERROR(root_->CheckInPlace());
  // Bytes before links before names: the reverse of the deed.
  std::vector<RemovalOutcome> outcomes(removals.size());
  bool has_filled = false;
  for (size_t i = removals.size(); i-- > 0;) {
    outcomes[i] = RestoreOne(run_id, removals[i]);
    has_filled |= outcomes[i].status.ok() && !IsEdit(removals[i]);
  }
  // What a sweep or a purge gives back is for others, who have written there
  // since: those leave the times alone.
  if (has_filled) quarantine_.RestoreTimes(run_id);
  // What is left of the folders does not change what became of the items; the
  // next start tidies.
  quarantine_.Settle(run_id).IgnoreError();
  return outcomes;
}

RemovalOutcome TreeStore::PurgeOne(const RunId& run_id,
                                   const Removal& removal) {
  RemovalOutcome outcome;
  // The purge's own moment says nothing of when the name was judged.
  outcome.status = CheckMoved(run_id, removal, absl::InfiniteFuture());
  if (absl::IsAborted(outcome.status)) {
    const absl::Status returned = RestoreOne(run_id, removal).status;
    if (returned.ok()) return outcome;
    outcome.status =
        IsOutdone(removal, returned) ? absl::OkStatus() : NotGone(returned);
  }
  if (!outcome.status.ok()) return outcome;
  const absl::StatusOr<RemovalBytes> bytes = quarantine_.Purge(run_id, removal);
  outcome.status = bytes.status();
  if (bytes.ok()) outcome.bytes = *bytes;
  return outcome;
}

absl::StatusOr<std::vector<RemovalOutcome>> TreeStore::Purge(
    const DeletionPermit&, const RunId& run_id,
    absl::Span<const Removal> removals) {
  RECLAIM_RETURN_IF_ERROR(CheckDeletion(is_read_only_, run_id));
  RECLAIM_RETURN_IF_ERROR(root_->CheckInPlace());
  std::vector<RemovalOutcome> outcomes;
  for (const Removal& removal : removals) {
    outcomes.push_back(PurgeOne(run_id, removal));
  }
  // What is left of the folders does not change what became of the items; the
  // next start tidies.
  quarantine_.Settle(run_id).IgnoreError();
  return outcomes;
}

absl::StatusOr<std::vector<QuarantinedItem>> TreeStore::ListQuarantine() const {
  RECLAIM_RETURN_IF_ERROR(root_->CheckInPlace());
  return quarantine_.List();
}

}  // namespace reclaim::store
