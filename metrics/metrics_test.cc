#include "metrics/metrics.h"

#include <stdio.h>
#include <stdlib.h>

#include <cerrno>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/simulated_clock.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "index/engine_stats.h"
#include "index/memory_engine.h"

namespace reclaim::metrics {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class MetricsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto graph = index::ReferenceGraph::Open(&engine_, &clock_, {});
    ASSERT_THAT(graph, base::IsOk());
    graph_ = *std::move(graph);
    index::StoreRecord store;
    store.name = "s";
    ASSERT_THAT(graph_->RegisterStore(store), base::IsOk());
    metrics_->SetGraph(graph_.get(), [](const std::string&) {
      store::Capacity capacity;
      capacity.capacity_bytes = 1000;
      capacity.available_bytes = 250;
      return absl::StatusOr<store::Capacity>(capacity);
    });
  }

  base::SimulatedClock clock_;
  index::MemoryEngine engine_;
  std::unique_ptr<index::ReferenceGraph> graph_;
  std::unique_ptr<Metrics> metrics_ = Metrics::Create(&clock_, "1.2.3");
};

TEST_F(MetricsTest, GaugesComeFromTheCounters) {
  index::Mutation mutation;
  index::PutBlob put;
  put.name = {"s", "", oci::Digest::Sha256Of("x")};
  put.bytes = {7, 4096};
  put.modified = clock_.Now() - absl::Hours(1000);
  mutation.operations.push_back(put);
  ASSERT_THAT(graph_->Apply(mutation, index::Durability::kDurable),
              base::IsOk());
  const std::string text = metrics_->Scrape();
  EXPECT_THAT(text,
              HasSubstr("reclaim_blobs{store=\"s\",state=\"garbage\"} 1\n"));
  EXPECT_THAT(
      text,
      HasSubstr("reclaim_blob_bytes{store=\"s\",state=\"garbage\"} 4096"));
  EXPECT_THAT(text, HasSubstr("reclaim_reclaimable_bytes{store=\"s\"} 4096"));
  EXPECT_THAT(
      text, HasSubstr("reclaim_store_filesystem_free_bytes{store=\"s\"} 250"));
  EXPECT_THAT(text, HasSubstr("reclaim_build_info{version=\"1.2.3\"} 1"));
}

TEST_F(MetricsTest, LeasesAreCounters) {
  index::PutBlob blob;
  blob.name = {"s", "", oci::Digest::Sha256Of("x")};
  blob.bytes = {7, 4096};
  const auto apply = [&](const index::Operation& operation) {
    index::Mutation mutation;
    mutation.operations.push_back(operation);
    ASSERT_THAT(graph_->Apply(mutation, index::Durability::kDurable),
                base::IsOk());
  };
  apply(blob);
  for (const char* id : {"first", "second"}) {
    index::PutLease lease;
    lease.store = "s";
    lease.id = id;
    index::Target target;
    target.content = blob.name;
    lease.targets = {target};
    apply(lease);
    clock_.Advance(absl::Seconds(60));
  }
  std::string text = metrics_->Scrape();
  EXPECT_THAT(text, HasSubstr("reclaim_leases{store=\"s\"} 2\n"));
  EXPECT_THAT(text,
              HasSubstr("reclaim_blobs{store=\"s\",state=\"leased\"} 1\n"));
  EXPECT_THAT(
      text,
      HasSubstr("reclaim_blob_bytes{store=\"s\",state=\"leased\"} 4096\n"));
  EXPECT_THAT(text,
              HasSubstr("reclaim_oldest_lease_age_seconds{store=\"s\"} 120\n"));
  const auto end = [&](const char* id) {
    index::RemoveNamed remove;
    remove.store = "s";
    remove.kind = index::NodeKind::kLease;
    remove.name = id;
    apply(remove);
    text = metrics_->Scrape();
  };
  end("first");
  EXPECT_THAT(text,
              HasSubstr("reclaim_blobs{store=\"s\",state=\"leased\"} 1\n"));
  EXPECT_THAT(text,
              HasSubstr("reclaim_oldest_lease_age_seconds{store=\"s\"} 60\n"));
  end("second");
  EXPECT_THAT(text, HasSubstr("reclaim_leases{store=\"s\"} 0\n"));
  EXPECT_THAT(text,
              HasSubstr("reclaim_blobs{store=\"s\",state=\"leased\"} 0\n"));
  EXPECT_THAT(text,
              HasSubstr("reclaim_oldest_lease_age_seconds{store=\"s\"} 0\n"));
}

