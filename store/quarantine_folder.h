// store/quarantine_folder.h — moving files out of view, and back.
//
// Below the store's root lies ".reclaim/quarantine/RUN/": "tree/" holds what
// was moved, under the path that it had; "journal" holds one JSON line for each
// item, written and synced before its first move, and one for each folder that
// was touched, with its mode, owner and time.  Moves are renames within one
// file system: a crash leaves each path either here or there.
//
// What is moved goes in batches: the journal is written once for all of a
// batch, and each folder is synced once, however many of its names have come or
// gone. A disk takes some milliseconds for a sync, and thousands of renames a
// second.
//
// Folders that a move leaves empty are removed up to the item's floor, when the
// move is durable, and made again as they were by Restore().
//
// Thread-safe.

#ifndef RECLAIM_STORE_QUARANTINE_FOLDER_H_
#define RECLAIM_STORE_QUARANTINE_FOLDER_H_

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/mutex.h"
#include "oci/digest.h"
#include "store/quarantine_journal.h"
#include "store/rooted_dir.h"
#include "store/types.h"

namespace reclaim::store {

inline constexpr char kReclaimFolder[] = ".reclaim";

// Where the files of one removal are.
struct RemovalPaths {
  std::vector<std::string> paths;  // those that exist; files or folders
  // Folders that stay even if they become empty: parents are removed strictly
  // below this one.
  std::string floor;
};

class QuarantineFolder {
 public:
  // Whether a note says by itself that it undoes this removal.
  using NoteProof =
      std::function<bool(const Removal& removal, const std::string& note)>;

  // Notes of older versions, which lie where those of other removals may lie as
  // well, count only if they prove to be a removal's own.
  explicit QuarantineFolder(const RootedDir* root, NoteProof proof = nullptr)
      : root_(root), proof_(std::move(proof)) {}

  // One removal of a batch, and how far it has come.
  struct Departure {
    Removal removal;
    RemovalPaths paths;
    // Kept beside them until they are restored or purged (the names of image
    // layouts).
    std::string note;
    // NOT_FOUND: neither is there.  One that is not OK goes no further; a part
    // of it may have moved.
    absl::Status status;
    RemovalBytes bytes;              // of what has moved
    std::vector<std::string> moved;  // the paths
  };
  // The three steps of a batch.  Remember() writes down durably where all of
  // these are and makes the folders that they go to, Move() moves the paths of
  // one, and Finish() makes that durable: before it, no status that is OK
  // counts. What a writer takes away meanwhile is left out.
  void Remember(const RunId& run_id, absl::Span<Departure> batch);
  void Move(const RunId& run_id, Departure* departure);
  void Finish(const RunId& run_id, absl::Span<Departure> batch);

  // Moves it back.  NOT_FOUND: not in this run's quarantine; ALREADY_EXISTS:
  // something but a ruin has taken one of its names (nothing is overwritten
  // that says something).
  absl::StatusOr<RemovalBytes> Restore(const RunId& run_id,
                                       const Removal& removal);
  // What of it lies in quarantine now.  NOT_FOUND: no such item.
  absl::StatusOr<RemovalBytes> WeighMoved(const RunId& run_id,
                                          const Removal& removal) const;
  // Frees it.  NOT_FOUND as above.
  absl::StatusOr<RemovalBytes> Purge(const RunId& run_id,
                                     const Removal& removal);
  // Removes what is left of the run's folder when it is empty.  Call it after
  // the last of a batch.
  absl::Status Settle(const RunId& run_id);
  // Gives the folders that the run emptied the times that they had, once
  // Restore() has filled them.
  void RestoreTimes(const RunId& run_id) const;
  // Removes folders that hold nothing, and those of runs: what crashes and
  // faults have left.
  // Call it before anything else.
  absl::Status Tidy();

  absl::StatusOr<std::vector<QuarantinedItem>> List() const;
  // Where a path lies that was moved.
  static std::string MovedPath(const RunId& run_id, const std::string& path);
  // The note kept with an item.  NOT_FOUND.
  absl::StatusOr<std::string> Note(const RunId& run_id,
                                   const Removal& removal) const;
  // What Quarantine() and Purge() of all of these would free.
  using Measured = std::vector<std::pair<Removal, RemovalPaths>>;
  absl::StatusOr<Measurement> Measure(const Measured& removals) const;

  // The same piece by piece, in the order of the deed: a folder that goes comes
  // before, or in one piece with, what goes from within.  Holds eight bytes for
  // a path, the folders above, and each file that has several names.
  class Meter {
   public:
    explicit Meter(const QuarantineFolder* folder) : folder_(folder) {}
    // Appends to `shared`, as numbered in this piece.
    absl::Status Add(const Measured& removals, std::vector<SharedFile>* shared);
    absl::StatusOr<RemovalBytes> Finish();

