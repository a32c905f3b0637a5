// store/tree_store.h — what stores that are folders have in common.
//
// A layout says where things are (PathsOf), how to list them (Scan) and, if it
// has names inside of files, how to edit them.  Reading, hashing, measuring and
// the three steps of deletion are the same for all.

#ifndef RECLAIM_STORE_TREE_STORE_H_
#define RECLAIM_STORE_TREE_STORE_H_

#include <memory>
#include <string>
#include <vector>

#include "store/content_store.h"
#include "store/quarantine_folder.h"
#include "store/rooted_dir.h"

namespace reclaim::store {

class TreeStore : public ContentStore {
 public:
  TreeStore(std::unique_ptr<RootedDir> root, bool is_read_only)
      : root_(std::move(root)),
        quarantine_(root_.get(),
                    [this](const Removal& removal, const std::string& note) {
                      return IsNoteOf(removal, note);
                    }),
        is_read_only_(is_read_only) {}

  // Takes away what crashes have left of us.  Call it once, before anything
  // else, on a store that may be written.
  absl::Status Tidy() { return quarantine_.Tidy(); }

  absl::StatusOr<BlobStat> Stat(const Place& place,
                                const oci::Digest& digest) const override;
  absl::StatusOr<std::string> Read(const Place& place,
                                   const oci::Digest& digest,
                                   uint64_t max_bytes) const override;
  absl::Status VerifyDigest(const Place& place,
                            const oci::Digest& digest) const override;
  absl::StatusOr<Capacity> GetCapacity() const override;
  absl::StatusOr<Measurement> Measure(
      absl::Span<const Removal> removals) const override;
  // Measure() of folders that become empty with several pieces, too.
  std::unique_ptr<RemovalMeter> NewMeter() const override;
  absl::StatusOr<std::vector<RemovalOutcome>> Quarantine(
      const DeletionPermit& permit, const RunId& run_id,
      absl::Span<const Removal> removals) override;
  absl::StatusOr<std::vector<RemovalOutcome>> Restore(
      const RunId& run_id, absl::Span<const Removal> removals) override;
  absl::StatusOr<std::vector<RemovalOutcome>> Purge(
      const DeletionPermit& permit, const RunId& run_id,
      absl::Span<const Removal> removals) override;
  absl::Status VerifyQuarantined(const RunId& run_id,
                                 const Removal& blob) const override;
  absl::StatusOr<std::vector<QuarantinedItem>> ListQuarantine() const override;

 protected:
  // The file that holds a blob's bytes.
  virtual std::string BlobPath(const Place& place,
                               const oci::Digest& digest) const = 0;
  // What a removal takes away, of what is there.  ABORTED if it is not any more
  // what the removal says (a tag that moved).
  virtual absl::StatusOr<RemovalPaths> PathsOf(
      const Removal& removal) const = 0;
  // Before something is moved, so that a writer who is at work on it never
  // misses it.  ABORTED: he has written to it after it was `planned` to go.
  virtual absl::Status CheckBeforeMove(const Removal&,
                                       absl::Time /*planned*/) const {
    return absl::OkStatus();
  }
  // Whether what lies in quarantine is still what the removal says: a writer
  // may have opened a file before it was moved, or have written the name anew
  // after it was `planned` to go.  ABORTED: it goes back.
  virtual absl::Status CheckMoved(const RunId&, const Removal&,
                                  absl::Time /*planned*/) const {
    return absl::OkStatus();
  }
  // Whether a removal is an edit inside of a file.
  virtual bool IsEdit(const Removal&) const { return false; }
  // What undoes the edit; kept durably before EditAway() is called.  NOT_FOUND
  // if there is nothing to edit away.
  virtual absl::StatusOr<std::string> NoteOf(const Removal& removal) const;
  // Whether a note was made for this very removal.
  virtual bool IsNoteOf(const Removal&, const std::string& /*note*/) const {
    return false;
  }
  // Of an edit without a note: OK if it is undone, as after a crash; DATA_LOSS
  // if nobody knows how to; ALREADY_EXISTS if the name is another's by now.
  virtual absl::Status CheckUndone(const Removal& removal) const;
  // ABORTED if the file was written after the edit was `planned`.
  virtual absl::Status EditAway(const Removal& removal, absl::Time planned);
  // Idempotent.
  virtual absl::Status UndoEdit(const Removal& removal,
                                const std::string& note);

  const RootedDir& root() const { return *root_; }
  bool is_read_only() const { return is_read_only_; }
  BlobStat ToBlobStat(const FileStat& stat) const;

 private:
  class Meter;
  using Departure = QuarantineFolder::Departure;

  // DATA_LOSS if the file holds something else.
  absl::Status VerifyFile(const std::string& path,
                          const oci::Digest& digest) const;
  // Where removals are, of those that are there; their `numbers` in `removals`.
  absl::StatusOr<QuarantineFolder::Measured> Locate(
      absl::Span<const Removal> removals, std::vector<size_t>* numbers) const;
  // What a removal takes away, or the status that says why not.
  Departure Prepare(const Removal& removal) const;
  // Moves what has been remembered, and looks whether it is still what was
  // meant.
  void QuarantineOne(const RunId& run_id, absl::Time planned,
                     Departure* departure);
  // Appends an outcome each.
  void QuarantineBatch(const RunId& run_id, absl::Time planned,
                       absl::Span<const Removal> removals,
                       std::vector<RemovalOutcome>* outcomes);
  void EditOne(const RunId& run_id, absl::Time planned, Departure* departure);
  RemovalOutcome RestoreOne(const RunId& run_id, const Removal& removal);
  RemovalOutcome PurgeOne(const RunId& run_id, const Removal& removal);

  std::unique_ptr<RootedDir> root_;
  QuarantineFolder quarantine_;
  bool is_read_only_;
};

}  // namespace reclaim::store

#endif  // RECLAIM_STORE_TREE_STORE_H_
