// What clients were told holds after a restart of the daemon.

#include <cerrno>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "base/fault_point.h"
#include "gc/collector.h"
#include "gc/schedule.h"
#include "index/memory_engine.h"
#include "rpc/server_fixture.h"

namespace reclaim::rpc {
namespace {

using Collection = v1::CollectionService::Stub;
using Graph = v1::GraphService::Stub;
using Stores = v1::StoreService::Stub;

class RestartTest : public ServerFixture {
 protected:
  void SetUp() override {
    tree_.Image("app", "v1", {"base", "new"});
    tree_.Blob("nothing names me");
    Age();
    ServerFixture::SetUp();
    AddStore("registry");
  }

  v1::Plan MakePlan(const std::string& request_id) {
    v1::CreatePlanRequest request;
    request.set_verb(v1::PRUNE_VERB_SYSTEM);
    request.set_request_id(request_id);
    v1::Plan plan;
    const grpc::Status status =
        Ask(collection_stub_, &Collection::CreatePlan, request, &plan);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return plan;
  }

  std::string Apply(const std::string& plan_id, const std::string& request_id) {
    v1::ApplyPlanRequest request;
    request.set_plan_id(plan_id);
    request.set_allow_large(true);
    request.set_request_id(request_id);
    v1::Run run;
    const grpc::Status status =
        Ask(collection_stub_, &Collection::ApplyPlan, request, &run);
    EXPECT_TRUE(status.ok()) << status.error_message();
    Await(run);
    return run.id();
  }

  std::string Restore(const std::string& run_id,
                      const std::string& request_id) {
    v1::RestoreRequest request;
    request.set_run_id(run_id);
    request.set_request_id(request_id);
    v1::Run run;
    const grpc::Status status =
        Ask(collection_stub_, &Collection::Restore, request, &run);
    EXPECT_TRUE(status.ok()) << status.error_message();
    Await(run);
    return run.id();
  }

  std::string Purge(const std::string& request_id) {
    v1::PurgeRequest request;
    request.set_request_id(request_id);
    v1::Run run;
    const grpc::Status status =
        Ask(collection_stub_, &Collection::Purge, request, &run);
    EXPECT_TRUE(status.ok()) << status.error_message();
    Await(run);
    return run.id();
  }

  std::string Scan(const std::string& request_id) {
    v1::ScanStoreRequest request;
    request.set_name("s");
    request.set_request_id(request_id);
    v1::Run run;
    const grpc::Status status =
        Ask(store_stub_, &Stores::ScanStore, request, &run);
    EXPECT_TRUE(status.ok()) << status.error_message();
    Await(run);
    return run.id();
  }