   private:
    bool IsGone(const std::string& path) const;
    bool IsBelowGone(const std::string& path) const;
    void NoteShared(const SharedFile& name);
    absl::Status AddEmptied();

    const QuarantineFolder* folder_;
    RemovalBytes bytes_;
    // Hashes of paths: that two of some millions are equal is not reached, and
    // what is measured decides nothing.
    absl::flat_hash_set<uint64_t> gone_;
    std::map<std::string, std::string> floors_;  // parent -> floor
    struct Names {
      uint64_t going = 0;
      uint64_t all = 0;
      Bytes bytes;
    };
    std::map<Extent, Names> files_;
  };

 private:
  using Journal = QuarantineJournal;

  // The journal of a run, read once and then kept.  With mutex_ held.
  absl::StatusOr<Journal*> OpenJournal(const RunId& run_id) const;
  absl::StatusOr<const Journal::Item*> FindItem(const Journal& journal,
                                                const Removal& removal) const;
  // The folder of a run, durably, and its journal.
  absl::StatusOr<Journal*> BeginJournal(const RunId& run_id);
  // Adds the folders above that no line of the journal tells of yet.  Begins it
  // if it is null.
  absl::Status AddFolders(const RunId& run_id, const RemovalPaths& paths,
                          Journal** journal,
                          std::map<std::string, FileStat>* folders);
  // Where the paths go to, durably: a name must not come to where nothing
  // leads.
  void MakeWays(const RunId& run_id, absl::Span<Departure* const> batch);
  absl::Status MoveAll(const RunId& run_id, Departure* departure);
  // False if a writer has taken it away.
  absl::StatusOr<bool> MovePath(const std::string& from, const std::string& to);
  absl::Status SyncNearest(std::string folder) const;
  void RemoveEmptyParents(const std::string& path, const std::string& floor);
  absl::Status MakeParents(const Journal& journal, const std::string& path);
  // What a writer leaves in the place of a link who dies before he has written:
  // an empty folder, or one with nothing but a link without a byte.  In the
  // place of an upload: what a registry notes of the bytes that it has hashed,
  // when it closes one that was moved while it had it open.
  absl::StatusOr<bool> IsRuin(const std::string& path, RemovalKind kind) const;
  // Whether a folder holds the link to `digest`.
  absl::StatusOr<bool> HoldsLink(const std::string& path,
                                 const oci::Digest& digest) const;
  absl::Status RemoveRuin(const std::string& path, RemovalKind kind) const;
  // Moves what was quarantined to where a ruin stands, which goes.
  // ALREADY_EXISTS: something else stands there.
  absl::Status MoveOverRuin(const std::string& from, const std::string& path,
                            const Removal& removal) const;
  static bool IsBelow(const std::string& path, const std::string& floor);
  // What removing `path` with all below it would free now.  `shared`, if it is
  // not null, gets its files of content that have several names.
  absl::Status AddTree(const std::string& path, bool is_content,
                       RemovalBytes* bytes,
                       std::vector<FileStat>* shared = nullptr) const;
  // The same beside writers: nothing for what one of them has taken away.
  absl::StatusOr<RemovalBytes> Weigh(
      const std::string& path, bool is_content,
      std::vector<FileStat>* shared = nullptr) const;

  // With mutex_ held: removes a run's folder if nothing is left in it.
  absl::Status RemoveIfEmpty(const RunId& run_id);
  // The folders above all runs, if no run is left.
  absl::Status RemoveEmptyTop();
  // With mutex_ held: folders above items that left and that are empty; an item
  // may itself be an empty folder, and stays.
  absl::Status RemoveEmptyFolders(const RunId& run_id);

  // Where the note of a removal lies; "" if there is none.
  absl::StatusOr<std::string> FindNote(const RunId& run_id,
                                       const Removal& removal) const;
  // False if there is none.
  absl::StatusOr<bool> RemoveNote(const RunId& run_id,
                                  const Journal::Item& item);

  const RootedDir* root_;
  const NoteProof proof_;
  mutable base::Mutex mutex_;
  mutable std::map<RunId, Journal> journals_;
  std::set<RunId> unsettled_;  // what is left of them could not be removed
};

// Whether a kind's files are content (blobs, uploads) or metadata (links).
bool IsContentRemoval(RemovalKind kind);

}  // namespace reclaim::store

#endif  // RECLAIM_STORE_QUARANTINE_FOLDER_H_
