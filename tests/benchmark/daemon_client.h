// tests/benchmark/daemon_client.h — connections to a running daemon, and what
// its answers take.
//
// A client is of one thread and has a connection of its own.  What fails says
// why on stderr.

#ifndef RECLAIM_TESTS_BENCHMARK_DAEMON_CLIENT_H_
#define RECLAIM_TESTS_BENCHMARK_DAEMON_CLIENT_H_

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "grpcpp/completion_queue.h"
#include "grpcpp/generic/generic_stub.h"
#include "reclaim/v1/graph.grpc.pb.h"

namespace reclaim::benchmark {

using SteadyClock = std::chrono::steady_clock;

double SecondsSince(SteadyClock::time_point begin);

// Seconds from a request to its answer, of many.
struct Spread {
  size_t count = 0;
  double p50 = 0;
  double p99 = 0;
  double max = 0;
};
// All zero if there are none.
Spread SpreadOf(std::vector<double> seconds);
// As members of a JSON object, without its braces.
std::string ToJson(const Spread& spread);

// Runs `work` of every client at once; seconds till the last was done.
double InThreads(int count, const std::function<void(int)>& work);

class GraphClient {
 public:
  explicit GraphClient(const std::string& socket);

  // Whether it was taken whole.
  bool Record(const v1::RecordRequest& request);
  // Whether all of them are here.
  bool Check(const v1::CheckBlobsRequest& request);

 private:
  std::unique_ptr<v1::GraphService::Stub> stub_;
};

// Any method by its name.  Calls of all methods take the same way, so that
// what two of them take differs by nothing but themselves.
class RawClient {
 public:
  explicit RawClient(const std::string& socket);
  ~RawClient();
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  // `request` and `response` are messages as bytes.
  bool Call(const std::string& method, const std::string& request,
            std::string* response);

 private:
  grpc::GenericStub stub_;
  grpc::CompletionQueue queue_;
};

}  // namespace reclaim::benchmark

#endif  // RECLAIM_TESTS_BENCHMARK_DAEMON_CLIENT_H_
