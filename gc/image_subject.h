// gc/image_subject.h — what a filter looks at of an image.
//
// Plans and lists ask alike (SEMANTICS.md rule 2: one grammar): both are judged
// by what these functions say.  Pure.

#ifndef RECLAIM_GC_IMAGE_SUBJECT_H_
#define RECLAIM_GC_IMAGE_SUBJECT_H_

#include <optional>
#include <vector>

#include "absl/time/time.h"
#include "gc/filter.h"
#include "index/graph_view.h"
#include "index/mutation.h"
#include "index/node.h"

namespace reclaim::gc {

// The names and times that the graph has of `image`; of its tags only
// `only_tag`, unless that is kNoNode.
FilterSubject SubjectOfImage(const index::GraphView& view, index::NodeId image,
                             index::NodeId only_tag);

// Adds the labels and the time of creation that its configs say; they outlive
// the subject.
void AddConfigs(const std::vector<index::PutImageConfig>& configs,
                FilterSubject* subject);

// The youngest platform counts; one without a time makes it infinitely young.
// Unset for an image without a config.
std::optional<absl::Time> CreatedOf(
    const std::vector<index::PutImageConfig>& configs);

}  // namespace reclaim::gc

#endif  // RECLAIM_GC_IMAGE_SUBJECT_H_
