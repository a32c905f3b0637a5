// What the server bears: watchers that do not read, floods of streams, of all
// and of one peer, large messages, one and many at once, calls without an end,
// calls before the graph is there.

#include <unistd.h>

#include <chrono>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "google/protobuf/descriptor.h"
#include "grpcpp/support/channel_arguments.h"
#include "rpc/call_limits.h"
#include "rpc/errors.h"
#include "rpc/server_fixture.h"

namespace reclaim::rpc {
namespace {

using ::testing::HasSubstr;

constexpr int kWatcherCount = 1000;
constexpr int kStreamMax = 128;

class LimitsTest : public ServerFixture {
 protected:
  // All of these are one peer.
  LimitsTest() { server_options_.calls.peer_stream_count_max = 0; }

  // A connection of its own.
  static std::shared_ptr<grpc::Channel> NewChannelTo(
      const std::string& address) {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    return grpc::CreateCustomChannel(
        address, grpc::InsecureChannelCredentials(), arguments);
  }
  std::shared_ptr<grpc::Channel> NewChannel() const {
    return NewChannelTo(absl::StrCat("unix:", SocketPath()));
  }
  std::shared_ptr<grpc::Channel> NewTcpChannel() const {
    return NewChannelTo(absl::StrCat("127.0.0.1:", server_->tcp_port()));
  }

  // Returns once another watch is taken, each on a connection that `connect`
  // makes.
  void AwaitPlace(
      const std::function<std::shared_ptr<grpc::Channel>()>& connect);
  void AwaitPlace() {
    AwaitPlace([this] { return NewChannel(); });
  }

  grpc::Status GetUsage() {
    v1::GetDiskUsageResponse usage;
    return Ask(usage_stub_, &v1::UsageService::Stub::GetDiskUsage,
               v1::GetDiskUsageRequest(), &usage);
  }

  // Some events, `bytes` of them at least.
  void MakeEvents(size_t bytes) {
    v1::RegisterStoreRequest add;
    add.set_name("e");
    add.set_uri("external:e");
    v1::Store store;
    Ask(store_stub_, &v1::StoreService::Stub::RegisterStore, add, &store);
    v1::RecordRequest record;
    for (size_t made = 0; made < bytes; made += 200) {
      auto* put = record.add_operations()->mutable_put_volume();
      put->set_name(absl::StrCat(std::string(100, 'v'), made));
    }
    v1::RecordResponse response;
    const grpc::Status status =
        Ask(graph_stub_, &v1::GraphService::Stub::Record, record, &response);
    ASSERT_TRUE(status.ok()) << status.error_message();
  }
};

// A watch that reads its first batch, and then nothing more.
class Watcher {
 public:
  explicit Watcher(std::shared_ptr<grpc::Channel> channel,
                   std::chrono::milliseconds patience = {})
      : stub_(v1::CollectionService::NewStub(std::move(channel))) {
    if (patience.count() > 0) {
      context_.set_deadline(std::chrono::system_clock::now() + patience);
    }
    v1::WatchEventsRequest request;
    request.set_follow(true);
    reader_ = stub_->WatchEvents(&context_, request);
  }
  ~Watcher() {
    context_.TryCancel();
    v1::WatchEventsResponse batch;
    while (!is_finished_ && reader_->Read(&batch)) {
    }
    if (!is_finished_) reader_->Finish();
  }

  // Whether the server took it; else `status` is why not.
  bool IsTaken(grpc::Status* status) {
    v1::WatchEventsResponse batch;
    if (reader_->Read(&batch)) return true;
    *status = End();
    return false;
  }
  // Waits until the call is over, and reads nothing.
  grpc::Status End() {
    is_finished_ = true;
    return reader_->Finish();
  }

