// accounting/image_usage.h — images with their own, shared and unique bytes.
//
// An image is a present manifest or image index; it is listed on its own unless
// a present index lists it (or a present image was built from it) and no tag
// names it, or it is a referrer (`all`
// lists those too).  Its size is the distinct present content that it reaches
// over content edges: size = shared + unique, where shared bytes are reached by
// another listed image as well, or stay on the disk for other names of their
// file: unique is what removing the image would free.  Content behind hard
// links counts once (GraphView::ExtentOf).
//
// Two passes over the closures of all images of a store: O(sum of closures).
// Pure; yields.

#ifndef RECLAIM_ACCOUNTING_IMAGE_USAGE_H_
#define RECLAIM_ACCOUNTING_IMAGE_USAGE_H_

#include <cstdint>
#include <vector>

#include "absl/functional/function_ref.h"
#include "index/graph_view.h"
#include "index/node.h"
#include "store/types.h"

namespace reclaim::accounting {

struct ImageUsage {
  index::NodeId node = index::kNoNode;
  store::Bytes size;
  store::Bytes shared;
  store::Bytes unique;
  store::Bytes unpacked;  // snapshots that it was unpacked to
  uint64_t container_count = 0;
  uint64_t referrer_count = 0;
  uint64_t absent_count = 0;  // content that it references and is not here
  bool is_dangling = false;   // no tag names it
  std::vector<index::NodeId> tags;          // ascending by id
  std::vector<index::NodeId> repositories;  // ascending by id, no duplicates
  // The configs that its manifests name, in order of the manifests.
  std::vector<index::NodeId> configs;
};

// Whether `id` is an image by the definition above, on its own.
bool IsListedImage(const index::GraphView& view, index::NodeId id);

// All images of `store`, ascending by node id, one at a time: a list of them
// all is 270 bytes an image.
void ForEachImageUsage(const index::GraphView& view, index::StoreId store,
                       bool all, absl::FunctionRef<void(ImageUsage)> visit);
// The same as a list.
std::vector<ImageUsage> ListImageUsage(const index::GraphView& view,
                                       index::StoreId store, bool all);

// The present content that `top` reaches over content edges and extents, `top`
// included, each once, in depth-first order.
std::vector<index::NodeId> ContentClosure(const index::GraphView& view,
                                          index::NodeId top);

}  // namespace reclaim::accounting

#endif  // RECLAIM_ACCOUNTING_IMAGE_USAGE_H_
