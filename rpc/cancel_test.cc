// A call that its caller cancels stops within: what a plan or a verification
// would still have done is not done (docs/API.md).

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "gc/run.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "index/engine.h"
#include "index/memory_engine.h"
#include "oci/digest.h"
#include "rpc/server_fixture.h"
#include "rpc/service_parts.h"

namespace reclaim::rpc {
namespace {

// Calls back in the midst of a plan: it has begun an epoch, and marks next.
class HookedEngine final : public index::MemoryEngine {
 public:
  absl::Status Commit(const index::Batch& batch,
                      index::Durability durability) override {
    if (auto hook = std::exchange(before_commit, nullptr)) hook();
    return index::MemoryEngine::Commit(batch, durability);
  }
  std::function<void()> before_commit;
};

// How calls end at the server, whatever their caller is told.
class Ends final : public CallObserver {
 public:
  void OnVerifyBegin(const gc::Run&) override {
    if (auto hook = std::exchange(on_verify, nullptr)) hook();
  }
  void OnVerifyEnd(const gc::Run& run) override { verified = run.phase; }
  void OnCallEnd(absl::string_view method, const absl::Status& status,
                 absl::Duration) override {
    const std::lock_guard<std::mutex> lock(mutex_);
    ends_[std::string(method)] = status.code();
    has_ended_.notify_all();
  }
  absl::StatusCode Await(const std::string& method) {
    std::unique_lock<std::mutex> lock(mutex_);
    has_ended_.wait(lock, [&] { return ends_.count(method) > 0; });
    return ends_.extract(method).mapped();
  }

  std::function<void()> on_verify;
  gc::RunPhase verified = gc::RunPhase::kRunning;

 private:
  std::mutex mutex_;
  std::condition_variable has_ended_;
  std::map<std::string, absl::StatusCode> ends_;
};

class CancelTest : public ServerFixture {
 protected:
  CancelTest() {
    auto engine = std::make_unique<HookedEngine>();
    hooked_ = engine.get();
    engine_ = std::move(engine);
  }

  void SetUp() override {
    ServerFixture::SetUp();
    // The same services, with somebody who listens.
    server_->Shutdown(absl::ZeroDuration());
    server_.reset();
    ServiceParts parts = Parts();
    parts.observer = &ends_;
    ServerOptions options = server_options_;
    options.unix_socket = UnixSocket{-1, SocketPath()};
    auto server = Server::Start(options, parts);
    ASSERT_THAT(server, base::IsOk());
    server_ = *std::move(server);
    server_->SetServing(true);
    Connect();
    v1::RegisterStoreRequest add;
    add.set_name("e");
    add.set_uri("external:e");
    v1::Store store;
    ASSERT_TRUE(
        Ask(store_stub_, &v1::StoreService::Stub::RegisterStore, add, &store)
            .ok());
    v1::RecordRequest record;
    v1::PutBlob* blob = record.add_operations()->mutable_put_blob();
    blob->mutable_name()->set_digest(oci::Digest::Sha256Of("b").ToString());
    blob->mutable_bytes()->set_logical_bytes(1);
    v1::RecordResponse recorded;
    ASSERT_TRUE(
        Ask(graph_stub_, &v1::GraphService::Stub::Record, record, &recorded)
            .ok());
  }
  // The server has heard of it when it answers what came later on the same
  // connection.
  void Cancel(grpc::ClientContext* context) {
    context->TryCancel();
    for (int i = 0; i < kLaterCalls; ++i) {
      v1::GetNodeResponse node;
      EXPECT_EQ(Ask(graph_stub_, &v1::GraphService::Stub::GetNode, {}, &node)
                    .error_code(),
                grpc::StatusCode::INVALID_ARGUMENT);
    }
  }

  grpc::Status MakePlan(grpc::ClientContext* context) {
    v1::CreatePlanRequest request;
    request.set_verb(v1::PRUNE_VERB_SYSTEM);
    v1::Plan plan;
    return collection_stub_->CreatePlan(context, request, &plan);
  }
  int PlanCount() {
    v1::ListPlansResponse plans;
    EXPECT_TRUE(Ask(collection_stub_, &v1::CollectionService::Stub::ListPlans,
                    {}, &plans)
                    .ok());
    return plans.plans_size();
  }

  grpc::Status Verify(grpc::ClientContext* context, bool* is_complete) {
    const auto reader = store_stub_->VerifyStore(context, {});
    v1::VerifyStoreResponse response;
    while (reader->Read(&response)) *is_complete |= response.is_complete();
    return reader->Finish();
  }

  static constexpr int kLaterCalls = 20;

  HookedEngine* hooked_ = nullptr;
  Ends ends_;
};

TEST_F(CancelTest, APlanIsNotMade) {
  grpc::ClientContext context;
  hooked_->before_commit = [&] { Cancel(&context); };
  EXPECT_EQ(MakePlan(&context).error_code(), grpc::StatusCode::CANCELLED);
  EXPECT_EQ(ends_.Await("CollectionService/CreatePlan"),
            absl::StatusCode::kCancelled);
  EXPECT_EQ(PlanCount(), 0);

  grpc::ClientContext patient;
  EXPECT_TRUE(MakePlan(&patient).ok());
  EXPECT_EQ(ends_.Await("CollectionService/CreatePlan"), absl::StatusCode::kOk);
  EXPECT_EQ(PlanCount(), 1);
}

TEST_F(CancelTest, AVerificationEnds) {
  grpc::ClientContext context;
  bool is_complete = false;
  ends_.on_verify = [&] { Cancel(&context); };
  EXPECT_EQ(Verify(&context, &is_complete).error_code(),
            grpc::StatusCode::CANCELLED);
  EXPECT_FALSE(is_complete);
  EXPECT_EQ(ends_.Await("StoreService/VerifyStore"),
            absl::StatusCode::kCancelled);
  EXPECT_EQ(ends_.verified, gc::RunPhase::kFailed);

  grpc::ClientContext patient;
  EXPECT_TRUE(Verify(&patient, &is_complete).ok());
  EXPECT_TRUE(is_complete);
  EXPECT_EQ(ends_.Await("StoreService/VerifyStore"), absl::StatusCode::kOk);
  EXPECT_EQ(ends_.verified, gc::RunPhase::kSucceeded);
}

}  // namespace
}  // namespace reclaim::rpc
