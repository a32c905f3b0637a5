// What was found in quarantine after a loss of the database is looked up once,
// not once for every batch of a purge.

#include "gc/adopted_blobs.h"

#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/status_matchers.h"
#include "gc/collector_fixture.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "index/mutation.h"
#include "index/reference_graph.h"
#include "oci/digest.h"
#include "store/testing/store_tree.h"
#include "store/types.h"

namespace reclaim::gc {
namespace {

using ::reclaim::base::IsOk;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr int kCount = 6400;
constexpr int kBatchCount = kCount / 64;

oci::Digest Found(int number) {
  return oci::Digest::Sha256Of(absl::StrCat("found ", number));
}

class AdoptedBlobsTest : public CollectorFixture {
 protected:
  AdoptedBlobsTest() {
    store::LayoutTree tree(&folder_, "images");
    tree.Entry(tree.Image({"a layer"}), "v1");
    Open(store::StoreKind::kImageLayout);
    for (int i = 0; i < kCount; ++i) adopted_.Add("images", Found(i));
    adopted_.Add("other", Found(0));
  }
  void LookUp() {
    const auto reader = graph_->Read();
    adopted_.LookUp(reader->view(), id_);
  }
  std::set<store::Place> Named() {
    const auto reader = graph_->Read();
    return adopted_.NamedPlaces(*reader, id_, {"images", "other", "third"});
  }
  void Hold(const std::string& lease, const store::Place& place,
            const oci::Digest& digest) {
    index::PutLease put;
    put.store = "s";
    put.id = lease;
    index::Target target;
    target.content = index::ContentName{"s", place, digest};
    put.targets.push_back(target);
    ASSERT_THAT(Record({put}), IsOk());
  }

  AdoptedBlobs adopted_;
};

TEST_F(AdoptedBlobsTest, EachIsLookedUpOnce) {
  Hold("before", "images", oci::Digest::Sha256Of("another"));
  LookUp();
  for (int i = 0; i < kBatchCount; ++i) {
    EXPECT_THAT(Named(), IsEmpty());
    // A writer who has nothing to do with them.
    Hold(absl::StrCat("lease ", i), "images",
         oci::Digest::Sha256Of(absl::StrCat("new ", i)));
  }
  EXPECT_LE(adopted_.look_count(), kCount + 1 + 4 * kBatchCount);
}

TEST_F(AdoptedBlobsTest, WhatIsNamedLaterIsSeen) {
  LookUp();
  EXPECT_THAT(Named(), IsEmpty());
  Hold("lease", "images", Found(kCount - 1));
  EXPECT_THAT(Named(), ElementsAre("images"));
  // Once is enough: what it was made of may have been named meanwhile.
  ASSERT_THAT(
      Record({index::RemoveNamed{"s", index::NodeKind::kLease, "", "lease"}}),
      IsOk());
  EXPECT_THAT(Named(), ElementsAre("images"));
}

// It stood for one before anybody asked, and nothing named it then.
TEST_F(AdoptedBlobsTest, WhatIsNamedAgainIsSeen) {
  Hold("lease", "other", Found(0));
  ASSERT_THAT(
      Record({index::RemoveNamed{"s", index::NodeKind::kLease, "", "lease"}}),
      IsOk());
  LookUp();
  EXPECT_THAT(Named(), IsEmpty());
  Hold("lease", "other", Found(0));
  EXPECT_THAT(Named(), ElementsAre("other"));
}

// Who holds a digest and knows no place holds it in each.
TEST_F(AdoptedBlobsTest, WhatIsHeldWhereverItIsCountsInEachPlace) {
  Hold("old", "", Found(0));  // also where the graph knows no place yet
  LookUp();
  EXPECT_THAT(Named(), ElementsAre("images", "other"));
  Hold("new", "", Found(1));
  EXPECT_THAT(Named(), ElementsAre("images", "other"));
}

}  // namespace
}  // namespace reclaim::gc
