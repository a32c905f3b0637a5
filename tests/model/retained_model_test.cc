// Retained sizes against their definition: each node is taken out in turn and
// what is reached is worked out anew.  RECLAIM_SEED repeats a run.

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "accounting/retained.h"
#include "gc/roots.h"
#include "gtest/gtest.h"
#include "tests/support/random_graph.h"
#include "tests/support/seed.h"

namespace reclaim::tests {
namespace {

using index::NodeId;
using index::NodeKind;

constexpr absl::Duration kGrace = absl::Hours(24);

struct World {
  const TextGraph* g = nullptr;
  std::vector<gc::Root> roots;
  std::vector<std::vector<NodeId>> tenants;
};

// The repositories through which a root is reached; empty: from above.
std::set<NodeId> DoorsOf(const World& world, const gc::Root& root) {
  const index::GraphView& view = world.g->view();
  std::set<NodeId> doors;
  if (root.reason == index::RootReason::kTag) {
    const NodeId repository = view.FindNamed(
        {NodeKind::kRepository, 0, "", view.named_key(root.node).scope});
    if (repository != index::kNoNode) doors.insert(repository);
  }
  if (root.reason == index::RootReason::kOnlyName) {
    view.ForEachRepositoryOf(root.node, [&](NodeId repository) {
      doors.insert(repository);
      return true;
    });
  }
  return doors;
}

// Whether a repository can be entered without `gone` and the tenant numbered
// `gone_tenant`.
bool IsOpen(const World& world, NodeId repository, NodeId gone,
            int gone_tenant) {
  if (repository == gone) return false;
  bool is_owned = false;
  for (size_t i = 0; i < world.tenants.size(); ++i) {
    for (const NodeId owned : world.tenants[i]) {
      if (owned != repository) continue;
      is_owned = true;
      if (static_cast<int>(i) != gone_tenant) return true;
    }
  }
  return !is_owned;
}

// The bytes that the roots reach without `gone`.
store::Bytes Reached(const World& world, NodeId gone, int gone_tenant) {
  const index::GraphView& view = world.g->view();
  std::set<NodeId> reached;
  std::set<NodeId> flat;
  std::vector<NodeId> stack;
  const auto push = [&](NodeId id) {
    if (id != gone && reached.insert(id).second) stack.push_back(id);
  };
  for (const gc::Root& root : world.roots) {
    const std::set<NodeId> doors = DoorsOf(world, root);
    bool is_open = doors.empty();
    for (const NodeId door : doors) {
      is_open |= IsOpen(world, door, gone, gone_tenant);
    }
    if (root.reason == index::RootReason::kUnlinked) {
      flat.insert(root.node);
      if (view.ExtentOf(root.node) != index::kNoNode) {
        flat.insert(view.ExtentOf(root.node));
      }
    } else if (is_open) {
      push(root.node);
    }
  }
  while (!stack.empty()) {
    const NodeId id = stack.back();
    stack.pop_back();
    const bool is_flat = view.kind(id) == NodeKind::kLease &&
                         (view.fields(id).flags & index::kFlat) != 0;
    for (const NodeId kept : view.Kept(id)) {
      if (is_flat) {
        flat.insert(kept);
        if (view.ExtentOf(kept) != index::kNoNode) {
          flat.insert(view.ExtentOf(kept));
        }
      } else {
        push(kept);
      }
    }
    for (const NodeId kept : view.Referrers(id)) push(kept);
    if (view.ExtentOf(id) != index::kNoNode) push(view.ExtentOf(id));
  }
  // A node that is taken out takes its own bytes along only if no flat lease
  // has them: a lease on the bytes is another way to them.
  reached.insert(flat.begin(), flat.end());
  store::Bytes bytes;
  for (const NodeId id : reached) {
    if (IsContent(view.kind(id)) &&
        view.state(id) == index::NodeState::kPresent) {
      bytes += view.fields(id).bytes;
    }
  }
  return bytes;
}

store::Bytes Less(const store::Bytes& a, const store::Bytes& b) {
  EXPECT_GE(a.logical_bytes, b.logical_bytes);
  EXPECT_GE(a.allocated_bytes, b.allocated_bytes);
  return {a.logical_bytes - b.logical_bytes,
          a.allocated_bytes - b.allocated_bytes};
}

void ExpectDefinition(const TextGraph& g,
                      std::vector<std::vector<NodeId>> tenants) {
  World world{&g,
              gc::CollectRoots(g.view(), 0,
                               {TextGraph::Now(), kGrace, absl::Hours(168)}),
              std::move(tenants)};
  const accounting::RetainedSizes sizes =
      accounting::MakeRetainedSizes(g.view(), world.roots, world.tenants);
  const store::Bytes live = Reached(world, index::kNoNode, -1);
  EXPECT_EQ(sizes.live.logical_bytes, live.logical_bytes);
  EXPECT_EQ(sizes.live.allocated_bytes, live.allocated_bytes);
  for (NodeId id = 0; id < g.view().node_count(); ++id) {
    if (!g.view().Exists(id)) continue;
    const store::Bytes goes = Less(live, Reached(world, id, -1));
    EXPECT_EQ(sizes.Of(id).logical_bytes, goes.logical_bytes) << g.Name(id);
    EXPECT_EQ(sizes.Of(id).allocated_bytes, goes.allocated_bytes) << g.Name(id);
  }
  for (size_t i = 0; i < world.tenants.size(); ++i) {
    const store::Bytes goes =
        Less(live, Reached(world, index::kNoNode, static_cast<int>(i)));
    EXPECT_EQ(sizes.by_tenant[i].logical_bytes, goes.logical_bytes) << i;
  }
}

TEST(RetainedModelTest, OneLine) {
  const TextGraph g(
      "M1:0(c1:1 base:100 own:10); M2:0(c2:2 base:100); a:v1=M1; a:v2=M2; "
      "b:v1=M2; container/w=M9; M9:0(c9:7)");
  const accounting::RetainedSizes sizes = accounting::MakeRetainedSizes(
      g.view(),
      gc::CollectRoots(g.view(), 0,
                       {TextGraph::Now(), absl::ZeroDuration(), kGrace}),
      {});
  EXPECT_EQ(sizes.Of(g.Id("a:v1")).logical_bytes, 11u);
  EXPECT_EQ(sizes.Of(g.Id("a:v2")).logical_bytes, 0u);
  EXPECT_EQ(sizes.Of(g.Id("repository/a")).logical_bytes, 11u);
  EXPECT_EQ(sizes.Of(g.Id("base")).logical_bytes, 100u);
  EXPECT_EQ(sizes.Of(g.Id("container/w")).logical_bytes, 7u);
  EXPECT_EQ(sizes.live.logical_bytes, 120u);
}

TEST(RetainedModelTest, AgreesWithItsDefinitionOnRandomGraphs) {
  const uint64_t seed = AskSeed();
  for (uint64_t round = 0; round < 1500; ++round) {
    SCOPED_TRACE(absl::StrCat("RECLAIM_SEED=", seed, " round ", round));
    RandomGraph random(seed + round, kGrace,
                       round % 3 == 0 ? index::DoubtUnit::kRepository
                                      : index::DoubtUnit::kPlace);
    const TextGraph& g = random.graph();
    std::vector<NodeId> repositories;
    g.view().ForEachNamed(NodeKind::kRepository, 0, [&](NodeId id) {
      repositories.push_back(id);
      return true;
    });
    std::vector<std::vector<NodeId>> tenants;
    if (round % 2 == 1 && repositories.size() > 1) {
      tenants = {{repositories[0], repositories[1]}, {repositories.back()}};
    }
    ExpectDefinition(g, tenants);
    if (::testing::Test::HasFailure()) return;
  }
}

}  // namespace
}  // namespace reclaim::tests
