// What Prometheus is told after real deeds: asked for over gRPC, done on a real
// registry tree, and held against what the answers and the disk say.

#include <memory>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "grpcpp/support/status.h"
#include "gtest/gtest.h"
#include "metrics/metrics.h"
#include "oci/digest.h"
#include "rpc/server_fixture.h"
#include "store/testing/store_tree.h"

namespace reclaim::server {
namespace {

using Collection = v1::CollectionService::Stub;
using Leases = v1::LeaseService::Stub;

class CountedDeedsTest : public rpc::ServerFixture {
 protected:
  void SetUp() override {
    tree_.Image("app", "v1", {"base", "new"});
    old_ = tree_.Image("app", "", {"base", "old"});
    orphan_ = tree_.Blob("nothing names me");
    Age();
    observer_ = metrics_.get();
    ServerFixture::SetUp();
    metrics_->SetGraph(graph_.get(), nullptr);
    AddStore("registry");
  }
  void TearDown() override {
    metrics_->ClearGraph();
    ServerFixture::TearDown();
  }

  // Of the series `name{labels}` of the store.
  double Value(const std::string& series) {
    const std::string text = absl::StrCat("\n", metrics_->Scrape());
    const std::string begin = absl::StrCat("\n", series, " ");
    const size_t at = text.find(begin);
    if (at == std::string::npos) {
      ADD_FAILURE() << "there is no " << series;
      return -1;
    }
    const size_t from = at + begin.size();
    double value = -1;
    EXPECT_TRUE(absl::SimpleAtod(
        text.substr(from, text.find('\n', from) - from), &value));
    return value;
  }
  double OfStore(const std::string& name) {
    return Value(absl::StrCat(name, R"({store="s"})"));
  }
  double OfState(const std::string& name, const std::string& state) {
    return Value(absl::StrCat(name, R"({store="s",state=")", state, R"("})"));
  }
  double Deleted(const std::string& reason) {
    return Value(absl::StrCat(R"(reclaim_deleted_blobs_total{reason=")", reason,
                              R"(",store="s"})"));
  }

  v1::Run Purge() {
    const v1::Run run = PurgeNow();
    EXPECT_EQ(run.phase(), v1::RUN_PHASE_SUCCEEDED);
    return run;
  }
  void TakeLease(const std::string& id) {
    v1::CreateLeaseRequest create;
    create.mutable_lease()->set_id(id);
    create.mutable_lease()->add_targets()->mutable_content()->set_digest(
        orphan_.ToString());
    v1::Lease lease;
    const grpc::Status status =
        Ask(lease_stub_, &Leases::CreateLease, create, &lease);
    ASSERT_TRUE(status.ok()) << status.error_message();
  }

