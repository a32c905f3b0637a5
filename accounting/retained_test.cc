// What tags that go meanwhile do to retained sizes.

#include "accounting/retained.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "gc/roots.h"
#include "gtest/gtest.h"
#include "index/graph_view.h"
#include "index/node.h"
#include "oci/digest.h"
#include "store/types.h"
#include "tests/support/graph_text.h"

namespace reclaim::accounting {
namespace {

// Runs `on_yield` with the number of the yield, from 0.
class YieldingView final : public index::GraphView {
 public:
  YieldingView(const index::GraphView* view,
               std::function<void(int yield)> on_yield)
      : view_(*view), on_yield_(std::move(on_yield)) {}

  int yield_count() const { return yield_count_; }

  void Yield() const override { on_yield_(yield_count_++); }

  index::NodeFields fields(index::NodeId id) const override {
    return view_.fields(id);
  }
  void ForEachKeeper(
      index::NodeId id,
      absl::FunctionRef<bool(index::NodeId)> visit) const override {
    view_.ForEachKeeper(id, visit);
  }
  index::NodeId node_count() const override { return view_.node_count(); }
  bool Exists(index::NodeId id) const override { return view_.Exists(id); }
  index::NodeKind kind(index::NodeId id) const override {
    return view_.kind(id);
  }
  index::NodeState state(index::NodeId id) const override {
    return view_.state(id);
  }
  absl::Span<const index::NodeId> Kept(index::NodeId id) const override {
    return view_.Kept(id);
  }
  absl::Span<const index::NodeId> Referrers(index::NodeId id) const override {
    return view_.Referrers(id);
  }
  index::NodeId ExtentOf(index::NodeId id) const override {
    return view_.ExtentOf(id);
  }
  index::NodeId FindContent(index::PlaceId place,
                            const oci::Digest& digest) const override {
    return view_.FindContent(place, digest);
  }
  index::NodeId FindNamed(const index::NamedKey& key) const override {
    return view_.FindNamed(key);
  }
  oci::Digest digest(index::NodeId id) const override {
    return view_.digest(id);
  }
  index::NamedKey named_key(index::NodeId id) const override {
    return view_.named_key(id);
  }
  index::StoreId FindStore(absl::string_view name) const override {
    return view_.FindStore(name);
  }
  std::string StoreName(index::StoreId store) const override {
    return view_.StoreName(store);
  }
  store::Place PlaceName(index::PlaceId place) const override {
    return view_.PlaceName(place);
  }
  index::StoreId PlaceStore(index::PlaceId place) const override {
    return view_.PlaceStore(place);
  }
  index::PlaceId FindPlace(index::StoreId store,
                           const store::Place& name) const override {
    return view_.FindPlace(store, name);
  }
  void ForEachPlace(
      index::StoreId store,
      absl::FunctionRef<void(index::PlaceId)> visit) const override {
    view_.ForEachPlace(store, visit);
  }
  index::DoubtUnit UnitOfDoubt(index::StoreId store) const override {
    return view_.UnitOfDoubt(store);
  }
  index::Doubt DoubtAbout(index::NodeId content) const override {
    return view_.DoubtAbout(content);
  }
  bool HasDoubt(index::PlaceId place) const override {
    return view_.HasDoubt(place);
  }
  bool IsWholeInDoubt(index::PlaceId place) const override {
    return view_.IsWholeInDoubt(place);
  }
  bool IsRepositoryInDoubt(index::NodeId repository) const override {
    return view_.IsRepositoryInDoubt(repository);
  }
  void ForEachNamed(
      index::NodeKind kind, index::StoreId store,
      absl::FunctionRef<bool(index::NodeId)> visit) const override {
    view_.ForEachNamed(kind, store, visit);
  }
  void ForEachMember(
      index::NodeId repository,
      absl::FunctionRef<bool(index::NodeId, store::MembershipKind, absl::Time)>
          visit) const override {
    view_.ForEachMember(repository, visit);
  }
  std::optional<absl::Time> LinkedAt(
      index::NodeId repository, index::NodeId content,
      store::MembershipKind kind) const override {
    return view_.LinkedAt(repository, content, kind);
  }
  void ForEachRepositoryOf(
      index::NodeId content,
      absl::FunctionRef<bool(index::NodeId)> visit) const override {
    view_.ForEachRepositoryOf(content, visit);
  }

 private:
  const index::GraphView& view_;
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
