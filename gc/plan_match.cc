// Which images a filter selects, and what it spares.

#include <vector>

#include "base/status_macros.h"
#include "gc/image_configs.h"
#include "gc/image_subject.h"
#include "gc/planner.h"

namespace reclaim::gc {

using index::kNoNode;
using index::RootReason;

absl::StatusOr<bool> Planner::MatchesImage(NodeId image,
                                           NodeId only_tag) const {
  FilterSubject subject = SubjectOfImage(view_, image, only_tag);
  RECLAIM_ASSIGN_OR_RETURN(const std::vector<index::PutImageConfig> configs,
                           ConfigsOf(view_, *in_.details, image));
  AddConfigs(configs, &subject);
  return Matches(request_.filter, subject);
}

// Content that belongs to no image, and uploads, have a record time and nothing
// else.
bool Planner::MatchesLoose(NodeId id) const {
  FilterSubject subject;
  subject.times[TimeClock::kRecorded] = view_.fields(id).recorded;
  return Matches(request_.filter, subject);
}

absl::Status Planner::SpareByFilter(const LiveSet& live) {
  Filter filter = request_.filter;
  filter.dangling.reset();
  if (filter.empty()) return absl::OkStatus();
  std::vector<NodeId> candidates;
  ForEachContent([&](NodeId id) {
    // What is not there any more spares nothing.
    if (!live.Contains(id) && view_.state(id) == index::NodeState::kPresent) {
      candidates.push_back(id);
    }
  });
  std::vector<Root> images;
  for (const NodeId id : candidates) {
    if (!IsTopImage(id)) continue;
    images.push_back({id, RootReason::kSpared});
    RECLAIM_ASSIGN_OR_RETURN(const bool matches, MatchesImage(id, kNoNode));
    if (!matches) spared_.push_back({id, RootReason::kSpared});
  }
  RECLAIM_ASSIGN_OR_RETURN(const LiveSet of_images, MarkNow(images));
  for (const NodeId id : candidates) {
    if (!of_images.Contains(id) && !MatchesLoose(id)) {
      spared_.push_back({id, RootReason::kSpared});
    }
  }
  return absl::OkStatus();
}

}  // namespace reclaim::gc
