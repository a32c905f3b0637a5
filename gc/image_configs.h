// gc/image_configs.h — private to gc: the configs of an image.

#ifndef RECLAIM_GC_IMAGE_CONFIGS_H_
#define RECLAIM_GC_IMAGE_CONFIGS_H_

#include <vector>

#include "absl/status/statusor.h"
#include "gc/plan.h"
#include "index/graph_view.h"
#include "index/mutation.h"
#include "index/node.h"

namespace reclaim::gc {

// The configs of an image and of the platforms that it lists, those of nested
// indexes included.  Attestations are no platform: they take no part
// (SEMANTICS.md, case 34).
absl::StatusOr<std::vector<index::PutImageConfig>> ConfigsOf(
    const index::GraphView& view, const DetailSource& details,
    index::NodeId image);

}  // namespace reclaim::gc

#endif  // RECLAIM_GC_IMAGE_CONFIGS_H_