  grpc::Status Watch(uint64_t after, std::vector<v1::Event>* events) {
    v1::WatchEventsRequest request;
    request.set_after_sequence(after);
    request.set_limit(100'000);
    grpc::ClientContext context;
    const auto reader = collection_stub_->WatchEvents(&context, request);
    v1::WatchEventsResponse response;
    while (reader->Read(&response)) {
      events->insert(events->end(), response.events().begin(),
                     response.events().end());
    }
    return reader->Finish();
  }

  // Everything is made anew, from the tree alone.
  void LoseDatabase() {
    StopServer();
    history_.reset();
    engine_ = std::make_unique<index::MemoryEngine>();
    StartServer();
    AddStore("registry");
  }

  v1::UsageRow QuarantineRow() {
    v1::GetDiskUsageResponse usage;
    const grpc::Status status =
        Ask(usage_stub_, &v1::UsageService::Stub::GetDiskUsage,
            v1::GetDiskUsageRequest(), &usage);
    EXPECT_TRUE(status.ok()) << status.error_message();
    for (const v1::UsageRow& row : usage.total().rows()) {
      if (row.type() == "Quarantine") return row;
    }
    ADD_FAILURE() << "df has no row for the quarantine";
    return {};
  }

  uint64_t FindingCount() {
    grpc::ClientContext context;
    const auto reader =
        store_stub_->VerifyStore(&context, v1::VerifyStoreRequest());
    v1::VerifyStoreResponse response;
    uint64_t count = 0;
    while (reader->Read(&response)) {
      if (response.is_complete()) count = response.finding_count();
    }
    EXPECT_TRUE(reader->Finish().ok());
    return count;
  }

  store::RegistryTree tree_{&folder_};
};

TEST_F(RestartTest, ARepeatedCallIsAnsweredAsTheFirstWas) {
  const std::string plan = MakePlan("plan").id();
  const std::string applied = Apply(plan, "apply");
  const std::string restored = Restore(applied, "restore");
  const std::string scanned = Scan("scan");
  const std::string purged = Purge("purge");
  RestartServer();
  EXPECT_EQ(MakePlan("plan").id(), plan);
  EXPECT_EQ(Apply(plan, "apply"), applied);
  EXPECT_EQ(Restore(applied, "restore"), restored);
  EXPECT_EQ(Scan("scan"), scanned);
  EXPECT_EQ(Purge("purge"), purged);
  EXPECT_NE(MakePlan("another plan").id(), plan);
  EXPECT_NE(Scan("another scan"), scanned);
  clock_.Advance(options_.request_memory + absl::Seconds(1));
  EXPECT_NE(Scan("scan"), scanned);
}

TEST_F(RestartTest, AFollowerHearsThatRowsWereTrimmed) {
  std::vector<v1::Event> events;
  ASSERT_TRUE(Watch(0, &events).ok());
  const uint64_t newest = events.back().sequence();
  ASSERT_GT(newest, 3u);
  options_.event_count_max = 2;
  RestartServer();
  v1::RecordRequest record;
  v1::PutBlob* put = record.add_operations()->mutable_put_blob();
  put->mutable_name()->set_digest(oci::Digest::Sha256Of("x").ToString());
  put->mutable_bytes()->set_logical_bytes(1);
  v1::RecordResponse recorded;
  ASSERT_TRUE(Ask(graph_stub_, &Graph::Record, record, &recorded).ok());
  ASSERT_EQ(recorded.sequence(), newest + 1);
  events.clear();
  const grpc::Status status = Watch(1, &events);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::OUT_OF_RANGE);
  EXPECT_THAT(status.error_message(),
              ::testing::HasSubstr(
                  absl::StrCat("the oldest that is left is ", newest)));
  EXPECT_TRUE(events.empty());
  ASSERT_TRUE(Watch(newest - 1, &events).ok());
  EXPECT_EQ(events.size(), 2u);
  events.clear();
  ASSERT_TRUE(Watch(0, &events).ok());
  EXPECT_EQ(events.size(), 2u);
}

// The database is lost with what it knew of the quarantine; what lies there is
// counted all the same, and compared.
TEST_F(RestartTest, WhatIsFoundInQuarantineIsCounted) {
  const std::string run = Apply(MakePlan("plan").id(), "apply");
  const v1::UsageRow before = QuarantineRow();
  EXPECT_GT(before.bytes().allocated_bytes(), 0u);
  LoseDatabase();
  EXPECT_EQ(QuarantineRow().SerializeAsString(), before.SerializeAsString());
  EXPECT_EQ(FindingCount(), 0u);
  RestartServer();
  EXPECT_EQ(QuarantineRow().SerializeAsString(), before.SerializeAsString());
  // Somebody takes a blob out of it behind our back.
  const std::string quarantine = folder_.path() + "/.reclaim/quarantine";
  const std::string aside = folder_.path() + ".aside";
  std::filesystem::rename(quarantine, aside);
  EXPECT_GT(FindingCount(), 0u);
  std::filesystem::rename(aside, quarantine);
  Restore(run, "restore");
  EXPECT_EQ(QuarantineRow().total_count(), 0u);
  EXPECT_EQ(QuarantineRow().bytes().allocated_bytes(), 0u);
  Scan("scan");
  EXPECT_EQ(FindingCount(), 0u);
}

// A feed that was read from another database must not wait for ever.
TEST_F(RestartTest, AFollowerHearsThatTheRowsBeganAnew) {
  std::vector<v1::Event> events;
  const grpc::Status status = Watch(1'000'000, &events);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::OUT_OF_RANGE);
  EXPECT_THAT(status.error_message(), ::testing::HasSubstr("rebuilt"));
}

// Its disk was away at the start; whoever asks hears that, until it is back.
TEST_F(RestartTest, AStoreThatIsNotRecoveredSaysSo) {
  const auto state = [this] {
    v1::GetStoreRequest get;
    get.set_name("s");
    v1::Store store;
    EXPECT_TRUE(Ask(store_stub_, &Stores::GetStore, get, &store).ok());
    return store.state();
  };
  const std::string before = state();
  {
    const base::ScopedErrno away(EIO, 0, /*is_lasting=*/true);
    EXPECT_FALSE(collector_->BeginRecovery().status.ok());
  }
  EXPECT_THAT(state(), ::testing::StartsWith("unrecovered: "));
  EXPECT_TRUE(collector_->RecoverAgain().status.ok());
  EXPECT_EQ(state(), before);
}

TEST_F(RestartTest, AfterALostDatabaseAnAdminConfirms) {
  v1::ConfirmLossResponse confirmed;
  ASSERT_TRUE(Ask(store_stub_, &Stores::ConfirmLoss, {}, &confirmed).ok());
  EXPECT_FALSE(confirmed.has_found_time()) << "nothing was lost";
  StopServer();
  engine_ = std::make_unique<index::MemoryEngine>();
  options_.earlier_database = "its audit is there";
  StartServer();
  AddStore("registry");
  const auto state = [this] {
    v1::GetStoreRequest get;
    get.set_name("s");
    v1::Store store;
    EXPECT_TRUE(Ask(store_stub_, &Stores::GetStore, get, &store).ok());
    v1::GetDiskUsageResponse usage;
    EXPECT_TRUE(Ask(usage_stub_, &v1::UsageService::Stub::GetDiskUsage,
                    v1::GetDiskUsageRequest(), &usage)
                    .ok());
    EXPECT_EQ(usage.stores(0).state(), store.state());
    return store.state();
  };
  EXPECT_THAT(state(), ::testing::StartsWith("unconfirmed: "));
  EXPECT_THAT(state(), ::testing::HasSubstr("its audit is there"));
  v1::ApplyPlanRequest apply;
  apply.set_plan_id(MakePlan("plan").id());
  apply.set_allow_large(true);
  v1::Run run;
  grpc::Status status =
      Ask(collection_stub_, &Collection::ApplyPlan, apply, &run);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(ErrorOf(status).metadata().at("unconfirmed_loss"),
            "its audit is there");
  status = Ask(collection_stub_, &Collection::Purge, {}, &run);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  gc::Schedule schedule;
  schedule.name = "nightly";
  EXPECT_TRUE(
      work_->MakePlans(schedule).status().GetPayload(gc::kUnconfirmedPayload));
  schedule.action = gc::ScheduleAction::kPurge;
  EXPECT_TRUE(work_->Act(schedule, "", absl::InfiniteFuture())
                  .status()
                  .GetPayload(gc::kUnconfirmedPayload));
  schedule.action = gc::ScheduleAction::kScan;
  EXPECT_TRUE(work_->Act(schedule, "", absl::InfiniteFuture()).ok());
  RestartServer();
  EXPECT_THAT(state(), ::testing::StartsWith("unconfirmed: "));
  ASSERT_TRUE(Ask(store_stub_, &Stores::ConfirmLoss, {}, &confirmed).ok());
  EXPECT_EQ(confirmed.why(), "its audit is there");
  EXPECT_EQ(state(), "ready");
  Apply(MakePlan("another plan").id(), "apply");
}

}  // namespace
}  // namespace reclaim::rpc
