// Somebody who may write to the store swaps its folders for links while the
// service deletes there as root (TRUST E.2, row 2).  What lies outside stays as
// it is: its files, their bytes, modes, owners and times.

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/status_matchers.h"
#include "gtest/gtest.h"
#include "store/content_store.h"
#include "store/open_store.h"
#include "store/rooted_dir.h"
#include "store/testing/deletion_permit_for_test.h"
#include "store/testing/store_tree.h"

namespace reclaim::store {
namespace {

using ::reclaim::base::IsOk;

constexpr uint64_t kPatience = 100;
constexpr int kRoundsMin = 200;

uint64_t SwapCount() {
  uint64_t count = 20000;
  const char* given = std::getenv("RECLAIM_SWAPS");
  if (given != nullptr && !absl::SimpleAtoi(given, &count)) count = 20000;
  return count;
}

// Swaps each path with a link to the canary, and back, until told to stop.
class Attacker {
 public:
  Attacker(std::vector<std::string> paths, const std::string& canary)
      : paths_(std::move(paths)) {
    for (const std::string& path : paths_) {
      EXPECT_EQ(symlink(canary.c_str(), (path + ".evil").c_str()), 0);
    }
    thread_ = std::thread([this] { Swap(); });
  }
  ~Attacker() {
    is_over_ = true;
    thread_.join();
  }
  uint64_t swap_count() const { return swap_count_; }

 private:
  void Swap() {
    while (!is_over_) {
      for (const std::string& path : paths_) {
        const std::string evil = path + ".evil";
        // Not there at times: then it is in quarantine.
        if (renameat2(AT_FDCWD, path.c_str(), AT_FDCWD, evil.c_str(),
                      RENAME_EXCHANGE) == 0) {
          ++swap_count_;
        }
      }
    }
  }

  const std::vector<std::string> paths_;
  std::atomic<bool> is_over_{false};
  std::atomic<uint64_t> swap_count_{0};
  std::thread thread_;
};

Removal Blob(const oci::Digest& digest) {
  Removal removal;
  removal.kind = RemovalKind::kBlob;
  removal.digest = digest;
  return removal;
}

// So many swaps, and on while the attacker has let nothing through.
bool GoesOn(int round, uint64_t swapped, uint64_t moved) {
  const uint64_t wanted = SwapCount();
  return swapped < wanted || round < kRoundsMin ||
         (moved == 0 && swapped < wanted * kPatience);
}

void Tell(uint64_t swapped, uint64_t moved) {
  std::printf("attacker: %llu swaps, %llu items moved\n",
              static_cast<unsigned long long>(swapped),
              static_cast<unsigned long long>(moved));
  ::testing::Test::RecordProperty("figure_swaps_by_an_attacker",
                                  std::to_string(swapped));
}

// Swaps in the tree of a registry, at the depth of a blob, a shard and a
// repository, while blobs and links go into quarantine, come back and go.
TEST(AttackerTest, NothingOutsideIsTouched) {
  TempFolder outside;
  const oci::Digest blob = oci::Digest::Sha256Of("victim");
  for (const std::string& name :
       {std::string("data"), std::string("link"), blob.hex() + "/data",
        "sha256/" + blob.hex() + "/link"}) {
    outside.Write(name, "canary");
  }
  ASSERT_EQ(chmod((outside.path() + "/data").c_str(), 0640), 0);
  const std::string before = outside.Snapshot();

  TempFolder folder;
  RegistryTree tree(&folder);
  tree.Layer("app", "victim");
  const std::string data = folder.path() + "/" + tree.BlobPath(blob);
  const std::string blob_folder = data.substr(0, data.rfind('/'));
  const std::string shard = blob_folder.substr(0, blob_folder.rfind('/'));
  const std::string layers =
      folder.path() + "/docker/registry/v2/repositories/app/_layers";
  auto store = OpenStore({StoreKind::kRegistry, folder.path()}, false);
  ASSERT_THAT(store, IsOk());
  Removal link;
  link.kind = RemovalKind::kLayerLink;
  link.repository = "app";
  link.digest = blob;
  const std::vector<Removal> removals = {link, Blob(blob)};
  DeletionPermitForTest permit;

  // Made anew in a way that does not follow the attacker's links either.
  const auto root = RootedDir::Open(folder.path());
  ASSERT_THAT(root, IsOk());
  const auto refill = [&] {
    for (const std::string& file :
         {tree.BlobPath(blob),
          absl::StrCat("docker/registry/v2/repositories/app/_layers/sha256/",
                       blob.hex(), "/link")}) {
      // Whatever is in the way is the attacker's doing.
      (*root)->MakeFolders(ParentPath(file)).IgnoreError();
      (*root)->WriteAtomically(file, "victim", 0644).IgnoreError();
    }
  };

  uint64_t swapped = 0;
  uint64_t moved = 0;
  {
    Attacker attacker({blob_folder, shard, layers}, outside.path());
    for (int round = 0; GoesOn(round, swapped, moved); ++round) {
      const std::string run = absl::StrCat("run-", round);
      const auto taken = (*store)->Quarantine(*permit, run, removals);
      ASSERT_THAT(taken, IsOk());
      for (const RemovalOutcome& outcome : *taken) moved += outcome.status.ok();
      // An error is an answer: the tree is what the attacker made of it.
      if (round % 2 == 0) {
        (*store)->Restore(run, removals).status().IgnoreError();
      } else {
        (*store)->Purge(*permit, run, removals).status().IgnoreError();
      }
      refill();
      swapped = attacker.swap_count();
    }
  }
  const std::string after = outside.Snapshot();
  EXPECT_EQ(after, before);
  EXPECT_GT(moved, 0u) << "nothing was ever deleted, so nothing was tested";
  Tell(swapped, moved);
}

}  // namespace
}  // namespace reclaim::store
