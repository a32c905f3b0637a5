// What a scan cannot judge is kept, whatever a prune is asked (I5): trees with
// links and names that nobody accepts.

#include <filesystem>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/status_matchers.h"
#include "gc/collector.h"
#include "gc/collector_fixture.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "oci/digest.h"
#include "store/testing/store_tree.h"

namespace reclaim::gc {
namespace {

using ::reclaim::base::IsOk;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

namespace fs = std::filesystem;

using index::NodeState;

constexpr char kTop[] = "docker/registry/v2/repositories/";

// app:v1 stands; its old push and a blob of nobody are garbage.
class DoubtfulRegistryTest : public CollectorFixture {
 protected:
  DoubtfulRegistryTest() {
    kept_ = tree_.Image("app", "v1", {"base", "new"});
    tree_.Image("app", "", {"base", "old"});
    tree_.Blob("nothing names me");
  }
  std::string Full(const std::string& path) const {
    return absl::StrCat(folder_.path(), "/", path);
  }
  // A prune takes nothing, in this scan and in the next.
  void ExpectNothingTaken() {
    const std::string before = folder_.Snapshot();
    for (int i = 0; i < 2; ++i) {
      Scan();
      const Plan plan = MakePlan(Request());
      EXPECT_THAT(plan.items, IsEmpty());
      EXPECT_FALSE(plan.kept_scopes.empty());
      Prune();
      EXPECT_EQ(folder_.Snapshot(), before);
    }
  }
  void ExpectCollected() {
    Scan();
    EXPECT_EQ(MakePlan(Request()).totals.blob_count, 4u)
        << "a blob, and of the old image manifest, config and layer";
    ASSERT_THAT(Apply(MakePlan(Request())), IsOk());
    EXPECT_EQ(StateOf(kept_), NodeState::kPresent);
    ExpectExact();
  }

  store::RegistryTree tree_{&folder_};
  oci::Digest kept_;
};

TEST_F(DoubtfulRegistryTest, WhatALinkedRepositoryHoldsStays) {
  tree_.Image("moved", "v1", {"linked"});
  fs::rename(Full(absl::StrCat(kTop, "moved")), Full("elsewhere"));
  const std::string link = Full(absl::StrCat(kTop, "lnk"));
  fs::create_directory_symlink("../../../../elsewhere", link);
  Open(store::StoreKind::kRegistry);
  ExpectNothingTaken();
  fs::remove(link);
  fs::rename(Full("elsewhere"), Full(absl::StrCat(kTop, "moved")));
  ExpectCollected();
}

TEST_F(DoubtfulRegistryTest, WhatARepositoryWithoutAnAcceptedNameHoldsStays) {
  tree_.Image("Upper", "v1", {"upper"});
  Open(store::StoreKind::kRegistry);
  ExpectNothingTaken();
  fs::rename(Full(absl::StrCat(kTop, "Upper")),
             Full(absl::StrCat(kTop, "lower")));
  ExpectCollected();
}

TEST_F(DoubtfulRegistryTest, ALinkedTagIsToldAndStopsNoPlan) {
  const std::string link =
      Full(absl::StrCat(kTop, "app/_manifests/tags/latest"));
  fs::create_directory_symlink("v1", link);
  Open(store::StoreKind::kRegistry);
  ExpectNothingTaken();
  fs::remove(link);
  Scan();
  EXPECT_EQ(MakePlan(Request()).totals.blob_count, 4u);
}

TEST_F(DoubtfulRegistryTest, WhatATagWithoutAnAcceptedNameHoldsStays) {
  tree_.Tag("app", ".dot", tree_.Image("app", "", {"dot"}));
  Open(store::StoreKind::kRegistry);
  ExpectNothingTaken();
}

using DoubtfulLayoutTest = CollectorFixture;

TEST_F(DoubtfulLayoutTest, EntriesWithOneNameAreAllKept) {
  store::LayoutTree tree(&folder_, "a");
  const oci::Digest first = tree.Image({"one"});
  const oci::Digest second = tree.Image({"two"});
  const oci::Digest garbage = tree.Image({"three"});
  tree.Entry(first, "v1");
  tree.Entry(second, "v1");
  tree.Entry(garbage, "");
  Open(store::StoreKind::kImageLayout);
  for (int i = 0; i < 3; ++i) {
    Scan();
    Prune();
    EXPECT_EQ(StateOf(first, "a"), NodeState::kPresent);
    EXPECT_EQ(StateOf(second, "a"), NodeState::kPresent);
    EXPECT_EQ(StateOf(garbage, "a"), NodeState::kQuarantined);
    ExpectExact();
  }
  EXPECT_THAT(folder_.Read("a/index.json"), HasSubstr(second.hex()));
}

}  // namespace
}  // namespace reclaim::gc
