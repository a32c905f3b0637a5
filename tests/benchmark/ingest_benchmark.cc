// B6: pushes over gRPC, and what RocksDB takes of the same records without us.
//
//   ingest_benchmark SOCKET STORE CLIENTS MESSAGES PUSHES durable|relaxed
//   FOLDER
//
// CLIENTS threads, each with a connection of its own, send MESSAGES of PUSHES
// images to an external store of a running daemon.  Then as many threads commit
// as many records to a database in FOLDER, with nothing else done: a push is a
// manifest, a config, two layers, a tag and an event each.  Prints one JSON
// object; the exit code is 1 if a call failed or changed less than it should.

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cinttypes>
#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "index/engine.h"
#include "index/rocksdb_engine.h"
#include "oci/digest.h"
#include "reclaim/v1/graph.grpc.pb.h"

namespace reclaim::benchmark {
namespace {

using Clock = std::chrono::steady_clock;

// Of one push: a config and two layers that are new.
constexpr uint64_t kBlobBytes[] = {3'000, 1'000'000, 20'000};
constexpr int kBlobCount = 3;
constexpr int kRecordsPerPush = 5;  // and an event for each
// What an engine's record and an event row take (docs/FORMAT.md), roughly.
constexpr size_t kRecordBytes = 60;
constexpr size_t kEventBytes = 90;

struct Options {
  std::string socket;
  std::string store;
  int clients = 1;
  int messages = 1;
  int pushes = 1;  // a message
  bool is_relaxed = false;
  std::string folder;
};

double Since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

// Runs `work` of every client at once; seconds till the last was done.
double InThreads(int count, const std::function<void(int)>& work) {
  const Clock::time_point begin = Clock::now();
  std::vector<std::thread> threads;
  threads.reserve(count);
  for (int i = 0; i < count; ++i) threads.emplace_back(work, i);
  for (std::thread& thread : threads) thread.join();
  return Since(begin);
}

std::string Descriptor(const std::string& type, const std::string& digest,
                       uint64_t size) {
  return absl::StrCat("{\"mediaType\":\"application/vnd.oci.image.", type,
                      "\",\"digest\":\"", digest, "\",\"size\":", size, "}");
}

class Pusher {
 public:
  Pusher(const Options& options, int client)
      : options_(options), repository_(absl::StrCat("team/app", client)) {}

  // The operations of the next push; tells the bytes that it adds.
  uint64_t AddPush(v1::RecordRequest* request) {
    uint64_t sum = 0;
    std::vector<std::string> parts;
    for (int blob = 0; blob < kBlobCount; ++blob) {
      const std::string digest =
          oci::Digest::Sha256Of(
              absl::StrCat(repository_, " ", push_, " ", blob))
              .ToString();
      v1::PutBlob& put = *request->add_operations()->mutable_put_blob();
      put.mutable_name()->set_store(options_.store);
      put.mutable_name()->set_digest(digest);
      put.mutable_bytes()->set_logical_bytes(kBlobBytes[blob]);
      put.mutable_bytes()->set_allocated_bytes(kBlobBytes[blob]);
      parts.push_back(Descriptor(blob == 0 ? "config.v1+json" : "layer.v1.tar",
                                 digest, kBlobBytes[blob]));
      sum += kBlobBytes[blob];
    }
    const std::string manifest = absl::StrCat(
        "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image."
        "manifest.v1+json\",\"config\":",
        parts[0], ",\"layers\":[", parts[1], ",", parts[2], "]}");
    const std::string digest = oci::Digest::Sha256Of(manifest).ToString();
    v1::PutBlob& stat = *request->add_operations()->mutable_put_blob();
    stat.mutable_name()->set_store(options_.store);
    stat.mutable_name()->set_digest(digest);
    stat.mutable_bytes()->set_logical_bytes(manifest.size());
    stat.mutable_bytes()->set_allocated_bytes(manifest.size());
    v1::PutManifest& put = *request->add_operations()->mutable_put_manifest();
    put.mutable_name()->set_store(options_.store);
    put.mutable_name()->set_digest(digest);
    put.set_manifest(manifest);
    v1::PutTag& tag = *request->add_operations()->mutable_put_tag();
    tag.set_store(options_.store);
    tag.set_repository(repository_);
    tag.set_tag(absl::StrCat("v", push_));
    tag.set_digest(digest);
    ++push_;
    return sum + manifest.size();
  }

  const std::string& repository() const { return repository_; }

