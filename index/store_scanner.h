// index/store_scanner.h — a store's facts become mutations of the graph.
//
// Reads each manifest that the graph does not know yet, once (from nothing: all
// of them, and replaces edges that its bytes do not say); replaces what a
// listed section had; leaves unchanged and unreadable sections alone.  A
// section is skipped only if both the store and the graph are as the last scan
// left them.  What a listed section no longer holds is removed from the graph.
// An interrupted scan leaves the graph a mixture of before and after, both true
// at some moment; its memo is not stored, so the next scan lists everything
// again.

#ifndef RECLAIM_INDEX_STORE_SCANNER_H_
#define RECLAIM_INDEX_STORE_SCANNER_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/clock.h"
#include "index/engine.h"
#include "index/mutation.h"
#include "index/reference_graph.h"
#include "store/content_store.h"

namespace reclaim::index {

struct ScanProgress {
  uint64_t section_count = 0;
  uint64_t blob_count = 0;
  uint64_t manifest_count = 0;  // read and parsed
  uint64_t tag_count = 0;
  store::Bytes bytes;
};

struct ScanOptions {
  int thread_count = 2;
  // Ignore the memo and what the graph says of manifests: list every section,
  // read every manifest.
  bool from_nothing = false;
  // Of each mutation.  A scan ends with a durable record, after which all that
  // it has put is durable as well.
  Durability durability = Durability::kBuffered;
  // The scan proves that nothing refers to what will be purged: all names are
  // read anew, whatever the memo says of them.
  bool is_proof = false;
  std::string actor;
  std::function<bool()> is_cancelled;                    // may be empty
  std::function<void(const ScanProgress&)> on_progress;  // may be empty
};

// What could not be read, in the scope that it concerns (I5).
struct ScanProblem {
  std::string scope;  // repository or place; "" for the whole store
  std::string path;
  std::string why;
};

struct ScanReport {
  ScanProgress seen;
  uint64_t unchanged_section_count = 0;
  // In those sections, as the graph knows them; not in `seen`.
  uint64_t unchanged_blob_count = 0;
  store::Bytes unchanged_bytes;
  uint64_t added_count = 0;
  uint64_t removed_count = 0;
  store::Bytes orphan_bytes;
  uint64_t orphan_count = 0;
  std::vector<ScanProblem> problems;  // the first 1,000
  uint64_t problem_count = 0;
  absl::Time begin;
  absl::Time end;
};

// Scans `store`, registered in `graph` as `name`, into the graph.
absl::StatusOr<ScanReport> ScanStore(ReferenceGraph* graph,
                                     absl::string_view name,
                                     const store::ContentStore& store,
                                     const base::Clock& clock,
                                     const ScanOptions& options);

// What is about to be held by its digest (a pin, a lease, a container) may be a
// manifest that no name leads to, so that no scan has read it: reads what looks
// like one and is not known yet, durably, so that what it references is held
// with it.  What can't be read becomes opaque.  Names of other stores and of
// what is not there are passed over.
absl::Status ReadHeld(ReferenceGraph* graph, absl::string_view name,
                      const store::ContentStore& store,
                      absl::Span<const ContentName> held,
                      absl::string_view actor);

}  // namespace reclaim::index

#endif  // RECLAIM_INDEX_STORE_SCANNER_H_
