// A population comes as rows that a graph can take in the order of telling.

#include "tests/benchmark/population_rows.h"

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "gtest/gtest.h"
#include "index/memberships.h"
#include "index/node.h"
#include "index/resident_graph.h"

namespace reclaim::benchmark {
namespace {

using index::NodeId;
using index::NodeKind;

// Everything is told after what it names, once, under the next id.
class OrderCheck final : public RowSink {
 public:
  void OnContent(const index::ContentRow& row) override {
    Begin(row.id);
    for (const NodeId child : row.children) ASSERT_LT(child, row.id);
    edge_count += row.children.size();
    if (row.subject != index::kNoNode) {
      ASSERT_LT(row.subject, row.id);
      ++edge_count;
    }
  }
  void OnNamed(const index::NamedRow& row) override {
    Begin(row.id);
    for (const NodeId target : row.targets) ASSERT_LT(target, row.id);
    edge_count += row.targets.size();
    if (row.key.kind == NodeKind::kRepository) {
      repositories_.insert(row.id);
    } else {
      ++tags_of[row.key.scope];
    }
  }
  void OnMembership(const index::MembershipRow& row) override {
    ASSERT_LT(row.content, node_count);
    ASSERT_TRUE(repositories_.contains(row.repository));
    ASSERT_TRUE(links_.insert({row.repository, row.content}).second);
  }

  NodeId node_count = 0;
  uint64_t edge_count = 0;
  std::map<std::string, uint64_t> tags_of;  // by repository

 private:
  void Begin(NodeId id) {
    ASSERT_EQ(id, node_count);
    ++node_count;
  }
  absl::flat_hash_set<NodeId> repositories_;
  absl::flat_hash_set<std::pair<NodeId, NodeId>> links_;
};

TEST(PopulationRowsTest, EachIsToldAfterWhatItNames) {
  OrderCheck seen;
  const PopulationCounts counts = TellRows(30'000, 1, &seen);
  EXPECT_EQ(seen.node_count, counts.objects());
  EXPECT_EQ(seen.edge_count, counts.edges);
  uint64_t tags = 0;
  for (const auto& [repository, count] : seen.tags_of) tags += count;
  EXPECT_EQ(tags, counts.tags);
}

TEST(PopulationRowsTest, OneRepositoryCanHaveTenThousandTags) {
  PopulationOptions options;
  options.object_count = 140'000;
  options.tags_per_repository = 10'000;
  options.deleted_repository_share = 0;
  OrderCheck seen;
  TellRows(options, &seen);
  EXPECT_EQ(seen.tags_of["team0/app0"], 10'000u);
}

}  // namespace
}  // namespace reclaim::benchmark
