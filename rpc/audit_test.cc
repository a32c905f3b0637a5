// What the audit log says of calls and of what runs take away.

#include "absl/strings/str_cat.h"
#include "base/fault_point.h"
#include "base/utf8.h"
#include "gmock/gmock.h"
#include "rpc/audit_log.h"
#include "rpc/role.h"
#include "rpc/server_fixture.h"

namespace reclaim::rpc {
namespace {

using Collection = v1::CollectionService::Stub;
using ::testing::HasSubstr;

class AuditTest : public ServerFixture {
 protected:
  void SetUp() override {
    tree_.Image("app", "v1", {"base", "new"});
    orphan_ = tree_.Blob("nothing names me");
    Age();
    auto log = AuditLog::Open({socket_folder_.path() + "/audit"}, &clock_);
    ASSERT_THAT(log, base::IsOk());
    log_ = *std::move(log);
    audit_ = log_.get();
    ServerFixture::SetUp();
    AddStore("registry");
  }

  std::string Text() const {
    std::string text;
    const auto lines = log_->Tail(1000);
    for (const std::string& line : *lines) text = line + "\n" + text;
    return text;
  }
  v1::Plan MakePlan() {
    v1::CreatePlanRequest request;
    request.set_verb(v1::PRUNE_VERB_SYSTEM);
    v1::Plan plan;
    EXPECT_TRUE(
        Ask(collection_stub_, &Collection::CreatePlan, request, &plan).ok());
    return plan;
  }
  grpc::Status Apply(const std::string& plan_id, v1::Run* run) {
    v1::ApplyPlanRequest request;
    request.set_plan_id(plan_id);
    request.set_allow_large(true);
    const grpc::Status status =
        Ask(collection_stub_, &Collection::ApplyPlan, request, run);
    if (status.ok()) *run = Await(*run);
    return status;
  }

