// The histories of tags: what goes with a manifest, and what it costs to know.

#include "store/tag_histories.h"

#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/fault_point.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "oci/digest.h"
#include "store/content_store.h"
#include "store/open_store.h"
#include "store/rooted_dir.h"
#include "store/testing/store_tree.h"
#include "store/types.h"

namespace reclaim::store {
namespace {

using ::reclaim::base::IsOk;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

constexpr char kRepository[] = "docker/registry/v2/repositories/app";

class TagHistoriesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    first_ = tree_.Image("app", "v1", {"one"});
    second_ = tree_.Image("app", "v1", {"two"});  // the tag moves
    tree_.Tag("app", "v2", first_);
    auto root = RootedDir::Open(folder_.path());
    ASSERT_THAT(root, IsOk());
    root_ = *std::move(root);
    histories_ = std::make_unique<TagHistories>(root_.get());
  }
  std::vector<std::string> Find(const oci::Digest& digest) {
    const auto found = histories_->Find(kRepository, digest);
    EXPECT_THAT(found, IsOk());
    return *found;
  }
  static std::string Path(const std::string& tag, const oci::Digest& digest) {
    return absl::StrCat(kRepository, "/_manifests/tags/", tag, "/index/sha256/",
                        digest.hex());
  }

  TempFolder folder_;
  RegistryTree tree_{&folder_};
  oci::Digest first_, second_;
  std::unique_ptr<RootedDir> root_;
  std::unique_ptr<TagHistories> histories_;
};

TEST_F(TagHistoriesTest, TellsEachTagThatNamedAManifest) {
  EXPECT_THAT(Find(first_),
              UnorderedElementsAre(Path("v1", first_), Path("v2", first_)));
  EXPECT_THAT(Find(second_), ElementsAre(Path("v1", second_)));
  EXPECT_THAT(Find(oci::Digest::Sha256Of("none")), IsEmpty());
}

TEST_F(TagHistoriesTest, TellsNothingThatIsGoneAndAllAfterForgetting) {
  EXPECT_THAT(Find(first_), SizeIs(2));
  folder_.Remove(absl::StrCat(kRepository, "/_manifests/tags/v2"));
  EXPECT_THAT(Find(first_), ElementsAre(Path("v1", first_)));
  tree_.Tag("app", "v3", second_);
  histories_->Forget();
  EXPECT_THAT(Find(second_),
              UnorderedElementsAre(Path("v1", second_), Path("v3", second_)));
}

TEST_F(TagHistoriesTest, ARepositoryWithoutTagsHasNone) {
  const auto found =
      histories_->Find("docker/registry/v2/repositories/none", first_);
  ASSERT_THAT(found, IsOk());
  EXPECT_THAT(*found, IsEmpty());
  EXPECT_THAT(Find(first_), SizeIs(2)) << "another repository";
}

// System calls of measuring `count` manifests of a repository of as many tags.
int CallsToMeasure(int count) {
  TempFolder folder;
  RegistryTree tree(&folder);
  std::vector<Removal> removals;
  for (int i = 0; i < count; ++i) {
    Removal removal;
    removal.kind = RemovalKind::kRevisionLink;
    removal.repository = "app";
    removal.digest =
        tree.Image("app", absl::StrCat("v", i), {absl::StrCat("layer", i)});
    removals.push_back(removal);
  }
  const auto uri = ParseStoreUri("registry:" + folder.path());
  EXPECT_THAT(uri, IsOk());
  const auto store = OpenStore(*uri, false);
  EXPECT_THAT(store, IsOk());
  base::ScopedErrno counter(0, std::numeric_limits<int>::max(), false);
  EXPECT_THAT((*store)->Measure(removals), IsOk());
  int calls = 0;
  for (const auto& [site, reached] : counter.reached()) calls += reached;
  return calls;
}

TEST(TagHistoriesCostTest, GrowsWithTagsAndManifestsNotTheirProduct) {
  const int calls = CallsToMeasure(20);
  EXPECT_GT(calls, 20);
  // Four times as many of both: the product would be sixteen times as many.
  EXPECT_LT(CallsToMeasure(80), 5 * calls);
}

}  // namespace
}  // namespace reclaim::store
