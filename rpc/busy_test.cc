// One run at a time on a store: who comes second is told whose turn it is, and
// can watch and stop it.

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "google/rpc/error_details.pb.h"
#include "grpcpp/client_context.h"
#include "grpcpp/support/status.h"
#include "gtest/gtest.h"
#include "oci/digest.h"
#include "rpc/server_fixture.h"
#include "store/testing/store_tree.h"

namespace reclaim::rpc {
namespace {

using ::testing::HasSubstr;
using Collection = v1::CollectionService::Stub;
using Stores = v1::StoreService::Stub;

class BusyTest : public ServerFixture {
 protected:
  void SetUp() override {
    tree_.Image("app", "v1", {"base", "new"});
    first_orphan_ = tree_.Blob("nothing names me");
    second_orphan_ = tree_.Blob("nor me");
    Age();
    policy_.batch_item_count = 1;
    ServerFixture::SetUp();
    AddStore("registry");
  }

  v1::Plan MakePlan(uint64_t bytes_per_second) {
    v1::CreatePlanRequest request;
    request.set_verb(v1::PRUNE_VERB_SYSTEM);
    request.set_pace_bytes_per_second(bytes_per_second);
    v1::Plan plan;
    const grpc::Status status =
        Ask(collection_stub_, &Collection::CreatePlan, request, &plan);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return plan;
  }
  grpc::Status Apply(const v1::Plan& plan, v1::Run* run) {
    v1::ApplyPlanRequest request;
    request.set_plan_id(plan.id());
    request.set_allow_large(true);
    return Ask(collection_stub_, &Collection::ApplyPlan, request, run);
  }
  // At a byte a second it waits for an hour behind the first block.
  v1::Run BeginForAnHour() {
    const v1::Plan plan = MakePlan(1);
    other_plan_ = MakePlan(0);
    v1::Run run;
    const grpc::Status status = Apply(plan, &run);
    EXPECT_TRUE(status.ok()) << status.error_message();
    EXPECT_EQ(run.phase(), v1::RUN_PHASE_RUNNING);
    return run;
  }
  v1::Run Cancel(const std::string& id) {
    v1::CancelRunRequest request;
    request.set_id(id);
    v1::Run run;
    const grpc::Status status =
        Ask(collection_stub_, &Collection::CancelRun, request, &run);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return run;
  }
  int RunCount() {
    v1::ListRunsResponse runs;
    EXPECT_TRUE(Ask(collection_stub_, &Collection::ListRuns, {}, &runs).ok());
    return runs.runs_size();
  }
  std::string ActingRun() {
    v1::GetStoreRequest request;
    request.set_name("s");
    v1::Store store;
    EXPECT_TRUE(Ask(store_stub_, &Stores::GetStore, request, &store).ok());
    return store.run_id();
  }

