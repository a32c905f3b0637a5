// index/engine.h — the ordered key-value store below the reference graph.
//
// Keys and values are bytes; keys are ordered bytewise within a family.  A
// batch is applied all or nothing.  Two engines exist: memory_engine (tests)
// and rocksdb_engine (durable); index/engine_conformance_test.cc holds both to
// this page.
//
// Batches become durable in the order in which they were committed: what is
// there after a crash is a prefix of the commits, never one with a hole.
//
// Thread-safe.  Errors: RESOURCE_EXHAUSTED (the disk is full; nothing
// changed), DATA_LOSS (damaged files: rebuild from the stores), UNAVAILABLE
// (anything else that the disk did; reopen).

#ifndef RECLAIM_INDEX_ENGINE_H_
#define RECLAIM_INDEX_ENGINE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "index/engine_stats.h"

namespace reclaim::index {

// A key space of its own.  Values name column families on disk: never renumber
// (docs/FORMAT.md).
enum class Family : uint8_t {
  kMeta = 0,        // format version, stores, places, counters of ids
  kContent = 1,     // node id -> content record
  kNamed = 2,       // node id -> named record
  kMembership = 3,  // repository id, content id, kind -> membership record
  kEvent = 4,       // sequence -> event row
  kRequest = 5,     // request id -> answer
  kPlan = 6,        // plan id [, item number] -> plan, item
  kRun = 7,         // run id -> run
  kQuarantine = 8,  // run id, item number -> quarantined item
  kPolicy = 9,      // kind, name -> rule set, schedule, state of a schedule
  kHistory = 10,    // store, resolution, time -> usage
};
inline constexpr int kFamilyCount = 11;
const char* ToString(Family family);

// kDurable survives a power cut once Commit() returns, and so does all that
// was committed before; kBuffered survives a crash of the process only, until
// the next Sync() or durable commit.
enum class Durability : uint8_t { kDurable = 1, kBuffered = 2 };

class Batch {
 public:
  struct Entry {
    Family family = Family::kMeta;
    std::string key;
    std::optional<std::string> value;  // unset deletes
    std::string end;                   // not "": deletes all of [key, end)
  };

  void Put(Family family, std::string key, std::string value) {
    entries_.push_back({family, std::move(key), std::move(value), ""});
  }
  void Delete(Family family, std::string key) {
    entries_.push_back({family, std::move(key), std::nullopt, ""});
  }
  // All keys from `begin` on and below `end`.  Costs the same however many
  // there are.  REQUIRES: begin < end.
  void DeleteRange(Family family, std::string begin, std::string end) {
    entries_.push_back(
        {family, std::move(begin), std::nullopt, std::move(end)});
  }
  void Add(Entry entry) { entries_.push_back(std::move(entry)); }
  const std::vector<Entry>& entries() const { return entries_; }
  bool empty() const { return entries_.empty(); }

 private:
  std::vector<Entry> entries_;
};

class Engine {
 public:
  virtual ~Engine() = default;

  // nullopt if the key is not there.
  virtual absl::StatusOr<std::optional<std::string>> Get(
      Family family, absl::string_view key) const = 0;

  // Visits keys >= `from` that begin with `prefix`, ascending, over a
  // consistent snapshot, until `visit` returns false.
  using Visitor =
      absl::FunctionRef<bool(absl::string_view key, absl::string_view value)>;
  virtual absl::Status Scan(Family family, absl::string_view prefix,
                            absl::string_view from, Visitor visit) const = 0;
  // The same, descending from the last key with `prefix` that is < `before`
  // ("": no bound).
  virtual absl::Status ScanBackwards(Family family, absl::string_view prefix,
                                     absl::string_view before,
                                     Visitor visit) const = 0;

  virtual absl::Status Commit(const Batch& batch, Durability durability) = 0;

  // Makes durable what was committed before the call.  Many commits may share
  // one Sync(); commits go on meanwhile.  After an error nobody knows what is
  // on the disk: reopen.
  virtual absl::Status Sync() = 0;

  // Bytes on disk, roughly.
  virtual uint64_t ApproximateBytes() const = 0;

  // For metrics.  An engine that counts nothing tells its bytes.
  virtual EngineStats Stats() const {
    EngineStats stats;
    stats.disk_bytes = ApproximateBytes();
    return stats;
  }
};

}  // namespace reclaim::index

#endif  // RECLAIM_INDEX_ENGINE_H_
