// Digests lie in a file that nobody syncs: what a failing disk makes of it
// changes nothing.

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/simulated_clock.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "index/graph_records.h"
#include "index/graph_view.h"
#include "index/memory_engine.h"
#include "index/mutation.h"
#include "index/node.h"
#include "index/reference_graph.h"
#include "oci/digest.h"
#include "store/types.h"

namespace reclaim::index {
namespace {

using ::reclaim::base::IsOk;

constexpr int kBlobCount = 20000;  // most of them in the file

oci::Digest D(int number) {
  return oci::Digest::Sha256Of(absl::StrCat(number));
}

class LostShelfTest : public ::testing::Test {
 protected:
  LostShelfTest() {
    std::string name = absl::StrCat(::testing::TempDir(), "shelf-XXXXXX");
    EXPECT_NE(mkdtemp(name.data()), nullptr);
    char* whole = realpath(name.c_str(), nullptr);
    folder_ = whole;
    free(whole);
    GraphOptions options;
    options.scratch_folder = folder_;
    auto opened = ReferenceGraph::Open(&engine_, &clock_, options);
    EXPECT_THAT(opened, IsOk());
    graph_ = *std::move(opened);
    StoreRecord store;
    store.name = "s";
    store.kind = store::StoreKind::kImageLayout;
    EXPECT_THAT(graph_->RegisterStore(store), IsOk());
    Put();
  }
  ~LostShelfTest() override { rmdir(folder_.c_str()); }

  void Put() {
    Mutation mutation;
    mutation.actor = "test";
    for (int i = 0; i < kBlobCount; ++i) {
      PutBlob op;
      op.name = {"s", "", D(i)};
      op.bytes = {10, 10};
      mutation.operations.push_back(op);
    }
    EXPECT_THAT(graph_->Apply(mutation, Durability::kDurable), IsOk());
  }

  // The open file that lies in the folder and has no name; -1 if none does.
  int File() const {
    for (int file = 0; file < 1024; ++file) {
      char target[4096];
      const ssize_t size = readlink(
          absl::StrCat("/proc/self/fd/", file).c_str(), target, sizeof(target));
      if (size > 0 && absl::StartsWith(absl::string_view(target, size),
                                       absl::StrCat(folder_, "/"))) {
        return file;
      }
    }
    return -1;
  }

  void ExpectAllThere() {
    {
      const auto reader = graph_->Read();
      const GraphView& view = reader->view();
      for (int i = 0; i < kBlobCount; ++i) {
        const NodeId id = view.FindContent(view.FindPlace(0, ""), D(i));
        ASSERT_NE(id, kNoNode) << i;
        ASSERT_EQ(view.digest(id), D(i));
      }
    }
    // What is put again is known, not put beside.
    const size_t before = graph_->Read()->view().node_count();
    Put();
    EXPECT_EQ(graph_->Read()->view().node_count(), before);
  }

  std::string folder_;
  MemoryEngine engine_;
  base::SimulatedClock clock_;
  std::unique_ptr<ReferenceGraph> graph_;
};

TEST_F(LostShelfTest, ZerosAreNoDigests) {
  const int file = File();
  ASSERT_GE(file, 0);
  const off_t size = lseek(file, 0, SEEK_END);
  ASSERT_GT(size, 0);
  ASSERT_EQ(ftruncate(file, 0), 0);
  ASSERT_EQ(ftruncate(file, size), 0);
  ExpectAllThere();
}

TEST_F(LostShelfTest, WhatIsCutOffIsReadFromTheRecords) {
  const int file = File();
  ASSERT_GE(file, 0);
  ASSERT_EQ(ftruncate(file, 1000), 0);
  ExpectAllThere();
}

TEST_F(LostShelfTest, BytesOfAnotherAreNotTaken) {
  const int file = File();
  ASSERT_GE(file, 0);
  std::string bytes(1 << 16, 0);
  const ssize_t count = pread(file, bytes.data(), bytes.size(), 0);
  ASSERT_GT(count, 64);
  ASSERT_EQ(pwrite(file, bytes.data() + 32, static_cast<size_t>(count) - 32, 0),
            count - 32);
  ExpectAllThere();
}

// A manifest may name what nobody has computed.
TEST(SamePrefixTest, DigestsThatBeginAlikeAreFoundAtOnce) {
  MemoryEngine engine;
  base::SimulatedClock clock;
  auto opened = ReferenceGraph::Open(&engine, &clock, GraphOptions());
  ASSERT_THAT(opened, IsOk());
  StoreRecord store;
  store.name = "s";
  store.kind = store::StoreKind::kImageLayout;
  ASSERT_THAT((*opened)->RegisterStore(store), IsOk());
  // The square of it would be minutes.
  for (int part = 0; part < 50; ++part) {
    Mutation mutation;
    mutation.actor = "test";
    for (int i = 0; i < 1000; ++i) {
      PutBlob op;
      const std::string bytes = absl::StrCat(
          std::string(24, 'a'), absl::Dec(part * 1000 + i, absl::kZeroPad8));
      op.name = {"s", "",
                 *oci::Digest::FromBytes(oci::DigestAlgorithm::kSha256, bytes)};
      op.bytes = {10, 10};
      mutation.operations.push_back(op);
    }
    ASSERT_THAT((*opened)->Apply(mutation, Durability::kDurable), IsOk());
  }
  EXPECT_GE((*opened)->Read()->view().node_count(), 50000);
}

}  // namespace
}  // namespace reclaim::index
