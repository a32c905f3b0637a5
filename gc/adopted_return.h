// gc/adopted_return.h — private to gc: what came to light after the database
// was lost, and is named.
//
// What was found in quarantine without a record (gc/recovery.h) has no node, so
// no reference restores it (I4): the graph knows nothing of it, and nothing of
// what it is made of.  A scan is told by what names it; then it comes back, is
// read, and what it is made of comes back as well.

#ifndef RECLAIM_GC_ADOPTED_RETURN_H_
#define RECLAIM_GC_ADOPTED_RETURN_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "gc/adopted_blobs.h"
#include "gc/collected_store.h"
#include "gc/quarantine_index.h"
#include "index/store_scanner.h"

namespace reclaim::gc {

// Scans until nothing comes back any more.  Every scan of a store in which
// something may have been found.
absl::StatusOr<index::ScanReport> ScanAndReturn(
    CollectedStore* site, const index::ScanOptions& options);

// Gives back content that lies in quarantine without a node, and is named.
// Whether any came back: then only a scan knows what it is made of.
absl::StatusOr<bool> ReturnNamed(CollectedStore* site, absl::string_view actor);

// Entries of second copies (QuarantineState::kSuperseded) whose first one is
// gone: in quarantine as what was found there without a record, from now on.
// Passes over what is none any more.
absl::Status TakeForOnlyCopies(CollectedStore* site,
                               absl::Span<const QuarantineKey> keys,
                               absl::string_view actor);

// The blobs that were found without a record.
absl::StatusOr<AdoptedBlobs> ListAdopted(const CollectedStore& site);

}  // namespace reclaim::gc

#endif  // RECLAIM_GC_ADOPTED_RETURN_H_
