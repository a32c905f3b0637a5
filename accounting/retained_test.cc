// What tags that go meanwhile do to retained sizes.

#include "accounting/retained.h"

#include <cstdint>
#include <functional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "gc/roots.h"
#include "gtest/gtest.h"
#include "index/graph_view.h"
#include "index/node.h"
#include "tests/support/forwarding_view.h"
#include "tests/support/graph_text.h"

namespace reclaim::accounting {
namespace {

// Runs `on_yield` with the number of the yield, from 0.
class YieldingView final : public tests::ForwardingView {
 public:
  YieldingView(const index::GraphView* view,
               std::function<void(int yield)> on_yield)
      : ForwardingView(view), on_yield_(std::move(on_yield)) {}

  int yield_count() const { return yield_count_; }

  void Yield() const override { on_yield_(yield_count_++); }

 private:
  const std::function<void(int yield)> on_yield_;
  mutable int yield_count_ = 0;
};

// The tag app:v1 of `text` goes at each yield in turn.  All content of `text`
// was reached at the beginning.
void ExpectSoundWithoutTheTag(const std::string& text, uint64_t live) {
  bool is_gone = true;
  for (int when = 0; is_gone; ++when) {
    SCOPED_TRACE(absl::StrCat(text, " at yield ", when));
    tests::TextGraph g(text);
    const index::NodeId tag = g.Id("app:v1");
    const YieldingView view(&g.view(), [&](int yield) {
      if (yield == when) g.graph().RemoveNamed(tag);
    });
    const RetainedSizes sizes = MakeRetainedSizes(
        view,
        gc::CollectRoots(
            g.view(), 0,
            {tests::TextGraph::Now(), absl::ZeroDuration(), absl::Hours(24)}),
        {});
    EXPECT_EQ(sizes.live.logical_bytes, live);
    for (index::NodeId id = 0; id < sizes.node_count(); ++id) {
      EXPECT_LE(sizes.Of(id).logical_bytes, live) << g.Name(id);
    }
    // The image goes with its index, whoever keeps that.
    EXPECT_GE(sizes.Of(g.Id("I1")).logical_bytes,
              sizes.Of(g.Id("M1")).logical_bytes);
    EXPECT_GE(sizes.Of(g.Id("M1")).logical_bytes, 16u);
    is_gone = !g.view().Exists(tag);
    if (is_gone) {
      EXPECT_LT(when, view.yield_count());
    } else {
      EXPECT_GE(when, 4);  // the order, two passes and the sum at least
      EXPECT_EQ(sizes.Of(tag).logical_bytes,
                sizes.Of(g.Id("I1")).logical_bytes);
    }
  }
}

// An index that lists its own subject: once the tag is gone, only the cycle
// leads to the index.
TEST(RetainedSizesTest, ATagGoesFromAnIndexThatListsItsSubject) {
  ExpectSoundWithoutTheTag("M1:5(c1:1 l1:10); I1[M1]^M1; app:v1=I1", 21);
}

// What hangs on the cycle has a keeper besides.
TEST(RetainedSizesTest, ATagGoesWhereAPinKeepsPartOfTheCycle) {
  ExpectSoundWithoutTheTag(
      "M1:5(c1:1 l1:10 l2:100); I1[M1]^M1; app:v1=I1; pin/p=l2", 121);
}

}  // namespace
}  // namespace reclaim::accounting