TEST_F(MetricsTest, SeriesAreThereBeforeTheirFirstEvent) {
  const std::string text = metrics_->Scrape();
  EXPECT_THAT(text, HasSubstr("reclaim_deleted_bytes_total{store=\"s\"} 0"));
  EXPECT_THAT(
      text,
      HasSubstr(
          "reclaim_deleted_blobs_total{reason=\"unreferenced\",store=\"s\"} "
          "0"));
  EXPECT_THAT(
      text,
      HasSubstr("reclaim_graph_inconsistencies_total{kind=\"missing-blob\"} "
                "0"));
}

TEST_F(MetricsTest, RunsAndCallsAreCounted) {
  gc::Run run;
  run.kind = gc::RunKind::kScan;
  run.store = "s";
  run.started = clock_.Now();
  metrics_->OnRunBegin(run);
  EXPECT_THAT(metrics_->Scrape(),
              HasSubstr("reclaim_runs_in_progress{kind=\"scan\"} 1"));
  run.ended = run.started + absl::Seconds(3);
  run.phase = gc::RunPhase::kSucceeded;
  metrics_->OnRunEnd(run);
  metrics_->OnCallBegin("GraphService/Record");
  metrics_->OnCallEnd("GraphService/Record", absl::StatusCode::kNotFound,
                      absl::Milliseconds(2));
  metrics_->OnCallBegin("nonsense");
  metrics_->OnCallEnd("nonsense", absl::StatusCode::kOk, absl::Seconds(1));
  const std::string text = metrics_->Scrape();
  EXPECT_THAT(text, HasSubstr("reclaim_runs_in_progress{kind=\"scan\"} 0"));
  EXPECT_THAT(text,
              HasSubstr("reclaim_scan_duration_seconds_sum{store=\"s\"} 3"));
  EXPECT_THAT(text, HasSubstr("code=\"NOT_FOUND\",method=\"GraphService/"
                              "Record\"} 1"));
  EXPECT_THAT(text, HasSubstr("code=\"OK\",method=\"other\"} 1"));
  // A refusal that is quick makes no answer look quicker.
  EXPECT_THAT(text,
              HasSubstr("reclaim_grpc_server_handling_seconds_sum{code=\"NOT_"
                        "FOUND\",method=\"GraphService/Record\"} 0.002"));
  EXPECT_THAT(text, HasSubstr("reclaim_grpc_server_handling_seconds_sum{code="
                              "\"OK\",method=\"other\"} 1\n"));
  EXPECT_THAT(text, Not(HasSubstr("nonsense")));
}

