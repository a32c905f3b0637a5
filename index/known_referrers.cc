#include "index/known_referrers.h"

#include <algorithm>
#include <cstddef>

#include "absl/types/span.h"

namespace reclaim::index {
namespace {

// So few are looked through as they are.
constexpr size_t kShortList = 32;

}  // namespace

bool KnownReferrers::Has(const GraphView& view, NodeId subject,
                         NodeId referrer) {
  const absl::Span<const NodeId> listed = view.Referrers(subject);
  if (listed.size() <= kShortList) {
    return std::find(listed.begin(), listed.end(), referrer) != listed.end();
  }
  std::vector<NodeId>& sorted = sorted_[subject];
  if (sorted.size() != listed.size()) {
    sorted.assign(listed.begin(), listed.end());
    std::sort(sorted.begin(), sorted.end());
  }
  return std::binary_search(sorted.begin(), sorted.end(), referrer);
}

}  // namespace reclaim::index
