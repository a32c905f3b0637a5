#include "store/tree_store.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace reclaim::store {

BlobStat TreeStore::ToBlobStat(const FileStat& stat) const {
  BlobStat out;
  out.bytes = stat.bytes;
  out.modified = stat.modified;
  if (stat.link_count > 1) out.extent = Extent{stat.device, stat.inode};
  return out;
}

absl::StatusOr<BlobStat> TreeStore::Stat(const Place& place,
                                         const oci::Digest& digest) const {
  RECLAIM_ASSIGN_OR_RETURN(const FileStat stat,
                           root_->Stat(BlobPath(place, digest)));
  if (stat.type != FileType::kFile) {
    return absl::FailedPreconditionError(
        absl::StrCat(BlobPath(place, digest), " is not a regular file"));
  }
  return ToBlobStat(stat);
}

absl::StatusOr<std::string> TreeStore::Read(const Place& place,
                                            const oci::Digest& digest,
                                            uint64_t max_bytes) const {
  return root_->Read(BlobPath(place, digest), max_bytes);
}

absl::Status TreeStore::VerifyDigest(const Place& place,
                                     const oci::Digest& digest) const {
  const std::string path = BlobPath(place, digest);
  RECLAIM_ASSIGN_OR_RETURN(const int fd, root_->OpenFile(path));
  oci::Hasher hasher(digest.algorithm());
  std::vector<char> buffer(1 << 20);
  absl::Status status;
  while (true) {
    const ssize_t n = read(fd, buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      status = absl::UnavailableError(
          absl::StrCat("read ", path, ": ", std::strerror(errno)));
    }
    if (n <= 0) break;
    hasher.Update({buffer.data(), static_cast<size_t>(n)});
  }
  close(fd);
  RECLAIM_RETURN_IF_ERROR(status);
  const oci::Digest found = hasher.Finish();
  if (found == digest) return absl::OkStatus();
  return absl::DataLossError(
      absl::StrCat(path, " holds ", found.ToString(),
                   "; the file is damaged: push or pull the content again"));
}

absl::StatusOr<Capacity> TreeStore::GetCapacity() const {
  return root_->GetCapacity();
}

absl::StatusOr<std::string> TreeStore::NoteOf(const Removal& removal) const {
  return absl::UnimplementedError(ToString(removal));
}
absl::Status TreeStore::EditAway(const Removal& removal) {
  return absl::UnimplementedError(ToString(removal));
}
absl::Status TreeStore::UndoEdit(const Removal& removal, const std::string&) {
  return absl::UnimplementedError(ToString(removal));
}

absl::Status TreeStore::CheckWritable(const RunId& run_id) const {
  if (is_read_only_) {
    return absl::FailedPreconditionError(
        "the store is opened read-only; register it without read_only to "
        "delete from it");
  }
  const bool is_plain =
      !run_id.empty() &&
      run_id.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") ==
          std::string::npos;
  if (is_plain) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("not the id of a run: ", run_id));
}

absl::StatusOr<RemovalBytes> TreeStore::Measure(
    absl::Span<const Removal> removals) const {
  std::vector<std::pair<Removal, RemovalPaths>> paths;
  for (const Removal& removal : removals) {
    if (IsEdit(removal)) continue;
    absl::StatusOr<RemovalPaths> found = PathsOf(removal);
    if (absl::IsNotFound(found.status()) || absl::IsAborted(found.status())) {
      continue;
    }
    RECLAIM_RETURN_IF_ERROR(found.status());
    paths.emplace_back(removal, *std::move(found));
  }
  return quarantine_.Measure(paths);
}

