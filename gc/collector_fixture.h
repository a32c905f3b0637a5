// gc/collector_fixture.h — a real tree, a graph over it and a collector; for
// tests.

#ifndef RECLAIM_GC_COLLECTOR_FIXTURE_H_
#define RECLAIM_GC_COLLECTOR_FIXTURE_H_

#include <fcntl.h>
#include <sys/stat.h>

#include <filesystem>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "base/clock.h"
#include "base/random.h"
#include "base/simulated_clock.h"
#include "base/status_matchers.h"
#include "gc/collector.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "index/memory_engine.h"
#include "index/recount.h"
#include "index/reference_graph.h"
#include "store/open_store.h"
#include "store/testing/store_tree.h"

namespace reclaim::gc {

class CollectorFixture : public ::testing::Test {
 protected:
  CollectorFixture() { options_.grace_period = absl::ZeroDuration(); }

  // After the tree has been written: every file as old as a thousand hours.
  void Open(store::StoreKind kind) {
    kind_ = kind;
    Age();
    Restart();
    ASSERT_THAT(collector_->Recover(), base::IsOk());
  }

  // The daemon stops and starts; Recover() is the test's.
  void Restart() {
    collector_.reset();
    graph_.reset();
    auto graph = index::ReferenceGraph::Open(engine_.get(), time_, options_);
    ASSERT_THAT(graph, base::IsOk());
    graph_ = *std::move(graph);
    auto store = store::OpenStore({kind_, folder_.path()}, false);
    ASSERT_THAT(store, base::IsOk());
    store_ = *std::move(store);
    index::StoreRecord record;
    record.name = "s";
    record.kind = kind_;
    record.writers = writers_;
    const auto id = graph_->RegisterStore(record);
    ASSERT_THAT(id, base::IsOk());
    id_ = *id;
    auto collector =
        Collector::Create(graph_.get(), time_, &random_, nullptr, retention_);
    ASSERT_THAT(collector, base::IsOk());
    collector_ = *std::move(collector);
    if (period_time_ != nullptr) collector_->SetPeriodClock(period_time_);
    ASSERT_THAT(collector_->AttachStore("s", store_.get()), base::IsOk());
  }

  void Age() { SetTimes("", clock_.Now() - absl::Hours(1000)); }

  // The file time of one thing, and that of everything below a folder.
  void SetTime(const std::filesystem::path& path, absl::Time time) {
    const int64_t seconds = absl::ToUnixSeconds(time);
    const struct timespec times[2] = {{seconds, 0}, {seconds, 0}};
    const std::filesystem::path whole = folder_.path() / path;
    ASSERT_EQ(utimensat(AT_FDCWD, whole.c_str(), times, AT_SYMLINK_NOFOLLOW),
              0);
  }
  void SetTimes(const std::string& below, absl::Time time) {
    const std::filesystem::path top = folder_.path();
    for (const auto& entry :
         std::filesystem::recursive_directory_iterator(top / below)) {
      SetTime(entry.path(), time);
    }
  }

  void Scan() {
    ASSERT_THAT(collector_->Scan("s", false, "test", {}), base::IsOk());
    ExpectExact();
  }