TEST_F(MetricsTest, TheWholeSetIsThereAtZero) {
  metrics_->DeclareMethods({"GraphService/Record"});
  metrics_->SetEngine([] { return index::EngineStats(); });
  const std::string text = metrics_->Scrape();
  for (const char* series :
       {"reclaim_blobs{store=\"s\",state=\"live\"} 0",
        "reclaim_blobs{store=\"s\",state=\"garbage\"} 0",
        "reclaim_blobs{store=\"s\",state=\"leased\"} 0",
        "reclaim_blobs{store=\"s\",state=\"pending\"} 0",
        "reclaim_blobs{store=\"s\",state=\"quarantined\"} 0",
        "reclaim_blobs{store=\"s\",state=\"orphan\"} 0",
        "reclaim_blob_bytes{store=\"s\",state=\"leased\"} 0",
        "reclaim_reclaimable_bytes{store=\"s\"} 0",
        "reclaim_images{store=\"s\",state=\"dangling\"} 0",
        "reclaim_tags{store=\"s\"} 0",
        "reclaim_leases{store=\"s\"} 0",
        "reclaim_oldest_lease_age_seconds{store=\"s\"} 0",
        "reclaim_scan_duration_seconds_count{store=\"s\"} 0",
        "reclaim_mark_duration_seconds_count{store=\"s\"} 0",
        "reclaim_sweep_duration_seconds_count{store=\"s\"} 0",
        "reclaim_deleted_bytes_total{store=\"s\"} 0",
        "reclaim_delete_errors_total{errno=\"EACCES\",store=\"s\"} 0",
        "reclaim_delete_errors_total{errno=\"other\",store=\"s\"} 0",
        "reclaim_resurrected_blobs_total{store=\"s\"} 0",
        "reclaim_sweep_batch_held_max_seconds{store=\"s\"} 0",
        "reclaim_writer_wait_seconds_count{store=\"s\"} 0",
        "reclaim_writer_wait_max_seconds{store=\"s\"} 0",
        "reclaim_last_success_timestamp_seconds{phase=\"scan\",store=\"s\"} "
        "0",
        "reclaim_last_success_timestamp_seconds{phase=\"apply\",store="
        "\"s\"} 0",
        "reclaim_queue_depth 0",
        "reclaim_database_loss_unconfirmed 0",
        "reclaim_ready 0",
        "reclaim_stores_unrecovered 0",
        "reclaim_tls_certificate_expiry_timestamp_seconds 0",
        "reclaim_clock_held_back_seconds 0",
        "reclaim_rocksdb_stall_seconds_total 0",
        "reclaim_rocksdb_write_stopped 0",
        "reclaim_rocksdb_pending_compaction_bytes 0",
        "reclaim_grpc_server_handled_total{code=\"OK\",method="
        "\"GraphService/Record\"} 0",
        "reclaim_grpc_server_handled_total{code=\"DATA_LOSS\",method="
        "\"GraphService/Record\"} 0",
        "reclaim_grpc_server_handling_seconds_count{code=\"OK\",method="
        "\"GraphService/Record\"} 0",
        "reclaim_graph_inconsistencies_total{kind=\"identity-broken\"} 0",
        "reclaim_graph_inconsistencies_total{kind=\"declared-size\"} 0",
        "reclaim_graph_inconsistencies_total{kind=\"missing-snapshot\"} 0",
        "reclaim_runs_in_progress{kind=\"apply\"} 0"}) {
    EXPECT_THAT(text, HasSubstr(absl::StrCat(series, "\n")));
  }
}

TEST_F(MetricsTest, ErrorsAreCountedByErrno) {
  metrics_->OnItemFailed(
      "s", absl::ErrnoToStatus(EROFS, "cannot rename docker/registry/x"));
  metrics_->OnItemFailed("s", absl::InternalError("of our own making"));
  const std::string text = metrics_->Scrape();
  EXPECT_THAT(
      text,
      HasSubstr("reclaim_delete_errors_total{errno=\"EROFS\",store=\"s\"} 1"));
  EXPECT_THAT(
      text,
      HasSubstr("reclaim_delete_errors_total{errno=\"other\",store=\"s\"} 1"));
  for (const char* said : {"docker/registry", "of our own making"}) {
    EXPECT_THAT(text, ::testing::Not(HasSubstr(said)));
  }
}

