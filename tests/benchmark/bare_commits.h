// tests/benchmark/bare_commits.h — what RocksDB takes of a daemon's records
// with nothing else done: the limit of what is written through one.

#ifndef RECLAIM_TESTS_BENCHMARK_BARE_COMMITS_H_
#define RECLAIM_TESTS_BENCHMARK_BARE_COMMITS_H_

#include <string>
#include <vector>

#include "absl/types/span.h"

namespace reclaim::benchmark {

// The rows of one commit of the daemon.
struct CommitRows {
  int content = 0;
  int named = 0;
  int events = 0;
  bool is_durable = false;
};

// Seconds for the commits of all clients, each client a thread and its commits
// in order, into a new database in `folder`.  Keys are what the daemon's are
// (docs/FORMAT.md): ids and sequence numbers as they come.  Everything is made
// before the clock starts.
double BareSeconds(const std::string& folder,
                   absl::Span<const std::vector<CommitRows>> clients);

}  // namespace reclaim::benchmark

#endif  // RECLAIM_TESTS_BENCHMARK_BARE_COMMITS_H_
