// B6: what clients of a registry do, all of it, in its shares.

#include <atomic>
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "reclaim/v1/graph.pb.h"
#include "tests/benchmark/bare_commits.h"
#include "tests/benchmark/daemon_client.h"
#include "tests/benchmark/event_mix.h"
#include "tests/benchmark/ingest_measures.h"
#include "tests/benchmark/push_source.h"

namespace reclaim::benchmark {
namespace {

constexpr size_t kBaseCount = 50;

struct Client {
  std::unique_ptr<GraphClient> daemon;
  std::vector<MixEvent> events;
  std::vector<double> latencies;
  MixTruth truth;
};

// All that is not the daemon's work is done before the clock starts.
bool Prepare(const std::string& socket, size_t count, const MixOptions& options,
             Client* client) {
  client->daemon = std::make_unique<GraphClient>(socket);
  EventMix mix(options);
  const v1::RecordRequest first = mix.Begin();
  client->events.reserve(count);
  client->latencies.reserve(count);
  for (size_t i = 0; i < count; ++i) client->events.push_back(mix.Next());
  client->truth = mix.truth();
  return client->daemon->Record(first);
}

bool SendAll(Client* client) {
  for (const MixEvent& event : client->events) {
    const SteadyClock::time_point begin = SteadyClock::now();
    const bool is_good = event.kind == MixKind::kCheck
                             ? client->daemon->Check(event.check)
                             : client->daemon->Record(event.record);
    if (!is_good) return false;
    client->latencies.push_back(SecondsSince(begin));
  }
  return true;
}

// What all of them come to together, the bases as well.
MixTruth Sum(const std::vector<Client>& clients,
             const std::vector<Blob>& bases) {
  MixTruth sum;
  for (const Blob& base : bases) sum.bytes += base.size;
  for (const Client& client : clients) {
    sum.images += client.truth.images;
    sum.tags += client.truth.tags;
    sum.repositories += client.truth.repositories;
    sum.bytes += client.truth.bytes;
  }
  return sum;
}

std::vector<std::vector<CommitRows>> RowsOf(
    const std::vector<Client>& clients) {
  std::vector<std::vector<CommitRows>> rows(clients.size());
  for (size_t i = 0; i < clients.size(); ++i) {
    rows[i].reserve(clients[i].events.size());
    for (const MixEvent& event : clients[i].events) {
      rows[i].push_back(event.rows);
    }
  }
  return rows;
}

bool RecordBases(const std::string& socket, const MixOptions& options) {
  GraphClient daemon(socket);
  v1::RecordRequest request;
  AddBlobs(options.store, options.bases, &request);
  return daemon.Record(request);
}

}  // namespace

int MeasureMix(const Arguments& arguments) {
  const std::string& socket = arguments.Text("socket");
  const int count = arguments.Number("clients");
  const auto event_count = static_cast<size_t>(arguments.Number("events"));
  MixOptions options;
  options.store = arguments.Text("store");
  options.is_relaxed = arguments.Text("mode") == "relaxed";
  options.bases.reserve(kBaseCount);
  for (size_t i = 0; i < kBaseCount; ++i) options.bases.push_back(MakeBase(i));
  std::atomic<bool> is_good{RecordBases(socket, options)};
  std::vector<Client> clients(static_cast<size_t>(count));
  InThreads(count, [&](int i) {
    MixOptions own = options;
    own.client = i;
    Client* const client = &clients[static_cast<size_t>(i)];
    if (!Prepare(socket, event_count, own, client)) is_good = false;
  });
  const double seconds = InThreads(count, [&](int i) {
    if (!SendAll(&clients[static_cast<size_t>(i)])) is_good = false;
  });
  std::vector<double> latencies;
  for (const Client& client : clients) {
    latencies.insert(latencies.end(), client.latencies.begin(),
                     client.latencies.end());
  }
  const MixTruth truth = Sum(clients, options.bases);
  const std::vector<std::vector<CommitRows>> rows = RowsOf(clients);
  clients.clear();
  const double bare = BareSeconds(arguments.Text("folder"), rows);
  std::printf("{\"events\": %zu, \"images\": %" PRIu64 ", \"tags\": %" PRIu64
              ", \"repositories\": %" PRIu64 ", \"bytes\": %" PRIu64
              ", \"seconds\": %.9g, \"bare_seconds\": %.9g, %s}\n",
              event_count * static_cast<size_t>(count), truth.images,
              truth.tags, truth.repositories, truth.bytes, seconds, bare,
              ToJson(SpreadOf(std::move(latencies))).c_str());
  return is_good ? 0 : 1;
}

}  // namespace reclaim::benchmark
