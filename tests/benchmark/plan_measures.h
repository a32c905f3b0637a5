// tests/benchmark/plan_measures.h — a plan and its deed as the collector keeps
// them, without a store below: rows, states and records, page by page.

#ifndef RECLAIM_TESTS_BENCHMARK_PLAN_MEASURES_H_
#define RECLAIM_TESTS_BENCHMARK_PLAN_MEASURES_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/types/span.h"
#include "gc/plan.h"
#include "gc/run_store.h"
#include "index/engine.h"
#include "index/node.h"
#include "index/reference_graph.h"

namespace reclaim::benchmark {

class StoredItems {
 public:
  // Neither is owned.
  StoredItems(index::ReferenceGraph* graph, index::Engine* engine);

  // Plans an image prune and stores its items.  Returns the content that goes,
  // ascending.
  std::vector<index::NodeId> Plan();
  // Of the plan: content, links and tags that go.
  uint64_t item_count() const { return item_count_; }
  // Every item of the plan as a sweep records it, then as a purge does.
  void Quarantine();
  void Purge();

 private:
  void ForEachPage(
      absl::FunctionRef<void(uint64_t first, absl::Span<const gc::PlanItem>)>
          visit) const;
  void Commit(absl::Span<const gc::PlanItem> items, index::NodeState state,
              const gc::QuarantineChanges& changes);

  index::ReferenceGraph* graph_;
  index::Engine* engine_;
  std::unique_ptr<gc::RunStore> runs_;
  uint64_t item_count_ = 0;
};

}  // namespace reclaim::benchmark

#endif  // RECLAIM_TESTS_BENCHMARK_PLAN_MEASURES_H_
