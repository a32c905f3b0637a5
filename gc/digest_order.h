// gc/digest_order.h — private to gc/plan: sorts millions of nodes by digest.
//
// A digest lies in the graph's arrays, far from the node before: to read two a
// comparison is what such a sort takes its time for.  Here each is read twice:
// once to put the items into buckets, in place, and once to sort a bucket by
// the first bytes, which are uniform and decide nearly always.

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
#include "oci/digest.h"

namespace reclaim::gc {
namespace digest_order {

inline constexpr size_t kSmall = 4096;  // is one bucket
inline constexpr size_t kBucketCount = 1 << 10;

// The algorithm, then the first seven bytes: smaller for what is smaller.
inline uint64_t KeyOf(const oci::Digest& digest) {
  uint64_t key = static_cast<uint64_t>(digest.algorithm()) & 0x3;
  const absl::string_view bytes = digest.bytes();
  for (size_t i = 0; i < 7; ++i) {
    key = key << 8 | (i < bytes.size() ? static_cast<uint8_t>(bytes[i]) : 0);
  }
  return key;
}
inline size_t BucketOf(const oci::Digest& digest) {
  return static_cast<size_t>(KeyOf(digest) >> 48);  // of ten bits
}

// Puts the items of each bucket together; where bucket i begins is [i].
template <typename Items, typename NodeOf>
std::array<size_t, kBucketCount + 1> Distribute(const index::GraphView& view,
                                                NodeOf node_of, Items* items) {
  std::array<size_t, kBucketCount + 1> begin{};
  const auto bucket = [&](size_t at) {
    return BucketOf(view.digest(node_of((*items)[at])));
  };
  for (size_t i = 0; i < items->size(); ++i) {
    if (i % kSmall == kSmall - 1) view.Yield();
    ++begin[bucket(i) + 1];
  }
  for (size_t i = 0; i < kBucketCount; ++i) begin[i + 1] += begin[i];
  std::array<size_t, kBucketCount + 1> next = begin;
  for (size_t own = 0; own < kBucketCount; ++own) {
    for (size_t steps = 0; next[own] < begin[own + 1]; ++steps) {
      if (steps % kSmall == kSmall - 1) view.Yield();
      const size_t to = bucket(next[own]);
      if (to != own) std::swap((*items)[next[own]], (*items)[next[to]]);
      ++next[to];
    }
  }
  return begin;
}

template <typename Items, typename NodeOf>
void SortRange(const index::GraphView& view, NodeOf node_of, size_t begin,
               size_t end, Items* items) {
  using Keyed = std::pair<uint64_t, typename Items::value_type>;
  std::vector<Keyed> keyed;
  keyed.reserve(end - begin);
  for (size_t i = begin; i < end; ++i) {
    keyed.emplace_back(KeyOf(view.digest(node_of((*items)[i]))), (*items)[i]);
  }
  std::sort(keyed.begin(), keyed.end(), [&](const Keyed& a, const Keyed& b) {
    if (a.first != b.first) return a.first < b.first;
    return view.digest(node_of(a.second)) < view.digest(node_of(b.second));
  });
  for (size_t i = begin; i < end; ++i) (*items)[i] = keyed[i - begin].second;
}

}  // namespace digest_order

// Sorts `items` by the digests of their nodes, which are content.  `Items` is a
// vector or a deque.  Yields between buckets.
template <typename Items, typename NodeOf>
void SortByDigest(const index::GraphView& view, NodeOf node_of, Items* items) {
  if (items->size() <= digest_order::kSmall) {
    digest_order::SortRange(view, node_of, 0, items->size(), items);
    return;
  }
  const auto begin = digest_order::Distribute(view, node_of, items);
  for (size_t i = 0; i < digest_order::kBucketCount; ++i) {
    digest_order::SortRange(view, node_of, begin[i], begin[i + 1], items);
    view.Yield();
  }
}

}  // namespace reclaim::gc

#endif  // RECLAIM_GC_DIGEST_ORDER_H_