 private:
  const Options& options_;
  const std::string repository_;
  int push_ = 0;
};

struct Result {
  double seconds = 0;
  std::vector<double> latencies;  // ascending
  uint64_t bytes = 0;
  bool is_good = true;
};

std::unique_ptr<v1::GraphService::Stub> Connect(const Options& options) {
  grpc::ChannelArguments arguments;
  // Else threads of one process share a connection.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  auto channel = grpc::CreateCustomChannel(
      "unix:" + options.socket, grpc::InsecureChannelCredentials(), arguments);
  channel->WaitForConnected(std::chrono::system_clock::now() +
                            std::chrono::seconds(10));
  return v1::GraphService::NewStub(channel);
}

// One call; false (and why, on stderr) if it failed.
bool Send(v1::GraphService::Stub* stub, const v1::RecordRequest& request) {
  grpc::ClientContext context;
  v1::RecordResponse response;
  const grpc::Status status = stub->Record(&context, request, &response);
  if (!status.ok()) {
    std::fprintf(stderr, "Record: %s\n", status.error_message().c_str());
    return false;
  }
  if (response.problems_size() > 0) {
    std::fprintf(stderr, "Record: %s\n", response.problems(0).c_str());
    return false;
  }
  return response.changed_count() > 0;
}

Result Push(const Options& options) {
  struct Client {
    std::unique_ptr<v1::GraphService::Stub> stub;
    std::vector<v1::RecordRequest> requests;
    std::vector<double> latencies;
  };
  Result result;
  std::vector<Client> clients(options.clients);
  for (int i = 0; i < options.clients; ++i) {
    Pusher pusher(options, i);
    clients[i].stub = Connect(options);
    v1::RecordRequest first;
    v1::PutRepository& put = *first.add_operations()->mutable_put_repository();
    put.set_store(options.store);
    put.set_repository(pusher.repository());
    result.is_good &= Send(clients[i].stub.get(), first);
    for (int message = 0; message < options.messages; ++message) {
      v1::RecordRequest request;
      request.set_relaxed(options.is_relaxed);
      for (int push = 0; push < options.pushes; ++push) {
        result.bytes += pusher.AddPush(&request);
      }
      clients[i].requests.push_back(std::move(request));
    }
  }
  std::atomic<bool> is_good{result.is_good};
  result.seconds = InThreads(options.clients, [&](int i) {
    for (const v1::RecordRequest& request : clients[i].requests) {
      const Clock::time_point begin = Clock::now();
      if (!Send(clients[i].stub.get(), request)) is_good = false;
      clients[i].latencies.push_back(Since(begin));
    }
  });
  result.is_good = is_good;
  for (const Client& client : clients) {
    result.latencies.insert(result.latencies.end(), client.latencies.begin(),
                            client.latencies.end());
  }
  std::sort(result.latencies.begin(), result.latencies.end());
  return result;
}

// Seconds for the same records, committed as the daemon commits a message.
double BareSeconds(const Options& options) {
  auto opened = index::OpenRocksDb({options.folder + "/bare"});
  RECLAIM_CHECK(opened.ok(), "the folder of the measurement is ours");
  const std::unique_ptr<index::Engine> engine = *std::move(opened);
  const auto durability = options.is_relaxed ? index::Durability::kBuffered
                                             : index::Durability::kDurable;
  std::atomic<uint64_t> next{0};
  return InThreads(options.clients, [&](int) {
    for (int message = 0; message < options.messages; ++message) {
      index::Batch batch;
      for (int i = 0; i < options.pushes * kRecordsPerPush; ++i) {
        const std::string key =
            oci::Digest::Sha256Of(absl::StrCat(++next)).hex().substr(0, 8);
        batch.Put(index::Family::kContent, key, std::string(kRecordBytes, 'r'));
        batch.Put(index::Family::kEvent, key, std::string(kEventBytes, 'e'));
      }
      RECLAIM_CHECK(engine->Commit(batch, durability).ok(),
                    "the disk of the measurement has room");
    }
  });
}

int Main(const std::vector<std::string>& arguments) {
  Options options;
  if (arguments.size() != 7 ||
      !absl::SimpleAtoi(arguments[2], &options.clients) ||
      !absl::SimpleAtoi(arguments[3], &options.messages) ||
      !absl::SimpleAtoi(arguments[4], &options.pushes) || options.clients < 1 ||
      options.messages < 1 || options.pushes < 1) {
    std::fputs(
        "ingest_benchmark SOCKET STORE CLIENTS MESSAGES PUSHES "
        "durable|relaxed FOLDER\n",
        stderr);
    return 2;
  }
  options.socket = arguments[0];
  options.store = arguments[1];
  options.is_relaxed = arguments[5] == "relaxed";
  options.folder = arguments[6];
  const Result result = Push(options);
  const double bare = BareSeconds(options);
  const uint64_t pushes =
      uint64_t{1} * options.clients * options.messages * options.pushes;
  const std::vector<double>& latencies = result.latencies;
  std::printf("{\"pushes\": %" PRIu64 ", \"bytes\": %" PRIu64
              ", \"seconds\": %.9g, \"bare_seconds\": %.9g, \"p50\": %.9g, "
              "\"p99\": %.9g, \"is_good\": %s}\n",
              pushes, result.bytes, result.seconds, bare,
              latencies[latencies.size() / 2],
              latencies[latencies.size() * 99 / 100],
              result.is_good ? "true" : "false");
  return result.is_good ? 0 : 1;
}

}  // namespace
}  // namespace reclaim::benchmark

int main(int argc, char** argv) {
  return reclaim::benchmark::Main({argv + 1, argv + argc});
}
