// gc/digest_order.h — private to gc/plan: sorts millions of nodes by digest.
//
// A digest lies in a file (index/digest_shelf.h): to read two a comparison is
// what such a sort would take its time for.  Here each is read once, for its
// first bytes, which are uniform and decide nearly always; items are put into
// buckets by some of these, in place, and each bucket is sorted by the rest.

#ifndef RECLAIM_GC_DIGEST_ORDER_H_
#define RECLAIM_GC_DIGEST_ORDER_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "index/graph_view.h"
#include "index/node.h"
#include "oci/digest.h"

namespace reclaim::gc {
namespace digest_order {

inline constexpr size_t kSmall = 4096;  // is one bucket
inline constexpr size_t kSlice = 1024;  // a writer waits for no more of them
inline constexpr size_t kBucketCount = 1 << 10;

// The algorithm, then the first thirty bits: smaller for what is smaller.
inline uint32_t KeyOf(const oci::Digest& digest) {
  uint32_t first = 0;
  const absl::string_view bytes = digest.bytes();
  for (size_t i = 0; i < 4; ++i) {
    first =
        first << 8 | (i < bytes.size() ? static_cast<uint8_t>(bytes[i]) : 0);
  }
  return static_cast<uint32_t>(digest.algorithm()) << 30 | first >> 2;
}
inline size_t BucketOf(uint32_t key) { return key >> 22; }  // of ten bits

template <typename Items, typename NodeOf>
std::vector<uint32_t> KeysOf(const index::GraphView& view, NodeOf node_of,
                             const Items& items) {
  std::vector<uint32_t> keys;
  keys.reserve(items.size());
  for (size_t i = 0; i < items.size(); ++i) {
    if (i % kSlice == kSlice - 1) view.Yield();
    keys.push_back(KeyOf(view.digest(node_of(items[i]))));
  }
  return keys;
}

// Puts the items of each bucket together; where bucket i begins is [i].
template <typename Items>
std::array<size_t, kBucketCount + 1> Distribute(const index::GraphView& view,
                                                std::vector<uint32_t>* keys,
                                                Items* items) {
  std::array<size_t, kBucketCount + 1> begin{};
  for (const uint32_t key : *keys) ++begin[BucketOf(key) + 1];
  for (size_t i = 0; i < kBucketCount; ++i) begin[i + 1] += begin[i];
  std::array<size_t, kBucketCount + 1> next = begin;
  for (size_t own = 0; own < kBucketCount; ++own) {
    for (size_t steps = 0; next[own] < begin[own + 1]; ++steps) {
      if (steps % kSmall == kSmall - 1) view.Yield();
      const size_t from = next[own];
      const size_t bucket = BucketOf((*keys)[from]);
      const size_t to = next[bucket]++;
      if (bucket == own) continue;
      std::swap((*items)[from], (*items)[to]);
      std::swap((*keys)[from], (*keys)[to]);
    }
  }
  return begin;
}

template <typename Items, typename NodeOf>
void SortRange(const index::GraphView& view, NodeOf node_of,
               const std::vector<uint32_t>& keys, size_t begin, size_t end,
               Items* items) {
  using Keyed = std::pair<uint32_t, typename Items::value_type>;
  std::vector<Keyed> keyed;
  keyed.reserve(end - begin);
  for (size_t i = begin; i < end; ++i) keyed.emplace_back(keys[i], (*items)[i]);
  size_t steps = 0;
  std::sort(keyed.begin(), keyed.end(), [&](const Keyed& a, const Keyed& b) {
    // Nobody else knows these items, and no digest changes in a pause.
    if (++steps % kSlice == 0) view.Yield();
    if (a.first != b.first) return a.first < b.first;
    const index::NodeId a_node = node_of(a.second);
    const index::NodeId b_node = node_of(b.second);
    return a_node != b_node && view.digest(a_node) < view.digest(b_node);
  });
  for (size_t i = begin; i < end; ++i) (*items)[i] = keyed[i - begin].second;
}

}  // namespace digest_order

// Sorts `items` by the digests of their nodes, which are content.  `Items` is a
// vector or a deque.  Yields.
template <typename Items, typename NodeOf>
void SortByDigest(const index::GraphView& view, NodeOf node_of, Items* items) {
  std::vector<uint32_t> keys = digest_order::KeysOf(view, node_of, *items);
  if (items->size() <= digest_order::kSmall) {
    digest_order::SortRange(view, node_of, keys, 0, items->size(), items);
    return;
  }
  const auto begin = digest_order::Distribute(view, &keys, items);
  for (size_t i = 0; i < digest_order::kBucketCount; ++i) {
    digest_order::SortRange(view, node_of, keys, begin[i], begin[i + 1], items);
    view.Yield();
  }
}

}  // namespace reclaim::gc

#endif  // RECLAIM_GC_DIGEST_ORDER_H_
