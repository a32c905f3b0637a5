// gc/quarantine_index.h — private to gc: which quarantine entries may be about
// some content, and lists of entries.
//
// Millions of entries may wait for the end of their period, so no name is held
// here: some 11 bytes an entry, of which four are a hash of what it is about,
// and up to 15 where many are about one content.  Whoever asks reads the
// records and compares.

#ifndef RECLAIM_GC_QUARANTINE_INDEX_H_
#define RECLAIM_GC_QUARANTINE_INDEX_H_

#include <array>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "index/id_table.h"
#include "oci/digest.h"
#include "store/types.h"

namespace reclaim::gc {

// Names a quarantine entry: the run and the item's number in its plan.
using QuarantineKey = std::pair<std::string, uint64_t>;

// Keys of many entries, in 24 bytes each.  Not thread-safe.
class QuarantineKeys {
 public:
  // In the order of runs, and of numbers within one.
  void Add(const QuarantineKey& key, absl::Time quarantined, bool is_name);

  size_t size() const { return keys_.size(); }
  bool empty() const { return keys_.empty(); }
  QuarantineKey key(size_t i) const {
    return {runs_[keys_[i].run], keys_[i].number};
  }
  bool IsSameRun(size_t i, size_t j) const {
    return keys_[i].run == keys_[j].run;
  }
  void SortOldestFirst();
  void SortNewestFirst();
  // Names, and what uses them, before the rest; returns how many they are.
  size_t PutNamesFirst();
  // Keeps the entries that are wanted, asked in their order.
  void KeepIf(absl::FunctionRef<bool(const QuarantineKey&)> is_wanted);

 private:
  struct Key {
    int64_t quarantined;  // microseconds, as the records have it
    uint64_t number;
    uint32_t run;  // in runs_
    bool is_name;
  };
  static bool IsOlder(const Key& a, const Key& b);

  std::vector<std::string> runs_;
  std::vector<Key> keys_;
};

// Not thread-safe.
class QuarantineIndex {
 public:
  // Of a run of this process alone.
  static uint32_t HashOf(absl::string_view store, const store::Place& place,
                         const oci::Digest& digest);
  // For what has no digest: nobody asks for it by one, and all of a place would
  // have one hash.
  static uint32_t HashOf(const QuarantineKey& key);

  // Anew, or instead of what the entry was about before.
  void Put(const QuarantineKey& key, uint32_t content);
  // Does nothing if there is none.
  void Remove(const QuarantineKey& key);
  bool HasRun(const std::string& run_id) const;
  // Ascending: all entries that are about the content, and perhaps others.
  std::vector<QuarantineKey> Find(uint32_t content) const;

 private:
  // Entries of a run whose numbers have the same upper half.
  using Part = std::pair<std::string, uint32_t>;
  // Neighbours among them: numbers of a plan are given in order.
  struct Page {
    const Part* part = nullptr;
    uint32_t first = 0;  // the lower half of the first number
    std::bitset<256> has;
    std::array<uint32_t, 256> contents{};
  };
  // By the lower half of the number without its last eight bits, the page.
  using Pages = absl::btree_map<uint32_t, uint32_t>;
  static Part PartOf(const QuarantineKey& key) {
    return {key.first, static_cast<uint32_t>(key.second >> 32)};
  }
  // kNoPage if there is none.
  uint32_t PageOf(const QuarantineKey& key) const;
  uint32_t NewPage(const QuarantineKey& key);
  // An entry's id is its page and its place there.
  uint32_t ContentOf(uint32_t id) const {
    return pages_[id >> 8]->contents[id & 0xff];
  }
  // The one in `by_content_`, or kNone if there is none.
  uint32_t FirstOf(uint32_t content) const;
  QuarantineKey KeyOf(uint32_t id) const;
  void AddFirst(uint32_t id, uint32_t content);
  void Link(uint32_t id, uint32_t content);
  void Unlink(uint32_t id);

  static constexpr uint32_t kNoPage = 0xffffffff;

  std::map<Part, Pages> entries_;
  std::vector<std::unique_ptr<Page>> pages_;
  std::vector<uint32_t> free_pages_;
  // One entry of each content: those of one hash would all have the same place
  // in the table, and whoever came would pass all of them.
  index::IdTable by_content_;
  // The others, after their content.
  absl::btree_set<std::pair<uint32_t, uint32_t>> others_;
};

}  // namespace reclaim::gc

#endif  // RECLAIM_GC_QUARANTINE_INDEX_H_
