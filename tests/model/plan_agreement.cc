#include "tests/model/plan_agreement.h"

#include <set>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gc/plan.h"
#include "gtest/gtest.h"
#include "index/graph_view.h"
#include "index/node.h"
#include "store/types.h"
#include "tests/support/graph_text.h"
#include "tests/support/naive_reach.h"

namespace reclaim::tests {
namespace {

using index::NodeId;

std::string LinkText(const TextGraph& g, const std::string& repository,
                     NodeId content, bool is_layer) {
  return absl::StrCat("link ", repository, is_layer ? "~" : "=",
                      g.Name(content));
}

std::string NameOf(const TextGraph& g, const gc::PlanItem& item) {
  if (item.node != index::kNoNode) return g.Name(item.node);
  const index::PlaceId place = g.view().FindPlace(0, item.removal->place);
  return LinkText(g, item.scope, g.view().FindContent(place, *item.digest),
                  item.removal->kind == store::RemovalKind::kLayerLink);
}

std::set<std::string> NamesOf(const TextGraph& g, const gc::WholePlan& plan) {
  std::set<std::string> names;
  for (const gc::PlanItem& item : plan.items) names.insert(NameOf(g, item));
  return names;
}

std::set<std::string> NamesOf(const TextGraph& g, const NaivePlan& plan) {
  std::set<std::string> names;
  for (const auto* nodes :
       {&plan.records, &plan.tags, &plan.content, &plan.uploads}) {
    for (const NodeId id : *nodes) names.insert(g.Name(id));
  }
  for (const NaiveLink& link : plan.links) {
    names.insert(LinkText(g, g.view().named_key(link.repository).name,
                          link.content,
                          link.kind == store::MembershipKind::kLayer));
  }
  return names;
}

gc::PlanInputs InputsOf(const NaiveWorld& world) {
  gc::PlanInputs inputs;
  inputs.view = &world.graph->view();
  inputs.details = world.details;
  inputs.store = 0;
  inputs.store_knows_containers = true;
  inputs.store_holds_records = world.store_holds_records;
  inputs.tags_leave_entries = world.tags_leave_entries;
  for (const std::string& scope : world.unreadable_scopes) {
    inputs.unreadable_scopes.push_back({scope, "permission denied"});
  }
  inputs.now = TextGraph::Now();
  return inputs;
}

}  // namespace

void ExpectAgreement(const NaiveWorld& world, const gc::PruneRequest& request,
                     NaivePlan* agreed) {
  const TextGraph& g = *world.graph;
  const auto plan = gc::MakePlan(InputsOf(world), request);
  ASSERT_TRUE(plan.ok()) << plan.status();
  const NaivePlan naive = CollectNaively(world, request);
  ASSERT_EQ(absl::StrJoin(NamesOf(g, *plan), " "),
            absl::StrJoin(NamesOf(g, naive), " "));
  ASSERT_EQ(plan->items.size(), NamesOf(g, *plan).size()) << "an item twice";
  const store::Bytes& bytes = plan->totals.bytes.content;
  ASSERT_EQ(bytes.logical_bytes, naive.bytes.logical_bytes);
  ASSERT_EQ(bytes.allocated_bytes, naive.bytes.allocated_bytes);
  ASSERT_EQ(plan->totals.blob_count, naive.content.size());
  ASSERT_EQ(plan->cached.blob_count, naive.cached_count);
  ASSERT_EQ(plan->cached.bytes.logical_bytes, naive.cached_bytes.logical_bytes);
  ASSERT_EQ(plan->cached.bytes.allocated_bytes,
            naive.cached_bytes.allocated_bytes);
  if (agreed != nullptr) *agreed = naive;
}

void ExpectRefused(const NaiveWorld& world, const gc::PruneRequest& request) {
  const absl::Status status = gc::MakePlan(InputsOf(world), request).status();
  ASSERT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
}

}  // namespace reclaim::tests
