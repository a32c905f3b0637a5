#include "index/known_referrers.h"

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "gtest/gtest.h"
#include "index/graph_view.h"
#include "index/node.h"
#include "tests/support/forwarding_view.h"
#include "tests/support/graph_text.h"

namespace reclaim::index {
namespace {

// With other referrers of one node than the graph has.
class ListedView final : public tests::ForwardingView {
 public:
  ListedView(const GraphView* view, NodeId subject)
      : ForwardingView(view), subject_(subject) {}

  absl::Span<const NodeId> Referrers(NodeId id) const override {
    if (id == subject_) return referrers;
    return ForwardingView::Referrers(id);
  }

  std::vector<NodeId> referrers;

 private:
  const NodeId subject_;
};

// From `first` on, in no order that anybody could rely on.
std::vector<NodeId> Scattered(NodeId first, NodeId count) {
  constexpr NodeId kStep = 7919;  // a prime
  std::vector<NodeId> ids;
  for (NodeId i = 0; i < count; ++i) {
    const uint64_t place = uint64_t{i} * kStep % count;
    ids.push_back(first + static_cast<NodeId>(place));
  }
  return ids;
}

class KnownReferrersTest : public ::testing::Test {
 protected:
  tests::TextGraph graph_{"M1(c1 l1); S1(c9 l9)^M1; M2(c1 l1)"};
  ListedView view_{&graph_.view(), graph_.Id("M2")};
  KnownReferrers known_;
};

TEST_F(KnownReferrersTest, AFewAreAsTheGraphHasThem) {
  EXPECT_TRUE(known_.Has(view_, graph_.Id("M1"), graph_.Id("S1")));
  EXPECT_FALSE(known_.Has(view_, graph_.Id("M1"), graph_.Id("M2")));
  EXPECT_FALSE(known_.Has(view_, graph_.Id("S1"), graph_.Id("M1")));
  EXPECT_FALSE(known_.Has(view_, graph_.Id("M2"), graph_.Id("S1")));
}

// Looked for in the list one by one they take hundreds of billions of steps.
TEST_F(KnownReferrersTest, AskingForEachOfManyIsNoSquare) {
  constexpr NodeId kFirst = 1000;
  constexpr NodeId kCount = 500'000;
  view_.referrers = Scattered(kFirst, kCount);
  const NodeId subject = graph_.Id("M2");
  for (NodeId id = kFirst; id < kFirst + kCount; ++id) {
    ASSERT_TRUE(known_.Has(view_, subject, id)) << id;
    ASSERT_FALSE(known_.Has(view_, subject, id + kCount)) << id;
  }
  EXPECT_FALSE(known_.Has(view_, subject, kFirst - 1));
}

TEST_F(KnownReferrersTest, OneThatCameIsKnown) {
  view_.referrers = Scattered(1000, 100);
  const NodeId subject = graph_.Id("M2");
  EXPECT_FALSE(known_.Has(view_, subject, 1100));
  view_.referrers.push_back(1100);
  EXPECT_TRUE(known_.Has(view_, subject, 1100));
  view_.referrers.pop_back();
  EXPECT_FALSE(known_.Has(view_, subject, 1100));
}

TEST_F(KnownReferrersTest, OneThatTookThePlaceOfAnotherIsKnownAfterForget) {
  view_.referrers = Scattered(1000, 100);
  const NodeId subject = graph_.Id("M2");
  EXPECT_TRUE(known_.Has(view_, subject, view_.referrers.back()));
  const NodeId gone = view_.referrers.back();
  view_.referrers.back() = 1100;
  known_.Forget();
  EXPECT_FALSE(known_.Has(view_, subject, gone));
  EXPECT_TRUE(known_.Has(view_, subject, 1100));
}

}  // namespace
}  // namespace reclaim::index
