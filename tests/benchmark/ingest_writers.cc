// Clients that push while something else is measured (B7, B9, B10), and what
// their own calls took.

#include <atomic>
#include <chrono>
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "reclaim/v1/graph.pb.h"
#include "tests/benchmark/daemon_client.h"
#include "tests/benchmark/ingest_measures.h"
#include "tests/benchmark/push_source.h"
#include "tests/benchmark/registry_files.h"

namespace reclaim::benchmark {
namespace {

struct Writing {
  std::string socket;
  std::string store;
  std::string prefix;  // of the repositories: another one makes other pushes
  int clients = 1;
  int pushes = 1;    // a message
  int messages = 0;  // of a client; 0: until the end
  // Between two messages of a client; 0: none.
  std::chrono::duration<double> interval{0};
  std::string tree;  // "": nothing is laid anywhere
  std::vector<Blob> bases;
};

struct Written {
  std::vector<double> latencies;
  // Of what was acknowledged.
  uint64_t pushes = 0;
  uint64_t bytes = 0;
  std::vector<std::string> digests;  // of what was laid into the tree
  bool is_good = true;
};

std::vector<Blob> ReadBases(const std::string& path) {
  std::vector<Blob> bases;
  std::ifstream file(path);
  Blob base;
  while (file >> base.digest >> base.size) bases.push_back(base);
  return bases;
}

Writing ReadWriting(const Arguments& arguments) {
  Writing writing;
  writing.socket = arguments.Text("socket");
  writing.store = arguments.Text("store");
  writing.prefix = arguments.Text("prefix");
  writing.clients = arguments.Number("clients");
  writing.pushes = arguments.Number("pushes");
  writing.messages = arguments.Number("messages");
  const int rate = arguments.Number("rate");
  if (rate > 0) {
    writing.interval = std::chrono::duration<double>(
        static_cast<double>(writing.clients) * writing.pushes / rate);
  }
  if (arguments.Has("tree")) {
    writing.tree = arguments.Text("tree");
    writing.bases = ReadBases(arguments.Text("bases"));
  }
  return writing;
}

void Acknowledge(const Writing& writing, const std::vector<Push>& pushes,
                 Written* written) {
  for (const Push& push : pushes) {
    ++written->pushes;
    written->bytes += push.added_bytes();
    if (writing.tree.empty()) continue;
    written->digests.push_back(push.manifest.digest);
    for (const Blob& blob : push.added) written->digests.push_back(blob.digest);
  }
}

// One client: what is late is sent at once, so that the rate is kept.
void Write(const Writing& writing, int number, const std::atomic<bool>& is_over,
           Written* written) {
  GraphClient daemon(writing.socket);
  PushOptions options;
  options.repository = absl::StrCat("bench/", writing.prefix, number);
  options.bases = writing.bases;
  options.is_real = !writing.tree.empty();
  PushSource source(std::move(options));
  const std::string aside =
      absl::StrCat(writing.tree, ".aside-", writing.prefix, number);
  const SteadyClock::time_point begin = SteadyClock::now();
  for (int message = 0; !is_over; ++message) {
    if (writing.messages > 0 && message == writing.messages) return;
    v1::RecordRequest request;
    request.set_relaxed(true);
    std::vector<Push> pushes;
    pushes.reserve(static_cast<size_t>(writing.pushes));
    for (int i = 0; i < writing.pushes; ++i) {
      pushes.push_back(source.Next());
      AddPush(writing.store, pushes.back(), &request);
      if (!writing.tree.empty()) LayPush(writing.tree, aside, pushes.back());
    }
    std::this_thread::sleep_until(
        begin + std::chrono::duration_cast<SteadyClock::duration>(
                    writing.interval * message));
    const SteadyClock::time_point sent = SteadyClock::now();
    if (!daemon.Record(request)) {
      written->is_good = false;
      return;
    }
    written->latencies.push_back(SecondsSince(sent));
    Acknowledge(writing, pushes, written);
  }
}

Written Sum(const std::vector<Written>& parts) {
  Written sum;
  for (const Written& part : parts) {
    sum.latencies.insert(sum.latencies.end(), part.latencies.begin(),
                         part.latencies.end());
    sum.pushes += part.pushes;
    sum.bytes += part.bytes;
    sum.digests.insert(sum.digests.end(), part.digests.begin(),
                       part.digests.end());
    sum.is_good = sum.is_good && part.is_good;
  }
  return sum;
}

}  // namespace

int WritePushes(const Arguments& arguments) {
  const Writing writing = ReadWriting(arguments);
  std::atomic<bool> is_over{false};
  std::thread waits;
  if (writing.messages == 0) {
    waits = std::thread([&is_over] {
      while (std::getchar() != EOF) {
      }
      is_over = true;
    });
  }
  std::vector<Written> parts(static_cast<size_t>(writing.clients));
  const double seconds = InThreads(writing.clients, [&](int i) {
    Write(writing, i, is_over, &parts[static_cast<size_t>(i)]);
  });
  if (waits.joinable()) waits.join();
  Written sum = Sum(parts);
  if (arguments.Has("list")) {
    std::ofstream file(arguments.Text("list"));
    for (const std::string& digest : sum.digests) file << digest << '\n';
  }
  std::printf("{\"pushes\": %" PRIu64 ", \"bytes\": %" PRIu64
              ", \"seconds\": %.9g, \"is_good\": %s, %s}\n",
              sum.pushes, sum.bytes, seconds, sum.is_good ? "true" : "false",
              ToJson(SpreadOf(std::move(sum.latencies))).c_str());
  return sum.is_good ? 0 : 1;
}

}  // namespace reclaim::benchmark