TEST_F(MetricsTest, TheEngineAndTheQueueAreShown) {
  metrics_->SetEngine([] {
    index::EngineStats stats;
    stats.stalled = absl::Milliseconds(1500);
    stats.is_write_stopped = true;
    stats.compaction_written_bytes = 77;
    return stats;
  });
  metrics_->OnCallBegin("GraphService/Record");
  metrics_->OnCallBegin("CollectionService/WatchRun");
  metrics_->SetReady(true);
  metrics_->SetUnrecoveredStores(2);
  metrics_->SetCertificateExpiry(absl::FromUnixSeconds(1800000000));
  metrics_->SetClockHeldBack(absl::Hours(2));
  const std::string text = metrics_->Scrape();
  EXPECT_THAT(text, HasSubstr("reclaim_rocksdb_stall_seconds_total 1.5\n"));
  EXPECT_THAT(text, HasSubstr("reclaim_rocksdb_write_stopped 1\n"));
  EXPECT_THAT(text,
              HasSubstr("reclaim_rocksdb_compaction_written_bytes_total 77\n"));
  EXPECT_THAT(text, HasSubstr("reclaim_queue_depth 1\n"));
  EXPECT_THAT(text, HasSubstr("reclaim_ready 1\n"));
  EXPECT_THAT(text, HasSubstr("reclaim_stores_unrecovered 2\n"));
  EXPECT_THAT(
      text,
      HasSubstr("reclaim_tls_certificate_expiry_timestamp_seconds 1800000000"));
  EXPECT_THAT(text, HasSubstr("reclaim_clock_held_back_seconds 7200\n"));
}

TEST_F(MetricsTest, RunsOfSchedulesAreCountedByOutcome) {
  gc::ScheduleState state;
  state.last_outcome = gc::ScheduleOutcome::kTooLarge;
  metrics_->OnScheduleEnd(gc::Schedule(), state);
  const std::string text = metrics_->Scrape();
  EXPECT_THAT(
      text, HasSubstr("reclaim_schedule_runs_total{outcome=\"too-large\"} 1"));
  EXPECT_THAT(text,
              HasSubstr("reclaim_schedule_runs_total{outcome=\"failed\"} 0"));
}

TEST_F(MetricsTest, TheLongestBatchIsKept) {
  metrics_->OnBatchHeld("s", absl::Milliseconds(2));
  metrics_->OnBatchHeld("s", absl::Milliseconds(7));
  metrics_->OnBatchHeld("s", absl::Milliseconds(3));
  EXPECT_THAT(
      metrics_->Scrape(),
      HasSubstr("reclaim_sweep_batch_held_max_seconds{store=\"s\"} 0.007"));
}

TEST_F(MetricsTest, TheLongestWaitOfAWriterIsKept) {
  metrics_->OnWriterWaited("s", absl::Seconds(2));
  metrics_->OnWriterWaited("s", absl::Seconds(1));
  const std::string text = metrics_->Scrape();
  EXPECT_THAT(text,
              HasSubstr("reclaim_writer_wait_max_seconds{store=\"s\"} 2"));
  EXPECT_THAT(text,
              HasSubstr("reclaim_writer_wait_seconds_sum{store=\"s\"} 3"));
  EXPECT_THAT(text,
              HasSubstr("reclaim_sweep_batch_held_max_seconds{store=\"s\"} 0"));
}

TEST_F(MetricsTest, WithoutAGraphThereAreNoStores) {
  metrics_->ClearGraph();
  EXPECT_THAT(metrics_->Scrape(), Not(HasSubstr("reclaim_blobs{")));
}

TEST_F(MetricsTest, PromtoolHasNothingToSay) {
  metrics_->DeclareMethods({"GraphService/Record"});
  metrics_->SetEngine([] { return index::EngineStats(); });
  ASSERT_EQ(system("command -v promtool >/dev/null"), 0)
      << "promtool is missing: run tools/setup";
  FILE* promtool = popen("promtool check metrics", "w");
  ASSERT_NE(promtool, nullptr);
  const std::string text = metrics_->Scrape();
  EXPECT_EQ(fwrite(text.data(), 1, text.size(), promtool), text.size());
  EXPECT_EQ(pclose(promtool), 0);
}

}  // namespace
}  // namespace reclaim::metrics
