// Both engines against one map a family: every short sequence of commits over
// two keys, then random ones with deleted ranges, refused commits, scans within
// bounds and commits in the midst of a scan, while the database is closed and
// opened again.  All three say the same after every step.
//
// RECLAIM_SEED repeats a run.

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "base/fault_point.h"
#include "base/status_matchers.h"
#include "gtest/gtest.h"
#include "index/engine.h"
#include "index/memory_engine.h"
#include "index/rocksdb_engine.h"
#include "store/testing/store_tree.h"
#include "tests/support/seed.h"

namespace reclaim::index {
namespace {

using ::reclaim::base::IsOk;
using ::reclaim::base::StatusIs;

using Row = std::pair<std::string, std::string>;
using Rows = std::vector<Row>;

// A scan, forwards from a bound or backwards from before one.
struct Query {
  Family family = Family::kMeta;
  bool is_backwards = false;
  std::string prefix;
  std::string bound;
  size_t limit = std::numeric_limits<size_t>::max();
};

std::string TextOf(const Query& query) {
  return absl::StrCat(ToString(query.family),
                      query.is_backwards ? " backwards" : "", ", prefix \"",
                      absl::CHexEscape(query.prefix), "\", bound \"",
                      absl::CHexEscape(query.bound), "\"");
}

// The slow and obvious way: every question looks at every row.
class Twin {
 public:
  void Commit(const Batch& batch) {
    for (const Batch::Entry& entry : batch.entries()) {
      Table& table = tables_[static_cast<size_t>(entry.family)];
      if (entry.value) {
        table[entry.key] = *entry.value;
        continue;
      }
      for (auto it = table.begin(); it != table.end();) {
        const bool is_in = it->first >= entry.key && it->first < entry.end;
        const bool is_named = entry.end.empty() && it->first == entry.key;
        it = is_in || is_named ? table.erase(it) : std::next(it);
      }
    }
  }

  std::optional<std::string> Get(Family family, const std::string& key) const {
    for (const auto& [name, value] : Of(family)) {
      if (name == key) return value;
    }
    return std::nullopt;
  }

  Rows Read(const Query& query) const {
    Rows rows;
    for (const auto& [key, value] : Of(query.family)) {
      if (!absl::StartsWith(key, query.prefix)) continue;
      if (!query.is_backwards && key >= query.bound) {
        rows.emplace_back(key, value);
      }
      if (query.is_backwards && (query.bound.empty() || key < query.bound)) {
        rows.insert(rows.begin(), Row(key, value));
      }
    }
    if (rows.size() > query.limit) rows.resize(query.limit);
    return rows;
  }

 private:
  using Table = std::map<std::string, std::string>;
  const Table& Of(Family family) const {
    return tables_[static_cast<size_t>(family)];
  }

  std::array<Table, kFamilyCount> tables_;
};

// What a scan visits; `at_first` is called within its first visit.
Rows ReadFrom(const Engine& engine, const Query& query,
              const std::function<void()>& at_first = nullptr) {
  Rows rows;
  const auto visit = [&](absl::string_view key, absl::string_view value) {
    if (rows.empty() && at_first) at_first();
    rows.emplace_back(std::string(key), std::string(value));
    return rows.size() < query.limit;
  };
  const absl::Status status =
      query.is_backwards
          ? engine.ScanBackwards(query.family, query.prefix, query.bound, visit)
          : engine.Scan(query.family, query.prefix, query.bound, visit);
  EXPECT_THAT(status, IsOk());
  return rows;
}

class EngineTwinTest : public ::testing::Test {
 protected:
  // All three are empty.
  void Begin() {
    path_ = absl::StrCat(folder_.path(), "/", ++database_count_);
    memory_ = std::make_unique<MemoryEngine>();
    twin_ = Twin();
    Reopen();
  }
  void Reopen() {
    rocks_.reset();
    RocksDbOptions options;
    options.path = path_;
    options.write_buffer_bytes = write_buffer_bytes_;
    auto opened = OpenRocksDb(options);
    ASSERT_THAT(opened, IsOk());
    rocks_ = *std::move(opened);
  }

