// accounting/what_if.h — what would go if these went, and what would stay
// because of whom.
//
// The answer is the plan that would remove them (gc/plan.h), made and thrown
// away: so it frees what their removal frees, byte for byte.  Who keeps the
// rest is a walk from the roots that are left.  Changes nothing.  Pure; yields.
// O(live + edges).

#ifndef RECLAIM_ACCOUNTING_WHAT_IF_H_
#define RECLAIM_ACCOUNTING_WHAT_IF_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "gc/plan.h"
#include "gc/policy.h"
#include "gc/roots.h"
#include "index/totals.h"

namespace reclaim::accounting {

struct RootShare {
  gc::Root root;
  // Of what the named things reach, the bytes that this root was the first to
  // keep (each byte is charged to one root: the first in order of node id).
  store::Bytes bytes;
};

struct WhatIfReport {
  index::Tally freed;  // present content that goes
  index::Tally kept;   // what they reach and something else keeps
  // Largest first, at most 20.  What dead content that was not named shares
  // with the named things stays as well, and has no root.
  std::vector<RootShare> keepers;
};

// `references` as gc::PruneRequest::only_references: repositories, tags, links
// and digests, any number of them.  Errors as gc::MakePlan(): NOT_FOUND, and
// FAILED_PRECONDITION where the removal would be refused.
absl::StatusOr<WhatIfReport> WhatIf(const gc::PlanInputs& inputs,
                                    const gc::GcPolicy& policy,
                                    const std::vector<std::string>& references);

}  // namespace reclaim::accounting

#endif  // RECLAIM_ACCOUNTING_WHAT_IF_H_
