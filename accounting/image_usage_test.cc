// Images on a durable graph, with what they share.

#include "accounting/image_usage.h"

#include <cstdint>
#include <map>
#include <string>

#include "accounting/repository_usage.h"
#include "accounting/tree.h"
#include "base/simulated_clock.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "index/memory_engine.h"
#include "index/reference_graph.h"
#include "store/testing/store_tree.h"

namespace reclaim::accounting {
namespace {

using oci::Digest;

class ImageUsageTest : public ::testing::Test {
 protected:
  ImageUsageTest() {
    options_.grace_period = absl::ZeroDuration();
    auto graph = index::ReferenceGraph::Open(&engine_, &clock_, options_);
    EXPECT_THAT(graph, base::IsOk());
    graph_ = *std::move(graph);
    index::StoreRecord store;
    store.name = "s";
    store_ = *graph_->RegisterStore(store);
  }

  void Apply(index::Operation operation) {
    index::Mutation mutation;
    mutation.operations.push_back(std::move(operation));
    EXPECT_THAT(graph_->Apply(mutation, index::Durability::kDurable),
                base::IsOk());
  }
  Digest Blob(const std::string& bytes) {
    index::PutBlob put;
    put.name = {"s", "", Digest::Sha256Of(bytes)};
    put.bytes = {bytes.size(), 4096};
    put.modified = clock_.Now() - absl::Hours(1000);
    Apply(put);
    return put.name.digest;
  }
  // One name of a file that has several.
  Digest LinkedBlob(const std::string& bytes, uint64_t inode,
                    uint64_t link_count, const std::string& place = "") {
    index::PutBlob put;
    put.name = {"s", place, Digest::Sha256Of(bytes)};
    put.bytes = {bytes.size(), 4096};
    put.extent = store::Extent{1, inode};
    put.link_count = link_count;
    put.modified = clock_.Now() - absl::Hours(1000);
    Apply(put);
    return put.name.digest;
  }
  Digest Manifest(const std::string& text) {
    index::PutManifest put;
    put.name = {"s", "", Digest::Sha256Of(text)};
    put.bytes = text;
    index::PutBlob stat;
    stat.name = put.name;
    stat.bytes = {text.size(), 4096};
    stat.modified = clock_.Now() - absl::Hours(1000);
    put.stat = stat;
    Apply(put);
    return put.name.digest;
  }
  void Tag(const std::string& repository, const std::string& tag,
           const Digest& digest) {
    index::PutTag put;
    put.store = "s";
    put.repository = repository;
    put.tag = tag;
    put.digest = digest;
    Apply(put);
  }
  std::map<std::string, ImageUsage> List(bool all) {
    const auto reader = graph_->Read();
    std::map<std::string, ImageUsage> images;
    for (const ImageUsage& usage :
         ListImageUsage(reader->view(), store_, all)) {
      images[reader->view().digest(usage.node).ToString()] = usage;
    }
    return images;
  }

