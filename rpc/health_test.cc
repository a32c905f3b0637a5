// grpc.health.v1: what each service says of itself, once and for as long as
// somebody watches.

#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "google/protobuf/descriptor.h"
#include "grpcpp/client_context.h"
#include "grpcpp/completion_queue.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/generic/generic_stub.h"
#include "grpcpp/security/credentials.h"
#include "grpcpp/support/byte_buffer.h"
#include "grpcpp/support/slice.h"
#include "grpcpp/support/status.h"
#include "gtest/gtest.h"
#include "rpc/server_fixture.h"

namespace reclaim::rpc {
namespace {

// HealthCheckResponse.ServingStatus
constexpr int kServing = 1;
constexpr int kNotServing = 2;
constexpr int kUnknownService = 3;
constexpr int kNone = -1;

// HealthCheckRequest{service}: field 1, a text shorter than 128 bytes.
grpc::ByteBuffer RequestOf(const std::string& service) {
  std::string bytes;
  if (!service.empty()) {
    bytes = absl::StrCat(std::string("\x0a"),
                         std::string(1, static_cast<char>(service.size())),
                         service);
  }
  const grpc::Slice slice(bytes);
  return grpc::ByteBuffer(&slice, 1);
}

// HealthCheckResponse{status}: field 1, a varint below 128.
int StatusOf(const grpc::ByteBuffer& response) {
  std::vector<grpc::Slice> slices;
  if (!response.Dump(&slices).ok()) return kNone;
  std::string bytes;
  for (const grpc::Slice& slice : slices) {
    bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  if (bytes.empty()) return 0;
  return bytes.size() == 2 && bytes[0] == '\x08' ? bytes[1] : kNone;
}

// One call of a client, with a deadline that only a failure meets.
class HealthClient {
 public:
  explicit HealthClient(const std::string& socket)
      : stub_(grpc::CreateChannel(absl::StrCat("unix:", socket),
                                  grpc::InsecureChannelCredentials())) {
    context_.set_deadline(std::chrono::system_clock::now() +
                          std::chrono::seconds(30));
  }
  ~HealthClient() {
    context_.TryCancel();
    queue_.Shutdown();
    while (Next()) {
    }
  }

  grpc::Status Check(const std::string& service, int* serving) {
    grpc::ByteBuffer response;
    grpc::Status status;
    const auto call = stub_.PrepareUnaryCall(
        &context_, "/grpc.health.v1.Health/Check", RequestOf(service), &queue_);
    call->StartCall();
    call->Finish(&response, &status, nullptr);
    Next();
    *serving = status.ok() ? StatusOf(response) : kNone;
    return status;
  }

  // Then NextStatus() for what it is, and for each change.
  void Watch(const std::string& service) {
    watched_ =
        stub_.PrepareCall(&context_, "/grpc.health.v1.Health/Watch", &queue_);
    watched_->StartCall(nullptr);
    Next();
    watched_->WriteLast(RequestOf(service), grpc::WriteOptions(), nullptr);
    Next();
  }
  // kNone at the end.
  int NextStatus() {
    grpc::ByteBuffer response;
    watched_->Read(&response, nullptr);
    return Next() ? StatusOf(response) : kNone;
  }

  void Cancel() { context_.TryCancel(); }

 private:
  bool Next() {
    void* tag = nullptr;
    bool ok = false;
    return queue_.Next(&tag, &ok) && ok;
  }

  grpc::GenericStub stub_;
  grpc::CompletionQueue queue_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> watched_;
};

// "" is the server as a whole.
std::vector<std::string> Services() {
  std::vector<std::string> names = {""};
  const auto* pool = google::protobuf::DescriptorPool::generated_pool();
  for (const char* file :
       {"audit", "collection", "graph", "lease", "policy", "store", "usage"}) {
    const auto* found =
        pool->FindFileByName(absl::StrCat("reclaim/v1/", file, ".proto"));
    if (found == nullptr) {
      ADD_FAILURE() << file << " is not linked in";
      continue;
    }
    for (int i = 0; i < found->service_count(); ++i) {
      names.push_back(found->service(i)->full_name());
    }
  }
  return names;
}

class HealthTest : public ServerFixture {
 protected:
  grpc::Status Check(const std::string& service, int* serving) {
    HealthClient client(SocketPath());
    return client.Check(service, serving);
  }
};

TEST_F(HealthTest, EachServiceSaysWhetherItServes) {
  const std::vector<std::string> services = Services();
  ASSERT_EQ(services.size(), 8u);
  for (const bool is_serving : {true, false, true}) {
    server_->SetServing(is_serving);
    for (const std::string& service : services) {
      int serving = kNone;
      const grpc::Status status = Check(service, &serving);
      EXPECT_TRUE(status.ok()) << service << ": " << status.error_message();
      EXPECT_EQ(serving, is_serving ? kServing : kNotServing) << service;
    }
  }
  for (const char* service :
       {"reclaim.v1.NoService", "GraphService", "reclaim.v1"}) {
    int serving = kNone;
    EXPECT_EQ(Check(service, &serving).error_code(),
              grpc::StatusCode::NOT_FOUND)
        << service;
  }
}

TEST_F(HealthTest, WhoWatchesHearsOfEachChange) {
  for (const std::string& service : Services()) {
    SCOPED_TRACE(service);
    HealthClient client(SocketPath());
    client.Watch(service);
    EXPECT_EQ(client.NextStatus(), kServing);
    server_->SetServing(false);
    EXPECT_EQ(client.NextStatus(), kNotServing);
    server_->SetServing(true);
    EXPECT_EQ(client.NextStatus(), kServing);
  }
}

// It may be one of a version to come, and is told of when it is there.
TEST_F(HealthTest, AnUnknownServiceCanBeWatched) {
  HealthClient client(SocketPath());
  client.Watch("reclaim.v1.NoService");
  EXPECT_EQ(client.NextStatus(), kUnknownService);
}

// Balancers take it out before its connections are cut.
TEST_F(HealthTest, AServerThatStopsSaysSoFirst) {
  HealthClient client(SocketPath());
  client.Watch("reclaim.v1.GraphService");
  EXPECT_EQ(client.NextStatus(), kServing);
  // It waits for the stream that is open, but for so long that nobody sees it.
  std::thread stopping([&] { server_->Shutdown(absl::Minutes(10)); });
  EXPECT_EQ(client.NextStatus(), kNotServing);
  client.Cancel();
  stopping.join();
}

}  // namespace
}  // namespace reclaim::rpc
