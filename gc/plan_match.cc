// Which images a filter selects, and what it spares.

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "gc/image_configs.h"
#include "gc/planner.h"
#include "oci/name.h"

namespace reclaim::gc {

using index::kNoNode;
using index::RootReason;

// The names of an image, or the one that is judged, and when it was pushed.
void Planner::AddNames(NodeId image, NodeId only_tag,
                       FilterSubject* subject) const {
  view_.ForEachKeeper(image, [&](NodeId keeper) {
    if (view_.kind(keeper) != NodeKind::kTag || !view_.Exists(keeper)) {
      return true;
    }
    if (only_tag != kNoNode && keeper != only_tag) return true;
    const index::NamedKey key = view_.named_key(keeper);
    subject->references.push_back(oci::JoinTag(key.scope, key.name));
    const absl::Time pushed = view_.fields(keeper).recorded;
    const auto [it, is_new] =
        subject->times.try_emplace(TimeClock::kPushed, pushed);
    if (!is_new) it->second = std::max(it->second, pushed);
    return true;
  });
  if (only_tag != kNoNode) return;
  view_.ForEachRepositoryOf(image, [&](NodeId repository) {
    subject->references.push_back(absl::StrCat(
        view_.named_key(repository).name, "@", view_.digest(image).ToString()));
    return true;
  });
}

absl::StatusOr<bool> Planner::MatchesImage(NodeId image,
                                           NodeId only_tag) const {
  const index::NodeFields fields = view_.fields(image);
  FilterSubject subject;
  subject.times[TimeClock::kRecorded] = fields.recorded;
  if (fields.used != absl::InfinitePast()) {
    subject.times[TimeClock::kUsed] = fields.used;
    subject.times[TimeClock::kPulled] = fields.used;
  }
  if (fields.unreferenced_since != absl::InfiniteFuture()) {
    subject.times[TimeClock::kUntagged] = fields.unreferenced_since;
  }
  AddNames(image, only_tag, &subject);
  RECLAIM_ASSIGN_OR_RETURN(const std::vector<index::PutImageConfig> configs,
                           ConfigsOf(view_, *in_.details, image));
  for (const index::PutImageConfig& config : configs) {
    subject.labels.push_back(&config.labels);
  }
  const std::optional<absl::Time> created = CreatedOf(configs);
  if (created) subject.times[TimeClock::kCreated] = *created;
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
