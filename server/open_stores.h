// server/open_stores.h — private: the stores of the configuration, of the
// database and of the list beside it, opened as the daemon starts.

#ifndef RECLAIM_SERVER_OPEN_STORES_H_
#define RECLAIM_SERVER_OPEN_STORES_H_

#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "gc/collector.h"
#include "index/reference_graph.h"
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
// the list of stores.  Returns the interrupted runs that go on (run_resumer.h).
absl::StatusOr<std::vector<std::string>> OpenStores(
    const StoreOpening& opening,
    absl::FunctionRef<void(absl::string_view)> say);

}  // namespace reclaim::server

#endif  // RECLAIM_SERVER_OPEN_STORES_H_