  void Commit(const Batch& batch, Durability durability) {
    ASSERT_THAT(memory_->Commit(batch, durability), IsOk());
    ASSERT_THAT(rocks_->Commit(batch, durability), IsOk());
    twin_.Commit(batch);
  }

  void ExpectSame(const Query& query) const {
    const Rows rows = twin_.Read(query);
    ASSERT_EQ(ReadFrom(*memory_, query), rows) << "memory: " << TextOf(query);
    ASSERT_EQ(ReadFrom(*rocks_, query), rows) << "RocksDB: " << TextOf(query);
  }
  void ExpectSameValue(Family family, const std::string& key) const {
    const std::optional<std::string> value = twin_.Get(family, key);
    for (const Engine* engine : {static_cast<Engine*>(memory_.get()),
                                 static_cast<Engine*>(rocks_.get())}) {
      const auto got = engine->Get(family, key);
      ASSERT_THAT(got, IsOk());
      ASSERT_EQ(*got, value) << (engine == rocks_.get() ? "RocksDB" : "memory")
                             << ": \"" << absl::CHexEscape(key) << "\"";
    }
  }
  // Every row of a family, both ways.
  void ExpectSameFamily(Family family) const {
    Query query;
    query.family = family;
    ASSERT_NO_FATAL_FAILURE(ExpectSame(query));
    query.is_backwards = true;
    ExpectSame(query);
  }
  void ExpectSameFamilies() const {
    for (int family = 0; family < kFamilyCount; ++family) {
      ASSERT_NO_FATAL_FAILURE(ExpectSameFamily(static_cast<Family>(family)));
    }
  }

  uint64_t write_buffer_bytes_ = RocksDbOptions().write_buffer_bytes;
  store::TempFolder folder_;
  int database_count_ = 0;
  std::string path_;
  std::unique_ptr<MemoryEngine> memory_;
  std::unique_ptr<Engine> rocks_;
  Twin twin_;
};

// What may be done to the keys "a" and "b" below a prefix.
constexpr int kDeedCount = 7;

void AddDeed(int deed, Family family, const std::string& prefix,
             const std::string& value, Batch* batch) {
  switch (deed) {
    case 0:
    case 1:
      return batch->Put(family, prefix + (deed == 0 ? "a" : "b"), value);
    case 2:
    case 3:
      return batch->Delete(family, prefix + (deed == 2 ? "a" : "b"));
    case 4:
      return batch->DeleteRange(family, prefix + "a", prefix + "b");
    case 5:
      return batch->DeleteRange(family, prefix + "b", prefix + "c");
    default:
      return batch->DeleteRange(family, prefix + "a", prefix + "c");
  }
}

class ShortSequencesTest : public EngineTwinTest {
 protected:
  static constexpr size_t kLengthMax = 4;
  // Each leaves deleted ranges behind, which RocksDB sorts for each reader.
  static constexpr int kSequencesPerDatabase = 1000;

  // Where a sequence is divided into commits: anywhere, a bit a place; the
  // longest are one commit, or one commit for each of their deeds.
  static std::vector<uint32_t> CutsOf(size_t length) {
    const uint32_t all = (uint32_t{1} << (length - 1)) - 1;
    if (length == kLengthMax) return {0, all};
    std::vector<uint32_t> cuts;
    for (uint32_t cut = 0; cut <= all; ++cut) cuts.push_back(cut);
    return cuts;
  }

  void ExpectSameBelow(Family family, const std::string& prefix) const {
    for (const bool is_backwards : {false, true}) {
      for (const std::string& bound : {std::string(), prefix + "b"}) {
        Query query;
        query.family = family;
        query.is_backwards = is_backwards;
        query.prefix = prefix;
        query.bound = bound;
        ASSERT_NO_FATAL_FAILURE(ExpectSame(query));
      }
    }
    ASSERT_NO_FATAL_FAILURE(ExpectSameValue(family, prefix + "a"));
    ExpectSameValue(family, prefix + "b");
  }

