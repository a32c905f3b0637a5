// index/event.h — the rows that say what changed, in the order it changed.
//
// One commit carries a change of the graph and its event rows.  Sequence
// numbers grow by one and have no gaps except where old rows were trimmed.  The
// deletion feed is the rows of kinds kQuarantined, kRestored and kPurged, and
// those of kinds kRemoved and kAdded about a link that a run took from a
// repository or gave back.

#ifndef RECLAIM_INDEX_EVENT_H_
#define RECLAIM_INDEX_EVENT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "index/node.h"
#include "oci/digest.h"
#include "store/types.h"

namespace reclaim::index {

// Values are stored on disk: never renumber.
enum class EventKind : uint8_t {
  kAdded = 1,    // a node appeared, or its bytes did, or a link came back
  kChanged = 2,  // a named node was rewritten
  kRemoved = 3,  // a name or a link went, or bytes vanished without us
  kTagMoved = 4,
  kUsed = 5,
  kQuarantined = 6,
  kRestored = 7,
  kPurged = 8,
  kProblem = 9,
};
const char* ToString(EventKind kind);

struct Event {
  uint64_t sequence = 0;
  absl::Time time;
  EventKind kind = EventKind::kAdded;
  NodeKind node_kind = NodeKind::kBlob;
  std::string store;
  store::Place place;
  std::optional<oci::Digest> digest;  // content, and what a tag names
  std::string scope;                  // repository of a tag, upload or link
  std::string name;                   // of a named node
  store::Bytes bytes;
  std::string actor;
  std::string run_id;  // for what a run did
  std::string detail;  // reason and rule, or what the problem is
};

// Rows in ascending order, and the numbers between which there are any: from
// the oldest that was not trimmed to the newest.  No row is there yet if
// newest < oldest.
struct EventPage {
  std::vector<Event> events;
  uint64_t oldest_sequence = 1;
  uint64_t newest_sequence = 0;
};

}  // namespace reclaim::index

#endif  // RECLAIM_INDEX_EVENT_H_