  base::SimulatedClock clock_;
  index::MemoryEngine engine_;
  index::GraphOptions options_;
  std::unique_ptr<index::ReferenceGraph> graph_;
  index::StoreId store_ = index::kNoStore;
};

TEST_F(ImageUsageTest, SizeIsSharedAndUnique) {
  const Digest base = Blob("base layer");
  const Digest a = Manifest(store::ImageText({Blob("ca"), base, Blob("a")}));
  const Digest b = Manifest(store::ImageText({Blob("cb"), base, Blob("bb")}));
  Tag("app", "a", a);
  const auto images = List(false);
  ASSERT_EQ(images.size(), 2u);
  const ImageUsage& first = images.at(a.ToString());
  EXPECT_EQ(first.shared.logical_bytes, std::string("base layer").size());
  EXPECT_EQ((first.shared + first.unique), first.size);
  EXPECT_FALSE(first.is_dangling);
  EXPECT_TRUE(images.at(b.ToString()).is_dangling);
  ASSERT_EQ(first.configs.size(), 1u);
}

TEST_F(ImageUsageTest, PlatformsAreListedWithTheirIndexUnlessTagged) {
  const Digest amd = Manifest(store::ImageText({Blob("c1"), Blob("l1")}));
  const Digest arm = Manifest(store::ImageText({Blob("c2"), Blob("l2")}));
  const Digest index = Manifest(store::IndexText({amd, arm}));
  Tag("app", "multi", index);
  EXPECT_EQ(List(false).size(), 1u);
  EXPECT_EQ(List(true).size(), 3u);
  Tag("app", "v1", amd);
  EXPECT_EQ(List(false).size(), 2u) << "docker image ls shows every tag";
}

TEST_F(ImageUsageTest, WhatIsNotHereIsCountedAndHasNoBytes) {
  const Digest a =
      Manifest(store::ImageText({Blob("c"), Digest::Sha256Of("never pushed")}));
  const ImageUsage usage = List(false).at(a.ToString());
  EXPECT_EQ(usage.absent_count, 1u);
  EXPECT_EQ(usage.size.allocated_bytes, 2u * 4096);
}

// What a backup with hard links keeps, no removal here frees.
TEST_F(ImageUsageTest, WhatAnotherNameKeepsIsNotUnique) {
  const Digest held = LinkedBlob("a backup has it", 2, 2);
  const Digest beside = LinkedBlob("something unnamed has it", 3, 2);
  LinkedBlob("something unnamed has it", 3, 2, "other");
  const Digest a =
      Manifest(store::ImageText({Blob("c"), held, beside, Blob("own")}));
  Tag("app", "v1", a);
  const ImageUsage usage = List(false).at(a.ToString());
  EXPECT_EQ(usage.shared.allocated_bytes, 2u * 4096);
  EXPECT_EQ(usage.unique.allocated_bytes, 3u * 4096);
  EXPECT_EQ(usage.shared + usage.unique, usage.size);
}

TEST_F(ImageUsageTest, SharesAddUpAndExclusiveIsWhatWouldGo) {
  const Digest base = Blob("base");
  const Digest a = Manifest(store::ImageText({Blob("ca"), base, Blob("la")}));
  const Digest b = Manifest(store::ImageText({Blob("cb"), base, Blob("lb")}));
  const Digest c = Manifest(store::ImageText({Blob("cc"), base, Blob("lc")}));
  Tag("one", "v1", a);
  Tag("two", "v1", b);
  Tag("three", "v1", c);
  const auto reader = graph_->Read();
  Judgement judge;
  judge.is_live = [&](index::NodeId id) { return reader->IsLive(id); };
  judge.is_kept_otherwise = [](index::NodeId) { return false; };
  const StoreShares shares = ShareStore(reader->view(), store_, judge);
  ASSERT_EQ(shares.repositories.size(), 3u);
  store::Bytes sum = shares.unattributed;
  for (const RepositoryUsage& usage : shares.repositories) {
    sum += usage.apportioned;
    EXPECT_EQ(usage.reachable.count, 4u);
    EXPECT_EQ(usage.exclusive.count, 3u);
  }
  EXPECT_EQ(sum, reader->totals(store_).live.bytes);
  // 4096 bytes of the base among three: 1366, 1365, 1365.
  EXPECT_EQ(shares.repositories[0].apportioned.allocated_bytes,
            3u * 4096 + 1366);
}

TEST_F(ImageUsageTest, WhatAnotherNameKeepsIsExclusiveToNoRepository) {
  const Digest held = LinkedBlob("a backup has it", 2, 2);
  Tag("app", "v1", Manifest(store::ImageText({Blob("c"), held})));
  const auto reader = graph_->Read();
  Judgement judge;
  judge.is_live = [&](index::NodeId id) { return reader->IsLive(id); };
  judge.is_kept_otherwise = [](index::NodeId) { return false; };
  const StoreShares shares = ShareStore(reader->view(), store_, judge);
  ASSERT_EQ(shares.repositories.size(), 1u);
  const RepositoryUsage& usage = shares.repositories[0];
  EXPECT_EQ(usage.reachable.bytes.allocated_bytes, 3u * 4096);
  EXPECT_EQ(usage.exclusive.bytes.allocated_bytes, 2u * 4096);
  EXPECT_EQ(usage.apportioned, reader->totals(store_).live.bytes);
}

TEST_F(ImageUsageTest, ATreeShowsEachThingOnceWithItsChildren) {
  const Digest base = Blob("base");
  const Digest a = Manifest(store::ImageText({Blob("ca"), base}));
  const Digest b = Manifest(store::ImageText({Blob("cb"), base}));
  const Digest index = Manifest(store::IndexText({a, b}));
  Tag("app", "v1", index);
  const auto reader = graph_->Read();
  const index::GraphView& view = reader->view();
  const index::NodeId top = view.FindContent(view.FindPlace(store_, ""), index);
  const Tree tree = MakeTree(view, top, 32, 1000);
  EXPECT_EQ(tree.nodes.size(), 8u);  // index, tag, 2 x (manifest, config, base)
  EXPECT_FALSE(tree.is_truncated);
  EXPECT_TRUE(MakeTree(view, top, 0, 1000).is_truncated);
  EXPECT_TRUE(MakeTree(view, top, 32, 3).is_truncated);
}

}  // namespace
}  // namespace reclaim::accounting
