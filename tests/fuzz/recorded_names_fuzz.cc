// index/record_encoding.h: names that are any bytes, as a disk has them.
//
// The input is a list of names with a NUL between them.  Each is put as every
// kind of name: it is recorded if it is text, refused if not, and the database
// opens after all of it.

#include <memory>
#include <string>

#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/check.h"
#include "base/simulated_clock.h"
#include "base/utf8.h"
#include "index/engine.h"
#include "index/memory_engine.h"
#include "index/mutation.h"
#include "index/reference_graph.h"
#include "oci/digest.h"
#include "tests/fuzz/fuzz_target.h"

namespace reclaim::index {
namespace {

// Each makes a graph's worth of records.
constexpr int kNameCountMax = 16;

void PutOne(ReferenceGraph* graph, const std::string& name, Operation put) {
  Mutation mutation;
  mutation.operations = {std::move(put)};
  const auto applied = graph->Apply(mutation, Durability::kBuffered);
  RECLAIM_CHECK(!applied.ok() || base::IsUtf8(name),
                "what is no text is not recorded");
}

void PutAs(ReferenceGraph* graph, const std::string& name) {
  const oci::Digest digest = oci::Digest::Sha256Of("content");
  PutOne(graph, name, PutRepository{"s", name, ""});
  PutOne(graph, name, PutRepository{"s", "app", name});
  PutOne(graph, name, PutBlob{{"s", name, digest}, {}, {}, "", {}});
  PutOne(graph, name, PutTag{"s", "app", name, digest, "", {}});
  PutOne(graph, name, PutUpload{"s", "app", name, {}, {}, {}});
  PutVolume volume;
  volume.store = "s";
  volume.name = name;
  PutOne(graph, name, volume);
  volume.name = "volume";
  volume.labels[name] = "";
  PutOne(graph, name, volume);
  PutPin pin;
  pin.store = "s";
  pin.id = "pin";
  pin.reason = name;
  pin.target.content = ContentName{"s", "", digest};
  PutOne(graph, name, pin);
}

RECLAIM_FUZZ_TARGET(recorded_names) {
  MemoryEngine engine;
  base::SimulatedClock clock(absl::FromUnixSeconds(1700000000));
  auto graph = ReferenceGraph::Open(&engine, &clock, GraphOptions());
  RECLAIM_CHECK(graph.ok(), "an empty database opens");
  StoreRecord store;
  store.name = "s";
  RECLAIM_CHECK((*graph)->RegisterStore(store).ok(), "a store is registered");
  int count = 0;
  for (const absl::string_view name : absl::StrSplit(input, '\0')) {
    if (++count > kNameCountMax) break;
    PutAs(graph->get(), std::string(name));
  }
  graph->reset();
  graph = ReferenceGraph::Open(&engine, &clock, GraphOptions());
  RECLAIM_CHECK(graph.ok(), "the database opens");
}

}  // namespace
}  // namespace reclaim::index
