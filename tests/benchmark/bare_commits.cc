#include "tests/benchmark/bare_commits.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <random>
#include <utility>

#include "base/check.h"
#include "index/engine.h"
#include "index/graph_records.h"
#include "index/rocksdb_engine.h"
#include "tests/benchmark/daemon_client.h"

namespace reclaim::benchmark {
namespace {

// What a record and an event row take, roughly.
constexpr size_t kRecordBytes = 60;
constexpr size_t kEventBytes = 90;
// Of them a digest, which does not compress.
constexpr size_t kDigestBytes = 32;

struct Bare {
  index::Batch batch;
  index::Durability durability = index::Durability::kBuffered;
};

class BareBatches {
 public:
  Bare Make(const CommitRows& rows) {
    Bare bare;
    bare.durability = rows.is_durable ? index::Durability::kDurable
                                      : index::Durability::kBuffered;
    for (int i = 0; i < rows.content; ++i) {
      bare.batch.Put(index::Family::kContent, index::IdKey(id_++),
                     Value(kRecordBytes));
    }
    for (int i = 0; i < rows.named; ++i) {
      bare.batch.Put(index::Family::kNamed, index::IdKey(id_++),
                     Value(kRecordBytes));
    }
    for (int i = 0; i < rows.events; ++i) {
      bare.batch.Put(index::Family::kEvent, index::SequenceKey(sequence_++),
                     Value(kEventBytes));
    }
    return bare;
  }

 private:
  std::string Value(size_t size) {
    std::string value(size, 'r');
    for (size_t i = 0; i < kDigestBytes; ++i) {
      value[i] = static_cast<char>(random_() & 0xff);
    }
    return value;
  }

  uint32_t id_ = 0;
  uint64_t sequence_ = 1;
  std::mt19937 random_{6};  // always the same
};

}  // namespace

double BareSeconds(const std::string& folder,
                   absl::Span<const std::vector<CommitRows>> clients) {
  std::vector<std::vector<Bare>> commits(clients.size());
  BareBatches batches;
  bool is_more = true;
  // In the order in which they come: one of each client, and again.
  for (size_t turn = 0; is_more; ++turn) {
    is_more = false;
    for (size_t client = 0; client < clients.size(); ++client) {
      if (turn >= clients[client].size()) continue;
      commits[client].push_back(batches.Make(clients[client][turn]));
      is_more = true;
    }
  }
  index::RocksDbOptions options;
  options.path = folder + "/bare";
  auto opened = index::OpenRocksDb(options);
  RECLAIM_CHECK(opened.ok(), "the folder of the measurement is ours");
  const std::unique_ptr<index::Engine> engine = *std::move(opened);
  return InThreads(static_cast<int>(clients.size()), [&](int client) {
    for (const Bare& bare : commits[static_cast<size_t>(client)]) {
      RECLAIM_CHECK(engine->Commit(bare.batch, bare.durability).ok(),
                    "the disk of the measurement has room");
    }
  });
}

}  // namespace reclaim::benchmark
