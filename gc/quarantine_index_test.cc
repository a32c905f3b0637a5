#include "gc/quarantine_index.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "oci/digest.h"

namespace reclaim::gc {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr uint64_t kAdopted = uint64_t{1} << 40;

TEST(QuarantineIndexTest, AnEntryIsFoundByItsContentUntilItGoes) {
  QuarantineIndex index;
  index.Put({"r", 1}, 7);
  index.Put({"r", kAdopted + 1}, 7);
  index.Put({"q", 5}, 7);
  index.Put({"q", 6}, 8);
  EXPECT_THAT(index.Find(7),
              ElementsAre(QuarantineKey("q", 5), QuarantineKey("r", 1),
                          QuarantineKey("r", kAdopted + 1)));
  EXPECT_TRUE(index.HasRun("r"));
  EXPECT_FALSE(index.HasRun("rr"));
  index.Remove({"r", 1});
  index.Remove({"r", 1});
  index.Remove({"none", 1});
  EXPECT_TRUE(index.HasRun("r"))
      << "what was found without a record is its too";
  index.Remove({"r", kAdopted + 1});
  EXPECT_FALSE(index.HasRun("r"));
  EXPECT_THAT(index.Find(7), ElementsAre(QuarantineKey("q", 5)));
  EXPECT_THAT(index.Find(9), IsEmpty());
}

TEST(QuarantineIndexTest, AnEntryThatIsPutAgainIsOne) {
  QuarantineIndex index;
  index.Put({"r", 1}, 7);
  index.Put({"r", 1}, 7);
  EXPECT_THAT(index.Find(7), ElementsAre(QuarantineKey("r", 1)));
  index.Put({"r", 1}, 8);
  EXPECT_THAT(index.Find(7), IsEmpty());
  EXPECT_THAT(index.Find(8), ElementsAre(QuarantineKey("r", 1)));
}

TEST(QuarantineIndexTest, AHashIsOfAllThatNamesContent) {
  const oci::Digest a = oci::Digest::Sha256Of("a");
  const uint32_t hash = QuarantineIndex::HashOf("s", "p", a);
  EXPECT_EQ(QuarantineIndex::HashOf("s", "p", a), hash);
  EXPECT_NE(QuarantineIndex::HashOf("t", "p", a), hash);
  EXPECT_NE(QuarantineIndex::HashOf("s", "q", a), hash);
  EXPECT_NE(QuarantineIndex::HashOf("s", "p", oci::Digest::Sha256Of("b")),
            hash);
}

TEST(QuarantineKeysTest, ListsAreSortedByTimeThenInTheOrderOfRuns) {
  const absl::Time now = absl::FromUnixSeconds(1767323045);
  QuarantineKeys keys;
  EXPECT_TRUE(keys.empty());
  keys.Add({"a", 1}, now, false);
  keys.Add({"a", kAdopted}, now - absl::Hours(2), true);
  keys.Add({"b", 0}, now, true);
  keys.Add({"b", 1}, now - absl::Microseconds(1), false);
  const auto all = [&keys] {
    std::vector<QuarantineKey> list;
    for (size_t i = 0; i < keys.size(); ++i) list.push_back(keys.key(i));
    return list;
  };
  keys.SortNewestFirst();
  EXPECT_THAT(all(),
              ElementsAre(QuarantineKey("a", 1), QuarantineKey("b", 0),
                          QuarantineKey("b", 1), QuarantineKey("a", kAdopted)));
  keys.SortOldestFirst();
  EXPECT_THAT(all(),
              ElementsAre(QuarantineKey("a", kAdopted), QuarantineKey("b", 1),
                          QuarantineKey("a", 1), QuarantineKey("b", 0)));
  EXPECT_EQ(keys.PutNamesFirst(), 2u);
  EXPECT_THAT(all(),
              ElementsAre(QuarantineKey("a", kAdopted), QuarantineKey("b", 0),
                          QuarantineKey("b", 1), QuarantineKey("a", 1)));
  EXPECT_TRUE(keys.IsSameRun(1, 2));
  EXPECT_FALSE(keys.IsSameRun(0, 1));
  keys.KeepIf([](const QuarantineKey& key) { return key.first == "b"; });
  EXPECT_THAT(all(), ElementsAre(QuarantineKey("b", 0), QuarantineKey("b", 1)));
}

// All of a purge, in an order that is neither theirs nor its reverse.
void RemoveInAnyOrder(std::vector<QuarantineKey> keys, QuarantineIndex* index) {
  constexpr uint64_t kSeed = 4;
  SCOPED_TRACE(absl::StrCat("seed ", kSeed));
  std::shuffle(keys.begin(), keys.end(), std::mt19937_64(kSeed));
  for (const QuarantineKey& key : keys) index->Remove(key);
  EXPECT_FALSE(index->HasRun("r"));
}

// No step of an index passes all entries of one content: this would not end.
TEST(QuarantineIndexTest, OneContentMayHaveManyEntries) {
  constexpr uint64_t kMany = 100'000;
  const uint32_t content =
      QuarantineIndex::HashOf("s", "p", oci::Digest::Sha256Of("{}"));
  const uint32_t neighbour = content ^ 1;
  QuarantineIndex index;
  std::vector<QuarantineKey> keys;
  for (uint64_t i = 0; i < kMany; ++i) keys.emplace_back("r", i);
  for (const QuarantineKey& key : keys) index.Put(key, content);
  index.Put({"q", 1}, neighbour);
  EXPECT_EQ(index.Find(content), keys);
  for (uint64_t i = 0; i < kMany; ++i) {
    ASSERT_THAT(index.Find(neighbour), ElementsAre(QuarantineKey("q", 1)));
  }
  RemoveInAnyOrder(keys, &index);
  EXPECT_THAT(index.Find(content), IsEmpty());
  for (const QuarantineKey& key : keys) index.Put(key, content);
  for (const QuarantineKey& key : keys) index.Remove(key);
  EXPECT_THAT(index.Find(content), IsEmpty());
  EXPECT_THAT(index.Find(neighbour), ElementsAre(QuarantineKey("q", 1)));
}

TEST(QuarantineIndexTest, WhatHasNoDigestHasAHashOfItsOwn) {
  constexpr uint64_t kMany = 100'000;
  QuarantineIndex index;
  std::vector<QuarantineKey> keys;
  std::set<uint32_t> hashes;
  for (uint64_t i = 0; i < kMany; ++i) {
    keys.emplace_back("r", i);
    const uint32_t hash = QuarantineIndex::HashOf(keys.back());
    hashes.insert(hash);
    index.Put(keys.back(), hash);
  }
  EXPECT_GT(hashes.size(), kMany - 100) << "one or two are alike by chance";
  EXPECT_NE(QuarantineIndex::HashOf(QuarantineKey("q", 1)),
            QuarantineIndex::HashOf(QuarantineKey("r", 1)));
  RemoveInAnyOrder(keys, &index);
}

// Beside plain maps.
TEST(QuarantineIndexTest, ItSaysWhatPlainMapsSay) {
  for (const uint64_t seed : {1, 2, 3}) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    std::mt19937_64 random(seed);
    QuarantineIndex index;
    std::map<QuarantineKey, uint32_t> plain;
    for (int step = 0; step < 20'000; ++step) {
      const QuarantineKey key(
          absl::StrCat("run", random() % 5),
          random() % 700 + (random() % 4 == 0 ? kAdopted : 0));
      const auto content = static_cast<uint32_t>(random() % 50);
      if (random() % 2 == 0) {
        index.Put(key, content);
        plain[key] = content;
      } else {
        index.Remove(key);
        plain.erase(key);
      }
      if (step % 100 != 0) continue;
      std::set<std::string> runs;
      std::map<uint32_t, std::vector<QuarantineKey>> by_content;
      for (const auto& [one, of] : plain) {
        runs.insert(one.first);
        by_content[of].push_back(one);
      }
      for (uint32_t i = 0; i < 50; ++i) {
        ASSERT_EQ(index.Find(i), by_content[i]) << step;
      }
      for (int i = 0; i < 5; ++i) {
        const std::string run = absl::StrCat("run", i);
        ASSERT_EQ(index.HasRun(run), runs.count(run) > 0) << step;
      }
    }
  }
}

}  // namespace
}  // namespace reclaim::gc
