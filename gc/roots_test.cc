#include "gc/roots.h"

#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/graph_text.h"

namespace reclaim::gc {
namespace {

using index::RootReason;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;
using tests::TextGraph;

class RootsTest : public ::testing::Test {
 protected:
  std::set<std::string> Roots() {
    std::set<std::string> roots;
    options_.now = TextGraph::Now();
    index::NodeId last = 0;
    for (const Root& root : CollectRoots(g.view(), 0, options_)) {
      EXPECT_GE(root.node, last);
      last = root.node;
      roots.insert(absl::StrCat(g.Name(root.node), " ", ToString(root.reason)));
    }
    return roots;
  }
  std::string Word(const std::string& name, RootReason reason) {
    return absl::StrCat(name, " ", ToString(reason));
  }

  TextGraph g{""};
  RootOptions options_{absl::Time(), absl::ZeroDuration(), absl::Hours(168)};
};

TEST_F(RootsTest, EachKindHasItsReason) {
  g.Add(
      "M1(c1); app:v1=M1; pin/p=M1; lease/l=M1; container/w=M1; volume/v; "
      "network/n; cache/b; snapshot/s; M2(c2); ?M3");
  EXPECT_THAT(
      Roots(),
      UnorderedElementsAre(
          Word("app:v1", RootReason::kTag), Word("pin/p", RootReason::kPin),
          Word("lease/l", RootReason::kLease),
          Word("container/w", RootReason::kContainer),
          Word("volume/v", RootReason::kRecord),
          Word("network/n", RootReason::kRecord),
          Word("cache/b", RootReason::kRecord), Word("M3", RootReason::kOpaque),
          Word("M1", RootReason::kInDoubt), Word("c1", RootReason::kInDoubt),
          Word("M2", RootReason::kInDoubt), Word("c2", RootReason::kInDoubt),
          Word("M3", RootReason::kInDoubt)));
}

TEST_F(RootsTest, InARegistryDoubtIsOfWhatItsRepositoriesLink) {
  g.DoubtByRepository();
  g.Add(
      "M1(c1 l1); +a=M1; +a~c1; +a~l1; +a=M2; ?M2; M3(c3 l3); +b=M3; +b~l3; "
      "loose");
  EXPECT_THAT(
      Roots(),
      UnorderedElementsAre(
          Word("M2", RootReason::kOpaque), Word("M2", RootReason::kInDoubt),
          Word("M1", RootReason::kInDoubt), Word("c1", RootReason::kInDoubt),
          Word("l1", RootReason::kInDoubt), Word("c3", RootReason::kUnlinked),
          Word("loose", RootReason::kUnlinked)));
}

TEST_F(RootsTest, WithoutTagsTheTagsAreNone) {
  g.Add("M1(c1); app:v1=M1; container/w=M1");
  options_.without_tags = true;
  EXPECT_THAT(Roots(), UnorderedElementsAre(
                           Word("container/w", RootReason::kContainer)));
}

TEST_F(RootsTest, YoungContentIsARootIfItIsHere) {
  options_.grace_period = absl::Hours(24);
  g.Add("young; edge; old; absent; future");
  const auto record = [&](const std::string& name, absl::Duration ago) {
    index::ContentRow& row = g.content(name);
    row.recorded = TextGraph::Now() - ago;
    g.PutContent(row);
  };
  record("young", absl::Hours(24) - absl::Seconds(1));
  record("edge", absl::Hours(24));
  record("future", absl::Hours(-5));
  record("absent", absl::Hours(1));
  g.Add("!absent");
  EXPECT_THAT(Roots(),
              UnorderedElementsAre(Word("young", RootReason::kGrace),
                                   Word("future", RootReason::kGrace)));
}

TEST_F(RootsTest, LeasesAndUploadsEndStrictly) {
  g.Add("lease/now; lease/over; upload/app/u; upload/app/over");
  const auto expire = [&](const std::string& name, absl::Time at) {
    index::NamedRow& row = g.named(name);
    row.expires = at;
    row.recorded = TextGraph::Now() - absl::Hours(1);
    g.PutNamed(row);
  };
  expire("lease/now", TextGraph::Now());
  expire("lease/over", TextGraph::Now() - absl::Nanoseconds(1));
  expire("upload/app/u", TextGraph::Now());
  expire("upload/app/over", TextGraph::Now() - absl::Seconds(1));
  EXPECT_THAT(Roots(),
              UnorderedElementsAre(Word("lease/now", RootReason::kLease),
                                   Word("upload/app/u", RootReason::kUpload)));
}

TEST_F(RootsTest, AnUploadEndsWithItsLifetime) {
  g.Add("upload/app/u; upload/app/over");
  const auto begin = [&](const std::string& name, absl::Duration ago) {
    index::NamedRow& row = g.named(name);
    row.recorded = TextGraph::Now() - ago;
    g.PutNamed(row);
  };
  begin("upload/app/u", options_.upload_lifetime - absl::Seconds(1));
  begin("upload/app/over", options_.upload_lifetime);
  EXPECT_THAT(Roots(),
              UnorderedElementsAre(Word("upload/app/u", RootReason::kUpload)));
}

TEST_F(RootsTest, AnEntryThatAloneNamesAnImageIsARoot) {
  g.Add("M1(c1); M2(c2)");
  index::ContentRow& row = g.content("M1");
  row.flags |= index::kOnlyName;
  g.PutContent(row);
  EXPECT_THAT(Roots(), UnorderedElementsAre(Word("M1", RootReason::kOnlyName)));
}

// The bytes of a file with several names are as young as their names.
TEST_F(RootsTest, AnExtentIsNoRoot) {
  options_.grace_period = absl::Hours(24);
  g.Add("l1; ?M1");
  index::ContentRow extent;
  extent.id = 100;
  extent.kind = index::NodeKind::kExtent;
  extent.state = index::NodeState::kPresent;
  extent.recorded = TextGraph::Now();
  g.PutContent(extent);
  index::ContentRow& blob = g.content("l1");
  blob.extent = extent.id;
  g.PutContent(blob);
  ASSERT_EQ(g.view().state(extent.id), index::NodeState::kPresent);
  for (const Root& root : CollectRoots(g.view(), 0, options_)) {
    EXPECT_NE(root.node, extent.id) << ToString(root.reason);
  }
}

TEST_F(RootsTest, OtherStoresHaveRootsOfTheirOwn) {
  g.Add("M1(c1); app:v1=M1");
  EXPECT_THAT(CollectRoots(g.view(), 1, options_), IsEmpty());
}

}  // namespace
}  // namespace reclaim::gc
