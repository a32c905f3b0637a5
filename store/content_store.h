// store/content_store.h — content-addressed bytes, and the three steps of
// deletion.
//
// A blob is present, quarantined or absent.  Quarantine() hides it and keeps
// its bytes; Restore() undoes that; Purge() frees the bytes and only works on
// what is quarantined (I2).  Each is idempotent, and durable for every item
// whose outcome is OK when the call returns.
//
// Nothing here decides: the caller has already recorded the quarantine durably
// (I3) and shows a DeletionPermit, which only gc/deletion_guard can make (I1).
//
// A store never follows a symbolic link, never leaves its root, never touches a
// file that is not a regular one, and never deletes what it does not
// understand: it reports such things as strays (TRUST E.2, rows 1 to 3).
//
// All methods are thread-safe.  Errors name the path (relative to the root),
// the digest or the tag, and what to do next.

#ifndef RECLAIM_STORE_CONTENT_STORE_H_
#define RECLAIM_STORE_CONTENT_STORE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "oci/digest.h"
#include "store/change_source.h"
#include "store/deletion_permit.h"
#include "store/name_reader.h"
#include "store/scan.h"
#include "store/types.h"

namespace reclaim::store {

// Reads.  Errors: NOT_FOUND if the blob is not present (a quarantined one is
// not), UNAVAILABLE or PERMISSION_DENIED if the store can't be read,
// FAILED_PRECONDITION if what lies there is not a regular file.
class ContentReader {
 public:
  virtual ~ContentReader() = default;

  virtual absl::StatusOr<BlobStat> Stat(const Place& place,
                                        const oci::Digest& digest) const = 0;

  // Reads a whole blob of at most `max_bytes`; a larger one is
  // RESOURCE_EXHAUSTED.  Digests are not verified.
  virtual absl::StatusOr<std::string> Read(const Place& place,
                                           const oci::Digest& digest,
                                           uint64_t max_bytes) const = 0;

  // Streams a blob through a hash and compares.  DATA_LOSS if they differ.
  virtual absl::Status VerifyDigest(const Place& place,
                                    const oci::Digest& digest) const = 0;

  virtual absl::StatusOr<Capacity> GetCapacity() const = 0;
};

// Measures a set of removals that is too large for memory, piece by piece.
class RemovalMeter {
 public:
  virtual ~RemovalMeter() = default;
  // Pieces come in the order of the deed; nothing comes twice.  Appends to
  // `shared`, as numbered in this piece (see Measurement).
  virtual absl::Status Add(absl::Span<const Removal> removals,
                           std::vector<SharedFile>* shared) = 0;
  // Of all pieces together.  Once, after the last.
  virtual absl::StatusOr<RemovalBytes> Finish() = 0;
};

class ContentStore : public ContentReader {
 public:
  virtual StoreTraits traits() const = 0;

  // Walks the store and reports it to `sink`; see store/scan.h.  Reads only.
  // A fault in one section does not stop the others.
  virtual absl::StatusOr<ScanResult> Scan(const ScanRequest& request,
                                          ScanSink* sink) const = 0;

  // INVALID_ARGUMENT for a name that nothing of this store can have: whatever a
  // client has recorded, no path is made of it, and nothing is there.  Looks at
  // the name alone.
  virtual absl::Status CheckRemoval(const Removal&) const {
    return absl::OkStatus();
  }

  // What quarantining and purging all of `removals` together would free: once
  // per inode, if none of its names is left, with the folders that they leave
  // empty.  Reads only (I8).  Things that are not there count zero.
  virtual absl::StatusOr<Measurement> Measure(
      absl::Span<const Removal> removals) const = 0;

  // The same for more than fits into a span; the store outlives it.  This one
  // sums up what Measure() says of each piece, which is right for a store
  // where nothing becomes empty with what it holds.
  virtual std::unique_ptr<RemovalMeter> NewMeter() const;

  // A store may remember what it lists in order to know what a removal takes
  // away.  Called before a plan is measured and before a run, so that what is
  // remembered is never older than either.
  virtual void ForgetListings() {}

  // Moves `removals` into the quarantine of `run_id`, in the given order, and
  // makes that durable.  One outcome an item, in order.  A store without a
  // quarantine returns FAILED_PRECONDITION for all; one that deletes for good
  // (StoreTraits) leaves everything where it is until Purge().
  virtual absl::StatusOr<std::vector<RemovalOutcome>> Quarantine(
      const DeletionPermit& permit, const RunId& run_id,
      absl::Span<const Removal> removals) = 0;

  // Moves items back: bytes first, then links, then names (the reverse of the
  // order of deletion), with the modes and times they had.  An item whose name
  // is taken meanwhile is ALREADY_EXISTS and stays in quarantine, whatever has
  // taken it.
  virtual absl::StatusOr<std::vector<RemovalOutcome>> Restore(
      const RunId& run_id, absl::Span<const Removal> removals) = 0;

  // Frees quarantined items for good.  ABORTED: a writer had written to it
  // while it was moved, and it is back in its place; or the engine has it in
  // use.  An engine frees bytes itself: an item is OK when the engine has been
  // asked and does not have it any more.
  virtual absl::StatusOr<std::vector<RemovalOutcome>> Purge(
      const DeletionPermit& permit, const RunId& run_id,
      absl::Span<const Removal> removals) = 0;

  // VerifyDigest() of a blob that lies in the quarantine of a run.  NOT_FOUND
  // if it is not there; UNIMPLEMENTED where a store can't read what it has put
  // away.
  virtual absl::Status VerifyQuarantined(const RunId& run_id,
                                         const Removal& blob) const;

  // What lies in the quarantine, whether or not a record knows it; after a
  // crash this is compared with the records.
  virtual absl::StatusOr<std::vector<QuarantinedItem>> ListQuarantine()
      const = 0;

  // Looks up single names; nullptr where a store can only be scanned.
  virtual const NameReader* names() const { return nullptr; }

  // The store's own event stream; nullptr if it has none.  Owned by the store.
  virtual ChangeSource* changes() { return nullptr; }
};

}  // namespace reclaim::store

#endif  // RECLAIM_STORE_CONTENT_STORE_H_
