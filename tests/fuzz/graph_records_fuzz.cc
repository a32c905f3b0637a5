// index/graph_records.h: a whole database out of hostile records.
//
// The input is a list of records: family (one byte), length of the key (one
// byte), length of the value (two bytes, little-endian), key, value.  A graph
// opens on it or says that it is damaged; one that opens counts right (I6).

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/check.h"
#include "base/simulated_clock.h"
#include "index/engine.h"
#include "index/graph_records.h"
#include "index/memory_engine.h"
#include "index/recount.h"
#include "index/reference_graph.h"
#include "reclaim/storage/v1/storage.pb.h"
#include "tests/fuzz/fuzz_target.h"

namespace reclaim::index {
namespace {

constexpr size_t kHeaderBytes = 4;

// Takes one record off the front of *input; false at the end.
bool TakeRecord(absl::string_view* input, Batch* batch) {
  if (input->size() < kHeaderBytes) return false;
  const auto byte = [&](size_t i) {
    return static_cast<unsigned char>((*input)[i]);
  };
  const auto family = static_cast<Family>(byte(0) % kFamilyCount);
  const size_t key_size = byte(1);
  const size_t value_size = byte(2) + byte(3) * size_t{256};
  input->remove_prefix(kHeaderBytes);
  if (input->size() < key_size + value_size) return false;
  batch->Put(family, std::string(input->substr(0, key_size)),
             std::string(input->substr(key_size, value_size)));
  input->remove_prefix(key_size + value_size);
  return true;
}

// The arrays are as long as the highest id that was given.  How many that may
// be is the machine's business, so a database that claims more is no input
// here.
constexpr uint32_t kNodeCountMax = 10000;

storage::v1::GraphState StateOf(const Engine& engine) {
  const auto value = engine.Get(Family::kMeta, kStateKey);
  RECLAIM_CHECK(value.ok(), "memory answers");
  storage::v1::GraphState state;
  if (!*value || !state.ParseFromString(**value)) state.Clear();
  return state;
}

RECLAIM_FUZZ_TARGET(graph_records) {
  MemoryEngine engine;
  Batch batch;
  while (TakeRecord(&input, &batch)) {
  }
  RECLAIM_CHECK(engine.Commit(batch, Durability::kDurable).ok(),
                "memory takes every record");
  if (StateOf(engine).next_node_id() > kNodeCountMax) return;
  base::SimulatedClock clock(absl::FromUnixSeconds(1700000000));
  const auto graph = ReferenceGraph::Open(&engine, &clock, GraphOptions());
  if (!graph.ok()) return;
  const std::vector<StoreRecord> stores = (*graph)->Stores();
  const absl::Time latest = FromMicros(StateOf(engine).latest_time());
  const auto reader = (*graph)->Read();
  for (const StoreRecord& store : stores) {
    RecountInputs inputs;
    inputs.store = store.id;
    // A graph's time does not go back where a clock was set back.
    inputs.now = std::max(clock.Now(), latest);
    inputs.grace_period = GraphOptions().grace_period;
    inputs.orphans = reader->totals(store.id).orphan;
    RECLAIM_CHECK(Recount(reader->view(), inputs) == reader->totals(store.id),
                  "I6: counters equal recomputation");
  }
}

}  // namespace
}  // namespace reclaim::index
