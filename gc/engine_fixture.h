// gc/engine_fixture.h — a fake engine, a graph over it and a collector; for
// tests.

#ifndef RECLAIM_GC_ENGINE_FIXTURE_H_
#define RECLAIM_GC_ENGINE_FIXTURE_H_

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "base/status_matchers.h"
#include "gc/collector.h"
#include "gc/collector_fixture.h"
#include "gtest/gtest.h"
#include "index/graph_view.h"
#include "index/node.h"
#include "index/reference_graph.h"
#include "oci/digest.h"
#include "store/scan.h"
#include "store/testing/fake_engine.h"
#include "store/types.h"

namespace reclaim::gc {

class EngineFixture : public CollectorFixture {
 protected:
  void OpenEngine(bool deletes_for_good) {
    clock_.Advance(absl::Hours(1000));
    auto fake = std::make_unique<store::FakeEngine>(deletes_for_good);
    node_ = fake.get();
    store_ = std::move(fake);
    StartDaemon();
  }

  // The daemon alone is new; the engine stays what it is.
  void StartDaemon() {
    collector_.reset();
    graph_.reset();
    auto graph = index::ReferenceGraph::Open(engine_.get(), &clock_, options_);
    ASSERT_THAT(graph, base::IsOk());
    graph_ = *std::move(graph);
    index::StoreRecord record;
    record.name = "s";
    record.kind = node_->traits().kind;
    record.writers = writers_;
    const auto id = graph_->RegisterStore(record);
    ASSERT_THAT(id, base::IsOk());
    id_ = *id;
    auto collector =
        Collector::Create(graph_.get(), &clock_, &random_, nullptr);
    ASSERT_THAT(collector, base::IsOk());
    collector_ = *std::move(collector);
    ASSERT_THAT(collector_->AttachStore("s", store_.get()), base::IsOk());
  }

  void AddContainer(const std::string& id, store::ContainerState state,
                    const oci::Digest& image) {
    store::ContainerFact fact;
    fact.id = id;
    fact.state = state;
    fact.image = image;
    fact.writable = store::Bytes{7, 7};
    node_->has.containers.push_back(std::move(fact));
  }

  void AddSnapshot(const std::string& key, const std::string& parent,
                   std::vector<oci::Digest> images) {
    store::SnapshotFact fact;
    fact.key = key;
    fact.parent = parent;
    fact.bytes = store::Bytes{100, 100};
    fact.images = std::move(images);
    fact.created = absl::UnixEpoch();
    node_->has.snapshots.push_back(std::move(fact));
  }

  bool Has(index::NodeKind kind, const std::string& name) const {
    return graph_->Read()->view().FindNamed({kind, id_, "", name}) !=
           index::kNoNode;
  }

  static size_t Count(const std::vector<store::Removal>& removals,
                      store::RemovalKind kind) {
    return static_cast<size_t>(
        std::count_if(removals.begin(), removals.end(),
                      [&](const auto& r) { return r.kind == kind; }));
  }

  store::FakeEngine* node_ = nullptr;
};

}  // namespace reclaim::gc

#endif  // RECLAIM_GC_ENGINE_FIXTURE_H_