  PruneRequest Request(PruneVerb verb = PruneVerb::kSystem) const {
    PruneRequest request;
    request.store = "s";
    request.verb = verb;
    request.policy = NoGrace();
    request.policy.quarantine_period = absl::Hours(24);
    request.policy.large_plan_percent = 100;
    request.actor = "test";
    return request;
  }
  // With the items that are stored.
  WholePlan MakePlan(const PruneRequest& request) {
    WholePlan whole;
    auto plan = collector_->MakePlan(request, {});
    EXPECT_THAT(plan, base::IsOk());
    if (!plan.ok()) return whole;
    static_cast<Plan&>(whole) = *std::move(plan);
    auto page =
        collector_->GetPlan(whole.id, 0, std::numeric_limits<uint64_t>::max());
    EXPECT_THAT(page, base::IsOk());
    if (page.ok()) whole.items = std::move(page->items);
    EXPECT_EQ(whole.items.size(), whole.totals.item_count);
    return whole;
  }
  absl::StatusOr<gc::Run> Apply(const Plan& plan,
                                const RunControl& control = {}) {
    ApplyRequest request;
    request.plan_id = plan.id;
    request.actor = "test";
    return collector_->Apply(request, control);
  }
  gc::Run Prune() {
    auto run = Apply(MakePlan(Request()));
    EXPECT_THAT(run, base::IsOk());
    return run.ok() ? *std::move(run) : gc::Run();
  }
  absl::StatusOr<gc::Run> RestoreRun(const std::string& run_id) {
    RestoreRequest request;
    request.store = "s";
    request.run_id = run_id;
    request.actor = "test";
    return collector_->Restore(request, {});
  }
  absl::StatusOr<gc::Run> PurgeNow() {
    PurgeRequest request;
    request.store = "s";
    request.before_period_ends = true;
    request.actor = "test";
    return collector_->Purge(request, {});
  }
  size_t QuarantineCount() const {
    const auto entries = collector_->ListQuarantine("s", 0, 1000000);
    EXPECT_THAT(entries, base::IsOk());
    return entries.ok() ? entries->size() : 0;
  }

  absl::Status Record(std::vector<index::Operation> operations) {
    index::Mutation mutation;
    mutation.operations = std::move(operations);
    mutation.actor = "writer";
    return graph_->Apply(mutation, index::Durability::kDurable).status();
  }

  index::NodeId Find(const oci::Digest& digest,
                     const store::Place& place = "") const {
    const auto reader = graph_->Read();
    return reader->view().FindContent(reader->view().FindPlace(id_, place),
                                      digest);
  }
  index::NodeState StateOf(const oci::Digest& digest,
                           const store::Place& place = "") const {
    const index::NodeId id = Find(digest, place);
    return id == index::kNoNode ? index::NodeState::kAbsent
                                : graph_->Read()->view().state(id);
  }
  bool HasTag(const std::string& repository, const std::string& tag) const {
    return graph_->Read()->view().FindNamed(
               {index::NodeKind::kTag, id_, repository, tag}) != index::kNoNode;
  }

  // I6: the counters equal a recount from nothing.
  void ExpectExact() const {
    const auto reader = graph_->Read();
    index::RecountInputs inputs;
    inputs.store = id_;
    inputs.now = time_->Now();
    inputs.grace_period = options_.grace_period;
    inputs.orphans = reader->totals(id_).orphan;
    inputs.adopted = reader->totals(id_).adopted;
    inputs.adopted_held = reader->totals(id_).adopted_held;
    const index::StoreTotals recounted = index::Recount(reader->view(), inputs);
    ASSERT_EQ(reader->totals(id_), recounted)
        << ToString(reader->totals(id_)) << "\n"
        << ToString(recounted);
  }

  base::SimulatedClock clock_;
  // What the daemon goes by.
  const base::Clock* time_ = &clock_;
  const base::Clock* period_time_ = nullptr;  // the same
  base::SeededRandom random_{7};
  store::TempFolder folder_;
  std::unique_ptr<index::MemoryEngine> engine_ =
      std::make_unique<index::MemoryEngine>();
  RecordRetention retention_;
  index::GraphOptions options_;
  // Nobody writes while a test looks away.
  index::WriterTerms writers_{absl::ZeroDuration(),
                              index::DescriptorCache::kNone, ""};
  store::StoreKind kind_ = store::StoreKind::kRegistry;
  index::StoreId id_ = index::kNoStore;
  std::unique_ptr<store::ContentStore> store_;
  std::unique_ptr<index::ReferenceGraph> graph_;
  std::unique_ptr<Collector> collector_;
};

}  // namespace reclaim::gc

#endif  // RECLAIM_GC_COLLECTOR_FIXTURE_H_