  void RunOne(const std::vector<int>& deeds, uint32_t cuts) {
    const Family family = static_cast<Family>(sequence_count_ % kFamilyCount);
    const std::string prefix = absl::StrCat(100'000 + sequence_count_, "/");
    ++sequence_count_;
    Batch batch;
    for (size_t i = 0; i < deeds.size(); ++i) {
      AddDeed(deeds[i], family, prefix, absl::StrCat(i), &batch);
      const bool is_last = i + 1 == deeds.size();
      if (!is_last && (cuts >> i & 1) == 0) continue;
      ASSERT_NO_FATAL_FAILURE(Commit(batch, Durability::kBuffered));
      batch = Batch();
      ASSERT_NO_FATAL_FAILURE(ExpectSameBelow(family, prefix));
    }
  }

  // The `number`-th of its length.
  static std::vector<int> DeedsOf(size_t length, int number) {
    std::vector<int> deeds;
    for (; deeds.size() < length; number /= kDeedCount) {
      deeds.push_back(number % kDeedCount);
    }
    return deeds;
  }

  void RunAll(size_t length, int sequences_of_length) {
    for (int number = 0; number < sequences_of_length; ++number) {
      const std::vector<int> deeds = DeedsOf(length, number);
      for (const uint32_t cuts : CutsOf(length)) {
        SCOPED_TRACE(
            absl::StrCat("deeds ", absl::StrJoin(deeds, " "), ", cuts ", cuts));
        if (sequence_count_ % kSequencesPerDatabase == 0) {
          ASSERT_NO_FATAL_FAILURE(Begin());
        }
        ASSERT_NO_FATAL_FAILURE(RunOne(deeds, cuts));
        if (sequence_count_ % kSequencesPerDatabase != 0) continue;
        ASSERT_NO_FATAL_FAILURE(Reopen());
        ASSERT_NO_FATAL_FAILURE(ExpectSameFamilies());
      }
    }
  }

  int sequence_count_ = 0;
};

TEST_F(ShortSequencesTest, EverySequenceOverTwoKeysIsTheSame) {
  int sequences_of_length = 1;
  for (size_t length = 1; length <= kLengthMax; ++length) {
    sequences_of_length *= kDeedCount;
    ASSERT_NO_FATAL_FAILURE(RunAll(length, sequences_of_length));
  }
  EXPECT_EQ(sequence_count_, 7 + 49 * 2 + 343 * 4 + 2401 * 2);
  ASSERT_NO_FATAL_FAILURE(Reopen());
  ExpectSameFamilies();
}

class RandomSequenceTest : public EngineTwinTest {
 protected:
  static constexpr int kRoundCount = 4;
  static constexpr int kStepCount = 300;
  // Few, so that deeds meet: the first, which RocksDB has always, and others.
  static constexpr Family kFamilies[] = {Family::kMeta, Family::kContent,
                                         Family::kHistory};

  // So little that tables are written out, and merged, in the midst of a run.
  RandomSequenceTest() { write_buffer_bytes_ = uint64_t{3} << 20; }

  void Step() {
    switch (Below(16)) {
      case 0:
        return CommitWithinAScan();
      case 1:
        return RefuseACommit();
      case 2:
        ASSERT_THAT(memory_->Sync(), IsOk());
        ASSERT_THAT(rocks_->Sync(), IsOk());
        return;
      case 3:
        if (Below(3) == 0) Reopen();
        return;
      default:
        return Commit(AnyBatch(), Below(16) == 0 ? Durability::kDurable
                                                 : Durability::kBuffered);
    }
  }

  void ExpectSameAnswers() {
    for (const Family family : kFamilies) {
      ASSERT_NO_FATAL_FAILURE(ExpectSameFamily(family));
    }
    for (int i = 0; i < 4; ++i) {
      ASSERT_NO_FATAL_FAILURE(ExpectSame(AnyQuery()));
      ASSERT_NO_FATAL_FAILURE(ExpectSameValue(AnyFamily(), AnyKey()));
    }
  }

