// index/verify.h — everything recomputed from nothing, and compared.
//
//   scopes     what the last scan could not read, and so keeps
//   counters   the running totals with Recount() (I6), and their identity
//   records    each durable record with the resident node or link, both ways
//   files      each present node with its file, each quarantined one, and what
//              no node stands for, with the quarantine, each file with its node
//   data       on request: every blob's bytes with its digest, every manifest's
//              bytes with its edges, its descriptors with what they are of
//   notes      times in the future, snapshots that are not there
//
// Changes nothing.  Writers and collections may go on: what looks wrong is
// looked at again with the write order held, or with the file read again,
// before it is reported.  Reads no file while a lock is held.

#ifndef RECLAIM_INDEX_VERIFY_H_
#define RECLAIM_INDEX_VERIFY_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/clock.h"
#include "index/reference_graph.h"
#include "index/totals.h"
#include "oci/digest.h"
#include "store/content_store.h"
#include "store/types.h"

namespace reclaim::index {

enum class FindingSeverity : uint8_t { kNote = 1, kWarning = 2, kDamage = 3 };

struct Finding {
  // A closed set of words (docs/OPERATING.md says what each means):
  // "counter-mismatch", "identity-broken", "record-mismatch", "missing-record",
  // "missing-blob", "size-differs", "missing-quarantine", "unknown-content",
  // "unreadable", "digest-mismatch", "edge-mismatch", "unread-manifest",
  // "kept-scope", "empty-link"; and of which the first hundred come one by one,
  // then how many more there are: "declared-size", "embedded-data",
  // "future-time", "missing-snapshot".
  std::string check;
  FindingSeverity severity = FindingSeverity::kNote;
  std::string subject;  // digest, name or path
  std::string detail;
  std::string advice;
};

struct VerifyProgress {
  uint64_t done_count = 0;  // nodes
  uint64_t total_count = 0;
  uint64_t done_bytes = 0;  // read
};

// A blob in quarantine that no node stands for (StoreTotals::adopted).
struct AdoptedBlob {
  store::Place place;
  oci::Digest digest;
  store::Bytes bytes;
  store::Bytes held;  // the part that names elsewhere keep on the disk
};

struct VerifyOptions {
  bool read_data = false;
  // What the records of the quarantine say; may be empty: then it is not
  // compared.
  std::function<absl::StatusOr<std::vector<AdoptedBlob>>()> list_adopted;
  // What scans could not read whole; may be empty: as it is on record, also
  // while a scan is at work.
  std::function<std::vector<UnreadableScope>()> list_kept;
  std::function<bool()> is_cancelled;                      // may be empty
  std::function<void(const VerifyProgress&)> on_progress;  // may be empty
  std::function<void(const Finding&)> on_finding;          // at most 10,000
};

struct VerifyReport {
  uint64_t node_count = 0;
  uint64_t finding_count = 0;  // as reported, notes included
  uint64_t damage_count = 0;
};

// What is wrong with the counters of a store, given what Recount() says of
// them: "identity-broken" if they do not even agree with each other
// (index/totals.h), else "counter-mismatch"; nothing if they are right.
std::optional<Finding> JudgeCounters(absl::string_view store,
                                     const StoreTotals& counted,
                                     const StoreTotals& recounted);

// Verifies one store.  `content` may be null: then its files are not looked at.
// NOT_FOUND: no such store; CANCELLED; errors of the engine.
absl::StatusOr<VerifyReport> Verify(ReferenceGraph* graph,
                                    absl::string_view store,
                                    const store::ContentStore* content,
                                    const base::Clock& clock,
                                    const VerifyOptions& options);

}  // namespace reclaim::index

#endif  // RECLAIM_INDEX_VERIFY_H_