RemovalOutcome TreeStore::QuarantineOne(const RunId& run_id,
                                        const Removal& removal) {
  RemovalOutcome outcome;
  std::string note;
  RemovalPaths paths;
  if (IsEdit(removal)) {
    absl::StatusOr<std::string> undo = NoteOf(removal);
    outcome.status = undo.status();
    if (undo.ok()) note = *std::move(undo);
  } else {
    absl::StatusOr<RemovalPaths> found = PathsOf(removal);
    outcome.status = found.status();
    if (found.ok()) paths = *std::move(found);
  }
  if (!outcome.status.ok()) return outcome;
  const absl::StatusOr<RemovalBytes> bytes =
      quarantine_.Quarantine(run_id, removal, paths, note);
  outcome.status = bytes.status();
  if (bytes.ok()) outcome.bytes = *bytes;
  if (bytes.ok() && IsEdit(removal)) outcome.status = EditAway(removal);
  if (!outcome.status.ok()) return outcome;
  outcome.status = CheckMoved(run_id, removal);
  if (outcome.status.ok()) return outcome;
  const absl::Status returned = RestoreOne(run_id, removal).status;
  // What has taken its name meanwhile is newer: that stands.
  if (absl::IsAlreadyExists(returned)) outcome.status = absl::OkStatus();
  return outcome;
}

absl::StatusOr<std::vector<RemovalOutcome>> TreeStore::Quarantine(
    const DeletionPermit&, const RunId& run_id,
    absl::Span<const Removal> removals) {
  RECLAIM_RETURN_IF_ERROR(CheckWritable(run_id));
  std::vector<RemovalOutcome> outcomes;
  for (const Removal& removal : removals) {
    outcomes.push_back(QuarantineOne(run_id, removal));
  }
  return outcomes;
}

RemovalOutcome TreeStore::RestoreOne(const RunId& run_id,
                                     const Removal& removal) {
  RemovalOutcome outcome;
  if (IsEdit(removal)) {
    const absl::StatusOr<std::string> note = quarantine_.Note(run_id, removal);
    outcome.status = note.ok() ? UndoEdit(removal, *note) : note.status();
    if (!outcome.status.ok()) return outcome;
  }
  const absl::StatusOr<RemovalBytes> bytes =
      quarantine_.Restore(run_id, removal);
  outcome.status = bytes.status();
  if (bytes.ok()) outcome.bytes = *bytes;
  return outcome;
}

absl::StatusOr<std::vector<RemovalOutcome>> TreeStore::Restore(
    const RunId& run_id, absl::Span<const Removal> removals) {
  RECLAIM_RETURN_IF_ERROR(CheckWritable(run_id));
  // Bytes before links before names: the reverse of the deed.
  std::vector<RemovalOutcome> outcomes(removals.size());
  for (size_t i = removals.size(); i-- > 0;) {
    outcomes[i] = RestoreOne(run_id, removals[i]);
  }
  RECLAIM_RETURN_IF_ERROR(quarantine_.Settle(run_id));
  return outcomes;
}

RemovalOutcome TreeStore::PurgeOne(const RunId& run_id,
                                   const Removal& removal) {
  RemovalOutcome outcome;
  outcome.status = CheckMoved(run_id, removal);
  if (!outcome.status.ok()) {
    const absl::Status returned = RestoreOne(run_id, removal).status;
    if (returned.ok()) return outcome;
    if (!absl::IsAlreadyExists(returned)) {
      outcome.status = returned;
      return outcome;
    }
  }
  const absl::StatusOr<RemovalBytes> bytes = quarantine_.Purge(run_id, removal);
  outcome.status = bytes.status();
  if (bytes.ok()) outcome.bytes = *bytes;
  return outcome;
}

absl::StatusOr<std::vector<RemovalOutcome>> TreeStore::Purge(
    const DeletionPermit&, const RunId& run_id,
    absl::Span<const Removal> removals) {
  RECLAIM_RETURN_IF_ERROR(CheckWritable(run_id));
  std::vector<RemovalOutcome> outcomes;
  for (const Removal& removal : removals) {
    outcomes.push_back(PurgeOne(run_id, removal));
  }
  RECLAIM_RETURN_IF_ERROR(quarantine_.Settle(run_id));
  return outcomes;
}

absl::StatusOr<std::vector<QuarantinedItem>> TreeStore::ListQuarantine() const {
  return quarantine_.List();
}

}  // namespace reclaim::store
