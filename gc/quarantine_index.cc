#include "gc/quarantine_index.h"

#include <algorithm>
#include <tuple>

#include "absl/hash/hash.h"
#include "base/check.h"

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

uint32_t QuarantineIndex::HashOf(const QuarantineKey& key) {
  return static_cast<uint32_t>(absl::HashOf(key));
}

uint32_t QuarantineIndex::PageOf(const QuarantineKey& key) const {
  const auto entries = entries_.find(PartOf(key));
  if (entries == entries_.end()) return kNoPage;
  const auto page =
      entries->second.find(static_cast<uint32_t>(key.second) >> 8);
  return page == entries->second.end() ? kNoPage : page->second;
}

uint32_t QuarantineIndex::NewPage(const QuarantineKey& key) {
  auto page = static_cast<uint32_t>(pages_.size());
  if (free_pages_.empty()) {
    RECLAIM_CHECK(page < kNoPage >> 8, "four billion entries are not reached");
    pages_.emplace_back();
  } else {
    page = free_pages_.back();
    free_pages_.pop_back();
  }
  const auto entries = entries_.try_emplace(PartOf(key)).first;
  const auto number = static_cast<uint32_t>(key.second);
  pages_[page] = std::make_unique<Page>();
  pages_[page]->part = &entries->first;
  pages_[page]->first = number & ~uint32_t{0xff};
  entries->second[number >> 8] = page;
  return page;
}

uint32_t QuarantineIndex::FirstOf(uint32_t content) const {
  return by_content_.Find(
      content, [&](uint32_t id) { return ContentOf(id) == content; });
}

QuarantineKey QuarantineIndex::KeyOf(uint32_t id) const {
  const Page& page = *pages_[id >> 8];
  return {page.part->first,
          uint64_t{page.part->second} << 32 | (page.first + (id & 0xff))};
}

void QuarantineIndex::AddFirst(uint32_t id, uint32_t content) {
  by_content_.Insert(content, id,
                     [this](uint32_t one) { return ContentOf(one); });
}

void QuarantineIndex::Link(uint32_t id, uint32_t content) {
  Page& page = *pages_[id >> 8];
  page.contents[id & 0xff] = content;
  page.has.set(id & 0xff);
  if (FirstOf(content) == index::IdTable::kNone) {
    AddFirst(id, content);
  } else {
    others_.emplace(content, id);
  }
}

void QuarantineIndex::Unlink(uint32_t id) {
  pages_[id >> 8]->has.reset(id & 0xff);
  const uint32_t content = ContentOf(id);
  if (others_.erase({content, id}) > 0) return;
  by_content_.Erase(content, id,
                    [this](uint32_t one) { return ContentOf(one); });
  const auto next = others_.lower_bound({content, 0});
  if (next == others_.end() || next->first != content) return;
  AddFirst(next->second, content);
  others_.erase(next);
}

void QuarantineIndex::Put(const QuarantineKey& key, uint32_t content) {
  uint32_t page = PageOf(key);
  if (page == kNoPage) page = NewPage(key);
  const uint32_t id = page << 8 | (key.second & 0xff);
  if (pages_[page]->has[id & 0xff]) {
    if (ContentOf(id) == content) return;
    Unlink(id);
  }
  Link(id, content);
}

void QuarantineIndex::Remove(const QuarantineKey& key) {
  const uint32_t page = PageOf(key);
  if (page == kNoPage || !pages_[page]->has[key.second & 0xff]) return;
  Unlink(page << 8 | (key.second & 0xff));
  if (pages_[page]->has.any()) return;
  const auto entries = entries_.find(PartOf(key));
  entries->second.erase(static_cast<uint32_t>(key.second) >> 8);
  if (entries->second.empty()) entries_.erase(entries);
  pages_[page].reset();
  free_pages_.push_back(page);
  if (by_content_.size() == 0) by_content_ = index::IdTable();
}

bool QuarantineIndex::HasRun(const std::string& run_id) const {
  const auto first = entries_.lower_bound({run_id, 0});
  return first != entries_.end() && first->first.first == run_id;
}

std::vector<QuarantineKey> QuarantineIndex::Find(uint32_t content) const {
  std::vector<QuarantineKey> keys;
  const uint32_t first = FirstOf(content);
  if (first == index::IdTable::kNone) return keys;
  keys.push_back(KeyOf(first));
  for (auto it = others_.lower_bound({content, 0});
       it != others_.end() && it->first == content; ++it) {
    keys.push_back(KeyOf(it->second));
  }
  std::sort(keys.begin(), keys.end());
  return keys;
}

}  // namespace reclaim::gc