  store::RegistryTree tree_{&folder_};
  oci::Digest orphan_;
  std::unique_ptr<AuditLog> log_;
};

TEST_F(AuditTest, ADeletionIsOnRecordWithItsCallerItsPlanAndItsItems) {
  const v1::Plan plan = MakePlan();
  EXPECT_EQ(Text().find("CreatePlan"), std::string::npos) << "a preview";
  v1::Run run;
  ASSERT_TRUE(Apply(plan.id(), &run).ok());
  const std::string text = Text();
  EXPECT_THAT(text, HasSubstr("\"event\":\"call\",\"actor\":\"uid:"));
  EXPECT_THAT(text, HasSubstr("\"method\":\"CollectionService/ApplyPlan\","
                              "\"role\":\"prune\",\"plan_id\":\"" +
                              plan.id()));
  EXPECT_THAT(text, HasSubstr("\"event\":\"quarantine\""));
  EXPECT_THAT(text, HasSubstr(orphan_.ToString() + " unreferenced"));
  const auto report = VerifyChain(log_->folder());
  ASSERT_THAT(report, base::IsOk());
  EXPECT_EQ(report->fault_count, 0u);
}

TEST_F(AuditTest, WhatCannotBeRecordedIsNotDone) {
  const v1::Plan plan = MakePlan();
  base::ScopedFault full("audit.write",
                         absl::ResourceExhaustedError("the disk is full"));
  v1::Run run;
  EXPECT_EQ(Apply(plan.id(), &run).error_code(),
            grpc::StatusCode::RESOURCE_EXHAUSTED);
}

TEST_F(AuditTest, ABatchThatCannotBeRecordedStaysWhereItIs) {
  const v1::Plan plan = MakePlan();
  // The call is on record; the batch is not.
  base::ScopedFault full("audit.write",
                         absl::ResourceExhaustedError("the disk is full"), 1);
  v1::Run run;
  ASSERT_TRUE(Apply(plan.id(), &run).ok());
  EXPECT_EQ(run.phase(), v1::RUN_PHASE_FAILED);
  v1::ListQuarantineResponse held;
  ASSERT_TRUE(
      Ask(collection_stub_, &Collection::ListQuarantine, {}, &held).ok());
  EXPECT_EQ(held.entries_size(), 0);
  v1::GetNodeRequest request;
  request.mutable_content()->set_store("s");
  request.mutable_content()->set_digest(orphan_.ToString());
  v1::GetNodeResponse node;
  ASSERT_TRUE(
      Ask(graph_stub_, &v1::GraphService::Stub::GetNode, request, &node).ok());
  EXPECT_EQ(node.node().state(), v1::NODE_STATE_PRESENT);
}

// They leave what calls for one at a time would have left.
TEST_F(AuditTest, LeasesAndPinsOfABatchAreOnRecord) {
  v1::RecordRequest request;
  request.set_request_id("batch-7");
  v1::Pin* pin = request.add_operations()->mutable_put_pin();
  pin->set_id("audit");
  pin->set_reason("the auditors want it");
  pin->mutable_target()->mutable_content()->set_digest(orphan_.ToString());
  v1::Lease* lease = request.add_operations()->mutable_put_lease();
  lease->set_id("pull");
  (*lease->mutable_labels())["token"] = "secret";
  request.add_operations()->mutable_put_volume()->set_name("data");
  v1::RecordResponse response;
  const auto record = [&] {
    return Ask(graph_stub_, &v1::GraphService::Stub::Record, request,
               &response);
  };
  {
    base::ScopedFault full("audit.write",
                           absl::ResourceExhaustedError("the disk is full"));
    EXPECT_EQ(record().error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED)
        << "a pin that cannot be recorded is not made";
  }
  ASSERT_TRUE(record().ok());
  EXPECT_EQ(response.changed_count(), 3u);
  const std::string text = Text();
  EXPECT_THAT(text, HasSubstr("\"event\":\"call\",\"actor\":\"uid:"));
  const std::string item =
      "put_pin id=audit reason=\\\"the auditors want it\\\" "
      "digest=" +
      orphan_.ToString();
  EXPECT_THAT(text, HasSubstr("\"method\":\"GraphService/Record\","
                              "\"role\":\"admin\",\"request_id\":"
                              "\"batch-7\",\"count\":\"1\",\"items\":\"" +
                              item + "\""));
  EXPECT_THAT(text, HasSubstr("\"count\":\"2\",\"items\":\"" + item +
                              "; put_lease id=pull\",\"code\":\"OK\""));
  EXPECT_EQ(text.find("secret"), std::string::npos);
  EXPECT_EQ(text.find("put_volume"), std::string::npos);
  const auto report = VerifyChain(log_->folder());
  ASSERT_THAT(report, base::IsOk());
  EXPECT_EQ(report->fault_count, 0u);
}

TEST_F(AuditTest, ABatchThatIsRefusedForAPinIsOnRecord) {
  v1::RecordRequest request;
  request.add_operations()->mutable_remove_pin()->set_id("theirs");
  StopServer();
  server_options_.tcp_address = "127.0.0.1:0";
  server_options_.is_insecure = true;
  server_options_.insecure_roles = RoleSet(Role::kRecord);
  StartServer();
  const auto stub = v1::GraphService::NewStub(
      grpc::CreateChannel(absl::StrCat("127.0.0.1:", server_->tcp_port()),
                          grpc::InsecureChannelCredentials()));
  v1::RecordResponse response;
  EXPECT_EQ(Ask(stub, &v1::GraphService::Stub::Record, request, &response)
                .error_code(),
            grpc::StatusCode::PERMISSION_DENIED);
  const std::string text = Text();
  EXPECT_THAT(text, HasSubstr("\"event\":\"refused\",\"actor\":\"ipv4:"));
  EXPECT_THAT(text, HasSubstr("\"items\":\"remove_pin id=theirs\","
                              "\"code\":\"PERMISSION_DENIED\""));
}

// Nor is a flood of them written down call by call.
TEST_F(AuditTest, OfAFloodOnlyWhatIsHeardIsOnRecord) {
  StopServer();
  server_options_.tcp_address = "127.0.0.1:0";
  server_options_.is_insecure = true;
  server_options_.insecure_roles = RoleSet(Role::kRead);
  server_options_.calls.peer_calls_per_second = 1;
  StartServer();
  const auto stub = v1::CollectionService::NewStub(
      grpc::CreateChannel(absl::StrCat("127.0.0.1:", server_->tcp_port()),
                          grpc::InsecureChannelCredentials()));
  const uint64_t before = log_->head().sequence;
  v1::Run run;
  int forbidden = 0;
  for (int i = 0; i < 10; ++i) {
    const grpc::Status status =
        Ask(stub, &Collection::ApplyPlan, v1::ApplyPlanRequest(), &run);
    forbidden +=
        status.error_code() == grpc::StatusCode::PERMISSION_DENIED ? 1 : 0;
  }
  EXPECT_EQ(forbidden, 2);
  EXPECT_EQ(log_->head().sequence, before + 2);
}

TEST_F(AuditTest, NoTextOfACallerReadsAsAnotherItem) {
  v1::RecordRequest request;
  v1::Pin* pin = request.add_operations()->mutable_put_pin();
  pin->set_id("p\"q");
  pin->set_reason("x; remove_pin id=y\" \\\n\xc3\xa9");
  pin->mutable_target()->mutable_content()->set_digest(orphan_.ToString());
  request.add_operations()->mutable_remove_lease()->set_id("a;b=c");
  v1::RecordResponse response;
  ASSERT_TRUE(
      Ask(graph_stub_, &v1::GraphService::Stub::Record, request, &response)
          .ok());
  // Quoted as an item, and then as JSON.
  EXPECT_THAT(
      Text(),
      HasSubstr(
          R"("items":"put_pin id=\"p\\\"q\" )"
          R"(reason=\"x; remove_pin id=y\\\" \\\\\\n\\303\\251\" digest=)" +
          orphan_.ToString() + R"(; remove_lease id=\"a;b=c\"","code":"OK")"));
}

TEST_F(AuditTest, ALongTextIsCutBetweenCharacters) {
  v1::CreatePinRequest request;
  v1::Pin* pin = request.mutable_pin();
  pin->set_reason(std::string(511, 'x') + "\xc3\xa9\xc3\xa9");
  pin->mutable_target()->mutable_content()->set_digest(orphan_.ToString());
  v1::Pin made;
  ASSERT_TRUE(
      Ask(lease_stub_, &v1::LeaseService::Stub::CreatePin, request, &made)
          .ok());
  const std::string text = Text();
  EXPECT_TRUE(base::IsUtf8(text));
  EXPECT_THAT(text, HasSubstr("\"reason\":\"" + std::string(511, 'x') + "\""));
  const auto stub = v1::AuditService::NewStub(grpc::CreateChannel(
      "unix:" + SocketPath(), grpc::InsecureChannelCredentials()));
  v1::ListAuditResponse list;
  EXPECT_TRUE(Ask(stub, &v1::AuditService::Stub::ListAudit, {}, &list).ok())
      << "what is no text no client can read";
}

TEST_F(AuditTest, TheServiceListsAndVerifies) {
  const auto channel = grpc::CreateChannel("unix:" + SocketPath(),
                                           grpc::InsecureChannelCredentials());
  const auto stub = v1::AuditService::NewStub(channel);
  v1::ListAuditResponse list;
  ASSERT_TRUE(Ask(stub, &v1::AuditService::Stub::ListAudit, {}, &list).ok());
  ASSERT_GT(list.records_size(), 0);
  EXPECT_THAT(list.DebugString(), HasSubstr("StoreService/RegisterStore"));
  v1::VerifyAuditResponse report;
  ASSERT_TRUE(
      Ask(stub, &v1::AuditService::Stub::VerifyAudit, {}, &report).ok());
  EXPECT_EQ(report.fault_count(), 0u);
  // The record of this very call comes after what it has checked.
  EXPECT_EQ(report.last_sequence() + 1, log_->head().sequence);
}

}  // namespace
}  // namespace reclaim::rpc
