// gc/plan_fixture.h — plans over a graph in one line of text; for tests.

#ifndef RECLAIM_GC_PLAN_FIXTURE_H_
#define RECLAIM_GC_PLAN_FIXTURE_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/status_matchers.h"
#include "gc/plan.h"
#include "gc/prune_request.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "store/types.h"
#include "tests/support/graph_text.h"
#include "tests/support/text_details.h"

namespace reclaim::gc {

class PlanFixture : public ::testing::Test {
 protected:
  PlanFixture() {
    inputs.view = &g.view();
    inputs.details = &details;
    inputs.store = 0;
    inputs.store_knows_containers = true;
    inputs.now = tests::TextGraph::Now();
  }

  absl::StatusOr<WholePlan> Make(PruneRequest request) {
    request.policy.grace_period = grace;
    return MakePlan(inputs, request);
  }
  // What goes, in the order of the deed.
  std::vector<std::string> Doomed(PruneRequest request) {
    const auto plan = Make(std::move(request));
    EXPECT_THAT(plan, base::IsOk());
    return plan.ok() ? NamesOf(*plan) : std::vector<std::string>();
  }
  std::vector<std::string> NamesOf(const WholePlan& plan) const {
    std::vector<std::string> names;
    for (const PlanItem& item : plan.items) names.push_back(NameOf(item));
    return names;
  }
  // "M1", "app:v1", "app@M1" for a link.
  std::string NameOf(const PlanItem& item) const {
    const bool is_link =
        item.removal &&
        (item.removal->kind == store::RemovalKind::kRevisionLink ||
         item.removal->kind == store::RemovalKind::kLayerLink);
    if (!is_link) return g.Name(item.node);
    return absl::StrCat(item.scope, "@",
                        g.Name(g.view().FindContent(0, *item.digest)));
  }

  static PruneRequest Verb(PruneVerb verb) {
    PruneRequest request;
    request.verb = verb;
    return request;
  }
  static PruneRequest Images() { return Verb(PruneVerb::kImages); }
  static PruneRequest AllImages() { return Verb(PruneVerb::kAllImages); }
  // What `image rm` asks for.
  static PruneRequest Remove(const std::string& reference) {
    PruneRequest request = Images();
    request.only_references = {reference};
    return request;
  }
  static std::string DigestText(const std::string& letter) {
    return tests::TextGraph::DigestOf(letter).ToString();
  }

  tests::TextGraph g{""};
  tests::TextDetails details{&g};
  PlanInputs inputs;
  absl::Duration grace = absl::ZeroDuration();
};

}  // namespace reclaim::gc

#endif  // RECLAIM_GC_PLAN_FIXTURE_H_
