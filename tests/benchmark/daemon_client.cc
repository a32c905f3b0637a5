#include "tests/benchmark/daemon_client.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <cstdio>
#include <thread>

#include "absl/strings/str_cat.h"

namespace reclaim::benchmark {
namespace {

constexpr std::chrono::seconds kPatience(10);

std::shared_ptr<grpc::Channel> Connect(const std::string& socket) {
  grpc::ChannelArguments arguments;
  // Else threads of one process share a connection.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  auto channel = grpc::CreateCustomChannel(
      "unix:" + socket, grpc::InsecureChannelCredentials(), arguments);
  channel->WaitForConnected(std::chrono::system_clock::now() + kPatience);
  return channel;
}

bool Said(const char* method, const std::string& why) {
  std::fprintf(stderr, "%s: %s\n", method, why.c_str());
  return false;
}

}  // namespace

double SecondsSince(SteadyClock::time_point begin) {
  return std::chrono::duration<double>(SteadyClock::now() - begin).count();
}

Spread SpreadOf(std::vector<double> seconds) {
  if (seconds.empty()) return {};
  std::sort(seconds.begin(), seconds.end());
  const size_t count = seconds.size();
  return {count, seconds[count / 2], seconds[count * 99 / 100],
          seconds[count - 1]};
}

std::string ToJson(const Spread& spread) {
  return absl::StrCat("\"count\": ", spread.count, ", \"p50\": ", spread.p50,
                      ", \"p99\": ", spread.p99, ", \"max\": ", spread.max);
}

double InThreads(int count, const std::function<void(int)>& work) {
  const SteadyClock::time_point begin = SteadyClock::now();
  std::vector<std::thread> threads;
  threads.reserve(count);
  for (int i = 0; i < count; ++i) threads.emplace_back(work, i);
  for (std::thread& thread : threads) thread.join();
  return SecondsSince(begin);
}

GraphClient::GraphClient(const std::string& socket)
    : stub_(v1::GraphService::NewStub(Connect(socket))) {}

bool GraphClient::Record(const v1::RecordRequest& request) {
  grpc::ClientContext context;
  v1::RecordResponse response;
  const grpc::Status status = stub_->Record(&context, request, &response);
  if (!status.ok()) return Said("Record", status.error_message());
  if (response.problems_size() > 0) {
    return Said("Record", response.problems(0));
  }
  return true;
}

bool GraphClient::Check(const v1::CheckBlobsRequest& request) {
  grpc::ClientContext context;
  v1::CheckBlobsResponse response;
  const grpc::Status status = stub_->CheckBlobs(&context, request, &response);
  if (!status.ok()) return Said("CheckBlobs", status.error_message());
  for (const bool exists : response.exists()) {
    if (!exists) return Said("CheckBlobs", "what was put is not here");
  }
  return response.exists_size() == request.names_size();
}

RawClient::RawClient(const std::string& socket) : stub_(Connect(socket)) {}

RawClient::~RawClient() {
  queue_.Shutdown();
  void* tag = nullptr;
  bool is_ok = false;
  while (queue_.Next(&tag, &is_ok)) {
  }
}

bool RawClient::Call(const std::string& method, const std::string& request,
                     std::string* response) {
  const grpc::Slice slice(request);
  const grpc::ByteBuffer bytes(&slice, 1);
  grpc::ClientContext context;
  grpc::ByteBuffer answer;
  grpc::Status status;
  const auto call = stub_.PrepareUnaryCall(&context, method, bytes, &queue_);
  call->StartCall();
  call->Finish(&answer, &status, nullptr);
  void* tag = nullptr;
  bool is_ok = false;
  if (!queue_.Next(&tag, &is_ok) || !is_ok) {
    return Said(method.c_str(), "the call was lost");
  }
  if (!status.ok()) return Said(method.c_str(), status.error_message());
  std::vector<grpc::Slice> slices;
  if (!answer.Dump(&slices).ok()) {
    return Said(method.c_str(), "an answer without bytes");
  }
  response->clear();
  for (const grpc::Slice& part : slices) {
    response->append(reinterpret_cast<const char*>(part.begin()), part.size());
  }
  return true;
}

}  // namespace reclaim::benchmark