  store::RegistryTree tree_{&folder_};
  oci::Digest old_;
  oci::Digest orphan_;
  std::unique_ptr<metrics::Metrics> metrics_ =
      metrics::Metrics::Create(&clock_, "1.2.3");
};

TEST_F(CountedDeedsTest, WhatIsThereIsShown) {
  EXPECT_EQ(OfState("reclaim_images", "tagged"), 1);
  EXPECT_EQ(OfState("reclaim_images", "dangling"), 1);
  EXPECT_EQ(OfStore("reclaim_tags"), 1);
  EXPECT_EQ(OfState("reclaim_blobs", "live"), 4);
  EXPECT_EQ(OfState("reclaim_blobs", "garbage"), 4);
  EXPECT_GT(OfStore("reclaim_reclaimable_bytes"), 0);
  EXPECT_EQ(OfStore("reclaim_scan_duration_seconds_count"), 1);
  EXPECT_EQ(OfStore("reclaim_mark_duration_seconds_count"), 0);
}

TEST_F(CountedDeedsTest, APruneAndItsPurgeAreCounted) {
  const uint64_t disk_before = folder_.DiskBytes();
  clock_.Advance(absl::Hours(1));
  const v1::Run run = PruneSystem();
  EXPECT_EQ(OfStore("reclaim_mark_duration_seconds_count"), 1);
  EXPECT_EQ(OfStore("reclaim_sweep_duration_seconds_count"), 1);
  EXPECT_EQ(Value(R"(reclaim_last_success_timestamp_seconds)"
                  R"({phase="apply",store="s"})"),
            static_cast<double>(absl::ToUnixSeconds(clock_.Now())));
  EXPECT_EQ(Value(R"(reclaim_runs_in_progress{kind="apply"})"), 0);
  EXPECT_EQ(Deleted("dangling"), 1) << "the image";
  EXPECT_EQ(Deleted("unreferenced"), 3) << "its config and layer, and a blob";
  EXPECT_EQ(Deleted("dangling") + Deleted("unreferenced"), run.blob_count());
  EXPECT_EQ(Deleted("unused"), 0);
  EXPECT_EQ(OfState("reclaim_blobs", "quarantined"), 4);
  EXPECT_EQ(OfState("reclaim_blobs", "garbage"), 0);
  EXPECT_EQ(OfState("reclaim_images", "dangling"), 0);
  EXPECT_EQ(OfState("reclaim_images", "tagged"), 1);
  EXPECT_EQ(OfStore("reclaim_reclaimable_bytes"), 0);
  EXPECT_EQ(OfStore("reclaim_deleted_bytes_total"), 0) << "nothing is freed";

  const v1::Run purged = Purge();
  const uint64_t freed = purged.bytes().content().allocated_bytes() +
                         purged.bytes().metadata().allocated_bytes();
  EXPECT_GT(freed, 0u);
  EXPECT_EQ(OfStore("reclaim_deleted_bytes_total"), static_cast<double>(freed));
  EXPECT_EQ(freed, disk_before - folder_.DiskBytes());
  EXPECT_EQ(OfState("reclaim_blobs", "quarantined"), 0);
  EXPECT_EQ(OfStore("reclaim_resurrected_blobs_total"), 0);
  // What is gone is counted once.
  Purge();
  EXPECT_EQ(OfStore("reclaim_deleted_bytes_total"), static_cast<double>(freed));
  EXPECT_EQ(Deleted("dangling"), 1);
}

TEST_F(CountedDeedsTest, WhatComesBackIsCounted) {
  const v1::Run run = PruneSystem();
  v1::RestoreRequest restore;
  restore.set_run_id(run.id());
  v1::Run restored;
  ASSERT_TRUE(
      Ask(collection_stub_, &Collection::Restore, restore, &restored).ok());
  restored = Await(restored);
  EXPECT_EQ(restored.item_count(), run.item_count());
  EXPECT_GT(restored.item_count(), 4u) << "with the links";
  EXPECT_EQ(OfStore("reclaim_resurrected_blobs_total"), 4);
  EXPECT_EQ(OfState("reclaim_blobs", "garbage"), 4);
  EXPECT_EQ(Deleted("unreferenced"), 3) << "a counter does not go back";
  PruneSystem();
  EXPECT_EQ(Deleted("unreferenced"), 6);
  EXPECT_EQ(OfStore("reclaim_sweep_duration_seconds_count"), 2);
}

TEST_F(CountedDeedsTest, WhatAWriterNamesComesBackAndHeIsSeenToWait) {
  PruneSystem();
  v1::RecordRequest request;
  v1::PutTag* put = request.add_operations()->mutable_put_tag();
  put->set_repository("app");
  put->set_tag("again");
  put->set_digest(old_.ToString());
  v1::RecordResponse response;
  const grpc::Status status =
      Ask(graph_stub_, &v1::GraphService::Stub::Record, request, &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(OfStore("reclaim_resurrected_blobs_total"), 3);
  EXPECT_GE(OfStore("reclaim_writer_wait_seconds_count"), 1);
  EXPECT_EQ(OfState("reclaim_blobs", "quarantined"), 1)
      << "the blob is not his";
  EXPECT_EQ(OfState("reclaim_images", "tagged"), 2);
  EXPECT_EQ(OfStore("reclaim_tags"), 2);
}

TEST_F(CountedDeedsTest, LeasesAndTheAgeOfTheOldest) {
  EXPECT_EQ(OfStore("reclaim_leases"), 0);
  TakeLease("first");
  EXPECT_EQ(OfStore("reclaim_leases"), 1);
  EXPECT_EQ(OfStore("reclaim_oldest_lease_age_seconds"), 0);
  EXPECT_EQ(OfState("reclaim_blobs", "leased"), 1);
  clock_.Advance(absl::Hours(1));
  TakeLease("second");
  EXPECT_EQ(OfStore("reclaim_leases"), 2);
  EXPECT_EQ(OfStore("reclaim_oldest_lease_age_seconds"), 3600);
  EXPECT_EQ(OfState("reclaim_blobs", "leased"), 1) << "each blob once";
  clock_.Advance(absl::Minutes(30));
  EXPECT_EQ(OfStore("reclaim_oldest_lease_age_seconds"), 5400);
  v1::DeleteLeaseRequest remove;
  remove.set_id("first");
  v1::DeleteLeaseResponse none;
  ASSERT_TRUE(Ask(lease_stub_, &Leases::DeleteLease, remove, &none).ok());
  EXPECT_EQ(OfStore("reclaim_leases"), 1);
  EXPECT_EQ(OfStore("reclaim_oldest_lease_age_seconds"), 1800);
}

}  // namespace
}  // namespace reclaim::server
