// rpc/operations.h, rpc/lease_operations.h, index/put_codec.h: what a client
// asks to be recorded, as the bytes of a v1::RecordRequest.
//
// What is taken is applied to an empty graph.  Whatever it is, the counters are
// a recount, and the database opens and gives the same.

#include <cstddef>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/simulated_clock.h"
#include "index/engine.h"
#include "index/memory_engine.h"
#include "index/mutation.h"
#include "index/recount.h"
#include "index/reference_graph.h"
#include "index/totals.h"
#include "reclaim/v1/graph.pb.h"
#include "rpc/lease_operations.h"
#include "rpc/operations.h"
#include "rpc/role.h"
#include "rpc/service_parts.h"
#include "tests/fuzz/fuzz_target.h"

namespace reclaim::rpc {
namespace {

constexpr char kStore[] = "s";

// Each makes a record or more; the graph is the slow part.
constexpr size_t kRequestBytesMax = 16384;

std::unique_ptr<index::ReferenceGraph> Open(index::Engine* engine,
                                            const base::Clock* clock) {
  auto graph = index::ReferenceGraph::Open(engine, clock, {});
  RECLAIM_CHECK(graph.ok(), "the database opens");
  return *std::move(graph);
}

// The totals of the store, which have to be a recount.
index::StoreTotals Totals(const index::ReferenceGraph& graph,
                          index::StoreId store, absl::Time now) {
  const auto reader = graph.Read();
  index::RecountInputs inputs;
  inputs.store = store;
  inputs.now = now;
  inputs.grace_period = graph.options().grace_period;
  inputs.orphans = reader->totals(store).orphan;
  RECLAIM_CHECK(index::Recount(reader->view(), inputs) == reader->totals(store),
                "I6: counters equal recomputation");
  return reader->totals(store);
}

// False for what is refused.
bool Take(const v1::RecordRequest& request, index::Mutation* mutation) {
  absl::StatusOr<index::Mutation> made = MakeMutation(request);
  if (!made.ok()) {
    RECLAIM_CHECK(!made.status().message().empty(), "a refusal says why");
    return false;
  }
  *mutation = *std::move(made);
  FillStore(kStore, mutation);
  RECLAIM_CHECK(!LacksStore(*mutation), "each names a store");
  Caller caller;
  caller.actor = "uid:1000";
  caller.roles = RoleSet::All();
  return AssignAll(caller, mutation).ok();
}

RECLAIM_FUZZ_TARGET(record_request) {
  v1::RecordRequest request;
  index::Mutation mutation;
  if (input.size() > kRequestBytesMax ||
      !request.ParseFromArray(input.data(), static_cast<int>(input.size())) ||
      !Take(request, &mutation)) {
    return;
  }
  index::MemoryEngine engine;
  base::SimulatedClock clock(absl::FromUnixSeconds(1700000000));
  std::unique_ptr<index::ReferenceGraph> graph = Open(&engine, &clock);
  index::StoreRecord store;
  store.name = kStore;
  const auto id = graph->RegisterStore(store);
  RECLAIM_CHECK(id.ok(), "a store is registered");
  const index::StoreTotals before = Totals(*graph, *id, clock.Now());
  const auto applied = graph->Apply(mutation, index::Durability::kDurable);
  const index::StoreTotals after = Totals(*graph, *id, clock.Now());
  RECLAIM_CHECK(applied.ok() || after == before,
                "what is refused changes nothing");
  graph.reset();
  graph = Open(&engine, &clock);
  RECLAIM_CHECK(Totals(*graph, *id, clock.Now()) == after,
                "a restart knows the same");
}

}  // namespace
}  // namespace reclaim::rpc