  std::mt19937_64 random_;

 private:
  size_t Below(size_t n) { return random_() % n; }
  Family AnyFamily() { return kFamilies[Below(std::size(kFamilies))]; }
  std::string AnyText(size_t length) {
    static constexpr char kLetters[] = {'\0', 'a', 'b', '\xff'};
    std::string text;
    for (size_t i = 0; i < length; ++i) text += kLetters[Below(4)];
    return text;
  }
  std::string AnyKey() { return AnyText(1 + Below(3)); }

  Batch AnyBatch() {
    Batch batch;
    const size_t count = 1 + Below(6);
    for (size_t i = 0; i < count; ++i) {
      const Family family = AnyFamily();
      switch (Below(4)) {
        case 0:
          batch.Delete(family, AnyKey());
          break;
        case 1:
          AddRange(family, &batch);
          break;
        default:
          batch.Put(family, AnyKey(),
                    absl::StrCat(++value_count_, std::string(Below(300), 'v')));
      }
    }
    return batch;
  }
  void AddRange(Family family, Batch* batch) {
    std::string begin = AnyText(Below(4));
    std::string end = AnyKey();
    if (end < begin) std::swap(begin, end);
    if (begin == end) end += '\0';
    batch->DeleteRange(family, std::move(begin), std::move(end));
  }

  Query AnyQuery() {
    Query query;
    query.family = AnyFamily();
    query.is_backwards = Below(2) == 0;
    query.prefix = AnyText(Below(3));
    // Also before, and behind, all that has the prefix.
    if (Below(4) != 0) query.bound = AnyKey();
    if (Below(4) == 0) query.limit = 1 + Below(5);
    return query;
  }

  // A scan is over a snapshot: what comes within its first visit is not seen.
  void CommitWithinAScan() {
    const Query query = AnyQuery();
    const Batch batch = AnyBatch();
    const Rows rows = twin_.Read(query);
    for (Engine* engine : {static_cast<Engine*>(memory_.get()),
                           static_cast<Engine*>(rocks_.get())}) {
      const auto commit = [&] {
        EXPECT_THAT(engine->Commit(batch, Durability::kBuffered), IsOk());
      };
      ASSERT_EQ(ReadFrom(*engine, query, commit), rows) << TextOf(query);
      if (rows.empty()) commit();
    }
    twin_.Commit(batch);
  }

  void RefuseACommit() {
    const base::ScopedFault fault("engine.commit",
                                  absl::ResourceExhaustedError("disk full"));
    const Batch batch = AnyBatch();
    for (Engine* engine : {static_cast<Engine*>(memory_.get()),
                           static_cast<Engine*>(rocks_.get())}) {
      ASSERT_THAT(engine->Commit(batch, Durability::kDurable),
                  StatusIs(absl::StatusCode::kResourceExhausted));
    }
  }

  uint64_t value_count_ = 0;
};

TEST_F(RandomSequenceTest, BothEnginesAndTheMapAgreeAfterEachStep) {
  const uint64_t seed = tests::AskSeed();
  for (int round = 0; round < kRoundCount; ++round) {
    random_.seed(seed + round);
    ASSERT_NO_FATAL_FAILURE(Begin());
    for (int step = 0; step < kStepCount; ++step) {
      SCOPED_TRACE(absl::StrCat("RECLAIM_SEED=", seed, " round ", round,
                                " step ", step));
      ASSERT_NO_FATAL_FAILURE(Step());
      ASSERT_NO_FATAL_FAILURE(ExpectSameAnswers());
      if (HasFailure()) return;
    }
    ASSERT_NO_FATAL_FAILURE(Reopen());
    ASSERT_NO_FATAL_FAILURE(ExpectSameFamilies());
  }
}

}  // namespace
}  // namespace reclaim::index
