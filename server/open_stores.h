// server/open_stores.h — private: the stores of the configuration, of the
// database and of the list beside it, opened as the daemon starts.

#ifndef RECLAIM_SERVER_OPEN_STORES_H_
#define RECLAIM_SERVER_OPEN_STORES_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "gc/collector.h"
#include "index/reference_graph.h"
#include "rpc/run_board.h"
#include "rpc/store_table.h"
#include "server/config.h"

namespace reclaim::server {

// Nothing is owned.
struct StoreOpening {
  const Config* config = nullptr;
  index::ReferenceGraph* graph = nullptr;
  gc::Collector* collector = nullptr;
  rpc::StoreTable* stores = nullptr;
  // The database is new after damage: each store is read into it.
  bool is_rebuilt = false;
};

// Opens and registers stores, ends the steps that a crash interrupted, and
// scans those that the database did not know.  A store that is away is said and
// does not take the others with it; an error is one of the configuration or of
// the list of stores.  Returns the interrupted runs that go on (ResumeRuns()).
absl::StatusOr<std::vector<std::string>> OpenStores(
    const StoreOpening& opening,
    absl::FunctionRef<void(absl::string_view)> say);

// Goes on with these runs, each on the board, so that they are watched and
// cancelled like any; those of one store one after the other.  The rest of a
// sweep takes its time: whoever has to know the graph, writers first, is served
// meanwhile.  `say` is called from several threads, and not after the board's
// Shutdown().
void ResumeRuns(const std::vector<std::string>& runs, gc::Collector* collector,
                rpc::RunBoard* board,
                const std::function<void(absl::string_view)>& say);

}  // namespace reclaim::server

#endif  // RECLAIM_SERVER_OPEN_STORES_H_
