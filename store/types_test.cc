#include "store/types.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "oci/digest.h"

namespace reclaim::store {
namespace {

Removal Tag(const std::string& repository, const std::string& tag) {
  Removal removal;
  removal.kind = RemovalKind::kTag;
  removal.repository = repository;
  removal.tag = tag;
  removal.digest = oci::Digest::Sha256Of(tag);
  return removal;
}

Removal Blob(const std::string& place, const std::string& bytes) {
  Removal removal;
  removal.kind = RemovalKind::kBlob;
  removal.place = place;
  removal.digest = oci::Digest::Sha256Of(bytes);
  return removal;
}

TEST(Removal, NamesSortBeforeLinksBeforeBytes) {  // I3
  Removal link;
  link.kind = RemovalKind::kLayerLink;
  link.repository = "a";
  link.digest = oci::Digest::Sha256Of("x");
  std::vector<Removal> removals = {Blob("", "x"), link, Tag("z", "latest")};
  std::sort(removals.begin(), removals.end());
  EXPECT_EQ(removals[0].kind, RemovalKind::kTag);
  EXPECT_EQ(removals[1].kind, RemovalKind::kLayerLink);
  EXPECT_EQ(removals[2].kind, RemovalKind::kBlob);
}

TEST(Removal, EveryFieldCounts) {
  const Removal base = Tag("a", "v1");
  EXPECT_TRUE(base == Tag("a", "v1"));
  EXPECT_FALSE(base == Tag("b", "v1"));
  EXPECT_FALSE(base == Tag("a", "v2"));
  Removal other = base;
  other.digest = oci::Digest::Sha256Of("other");
  EXPECT_FALSE(base == other);
  EXPECT_TRUE(base < other || other < base);
  EXPECT_FALSE(Blob("p", "x") == Blob("q", "x"));
  EXPECT_FALSE(base < base);
}

TEST(Removal, ToStringNamesWhatIsTakenAway) {
  EXPECT_EQ(ToString(Tag("a/b", "v1")), "tag a/b:v1");
  const std::string digest = oci::Digest::Sha256Of("x").ToString();
  EXPECT_EQ(ToString(Blob("", "x")), "blob " + digest);
  EXPECT_EQ(ToString(Blob("p", "x")), "blob p " + digest);
  Removal upload;
  upload.kind = RemovalKind::kUpload;
  upload.repository = "a";
  upload.upload_id = "u";
  EXPECT_EQ(ToString(upload), "upload a u");
}

TEST(Bytes, MeasuresAreAddedApart) {
  RemovalBytes sum;
  sum += RemovalBytes{{10, 4096}, {71, 8192}};
  sum += RemovalBytes{{1, 512}, {0, 0}};
  EXPECT_EQ(sum.content, (Bytes{11, 4608}));
  EXPECT_EQ(sum.total(), (Bytes{82, 12800}));
}

TEST(Bytes, ASumThatDoesNotFitStaysAtTheLargest) {
  constexpr uint64_t kLargest = std::numeric_limits<uint64_t>::max();
  EXPECT_EQ(AddSaturated(kLargest - 1, 1), kLargest);
  EXPECT_EQ(AddSaturated(kLargest, kLargest), kLargest);
  EXPECT_EQ(AddSaturated(0, 0), 0u);
  const Bytes half{uint64_t{1} << 63, 7};
  EXPECT_EQ(half + half, (Bytes{kLargest, 14}));
  const Bytes all{kSizeSumMax, kSizeSumMax};
  EXPECT_EQ((all + all + all).logical_bytes, 3 * kSizeSumMax);
}

TEST(StoreKind, EveryKindHasAWord) {
  EXPECT_STREQ(ToString(StoreKind::kImageLayout), "image-layout");
  EXPECT_STREQ(ToString(StoreKind::kDocker), "docker");
  EXPECT_STREQ(ToString(static_cast<StoreKind>(99)), "unknown");
}

}  // namespace
}  // namespace reclaim::store
