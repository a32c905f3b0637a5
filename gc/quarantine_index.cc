#include "gc/quarantine_index.h"

#include <algorithm>
#include <tuple>

#include "absl/hash/hash.h"

namespace reclaim::gc {

void QuarantineKeys::Add(const QuarantineKey& key, absl::Time quarantined,
                         bool is_name) {
  if (runs_.empty() || runs_.back() != key.first) runs_.push_back(key.first);
  keys_.push_back({absl::ToUnixMicros(quarantined), key.second,
                   static_cast<uint32_t>(runs_.size() - 1), is_name});
}

bool QuarantineKeys::IsOlder(const Key& a, const Key& b) {
  return std::tie(a.quarantined, a.run, a.number) <
         std::tie(b.quarantined, b.run, b.number);
}

void QuarantineKeys::SortOldestFirst() {
  std::sort(keys_.begin(), keys_.end(), IsOlder);
}

// Those of one instant in the order of runs and numbers.
void QuarantineKeys::SortNewestFirst() {
  std::sort(keys_.begin(), keys_.end(), [](const Key& a, const Key& b) {
    if (a.quarantined != b.quarantined) return a.quarantined > b.quarantined;
    return IsOlder(a, b);
  });
}

size_t QuarantineKeys::PutNamesFirst() {
  const auto rest = std::stable_partition(
      keys_.begin(), keys_.end(), [](const Key& key) { return key.is_name; });
  return static_cast<size_t>(rest - keys_.begin());
}

void QuarantineKeys::KeepIf(
    absl::FunctionRef<bool(const QuarantineKey&)> is_wanted) {
  size_t kept = 0;
  for (size_t i = 0; i < keys_.size(); ++i) {
    if (is_wanted(key(i))) keys_[kept++] = keys_[i];
  }
  keys_.resize(kept);
}

uint32_t QuarantineIndex::HashOf(absl::string_view store,
                                 const store::Place& place,
                                 const oci::Digest& digest) {
  return static_cast<uint32_t>(absl::HashOf(store, place, digest));
}

void QuarantineIndex::Put(const QuarantineKey& key, uint32_t content) {
  const auto [it, is_new] = entries_.try_emplace(PartOf(key));
  Entries& entries = it->second;
  if (is_new) {
    // A number is free again long before the counter comes round to it.
    while (parts_.count(next_part_) > 0) ++next_part_;
    entries.part = next_part_++;
    parts_[entries.part] = it->first;
  }
  const auto number = static_cast<uint32_t>(key.second);
  const auto [entry, is_first] = entries.contents.try_emplace(number, content);
  if (!is_first && entry->second != content) {
    by_content_.erase({entry->second, entries.part, number});
    entry->second = content;
  }
  by_content_.insert({content, entries.part, number});
}

void QuarantineIndex::Remove(const QuarantineKey& key) {
  const auto it = entries_.find(PartOf(key));
  if (it == entries_.end()) return;
  Entries& entries = it->second;
  const auto number = static_cast<uint32_t>(key.second);
  const auto entry = entries.contents.find(number);
  if (entry == entries.contents.end()) return;
  by_content_.erase({entry->second, entries.part, number});
  entries.contents.erase(entry);
  if (!entries.contents.empty()) return;
  parts_.erase(entries.part);
  entries_.erase(it);
}

bool QuarantineIndex::HasRun(const std::string& run_id) const {
  const auto first = entries_.lower_bound({run_id, 0});
  return first != entries_.end() && first->first.first == run_id;
}

std::vector<QuarantineKey> QuarantineIndex::Find(uint32_t content) const {
  std::vector<QuarantineKey> keys;
  for (auto it = by_content_.lower_bound({content, 0, 0});
       it != by_content_.end() && it->content == content; ++it) {
    const Part& part = parts_.find(it->part)->second;
    keys.emplace_back(part.first, uint64_t{part.second} << 32 | it->number);
  }
  std::sort(keys.begin(), keys.end());
  return keys;
}

}  // namespace reclaim::gc
