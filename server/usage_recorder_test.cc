#include "server/usage_recorder.h"

#include "accounting/history.h"
#include "base/status_matchers.h"
#include "gtest/gtest.h"
#include "rpc/server_fixture.h"

namespace reclaim::server {
namespace {

using ::reclaim::base::IsOk;
using Usage = v1::UsageService::Stub;

class UsageRecorderTest : public rpc::ServerFixture {
 protected:
  void SetUp() override {
    tree_.Image("app", "v1", {"base", "new"});
    ServerFixture::SetUp();
    AddStore("registry");
  }

  store::RegistryTree tree_{&folder_};
};

TEST_F(UsageRecorderTest, WhatIsNotedCanBeAskedFor) {
  rpc::ServiceParts parts;
  parts.graph = graph_.get();
  parts.stores = stores_.get();
  parts.clock = &clock_;
  parts.history = history_.get();
  UsageRecorder recorder(parts);
  for (int i = 0; i < 24; ++i) {
    ASSERT_THAT(recorder.NoteAll(), IsOk());
    clock_.Advance(absl::Minutes(30));
  }
  v1::GetUsageHistoryRequest request;
  v1::GetUsageHistoryResponse answer;
  ASSERT_TRUE(Ask(usage_stub_, &Usage::GetUsageHistory, request, &answer).ok());
  EXPECT_EQ(answer.store(), "s");
  EXPECT_EQ(answer.step().seconds(), 300);
  ASSERT_EQ(answer.points_size(), 24);
  const v1::UsagePoint& last = answer.points(23);
  const auto reader = graph_->Read();
  const index::StoreTotals& totals =
      reader->totals(reader->view().FindStore("s"));
  EXPECT_EQ(last.most_stored_bytes(), totals.stored().allocated_bytes);
  EXPECT_EQ(last.tag_count(), 1u);
  EXPECT_EQ(last.image_count(), 1u);
  EXPECT_GT(last.capacity_bytes(), 0u);
  EXPECT_EQ(answer.growth_bytes_per_day(), 0);
  EXPECT_FALSE(answer.has_time_until_full());
  request.mutable_back()->set_seconds(7 * 86400);
  ASSERT_TRUE(Ask(usage_stub_, &Usage::GetUsageHistory, request, &answer).ok());
  EXPECT_EQ(answer.step().seconds(), 3600);
  EXPECT_GE(answer.points_size(), 12);
  EXPECT_LE(answer.points_size(), 13);
  request.mutable_back()->set_seconds(-1);
  EXPECT_EQ(
      Ask(usage_stub_, &Usage::GetUsageHistory, request, &answer).error_code(),
      grpc::StatusCode::INVALID_ARGUMENT);
}

}  // namespace
}  // namespace reclaim::server
