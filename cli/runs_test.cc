// A run that goes on, and who comes meanwhile: told so, watching, or ending it.

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "cli/command_fixture.h"
#include "gmock/gmock.h"
#include "grpcpp/support/status.h"
#include "gtest/gtest.h"
#include "reclaim/v1/collection.grpc.pb.h"

namespace reclaim::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using Words = std::vector<std::string>;

class RunsTest : public CommandFixture {
 protected:
  void SetUp() override {
    policy_.batch_item_count = 1;
    CommandFixture::SetUp();
    AddAndScan();
  }

  std::string PlanAt(const std::string& bytes_per_second) {
    EXPECT_EQ(Run({"plan", "--pace", bytes_per_second}), kDone) << err_;
    return WordAfter("reclaim apply ");
  }
  // At a byte a second it waits for an hour behind the first blob.
  std::string BeginForAnHour() {
    v1::ApplyPlanRequest request;
    request.set_plan_id(PlanAt("1"));
    request.set_allow_large(true);
    other_plan_ = PlanAt("0");
    v1::Run run;
    const grpc::Status status =
        Ask(collection_stub_, &v1::CollectionService::Stub::ApplyPlan, request,
            &run);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return run.id();
  }
  // The id of the newest run of a kind.
  std::string Newest(const std::string& kind) {
    EXPECT_EQ(Run({"runs", "ls", "--format", "{{.Kind}} {{.ID}}"}), kDone);
    return WordAfter(kind + " ");
  }

  std::string other_plan_;
};

TEST_F(RunsTest, WhoComesSecondIsToldWhoseTurnItIs) {
  const std::string first = BeginForAnHour();
  const std::string said = absl::StrCat("run ", first,
                                        " is at work on the store hub; wait "
                                        "for it or cancel it");
  const std::vector<Words> commands = {
      {"scan"},
      {"scan", "hub"},
      {"plan"},
      {"prune", "-f"},
      {"system", "prune", "-f"},
      {"image", "prune", "--dry-run"},
      {"image", "rm", "app:v1", "-f"},
      {"apply", other_plan_, "-f", "--allow-large"},
      {"restore", first},
      {"purge", "--now", "-f"},
      {"store", "rm", "hub"}};
  for (const Words& command : commands) {
    SCOPED_TRACE(absl::StrJoin(command, " "));
    EXPECT_EQ(Run(command), 11) << "scripts rely on the number";
    EXPECT_THAT(err_, HasSubstr(said));
    Words as_json = command;
    as_json.push_back("--json");
    EXPECT_EQ(Run(as_json), kBusy);
    const auto error = nlohmann::json::parse(err_, nullptr, false);
    ASSERT_TRUE(error.is_object()) << err_;
    EXPECT_EQ(error["message_type"], "exit_error");
    EXPECT_EQ(error["code"], static_cast<int>(kBusy));
    EXPECT_THAT(error["message"].get<std::string>(), HasSubstr(said));
  }
  // Who only looks need not wait.
  for (const Words& command : std::vector<Words>{
           {"df"}, {"images"}, {"plans", "ls"}, {"why", kept_.ToString()}}) {
    EXPECT_EQ(Run(command), kDone) << command[0] << ": " << err_;
  }
  ASSERT_EQ(Run({"store", "ls", "--format", "{{.State}}"}), kDone);
  EXPECT_THAT(out_, HasSubstr(", run " + first));
}

TEST_F(RunsTest, ARunIsWatchedUntilItIsCancelled) {
  const std::string id = BeginForAnHour();
  int cancelled = 0;
  const auto cancel = [&](const std::string& printed) {
    EXPECT_THAT(printed, HasSubstr(id));
    if (cancelled++ > 0) return;
    EXPECT_EQ(Run({"runs", "cancel", id}), kDone) << err_;
    EXPECT_EQ(out_, "");
  };
  EXPECT_EQ(Follow({"runs", "watch", id, "--json"}, cancel), kDeclined) << err_;
  EXPECT_GT(cancelled, 1) << "what it was, and how it ended";
  EXPECT_THAT(err_, HasSubstr(absl::StrCat("run ", id,
                                           " was cancelled; what "
                                           "it had done stands")));
  const Words lines = absl::StrSplit(out_, '\n', absl::SkipEmpty());
  ASSERT_GE(lines.size(), 3u) << out_;
  const auto begun = nlohmann::json::parse(lines.front(), nullptr, false);
  const auto ended = nlohmann::json::parse(lines.back(), nullptr, false);
  ASSERT_TRUE(begun.is_object()) << lines.front();
  ASSERT_TRUE(ended.is_object()) << lines.back();
  EXPECT_EQ(begun["message_type"], "status");
  EXPECT_EQ(begun["phase"], "running");
  EXPECT_EQ(ended["message_type"], "run");
  EXPECT_EQ(ended["phase"], "cancelled");

  // It is over for whoever comes later, and the store is free.
  EXPECT_EQ(Run({"runs", "watch", id}), kDeclined);
  EXPECT_THAT(out_, StartsWith(absl::StrCat("apply ", id,
                                            " of the store hub: cancelled\n")));
  EXPECT_EQ(Run({"runs", "cancel", id}), kDone) << err_;
  ASSERT_EQ(Run({"runs", "show", id}), kDone) << err_;
  EXPECT_THAT(out_, HasSubstr("of the store hub: cancelled"));
  EXPECT_EQ(Run({"prune", "-f", "--allow-large"}), kDone) << err_;
  EXPECT_FALSE(folder_.Exists(tree_.BlobPath(orphan_)));
  EXPECT_FALSE(folder_.Exists(tree_.BlobPath(old_)));
}

TEST_F(RunsTest, OneThatHasEndedIsShownAtOnce) {
  const std::string scan = Newest("scan");
  ASSERT_EQ(Run({"runs", "watch", scan}), kDone) << err_;
  EXPECT_THAT(out_, AllOf(StartsWith(absl::StrCat("scan ", scan,
                                                  " of the store hub: "
                                                  "succeeded\n")),
                          HasSubstr("\n  ended ")));
  EXPECT_EQ(Run({"runs", "cancel", scan}), kDone) << err_;
  ASSERT_EQ(Run({"runs", "show", scan}), kDone);
  EXPECT_THAT(out_, HasSubstr("succeeded")) << "it stays as it is";
  for (const char* command : {"watch", "cancel", "show"}) {
    EXPECT_EQ(Run({"runs", command, "0123456789abcdef"}), kNotFound) << command;
    EXPECT_EQ(Run({"runs", command}), kUsage) << command;
  }
}

}  // namespace
}  // namespace reclaim::cli
