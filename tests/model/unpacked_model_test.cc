// The row of `df` for unpacked layers against the plans that would take them,
// and against the recount: random graphs with young and old content, snapshots
// with and without an explanation, and time that passes.  A failure prints the
// seed.
//
// Left out is where the counters of images know less than a plan as well: tags
// that are young, or that name what is not here, and what could not be read.

#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "accounting/disk_usage.h"
#include "gc/plan.h"
#include "gc/prune_request.h"
#include "gtest/gtest.h"
#include "index/node.h"
#include "index/recount.h"
#include "index/resident_graph.h"
#include "index/totals.h"
#include "store/types.h"
#include "tests/support/graph_text.h"
#include "tests/support/seed.h"
#include "tests/support/text_details.h"

namespace reclaim::tests {
namespace {

using index::NodeId;
using index::NodeKind;

constexpr absl::Duration kGrace = absl::Hours(24);
constexpr int kRandomGraphCount = 2000;
constexpr uint32_t kImageCount = 5;
constexpr uint32_t kSnapshotCount = 8;

class RandomEngine {
 public:
  explicit RandomEngine(uint64_t seed) : random_(seed) {
    for (uint32_t i = 0; i < kImageCount; ++i) AddImage(i);
    for (uint32_t i = 0; i < kSnapshotCount; ++i) AddSnapshot(i);
    for (int i = 0; i < 4; ++i) AddHolder(i);
    if (Below(2) == 0) {
      g_.graph().RemoveNamed(g_.Id(Snapshot(Below(kSnapshotCount))));
    }
  }

  TextGraph& graph() { return g_; }
  bool has_stopped() const { return has_stopped_; }

 private:
  uint32_t Below(uint32_t n) { return static_cast<uint32_t>(random_() % n); }
  static std::string Snapshot(uint32_t i) {
    return absl::StrCat("snapshot/s", i);
  }
  absl::Time SomeTime() {
    return TextGraph::Now() - absl::Hours(Below(3) * 12 + Below(2));
  }

  void AddImage(uint32_t i) {
    g_.Add(absl::StrCat("M", i, "(c", i, ":7 l", Below(4), ":50)"));
    if (Below(2) == 0) g_.Add(absl::StrCat("r", i, ":v1=M", i));
    for (const char* part : {"M", "c"}) {
      if (Below(4) != 0) continue;
      index::ContentRow& row = g_.content(absl::StrCat(part, i));
      row.recorded = SomeTime();
      g_.PutContent(row);
    }
  }
  void AddSnapshot(uint32_t i) {
    std::string text = absl::StrCat(Snapshot(i), ":", 1 << i, "=");
    if (i > 0 && Below(3) != 0) {
      absl::StrAppend(&text, Snapshot(Below(i)), " ");
    }
    if (Below(2) == 0) absl::StrAppend(&text, "M", Below(kImageCount), " ");
    if (Below(3) == 0) absl::StrAppend(&text, "c", Below(kImageCount));
    g_.Add(text);
    if (Below(3) == 0) SetRecorded(Snapshot(i), SomeTime());
  }
  void AddHolder(int i) {
    const std::string snapshot = Snapshot(Below(kSnapshotCount));
    const std::string image = absl::StrCat("M", Below(kImageCount));
    const bool is_of_image = Below(2) == 0;
    const std::string& target = is_of_image ? image : snapshot;
    switch (Below(6)) {
      case 0:
        return g_.Add(absl::StrCat("running/w", i, "=", target));
      case 1:
        has_stopped_ = true;
        return g_.Add(absl::StrCat("container/w", i, "=", target));
      case 2:
        return g_.Add(absl::StrCat("pin/p", i, "=", target));
      case 3:
        return g_.Add(absl::StrCat("flat/f", i, "=", snapshot));
      case 4: {
        g_.Add(absl::StrCat("lease/l", i, "=", target));
        index::NamedRow& lease = g_.named(absl::StrCat("lease/l", i));
        lease.expires =
            TextGraph::Now() + absl::Hours(Below(48)) - absl::Hours(Below(48));
        return g_.PutNamed(lease);
      }
      default:
        return;
    }
  }
  void SetRecorded(const std::string& name, absl::Time time) {
    index::NamedRow& row = g_.named(name);
    row.recorded = time;
    g_.PutNamed(row);
  }