 private:
  std::unique_ptr<v1::CollectionService::Stub> stub_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReader<v1::WatchEventsResponse>> reader_;
  bool is_finished_ = false;
};

void LimitsTest::AwaitPlace(
    const std::function<std::shared_ptr<grpc::Channel>()>& connect) {
  grpc::Status late;
  for (int attempt = 0; attempt < 10'000; ++attempt) {
    Watcher again(connect());
    if (again.IsTaken(&late)) return;
  }
  FAIL() << late.error_message();
}

TEST_F(LimitsTest, AThousandSlowWatchersStopNobody) {
  // More than a stream's window: a watcher that does not read blocks its
  // server's thread.
  MakeEvents(200'000);
  std::list<Watcher> watchers;
  std::shared_ptr<grpc::Channel> channel;
  for (int i = 0; i < kWatcherCount; ++i) {
    if (i % 50 == 0) channel = NewChannel();
    watchers.emplace_back(channel);
  }
  int taken = 0;
  grpc::Status refusal;
  for (Watcher& watcher : watchers) taken += watcher.IsTaken(&refusal) ? 1 : 0;
  EXPECT_EQ(taken, kStreamMax);
  EXPECT_EQ(refusal.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(ErrorOf(refusal).reason(), "TOO_MANY_STREAMS");
  for (int i = 0; i < 50; ++i) {
    const grpc::Status status = GetUsage();
    ASSERT_TRUE(status.ok()) << status.error_message();
  }
  // Their places are free again once they have gone.
  watchers.clear();
  AwaitPlace();
}

class FewStreamsTest : public LimitsTest {
 protected:
  FewStreamsTest() { server_options_.calls.stream_count_max = 2; }
};

// The thread that writes to it is free again, though it never reads.
TEST_F(FewStreamsTest, AWatcherThatDoesNotReadEndsByItsDeadline) {
  MakeEvents(200'000);
  std::list<Watcher> watchers;
  grpc::Status status;
  for (int i = 0; i < 2; ++i) {
    watchers.emplace_back(NewChannel(), std::chrono::seconds(2));
    ASSERT_TRUE(watchers.back().IsTaken(&status)) << status.error_message();
  }
  for (Watcher& watcher : watchers) {
    EXPECT_EQ(watcher.End().error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  }
  AwaitPlace();
}

class NarrowLimitsTest : public LimitsTest {
 protected:
  NarrowLimitsTest() {
    server_options_.message_bytes_max = 100'000;
    server_options_.connection_call_count_max = 2;
    server_options_.calls.stream_count_max = 3;
  }
};

TEST_F(NarrowLimitsTest, AConnectionHasSoManyCallsAtATime) {
  MakeEvents(1000);
  const auto channel = NewChannel();
  std::list<Watcher> watchers;
  grpc::Status status;
  for (int i = 0; i < 2; ++i) {
    watchers.emplace_back(channel);
    ASSERT_TRUE(watchers.back().IsTaken(&status)) << status.error_message();
  }
  // The third waits at the client, whatever the server would say.
  const auto usage = v1::UsageService::NewStub(channel);
  const auto ask = [&](std::chrono::milliseconds patience) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + patience);
    v1::GetDiskUsageResponse response;
    return usage->GetDiskUsage(&context, v1::GetDiskUsageRequest(), &response)
        .error_code();
  };
  EXPECT_EQ(ask(std::chrono::milliseconds(200)),
            grpc::StatusCode::DEADLINE_EXCEEDED);
  watchers.pop_back();
  EXPECT_EQ(ask(std::chrono::seconds(60)), grpc::StatusCode::OK);
  EXPECT_TRUE(GetUsage().ok()) << "another connection";
}

TEST_F(NarrowLimitsTest, ALargeMessageIsRefused) {
  v1::RecordRequest record;
  record.add_operations()->mutable_put_volume()->set_name(
      std::string(200'000, 'v'));
  v1::RecordResponse response;
  const grpc::Status status =
      Ask(graph_stub_, &v1::GraphService::Stub::Record, record, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_THAT(status.error_message(), HasSubstr("larger than max"));
  EXPECT_TRUE(GetUsage().ok());
}

TEST_F(LimitsTest, AMillionFilterTermsAreRefused) {
  MakeEvents(1000);
  v1::CreatePlanRequest request;
  request.set_verb(v1::PRUNE_VERB_SYSTEM);
  for (int i = 0; i < 1'000'000; ++i) request.add_filters("label=x");
  v1::Plan plan;
  const grpc::Status status =
      Ask(collection_stub_, &v1::CollectionService::Stub::CreatePlan, request,
          &plan);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("more than"));
  EXPECT_TRUE(GetUsage().ok());
}

// Each of them as large as it may be, from as many callers as there are.
TEST_F(LimitsTest, LargeMessagesAtOnceStopNobody) {
  constexpr int kCallerCount = 8;
  constexpr int kCallCount = 4;
  constexpr size_t kBytes = 12 << 20;
  std::vector<std::thread> callers;
  for (int i = 0; i < kCallerCount; ++i) {
    callers.emplace_back([this] {
      const auto stub = v1::CollectionService::NewStub(NewChannel());
      v1::CreatePlanRequest request;
      request.set_verb(v1::PRUNE_VERB_SYSTEM);
      request.add_filters(std::string(kBytes, 'x'));
      for (int call = 0; call < kCallCount; ++call) {
        v1::Plan plan;
        EXPECT_FALSE(
            Ask(stub, &v1::CollectionService::Stub::CreatePlan, request, &plan)
                .ok());
      }
    });
  }
  for (int i = 0; i < 50; ++i) {
    const grpc::Status status = GetUsage();
    EXPECT_TRUE(status.ok()) << status.error_message();
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_TRUE(GetUsage().ok());
}

class PeerStreamTest : public LimitsTest {
 protected:
  PeerStreamTest() {
    server_options_.tcp_address = "127.0.0.1:0";
    server_options_.is_insecure = true;
    server_options_.calls.peer_stream_count_max = 2;
  }
};

// The others are not kept out by one who takes all that he gets.
TEST_F(PeerStreamTest, APeerHasSoManyStreamsAtATime) {
  MakeEvents(1000);
  std::list<Watcher> watchers;
  grpc::Status status;
  for (int i = 0; i < 2; ++i) {
    watchers.emplace_back(NewTcpChannel());
    ASSERT_TRUE(watchers.back().IsTaken(&status)) << status.error_message();
  }
  {
    Watcher third(NewTcpChannel());
    ASSERT_FALSE(third.IsTaken(&status));
  }
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(ErrorOf(status).reason(), "TOO_MANY_STREAMS");
  EXPECT_THAT(status.error_message(), HasSubstr("peer_stream_count_max"));
  Watcher other(NewChannel());
  EXPECT_TRUE(other.IsTaken(&status)) << status.error_message();
  watchers.pop_back();
  AwaitPlace([this] { return NewTcpChannel(); });
}

class PeerRateTest : public LimitsTest {
 protected:
  PeerRateTest() {
    server_options_.tcp_address = "127.0.0.1:0";
    server_options_.is_insecure = true;
    server_options_.calls.peer_calls_per_second = 2;
  }
  // Over TCP, on a connection of its own.
  grpc::Status AskOverTcp() {
    const auto stub = v1::UsageService::NewStub(NewTcpChannel());
    v1::GetDiskUsageResponse usage;
    return Ask(stub, &v1::UsageService::Stub::GetDiskUsage,
               v1::GetDiskUsageRequest(), &usage);
  }
};

TEST_F(PeerRateTest, APeerIsHeardSoOften) {
  for (int i = 0; i < 4; ++i) {
    const grpc::Status status = AskOverTcp();
    EXPECT_TRUE(status.ok()) << status.error_message();
  }
  const grpc::Status refused = AskOverTcp();
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(ErrorOf(refused).reason(), "TOO_MANY_CALLS");
  EXPECT_THAT(refused.error_message(), HasSubstr("ask again in 500ms"));
  EXPECT_TRUE(GetUsage().ok()) << "another peer";
  clock_.Advance(absl::Milliseconds(500));
  EXPECT_TRUE(AskOverTcp().ok());
  EXPECT_FALSE(AskOverTcp().ok());
}

TEST_F(PeerRateTest, RootOfThisMachineIsAlwaysHeard) {
  int heard = 0;
  for (int i = 0; i < 10; ++i) heard += GetUsage().ok() ? 1 : 0;
  EXPECT_EQ(heard, geteuid() == 0 ? 10 : 4);
}

TEST_F(LimitsTest, EveryMethodIsNamed) {
  const std::vector<std::string> names = MethodNames();
  EXPECT_THAT(names, ::testing::Contains("GraphService/Record"));
  EXPECT_THAT(names, ::testing::Contains("StoreService/VerifyStore"));
  EXPECT_GT(names.size(), 40u);
  const auto* pool = google::protobuf::DescriptorPool::generated_pool();
  int stream_count = 0;
  for (const std::string& name : names) {
    const auto* method = pool->FindMethodByName(
        absl::StrCat("reclaim.v1.", absl::StrReplaceAll(name, {{"/", "."}})));
    ASSERT_NE(method, nullptr) << name;
    const bool is_stream =
        method->client_streaming() || method->server_streaming();
    EXPECT_EQ(IsStream(name), is_stream) << name;
    stream_count += is_stream ? 1 : 0;
  }
  EXPECT_GE(stream_count, 5);
  EXPECT_FALSE(IsStream("GraphService/Record"));
}

TEST_F(LimitsTest, BeforeTheGraphIsLoadedCallsAreToldToRetry) {
  StopServer();
  ServiceParts parts;
  parts.clock = &clock_;
  parts.random = &random_;
  ServerOptions options;
  options.unix_socket = UnixSocket{-1, SocketPath()};
  auto server = Server::Start(options, parts);
  ASSERT_THAT(server, base::IsOk());
  server_ = *std::move(server);
  Connect();
  const grpc::Status status = GetUsage();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(ErrorOf(status).reason(), "LOADING");
  server_->Shutdown(absl::ZeroDuration());
  server_.reset();
}

class CallLimitsTest : public ::testing::Test {
 protected:
  CallLimitsTest() { limits_.Open(); }
  base::SimulatedClock clock_;
  CallLimits limits_{{2, absl::Seconds(30)}, &clock_};
  grpc::ServerContext context_;  // without a deadline
};

TEST_F(CallLimitsTest, ACallWithoutADeadlineGetsOne) {
  const auto call = limits_.Admit("GraphService/GetNode", context_, "");
  EXPECT_THAT(call.status(), base::IsOk());
  EXPECT_FALSE(call.IsLate());
  clock_.Advance(absl::Seconds(30));
  EXPECT_TRUE(call.IsLate());
  EXPECT_THAT(call.Outcome(absl::CancelledError("stopped")),
              base::StatusIs(absl::StatusCode::kDeadlineExceeded));
  EXPECT_THAT(call.Outcome(absl::OkStatus()), base::IsOk())
      << "what was done is told";
}

TEST(PeerStreamsTest, OfEachPeerAndOfRootAsManyAsThereAre) {
  base::SimulatedClock clock;
  CallLimitOptions options;
  options.stream_count_max = 4;
  options.peer_stream_count_max = 1;
  CallLimits limits(options, &clock);
  limits.Open();
  grpc::ServerContext context;
  const auto admit = [&](const char* actor) {
    return limits.Admit("CollectionService/WatchRun", context, actor);
  };
  const auto is_full = base::StatusIs(absl::StatusCode::kResourceExhausted);
  const auto first = admit("ipv4:10.0.0.1:1000");
  EXPECT_THAT(first.status(), base::IsOk());
  {
    const auto same = admit("ipv4:10.0.0.1:2000");
    EXPECT_THAT(same.status(), is_full) << "another port is the same peer";
    const auto other = admit("cn:ci");
    EXPECT_THAT(other.status(), base::IsOk());
    const auto root = admit("uid:0");
    const auto root_again = admit("uid:0");
    EXPECT_THAT(root_again.status(), base::IsOk());
    const auto late = admit("uid:1000");
    EXPECT_THAT(late.status(), is_full) << "there are no more for anybody";
  }
  const auto again = admit("cn:ci");
  EXPECT_THAT(again.status(), base::IsOk()) << "its place is free again";
  const auto second = admit("cn:ci");
  EXPECT_THAT(second.status(), is_full);
}

TEST_F(CallLimitsTest, AStreamLastsAndTakesAPlace) {
  const auto first = limits_.Admit("CollectionService/WatchRun", context_, "");
  clock_.Advance(absl::Hours(100));
  EXPECT_FALSE(first.IsLate());
  {
    const auto second = limits_.Admit("StoreService/VerifyStore", context_, "");
    EXPECT_THAT(second.status(), base::IsOk());
    const auto third = limits_.Admit("GraphService/RecordStream", context_, "");
    EXPECT_THAT(third.status(),
                base::StatusIs(absl::StatusCode::kResourceExhausted));
    const auto unary = limits_.Admit("GraphService/Record", context_, "");
    EXPECT_THAT(unary.status(), base::IsOk());
  }
  const auto again = limits_.Admit("GraphService/RecordStream", context_, "");
  EXPECT_THAT(again.status(), base::IsOk());
}

}  // namespace
}  // namespace reclaim::rpc
