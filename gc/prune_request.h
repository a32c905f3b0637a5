// gc/prune_request.h — what a caller wants pruned, as a value.

#ifndef RECLAIM_GC_PRUNE_REQUEST_H_
#define RECLAIM_GC_PRUNE_REQUEST_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "gc/filter.h"
#include "gc/policy.h"
#include "gc/space_target.h"
#include "oci/digest.h"

namespace reclaim::gc {

// Docker's verbs.
enum class PruneVerb : uint8_t {
  kImages = 1,      // dangling images and loose content
  kAllImages = 2,   // -a: images that no container uses as well
  kContainers = 3,  // those that do not run
  kVolumes = 4,
  kNetworks = 5,
  kBuildCache = 6,
  kSystem = 7,  // containers, networks, volumes (flag), images, build cache
  // Tags by retention rules (gc/retention.h), then what kSystem takes.
  kRetention = 8,
};
const char* ToString(PruneVerb verb);
// What a filter of this verb is applied to.
FilterTarget TargetOf(PruneVerb verb);

struct PruneRequest {
  std::string store;
  PruneVerb verb = PruneVerb::kSystem;
  bool all_images = false;    // kSystem, kRetention: -a
  bool with_volumes = false;  // the same: --volumes
  bool all_volumes = false;   // kVolumes: named ones as well
  bool all_cache = false;     // kBuildCache: shared and internal ones as well
  // The caller's word that the recorded containers are all there are; needed
  // for "unused" on a store that cannot know its containers (SEMANTICS rule 1).
  bool containers_are_complete = false;
  // Judge these names and no others: "repo", "repo:tag", "repo@digest" or a
  // digest.  Explicit removal (`image rm`): their tags are dropped.
  std::vector<std::string> only_references;
  // With references: the last name of an image that a container uses goes as
  // well, if none of these containers runs (SEMANTICS.md, cases 9, 10, 16).
  bool force = false;
  // With references: nobody will apply it (`what-if`), so that what a container
  // uses is no error but stays.  Not stored.
  bool is_question = false;
  Filter filter;
  // No more goes than it needs; of images and other content, or (kKeepUnder) of
  // build cache alone.
  SpaceTarget target;
  GcPolicy policy;
  std::string actor;
  // Of a schedule: its name, and who wrote it or began the run.
  std::string schedule;
  std::string proposer;
  // The plan is not applied before somebody who is neither `actor` nor
  // `proposer` has approved it.
  bool needs_approval = false;

  // INVALID_ARGUMENT: a value out of bounds, or a target with what it cannot be
  // combined with.
  absl::Status CheckTarget() const;
};

}  // namespace reclaim::gc

#endif  // RECLAIM_GC_PRUNE_REQUEST_H_