  std::mt19937_64 random_;
  TextGraph g_{"", kGrace};
  bool has_stopped_ = false;
};

gc::PruneRequest Request(gc::PruneVerb verb) {
  gc::PruneRequest request;
  request.verb = verb;
  request.all_images = verb == gc::PruneVerb::kSystem;
  request.policy.grace_period = kGrace;
  return request;
}

// The snapshots that a plan takes.
index::Tally Taken(const TextGraph& g, absl::Time now,
                   const gc::PruneRequest& request) {
  const TextDetails details(&g);
  gc::PlanInputs inputs;
  inputs.view = &g.view();
  inputs.details = &details;
  inputs.store = 0;
  inputs.store_knows_containers = true;
  inputs.now = now;
  const auto plan = gc::MakePlan(inputs, request);
  index::Tally taken;
  EXPECT_TRUE(plan.ok()) << plan.status();
  if (!plan.ok()) return taken;
  for (const gc::PlanItem& item : plan->items) {
    if (item.kind != NodeKind::kSnapshot) continue;
    ++taken.count;
    taken.bytes += item.bytes;
  }
  return taken;
}

store::Bytes Reclaimable(const index::StoreTotals& totals,
                         bool knows_containers) {
  for (const accounting::UsageRow& row :
       accounting::MakeDiskUsage(totals, knows_containers).rows) {
    if (row.type == "Unpacked Layers") return row.reclaimable;
  }
  return {};
}

void ExpectAgreement(RandomEngine* random) {
  TextGraph& g = random->graph();
  const absl::Time now = g.graph().now();
  const index::StoreTotals& totals = g.graph().totals(0);
  index::RecountInputs inputs;
  inputs.store = 0;
  inputs.now = now;
  inputs.grace_period = kGrace;
  const index::StoreTotals recounted = index::Recount(g.view(), inputs);
  ASSERT_EQ(totals, recounted) << "counted\n"
                               << index::ToString(totals) << "recounted\n"
                               << index::ToString(recounted);

  const uint64_t count =
      totals.by_kind[static_cast<size_t>(NodeKind::kSnapshot)].count;
  const index::Tally dangling = Taken(g, now, Request(gc::PruneVerb::kImages));
  EXPECT_EQ(dangling.bytes, Reclaimable(totals, false)) << "image prune";
  EXPECT_EQ(dangling.count, count - totals.unpacked_kept.count);
  const index::Tally unused = Taken(g, now, Request(gc::PruneVerb::kAllImages));
  EXPECT_EQ(unused.bytes, Reclaimable(totals, true)) << "image prune -a";
  EXPECT_EQ(unused.count, count - totals.unpacked_without_tags.count);
  // Stopped containers would go with it.
  if (random->has_stopped()) return;
  EXPECT_EQ(Taken(g, now, Request(gc::PruneVerb::kSystem)), unused)
      << "system prune -a";
}

TEST(UnpackedModelTest, WhatDfCallsReclaimableIsWhatAPlanTakes) {
  const uint64_t seed = AskSeed();
  for (uint64_t round = 0; round < kRandomGraphCount; ++round) {
    SCOPED_TRACE(absl::StrCat("seed ", seed + round));
    RandomEngine random(seed + round);
    for (const int hours : {0, 1, 11, 12, 24}) {
      SCOPED_TRACE(absl::StrCat(hours, " hours"));
      random.graph().graph().AdvanceTo(TextGraph::Now() + absl::Hours(hours));
      ExpectAgreement(&random);
      if (::testing::Test::HasFailure()) return;
    }
  }
}

// The same by hand: one of each reason.
TEST(UnpackedModelTest, EachReasonKeepsASnapshot) {
  TextGraph g(
      "M1(c1 l1); M2(c2 l2); M3(c3 l3); M4(c4 l4); r:v1=M1; r:v2=M2; "
      "running/w=M1; snapshot/used:1=M1; snapshot/tagged:2=M2; "
      "snapshot/leased:4=M4; lease/l=snapshot/leased; snapshot/young:8=M3; "
      "snapshot/alone:16; snapshot/base:32; snapshot/top:64=snapshot/base M3",
      kGrace);
  index::NamedRow& young = g.named("snapshot/young");
  young.recorded = TextGraph::Now() - absl::Hours(1);
  g.PutNamed(young);
  const index::StoreTotals& totals = g.graph().totals(0);
  // "base" goes when what stood on it has gone.
  EXPECT_EQ(Reclaimable(totals, true).logical_bytes, 2u + 32u + 64u);
  EXPECT_EQ(Reclaimable(totals, false).logical_bytes, 32u + 64u);
  EXPECT_EQ(
      Taken(g, TextGraph::Now(), Request(gc::PruneVerb::kAllImages)).bytes,
      Reclaimable(totals, true));
  EXPECT_EQ(Taken(g, TextGraph::Now(), Request(gc::PruneVerb::kImages)).bytes,
            Reclaimable(totals, false));
}

}  // namespace
}  // namespace reclaim::tests
