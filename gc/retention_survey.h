// gc/retention_survey.h — what the rules say of every tag of a store.
//
// Reads the facts of tags out of a view, asks gc/retention.h, and lets the
// names of referrers follow their subjects.  A plan takes what goes out of it;
// `policy test` shows all of it.  So the test and the deed cannot disagree.

#ifndef RECLAIM_GC_RETENTION_SURVEY_H_
#define RECLAIM_GC_RETENTION_SURVEY_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "gc/plan.h"
#include "gc/retention.h"
#include "gc/roots.h"
#include "index/graph_view.h"
#include "index/node.h"

namespace reclaim::gc {

struct SurveyInputs {
  const index::GraphView* view = nullptr;
  const DetailSource* details = nullptr;
  index::StoreId store = index::kNoStore;
  absl::Time now;
  absl::Duration grace_period;
  // The roots that stand, tags among them.
  absl::Span<const Root> roots;
  // Whether what the tag names can't be judged (I5); may be empty.
  std::function<bool(index::NodeId tag)> is_scope_kept;
  std::function<bool()> is_cancelled;  // may be empty
};

struct TagDecision {
  index::NodeId tag = index::kNoNode;
  std::string repository;
  std::string name;
  oci::Digest digest;
  absl::Time pushed;
  absl::Time used;  // InfinitePast() if never
  bool is_referrer = false;
  TagVerdict verdict;
  // Of a tag that goes: kRetention, or kSubjectGone for a referrer's name.
  DoomReason reason = DoomReason::kRetention;
};

// Ascending by repository and tag; empty where no rule is about the store.
// Yields; a tag that vanishes meanwhile may be left out.  CANCELLED.
absl::StatusOr<std::vector<TagDecision>> SurveyTags(
    const SurveyInputs& inputs, const RetentionRules& rules);

// What a plan of the verb RETENTION would find, tag by tag, those that stay
// among them.  Stores nothing.  Errors as MakePlan().
absl::StatusOr<std::vector<TagDecision>> TestRules(const PlanInputs& inputs,
                                                   const PruneRequest& request);

// Repositories of which every tag that is not a referrer's goes.
std::vector<std::string> FindEmptied(absl::Span<const TagDecision> decisions);

}  // namespace reclaim::gc

#endif  // RECLAIM_GC_RETENTION_SURVEY_H_