  store::RegistryTree tree_{&folder_};
  oci::Digest first_orphan_;
  oci::Digest second_orphan_;
  v1::Plan other_plan_;
};

TEST_F(BusyTest, WhoComesSecondIsToldOfTheFirst) {
  const v1::Run first = BeginForAnHour();
  const int run_count = RunCount();
  EXPECT_EQ(ActingRun(), first.id());
  v1::Run run;
  v1::ScanStoreRequest scan;
  v1::RestoreRequest restore;
  restore.set_run_id(first.id());
  v1::PurgeRequest purge;
  purge.set_now(true);
  v1::CreatePlanRequest plan;
  plan.set_verb(v1::PRUNE_VERB_SYSTEM);
  v1::Plan made;
  v1::ForgetStoreRequest forget;
  forget.set_name("s");
  v1::ForgetStoreResponse none;
  const std::vector<std::pair<std::string, std::function<grpc::Status()>>>
      calls = {
          {"apply", [&] { return Apply(other_plan_, &run); }},
          {"restore",
           [&] {
             return Ask(collection_stub_, &Collection::Restore, restore, &run);
           }},
          {"purge",
           [&] {
             return Ask(collection_stub_, &Collection::Purge, purge, &run);
           }},
          {"scan",
           [&] { return Ask(store_stub_, &Stores::ScanStore, scan, &run); }},
          {"plan, which scans",
           [&] {
             return Ask(collection_stub_, &Collection::CreatePlan, plan, &made);
           }},
          {"forget",
           [&] {
             return Ask(store_stub_, &Stores::ForgetStore, forget, &none);
           }},
      };
  for (const auto& [name, call] : calls) {
    SCOPED_TRACE(name);
    const grpc::Status status = call();
    ASSERT_EQ(status.error_code(), grpc::StatusCode::ABORTED)
        << status.error_message();
    EXPECT_THAT(status.error_message(),
                HasSubstr(absl::StrCat("run ", first.id(),
                                       " is at work on the store s; wait for "
                                       "it or cancel it")));
    const google::rpc::ErrorInfo error = ErrorOf(status);
    EXPECT_EQ(error.domain(), "reclaim");
    EXPECT_EQ(error.reason(), "ABORTED");
    ASSERT_EQ(error.metadata().count("run_id"), 1u);
    EXPECT_EQ(error.metadata().at("run_id"), first.id());
  }
  EXPECT_EQ(RunCount(), run_count) << "what did not begin is not on record";
}

TEST_F(BusyTest, TheFirstIsStoppedAndTheNextBegins) {
  const v1::Run first = BeginForAnHour();
  EXPECT_EQ(Cancel(first.id()).id(), first.id());
  const v1::Run ended = Await(first);
  EXPECT_EQ(ended.phase(), v1::RUN_PHASE_CANCELLED);
  EXPECT_LE(ended.blob_count(), 1u) << "it stopped at an item's end";
  v1::Run second;
  const grpc::Status status = Apply(other_plan_, &second);
  ASSERT_TRUE(status.ok()) << status.error_message();
  Await(second);
  EXPECT_FALSE(folder_.Exists(tree_.BlobPath(first_orphan_)));
  EXPECT_FALSE(folder_.Exists(tree_.BlobPath(second_orphan_)));
  // One that has ended stays as it is.
  EXPECT_EQ(Cancel(first.id()).phase(), v1::RUN_PHASE_CANCELLED);
  v1::CancelRunRequest request;
  request.set_id("0123456789abcdef");
  v1::Run none;
  EXPECT_EQ(Ask(collection_stub_, &Collection::CancelRun, request, &none)
                .error_code(),
            grpc::StatusCode::NOT_FOUND);
}

TEST_F(BusyTest, AWatcherSeesItGoOnAndEnd) {
  const v1::Run first = BeginForAnHour();
  v1::WatchRunRequest request;
  request.set_id(first.id());
  grpc::ClientContext context;
  const auto reader = collection_stub_->WatchRun(&context, request);
  v1::Run run;
  ASSERT_TRUE(reader->Read(&run));
  EXPECT_EQ(run.id(), first.id());
  EXPECT_EQ(run.kind(), v1::RUN_KIND_APPLY);
  EXPECT_EQ(run.phase(), v1::RUN_PHASE_RUNNING);
  EXPECT_FALSE(run.has_end_time());
  EXPECT_GT(run.total_count(), 0u);
  Cancel(first.id());
  v1::Run last;
  while (reader->Read(&run)) last = run;
  EXPECT_TRUE(reader->Finish().ok());
  EXPECT_EQ(last.phase(), v1::RUN_PHASE_CANCELLED);
  EXPECT_TRUE(last.has_end_time());
}

// Of the other stores nobody is kept waiting.
TEST_F(BusyTest, AnotherStoreIsFree) {
  BeginForAnHour();
  v1::RegisterStoreRequest add;
  add.set_name("e");
  add.set_uri("external:e");
  v1::Store store;
  ASSERT_TRUE(Ask(store_stub_, &Stores::RegisterStore, add, &store).ok());
  v1::CreatePlanRequest create;
  create.set_store("e");
  create.set_verb(v1::PRUNE_VERB_SYSTEM);
  v1::Plan plan;
  ASSERT_TRUE(
      Ask(collection_stub_, &Collection::CreatePlan, create, &plan).ok());
  v1::Run run;
  ASSERT_TRUE(Apply(plan, &run).ok());
  EXPECT_EQ(Await(run).phase(), v1::RUN_PHASE_SUCCEEDED);
}

}  // namespace
}  // namespace reclaim::rpc
