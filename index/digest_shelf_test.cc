#include "index/digest_shelf.h"

#include <sys/resource.h>

#include <csignal>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <random>

#include "gtest/gtest.h"
#include "index/node.h"
#include "store/testing/store_tree.h"

namespace reclaim::index {
namespace {

constexpr NodeId kIds = 50'000;
constexpr uint64_t kAllBytes = uint64_t{kIds} * DigestShelf::kSize;
constexpr uint64_t kPlenty = uint64_t{1} << 40;

DigestShelf::Bytes BytesOf(NodeId id, uint64_t version = 0) {
  std::mt19937_64 random(uint64_t{id} << 8 | version);
  DigestShelf::Bytes bytes;
  for (size_t i = 0; i < bytes.size(); i += 8) {
    const uint64_t word = random();
    std::memcpy(bytes.data() + i, &word, sizeof(word));
  }
  return bytes;
}

// Every third id is not put, as that of a name.
void PutAll(DigestShelf* shelf) {
  for (NodeId id = 0; id < kIds; ++id) {
    if (id % 3 != 0) shelf->Put(id, BytesOf(id).data());
  }
}

void ExpectAll(const DigestShelf& shelf, uint64_t version_of_old = 0) {
  for (NodeId id = 0; id < kIds; ++id) {
    if (id % 3 == 0) continue;
    DigestShelf::Bytes bytes;
    ASSERT_TRUE(shelf.Get(id, &bytes));
    ASSERT_EQ(bytes, BytesOf(id, id < 100 ? version_of_old : 0)) << id;
  }
}

TEST(DigestShelfTest, WithoutAFolderAllIsInMemory) {
  DigestShelf shelf("");
  PutAll(&shelf);
  ExpectAll(shelf);
  EXPECT_EQ(shelf.file_bytes(), 0u);
  EXPECT_GE(shelf.memory_bytes(), kAllBytes);
}

TEST(DigestShelfTest, AFolderTakesNearlyAllAndShowsNothing) {
  const store::TempFolder folder;
  DigestShelf shelf(folder.path(), [] { return kPlenty; });
  PutAll(&shelf);
  ExpectAll(shelf);
  EXPECT_LT(shelf.memory_bytes(), kAllBytes / 4);
  EXPECT_GT(shelf.file_bytes(), kAllBytes / 4 * 3);
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(DigestShelfTest, WhatIsInTheFileCanBePutAnew) {
  const store::TempFolder folder;
  DigestShelf shelf(folder.path(), [] { return kPlenty; });
  PutAll(&shelf);
  for (NodeId id = 0; id < 100; ++id) shelf.Put(id, BytesOf(id, 1).data());
  ExpectAll(shelf, 1);
}

TEST(DigestShelfTest, AnIdFarAheadIsTaken) {
  DigestShelf shelf("");
  shelf.Put(kIds, BytesOf(kIds).data());
  DigestShelf::Bytes bytes = BytesOf(1);
  ASSERT_TRUE(shelf.Get(7, &bytes));
  EXPECT_EQ(bytes, DigestShelf::Bytes());
  ASSERT_TRUE(shelf.Get(kIds, &bytes));
  EXPECT_EQ(bytes, BytesOf(kIds));
  ASSERT_TRUE(shelf.Get(kIds * 2, &bytes));
  EXPECT_EQ(bytes, DigestShelf::Bytes());
}

TEST(DigestShelfTest, TheLastSpaceIsLeftToTheDatabase) {
  const store::TempFolder folder;
  uint64_t free = DigestShelf::kFreeBytesMin - 1;
  DigestShelf shelf(folder.path(), [&free] { return free; });
  PutAll(&shelf);
  ExpectAll(shelf);
  EXPECT_EQ(shelf.file_bytes(), 0u);
  free = DigestShelf::kFreeBytesMin;
  shelf.Put(kIds * 2, BytesOf(kIds * 2).data());
  EXPECT_GT(shelf.file_bytes(), kAllBytes / 4 * 3) << "there is space again";
  ExpectAll(shelf);
}

TEST(DigestShelfTest, AFolderThatIsNotThereIsNoFault) {
  const store::TempFolder folder;
  DigestShelf shelf(folder.path() + "/none", [] { return kPlenty; });
  PutAll(&shelf);
  ExpectAll(shelf);
}

// Files of this process end at a size, while it lives.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(uint64_t bytes) {
    handler_ = std::signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before_);
    rlimit limit = before_;
    limit.rlim_cur = bytes;
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  rlimit before_ = {};
  void (*handler_)(int) = nullptr;
};

TEST(DigestShelfTest, WhatTheDiskDoesNotTakeStaysInMemory) {
  const store::TempFolder folder;
  DigestShelf shelf(folder.path(), [] { return kPlenty; });
  {
    const FileSizeLimit limit(kAllBytes / 2);
    PutAll(&shelf);
    ExpectAll(shelf);
    EXPECT_LE(shelf.file_bytes(), kAllBytes / 2);
  }
  {
    const FileSizeLimit limit(0);
    for (NodeId id = 0; id < 100; ++id) shelf.Put(id, BytesOf(id, 1).data());
    ExpectAll(shelf, 1);
  }
  // And once more into the file.
  for (NodeId id = 0; id < 100; ++id) shelf.Put(id, BytesOf(id, 2).data());
  ExpectAll(shelf, 2);
}

}  // namespace
}  // namespace reclaim::index
