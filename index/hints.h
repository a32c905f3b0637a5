// index/hints.h — following up what somebody says has changed in a store.
//
// A registry tells of pushes, mounts, deletions and pulls, some of them twice,
// late, in another order, or never; and who tells may lie.  So a hint is a
// reason to look, and never a fact: the store is asked about what the hint
// names, and what it says goes into the graph.  Thereby duplicates, order and
// lies do not matter, and hints that were lost are made up for by the next
// scan.
//
// The exception are pulls, of which the store keeps no trace: they renew times
// of use, never to later than `now`.

#ifndef RECLAIM_INDEX_HINTS_H_
#define RECLAIM_INDEX_HINTS_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "index/reference_graph.h"
#include "oci/digest.h"
#include "store/content_store.h"

namespace reclaim::index {

struct Hint {
  std::string repository;
  std::string tag;                    // "" if none is concerned
  std::optional<oci::Digest> digest;  // a manifest or a blob
  std::string media_type;             // of the digest; "" if unknown
  // Set for a pull: when.  Then nothing has changed.
  std::optional<absl::Time> pulled;
};

// Looks at what `hints` name and brings the graph in line, durably: when it
// returns OK, the answers of the store as of some moment after the call began
// are in the graph, and what was referenced anew is out of quarantine (I4).
// Content that the store no longer has is left to scans.
//
// Returns what is worth a second look a moment later: the hints that the store
// does not bear out yet, for a registry tells of a push before it writes the
// tag (and for good, if the tag has moved); and for a pull of what the graph
// has not there a hint that is no pull.  The registry's word of the push was
// lost then, and what that names may lie in quarantine until somebody looks.
//
// UNIMPLEMENTED if the store can't look up single names; UNAVAILABLE if it
// can't be read now.  Thread-safe; the caller keeps batches of a sweep of the
// same store away (what they move is half here and half there).
absl::StatusOr<std::vector<Hint>> FollowHints(ReferenceGraph* graph,
                                              absl::string_view store_name,
                                              const store::ContentStore& store,
                                              absl::Span<const Hint> hints,
                                              absl::Time now,
                                              absl::string_view actor);

}  // namespace reclaim::index

#endif  // RECLAIM_INDEX_HINTS_H_
