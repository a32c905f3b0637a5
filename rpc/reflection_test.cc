// Reflection, which asks nobody who he is: where it is on, and how much of it.

#include <chrono>
#include <list>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "grpcpp/generic/generic_stub.h"
#include "rpc/server_fixture.h"

namespace reclaim::rpc {
namespace {

constexpr char kMethod[] =
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo";
// What the server holds at a time; a part of its threads.
constexpr int kStreamMax = 16;

// A stream that asks once and then stays open.
class Asking {
 public:
  explicit Asking(const std::shared_ptr<grpc::Channel>& channel)
      : stub_(channel) {
    context_.set_deadline(std::chrono::system_clock::now() +
                          std::chrono::seconds(30));
    call_ = stub_.PrepareCall(&context_, kMethod, &queue_);
    call_->StartCall(nullptr);
    Next();
  }
  ~Asking() {
    context_.TryCancel();
    queue_.Shutdown();
    while (Next()) {
    }
  }

  // What is answered; else the code.
  grpc::StatusCode Answer() {
    // ServerReflectionRequest.list_services = 7
    const grpc::Slice list("\x3a\x01*");
    call_->Write(grpc::ByteBuffer(&list, 1), nullptr);
    Next();
    grpc::ByteBuffer answer;
    call_->Read(&answer, nullptr);
    if (Next() && answer.Length() > 0) return grpc::StatusCode::OK;
    grpc::Status status;
    call_->Finish(&status, nullptr);
    Next();
    return status.error_code();
  }

 private:
  bool Next() {
    void* tag = nullptr;
    bool ok = false;
    return queue_.Next(&tag, &ok) && ok;
  }

  grpc::GenericStub stub_;
  grpc::CompletionQueue queue_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> call_;
};

class ReflectionTest : public ServerFixture {
 protected:
  void Restart(bool is_on_tcp) {
    server_->Shutdown(absl::ZeroDuration());
    server_.reset();
    ServerOptions options;
    options.unix_socket = UnixSocket{-1, SocketPath()};
    options.tcp_address = "127.0.0.1:0";
    options.is_insecure = true;
    options.has_tcp_reflection = is_on_tcp;
    auto server = Server::Start(options, Parts());
    ASSERT_THAT(server, base::IsOk());
    server_ = *std::move(server);
  }
  std::shared_ptr<grpc::Channel> Unix() const {
    return grpc::CreateChannel("unix:" + SocketPath(),
                               grpc::InsecureChannelCredentials());
  }
  std::shared_ptr<grpc::Channel> Tcp() const {
    return grpc::CreateChannel(absl::StrCat("127.0.0.1:", server_->tcp_port()),
                               grpc::InsecureChannelCredentials());
  }
};

TEST_F(ReflectionTest, OverTcpItIsOffUnlessAskedFor) {
  Restart(false);
  EXPECT_EQ(Asking(Unix()).Answer(), grpc::StatusCode::OK);
  EXPECT_EQ(Asking(Tcp()).Answer(), grpc::StatusCode::CANCELLED);
  // Only that one service.
  v1::GetDiskUsageResponse usage;
  grpc::ClientContext context;
  EXPECT_TRUE(v1::UsageService::NewStub(Tcp())
                  ->GetDiskUsage(&context, v1::GetDiskUsageRequest(), &usage)
                  .ok());
  Restart(true);
  EXPECT_EQ(Asking(Unix()).Answer(), grpc::StatusCode::OK);
  EXPECT_EQ(Asking(Tcp()).Answer(), grpc::StatusCode::OK);
}

// Each holds a thread, and nobody is asked for a role.
TEST_F(ReflectionTest, ThereIsABoundOnItsStreams) {
  std::list<Asking> open;
  for (int i = 0; i < kStreamMax; ++i) {
    open.emplace_back(Unix());
    ASSERT_EQ(open.back().Answer(), grpc::StatusCode::OK) << i;
  }
  EXPECT_EQ(Asking(Unix()).Answer(), grpc::StatusCode::CANCELLED);
  open.clear();
  for (int attempt = 0; attempt < 10'000; ++attempt) {
    if (Asking(Unix()).Answer() == grpc::StatusCode::OK) return;
  }
  FAIL() << "the places of those that have gone are not free";
}

}  // namespace
}  // namespace reclaim::rpc
