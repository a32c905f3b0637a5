// A run that goes on, and who comes meanwhile: told so, watching, or ending it,
// also by a signal.

#include <signal.h>

#include <atomic>
#include <nlohmann/json.hpp>
#include <ostream>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "base/status_matchers.h"
#include "cli/command_fixture.h"
#include "cli/commands.h"
#include "cli/signal_watch.h"
#include "gc/observer.h"
#include "gc/run.h"
#include "gmock/gmock.h"
#include "grpcpp/support/status.h"
#include "gtest/gtest.h"
#include "reclaim/v1/collection.grpc.pb.h"
#include "rpc/role.h"
#include "rpc/server.h"
#include "rpc/service_parts.h"

namespace reclaim::cli {
namespace {

using ::testing::AllOf;
using ::testing::AnyOf;
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

// Sends a signal to this program when a run begins: its call is not answered
// before that is told.
class SignalAtBegin final : public gc::CollectorObserver {
 public:
  // The next run of this kind.
  void Arm(gc::RunKind kind, int signal) {
    kind_ = kind;
    signal_ = signal;
  }
  bool HasSent() const { return signal_ == 0; }
  void OnRunBegin(const gc::Run& run) override {
    if (run.kind != kind_) return;
    const int signal = signal_.exchange(0);
    if (signal != 0) raise(signal);
  }

 private:
  std::atomic<gc::RunKind> kind_{gc::RunKind::kScan};
  std::atomic<int> signal_{0};
};

class SignalsTest : public RunsTest {
 protected:
  SignalsTest() { observer_ = &sender_; }
  SignalAtBegin sender_;
};

TEST_F(SignalsTest, OneThatComesBeforeTheAnswerCancelsTheRun) {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    SCOPED_TRACE(signal);
    sender_.Arm(gc::RunKind::kApply, signal);
    EXPECT_EQ(Run({"system", "prune", "-f", "--allow-large", "--pace", "1"}),
              128 + signal)
        << err_;
    EXPECT_TRUE(sender_.HasSent());
    EXPECT_THAT(err_, HasSubstr("was cancelled; what it had done stands"));
    const std::string id = WordAfter("reclaim: run ");
    ASSERT_EQ(Run({"runs", "show", id}), kDone) << err_;
    EXPECT_THAT(out_, StartsWith(absl::StrCat("apply ", id,
                                              " of the store hub: "
                                              "cancelled\n")));
    EXPECT_EQ(SignalWatch::Caught(), 0) << "the next command is another one";
  }
  EXPECT_EQ(Run({"prune", "-f", "--allow-large"}), kDone) << err_;
}

TEST_F(SignalsTest, WhateverBeginsARunOutlivesOne) {
  ASSERT_EQ(Run({"prune", "-f", "--allow-large"}), kDone) << err_;
  const std::string run = WordAfter("reclaim restore ");
  const std::vector<std::pair<gc::RunKind, Words>> commands = {
      {gc::RunKind::kScan, {"scan"}},
      {gc::RunKind::kRestore, {"restore", run}},
      {gc::RunKind::kPurge, {"purge", "--now", "-f"}}};
  for (const auto& [kind, command] : commands) {
    SCOPED_TRACE(command[0]);
    sender_.Arm(kind, SIGTERM);
    // It may have come to its end before it is asked to.
    EXPECT_THAT(Run(command), AnyOf(static_cast<int>(kDone), 128 + SIGTERM))
        << err_;
    EXPECT_TRUE(sender_.HasSent());
  }
}

TEST_F(SignalsTest, OneThatComesWhileNothingChangesCancelsTheRun) {
  const std::string id = BeginForAnHour();
  std::thread sender;
  const auto send = [&sender](const std::string&) {
    if (!sender.joinable()) sender = std::thread([] { raise(SIGHUP); });
  };
  EXPECT_EQ(Follow({"runs", "watch", id, "--json"}, send), 128 + SIGHUP)
      << err_;
  ASSERT_TRUE(sender.joinable()) << "nothing was printed";
  sender.join();
  ASSERT_EQ(Run({"runs", "show", id}), kDone) << err_;
  EXPECT_THAT(out_, HasSubstr("of the store hub: cancelled"));
}

class ReaderTest : public SignalsTest {
 protected:
  ReaderTest() {
    rpc::UnixSocket socket;
    socket.path = read_path_;
    socket.roles = rpc::RoleSet(rpc::Role::kRead);
    server_options_.read_socket = socket;
  }
  const std::string read_path_ = socket_folder_.path() + "/read.sock";
};

TEST_F(ReaderTest, WhoMayNotCancelTheRunWatchesNoLonger) {
  const std::string id = BeginForAnHour();
  bool has_sent = false;
  FlushWatch buffer([&has_sent](const std::string&) {
    if (!has_sent) raise(SIGTERM);
    has_sent = true;
  });
  std::ostream out(&buffer);
  std::istringstream in;
  std::ostringstream err;
  Terminal terminal;
  terminal.in = &in;
  terminal.out = &out;
  terminal.err = &err;
  terminal.now = [this] { return clock_.Now(); };
  EXPECT_EQ(
      RunCli({"--host", "unix:" + read_path_, "runs", "watch", id, "--json"},
             terminal),
      kForbidden);
  EXPECT_TRUE(has_sent);
  EXPECT_THAT(err.str(), HasSubstr("run " + id + " was not cancelled"));
  ASSERT_EQ(Run({"runs", "show", id}), kDone) << err_;
  EXPECT_THAT(out_, HasSubstr("of the store hub: running"));
}

TEST_F(SignalsTest, OneThatComesWhileTheDaemonLoadsBeginsNothing) {
  server_->Shutdown(absl::ZeroDuration());
  server_.reset();
  rpc::ServiceParts parts;
  parts.clock = &clock_;
  parts.random = &random_;
  rpc::ServerOptions options;
  options.unix_socket = rpc::UnixSocket{-1, SocketPath()};
  auto server = rpc::Server::Start(options, parts);
  ASSERT_THAT(server, base::IsOk());
  server_ = *std::move(server);
  int waits = 0;
  Terminal patient;
  patient.wait = [&](absl::Duration) {
    if (++waits == 2) raise(SIGTERM);
    if (waits == 3) server_->Open(Parts());
  };
  EXPECT_EQ(RunOn(patient, {"scan", "hub"}), kFailed);
  EXPECT_THAT(err_, HasSubstr("is being loaded"));
  EXPECT_EQ(waits, 2);
}

}  // namespace
}  // namespace reclaim::cli
