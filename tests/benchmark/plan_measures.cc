#include "tests/benchmark/plan_measures.h"

#include <algorithm>
#include <utility>

#include "absl/status/statusor.h"
#include "base/check.h"
#include "gc/graph_details.h"
#include "gc/plan_draft.h"
#include "gc/prune_request.h"
#include "gc/records.h"
#include "tests/benchmark/population_rows.h"

namespace reclaim::benchmark {
namespace {

using index::NodeId;
using index::NodeState;

constexpr char kPlan[] = "0000000000000001";
constexpr char kRun[] = "0000000000000002";
constexpr uint64_t kPageSize = 1024;

void Require(const absl::Status& status) {
  RECLAIM_CHECK(status.ok(), "the folder of the measurement has space");
}

bool IsContentItem(const gc::PlanItem& item) {
  return item.node != index::kNoNode && index::IsContent(item.kind);
}

gc::PlanDraft Draft(index::ReferenceGraph* graph) {
  const gc::GraphDetails details(graph);
  const auto reader = graph->Read();
  gc::PlanInputs inputs;
  inputs.view = &reader->view();
  inputs.details = &details;
  inputs.store = kStore;
  inputs.now = PopulationNow();
  gc::PruneRequest request;
  request.store = "s";
  request.verb = gc::PruneVerb::kImages;
  request.policy.grace_period = kGracePeriod;
  absl::StatusOr<gc::PlanDraft> draft = gc::DraftPlan(inputs, request);
  RECLAIM_CHECK(draft.ok(), "the garbage of the measurement is planned");
  return *std::move(draft);
}

}  // namespace

StoredItems::StoredItems(index::ReferenceGraph* graph, index::Engine* engine)
    : graph_(graph), engine_(engine) {
  auto runs = gc::RunStore::Open(engine_);
  RECLAIM_CHECK(runs.ok(), "the database of the measurement is read");
  runs_ = *std::move(runs);
}

std::vector<NodeId> StoredItems::Plan() {
  gc::PlanDraft draft = Draft(graph_);
  draft.plan.id = kPlan;
  item_count_ = draft.items.size();
  const std::unique_ptr<gc::PlanWriter> writer = runs_->NewPlan(kPlan);
  std::vector<NodeId> gone;
  for (uint64_t at = 0; at < draft.items.size(); at += kPageSize) {
    auto rows = draft.items.Rows(graph_->Read()->view(), at, kPageSize,
                                 &draft.plan.totals);
    RECLAIM_CHECK(rows.ok(), "nobody forgets the store of the measurement");
    for (const gc::PlanItem& item : *rows) {
      if (IsContentItem(item)) gone.push_back(item.node);
    }
    Require(writer->Add(*std::move(rows)));
  }
  Require(writer->Finish(draft.plan));
  std::sort(gone.begin(), gone.end());
  return gone;
}

void StoredItems::ForEachPage(
    absl::FunctionRef<void(uint64_t, absl::Span<const gc::PlanItem>)> visit)
    const {
  for (uint64_t at = 0;; at += kPageSize) {
    const auto items = runs_->GetItems(kPlan, at, kPageSize);
    RECLAIM_CHECK(items.ok(), "the database of the measurement is read");
    if (items->empty()) return;
    visit(at, *items);
  }
}

void StoredItems::Commit(absl::Span<const gc::PlanItem> items, NodeState state,
                         const gc::QuarantineChanges& changes) {
  std::vector<index::StateChange> states;
  for (const gc::PlanItem& item : items) {
    if (IsContentItem(item)) states.push_back({item.node, state, kRun, ""});
  }
  const auto writes = gc::RunStore::QuarantineWrites(changes);
  Require(writes.status());
  Require(graph_->HoldWriteOrder()->Commit(states, {}, *writes, "measurement"));
  runs_->Note(changes);
}

void StoredItems::Quarantine() {
  ForEachPage([&](uint64_t first, absl::Span<const gc::PlanItem> items) {
    gc::QuarantineChanges changes;
    for (size_t i = 0; i < items.size(); ++i) {
      gc::QuarantineRecord record;
      record.run_id = kRun;
      record.number = first + i;
      record.store = "s";
      record.item = items[i];
      record.state = gc::QuarantineState::kQuarantined;
      record.quarantined = PopulationNow();
      record.restorable_until = PopulationNow();
      record.actor = "measurement";
      changes.put.push_back(std::move(record));
    }
    Commit(items, NodeState::kQuarantined, changes);
  });
}

void StoredItems::Purge() {
  ForEachPage([&](uint64_t first, absl::Span<const gc::PlanItem> items) {
    gc::QuarantineChanges changes;
    for (size_t i = 0; i < items.size(); ++i) {
      changes.removed.push_back({kRun, first + i});
    }
    Commit(items, NodeState::kAbsent, changes);
  });
}

}  // namespace reclaim::benchmark
