// B6: pushes over gRPC, and what RocksDB takes of the same records without us.

#include <atomic>
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "reclaim/v1/graph.pb.h"
#include "tests/benchmark/bare_commits.h"
#include "tests/benchmark/daemon_client.h"
#include "tests/benchmark/ingest_measures.h"
#include "tests/benchmark/push_source.h"

namespace reclaim::benchmark {
namespace {

// Three blobs, a manifest and a tag, and an event for each.
constexpr int kContentRows = 4;
constexpr int kNamedRows = 1;

struct Load {
  std::string socket;
  std::string store;
  int clients = 1;
  int messages = 1;
  int pushes = 1;  // a message
  bool is_relaxed = false;
};

struct Client {
  std::unique_ptr<GraphClient> daemon;
  std::vector<v1::RecordRequest> requests;
  std::vector<double> latencies;
  uint64_t bytes = 0;
};

// All that is not the daemon's work is done before the clock starts.
bool Prepare(const Load& load, int number, Client* client) {
  client->daemon = std::make_unique<GraphClient>(load.socket);
  PushOptions options;
  options.repository = absl::StrCat("team/app", number);
  v1::RecordRequest first;
  v1::PutRepository& put = *first.add_operations()->mutable_put_repository();
  put.set_store(load.store);
  put.set_repository(options.repository);
  PushSource source(std::move(options));
  client->requests.reserve(static_cast<size_t>(load.messages));
  client->latencies.reserve(static_cast<size_t>(load.messages));
  for (int message = 0; message < load.messages; ++message) {
    v1::RecordRequest request;
    request.set_relaxed(load.is_relaxed);
    for (int i = 0; i < load.pushes; ++i) {
      const Push push = source.Next();
      AddPush(load.store, push, &request);
      client->bytes += push.added_bytes();
    }
    client->requests.push_back(std::move(request));
  }
  return client->daemon->Record(first);
}

bool SendAll(Client* client) {
  for (const v1::RecordRequest& request : client->requests) {
    const SteadyClock::time_point begin = SteadyClock::now();
    if (!client->daemon->Record(request)) return false;
    client->latencies.push_back(SecondsSince(begin));
  }
  return true;
}

double BareSecondsOf(const Load& load, const std::string& folder) {
  CommitRows rows;
  rows.content = kContentRows * load.pushes;
  rows.named = kNamedRows * load.pushes;
  rows.events = rows.content + rows.named;
  rows.is_durable = !load.is_relaxed;
  const std::vector<CommitRows> commits(static_cast<size_t>(load.messages),
                                        rows);
  return BareSeconds(folder, std::vector<std::vector<CommitRows>>(
                                 static_cast<size_t>(load.clients), commits));
}

}  // namespace

int MeasurePushes(const Arguments& arguments) {
  Load load;
  load.socket = arguments.Text("socket");
  load.store = arguments.Text("store");
  load.clients = arguments.Number("clients");
  load.messages = arguments.Number("messages");
  load.pushes = arguments.Number("pushes");
  load.is_relaxed = arguments.Text("mode") == "relaxed";
  std::vector<Client> clients(static_cast<size_t>(load.clients));
  std::atomic<bool> is_good{true};
  InThreads(load.clients, [&](int i) {
    if (!Prepare(load, i, &clients[static_cast<size_t>(i)])) is_good = false;
  });
  const double seconds = InThreads(load.clients, [&](int i) {
    if (!SendAll(&clients[static_cast<size_t>(i)])) is_good = false;
  });
  uint64_t bytes = 0;
  std::vector<double> latencies;
  for (Client& client : clients) {
    bytes += client.bytes;
    latencies.insert(latencies.end(), client.latencies.begin(),
                     client.latencies.end());
    client.requests.clear();
  }
  const double bare = BareSecondsOf(load, arguments.Text("folder"));
  const uint64_t pushes =
      uint64_t{1} * load.clients * load.messages * load.pushes;
  std::printf("{\"pushes\": %" PRIu64 ", \"bytes\": %" PRIu64
              ", \"seconds\": %.9g, \"bare_seconds\": %.9g, %s}\n",
              pushes, bytes, seconds, bare,
              ToJson(SpreadOf(std::move(latencies))).c_str());
  return is_good ? 0 : 1;
}

}  // namespace reclaim::benchmark
