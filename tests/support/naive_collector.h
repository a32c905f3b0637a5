// tests/support/naive_collector.h — what a prune takes, worked out the slow and
// obvious way.  FOR TESTS ONLY: the twin that gc::MakePlan() is held against.
//
// It shares no code with gc, only the words of a request: who is reached is
// said by tests/support/naive_reach.h, and each rule is written as the page
// SEMANTICS states it.
//
// It knows no references that name what goes, no `reference=` filter, no
// retention rules, no targets and no names of signatures.

#ifndef RECLAIM_TESTS_SUPPORT_NAIVE_COLLECTOR_H_
#define RECLAIM_TESTS_SUPPORT_NAIVE_COLLECTOR_H_

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "gc/prune_request.h"
#include "index/node.h"
#include "store/types.h"
#include "tests/support/graph_text.h"
#include "tests/support/naive_reach.h"
#include "tests/support/text_details.h"

namespace reclaim::tests {

// What a plan is made over, at TextGraph::Now(): all containers are known.
struct NaiveWorld {
  // Not owned.
  const TextGraph* graph = nullptr;
  const TextDetails* details = nullptr;
  bool store_holds_records = false;  // as in gc::PlanInputs
  bool tags_leave_entries = false;
  // Places or repositories that the last scan could not read; "": the store.
  std::vector<std::string> unreadable_scopes;
};

struct NaivePlan {
  std::set<index::NodeId> records;  // containers, volumes, ...
  std::set<index::NodeId> tags;
  std::set<NaiveLink> links;
  std::set<index::NodeId> content;
  std::set<index::NodeId> uploads;
  // Of content and uploads all present bytes less those of what stays; with
  // those of the records.
  store::Bytes bytes;
  // Of content that stays for build cache alone.
  uint64_t cached_count = 0;
  store::Bytes cached_bytes;
};

// Time O(nodes² · repositories).
NaivePlan CollectNaively(const NaiveWorld& world,
                         const gc::PruneRequest& request);

}  // namespace reclaim::tests

#endif  // RECLAIM_TESTS_SUPPORT_NAIVE_COLLECTOR_H_
