// tests/model/plan_agreement.h — a plan and its naive twin say the same.  FOR
// TESTS ONLY.

#ifndef RECLAIM_TESTS_MODEL_PLAN_AGREEMENT_H_
#define RECLAIM_TESTS_MODEL_PLAN_AGREEMENT_H_

#include "gc/prune_request.h"
#include "tests/support/naive_collector.h"

namespace reclaim::tests {

// Makes both; the same items go, each once, with the same bytes.  A fatal
// failure of the test names what differs.  `agreed`, if not null, is the
// twin's.
void ExpectAgreement(const NaiveWorld& world, const gc::PruneRequest& request,
                     NaivePlan* agreed = nullptr);

// There is no plan: INVALID_ARGUMENT.
void ExpectRefused(const NaiveWorld& world, const gc::PruneRequest& request);

}  // namespace reclaim::tests

#endif  // RECLAIM_TESTS_MODEL_PLAN_AGREEMENT_H_
