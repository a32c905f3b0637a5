// Random registry trees with things in them that belong in none, and with parts
// that are away, behind links or replaced by something else: nothing live goes,
// nothing strange is touched, no link is followed out, and once the tree is
// whole again all garbage is collected (I5; TRUST D.3, "torn and hostile
// trees").
//
// RECLAIM_TREES sets how many trees, RECLAIM_SEED the first seed.

#include <sys/stat.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_matchers.h"
#include "gc/collector_fixture.h"
#include "gtest/gtest.h"
#include "index/memory_engine.h"
#include "oci/digest.h"
#include "store/testing/store_tree.h"
#include "store/types.h"

namespace reclaim::gc {
namespace {

namespace fs = std::filesystem;

using ::reclaim::base::IsOk;

constexpr char kBlobs[] = "docker/registry/v2/blobs";
constexpr char kRepositories[] = "docker/registry/v2/repositories";
constexpr char kApp[] = "docker/registry/v2/repositories/live/app";

uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  uint64_t value = otherwise;
  if (text != nullptr && !absl::SimpleAtoi(text, &value)) {
    ADD_FAILURE() << name << " is no number: " << text;
  }
  return value;
}

std::string FolderOf(const std::string& path) {
  return path.substr(0, path.rfind('/'));
}

bool IsAtOrBelow(const std::string& path, const std::string& folder) {
  return path == folder || absl::StartsWith(path, folder + "/");
}

// A part of the tree that something live needs.
struct Victim {
  std::string path;
  // Where else a folder or an empty file says that something was deleted.
  bool is_content = false;
};

class HostileTreeTest : public CollectorFixture {
 protected:
  ~HostileTreeTest() override {
    std::error_code ignored;
    fs::remove_all(aside_, ignored);
  }

  size_t Below(size_t limit) { return draws_() % limit; }
  std::string Whole(const std::string& path) const {
    return absl::StrCat(folder_.path(), "/", path);
  }
  std::string Link(const char* folder, const oci::Digest& digest) const {
    return absl::StrCat(kApp, "/", folder, "/sha256/", digest.hex(), "/link");
  }

  void Build() {
    const oci::Digest one = tree_.Image("live/app", "v1", {"base", "one"});
    const oci::Digest two = tree_.Image("live/app", "v2", {"base", "two"});
    const oci::Digest index =
        tree_.Manifest("live/app", store::IndexText({one, two}));
    tree_.Tag("live/app", "multi", index);
    // Nobody could say what a signature names that is not there, and no tag
    // names it: it stays in its place.
    const oci::Digest signature =
        tree_.Image("live/app", "", {"the signature"}, one);
    tree_.Image("live/web", "latest", {"base", "web"});
    live_ = Files();
    garbage_ = {tree_.Image("old/app", "", {"base", "old"}),
                oci::Digest::Sha256Of("old"), tree_.Blob("nothing names me")};
    const oci::Digest base = oci::Digest::Sha256Of("base");
    const std::string base_folder = FolderOf(tree_.BlobPath(base));
    folders_ = {kBlobs,
                absl::StrCat(kBlobs, "/sha256"),
                FolderOf(base_folder),
                kRepositories,
                FolderOf(kApp),
                kApp,
                absl::StrCat(kApp, "/_manifests/tags"),
                absl::StrCat(kApp, "/_manifests/tags/v1"),
                absl::StrCat(kApp, "/_manifests/revisions/sha256"),
                absl::StrCat(kApp, "/_layers/sha256")};
    victims_ = {{FolderOf(kApp)},
                {kApp},
                {absl::StrCat(kApp, "/_layers")},
                {absl::StrCat(kApp, "/_layers/sha256")},
                {absl::StrCat(kApp, "/_manifests")},
                {absl::StrCat(kApp, "/_manifests/tags")},
                {absl::StrCat(kApp, "/_manifests/tags/v1")},
                {absl::StrCat(kApp, "/_manifests/tags/v1/current/link")},
                {absl::StrCat(kApp, "/_manifests/revisions")},
                {Link("_manifests/revisions", one)},
                {Link("_layers", base)},
                {tree_.BlobPath(one), true},
                {tree_.BlobPath(two), true},
                {tree_.BlobPath(index), true},
                {tree_.BlobPath(base), true},
                {base_folder, true},
                {FolderOf(tree_.BlobPath(index)), true}};
    if (FolderOf(base_folder) !=
        FolderOf(FolderOf(tree_.BlobPath(signature)))) {
      victims_.push_back({FolderOf(base_folder), true});
    }
    fs::create_directories(aside_);
    fs::create_directories(aside_ + "/outside");
  }

  // Every regular file below the store, with its bytes.
  std::map<std::string, std::string> Files() const {
    std::map<std::string, std::string> files;
    for (const auto& entry : fs::recursive_directory_iterator(folder_.path())) {
      if (entry.symlink_status().type() != fs::file_type::regular) continue;
      const std::string path =
          entry.path().string().substr(folder_.path().size() + 1);
      files[path] = folder_.Read(path);
    }
    return files;
  }

  std::string StrangeName() {
    const std::string names[] = {std::string(255, 'x'),
                                 "caf\xe9",
                                 "UPPER",
                                 " ",
                                 "...",
                                 "-f",
                                 "two\nlines",
                                 std::string(64, 'A'),
                                 std::string(64, 'a'),
                                 ".reclaim-x.tmp"};
    return names[Below(std::size(names))];
  }

  // Something that no registry writes, beside what it has written.
  void PutStrange() {
    const std::string path =
        absl::StrCat(folders_[Below(folders_.size())], "/", StrangeName());
    if (folder_.Exists(path)) return;
    const std::string whole = Whole(path);
    switch (Below(6)) {
      case 0:
        folder_.Write(path, "what is this");
        break;
      case 1:
        ASSERT_EQ(mkfifo(whole.c_str(), 0600), 0);
        break;
      case 2:
        ASSERT_EQ(mknod(whole.c_str(), S_IFSOCK | 0600, 0), 0);
        break;
      case 3:
        fs::create_symlink(fs::path(whole).filename(), whole);
        break;
      case 4:
        fs::create_symlink(aside_ + "/outside", whole);
        break;
      default:
        fs::create_hard_link(
            Whole(tree_.BlobPath(oci::Digest::Sha256Of("base"))), whole);
        break;
    }
    strange_.push_back(path);
    injuries_.push_back("strange: " + path);
  }

  // What stands in the place of what was moved to `aside`.
  void Replace(const Victim& victim, const std::string& aside) {
    const std::string whole = Whole(victim.path);
    const bool is_file = fs::is_regular_file(aside);
    // Of names, what is there after a deletion is none of the choices.
    switch (Below(victim.is_content ? 6 : is_file ? 4 : 3)) {
      case 0:
        fs::create_symlink(aside, whole);
        break;
      case 1:
        fs::create_symlink(fs::path(whole).filename(), whole);
        break;
      case 2:
        ASSERT_EQ(mkfifo(whole.c_str(), 0600), 0);
        break;
      case 3:
        folder_.Write(victim.path, "torn");
        break;
      case 4:
        fs::create_directory(whole);
        break;
      default:
        break;  // nothing
    }
  }

  void Displace() {
    const Victim& victim = victims_[Below(victims_.size())];
    for (const auto& [path, aside] : displaced_) {
      if (IsAtOrBelow(victim.path, path)) return;
    }
    const std::string aside =
        absl::StrCat(aside_, "/moved-", displaced_.size());
    fs::rename(Whole(victim.path), aside);
    displaced_.emplace_back(victim.path, aside);
    injuries_.push_back("displaced: " + victim.path);
    Replace(victim, aside);
  }

  void Injure() {
    for (size_t i = Below(3); i > 0; --i) PutStrange();
    for (size_t i = Below(3); i > 0; --i) Displace();
  }

  // The last one first: another may lie in what was moved after it.
  void Heal() {
    for (; !displaced_.empty(); displaced_.pop_back()) {
      const auto& [path, aside] = displaced_.back();
      folder_.Remove(path);
      fs::create_directories(FolderOf(Whole(path)));
      fs::rename(aside, Whole(path));
    }
  }

  void ExpectLive() {
    for (const auto& [path, bytes] : live_) {
      bool is_away = false;
      for (const auto& [away, aside] : displaced_) {
        is_away |= IsAtOrBelow(path, away);
      }
      if (is_away) continue;
      ASSERT_TRUE(folder_.Exists(path)) << path;
      ASSERT_EQ(folder_.Read(path), bytes) << path;
    }
  }

  void Collect(bool from_nothing) {
    // A scan tells what it cannot read; it does not fail.
    ASSERT_THAT(collector_->Scan("s", from_nothing, "test", {}), IsOk());
    ExpectExact();
    // What becomes of the runs is their affair: what is left of the tree
    // decides.
    Apply(MakePlan(Request())).status().IgnoreError();
    ExpectLive();
    PurgeNow().status().IgnoreError();
    ExpectLive();
    ExpectExact();
  }

  void CheckTree(uint64_t seed) {
    draws_.seed(seed);
    Build();
    // Known before it was injured, or not.
    if (Below(2) == 0) {
      Open(store::StoreKind::kRegistry);
      Scan();
      Injure();
      Age();
    } else {
      Injure();
      Open(store::StoreKind::kRegistry);
    }
    SCOPED_TRACE(absl::StrJoin(injuries_, "; "));
    Collect(Below(2) == 0);
    if (HasFatalFailure()) return;
    const bool has_collected =
        !folder_.Exists(tree_.BlobPath(garbage_.front()));
    ++(has_collected ? collected_count_ : kept_count_);
    Heal();
    for (const std::string& path : strange_) {
      EXPECT_TRUE(folder_.Exists(path)) << path;
      folder_.Remove(path);
    }
    EXPECT_TRUE(fs::exists(aside_ + "/outside"));
    ExpectLive();
    Age();
    Collect(true);
    for (const oci::Digest& digest : garbage_) {
      EXPECT_FALSE(folder_.Exists(tree_.BlobPath(digest)));
    }
    EXPECT_EQ(QuarantineCount(), 0u);
  }

  // For the next tree.
  void Clear() {
    collector_.reset();
    graph_.reset();
    store_.reset();
    engine_ = std::make_unique<index::MemoryEngine>();
    for (const char* name : {"docker", ".reclaim"}) folder_.Remove(name);
    fs::remove_all(aside_);
    strange_.clear();
    injuries_.clear();
  }

  const std::string aside_ = folder_.path() + ".aside";
  store::RegistryTree tree_{&folder_};
  std::mt19937_64 draws_;
  std::map<std::string, std::string> live_;  // path: bytes
  std::vector<oci::Digest> garbage_;
  std::vector<std::string> folders_;
  std::vector<Victim> victims_;
  std::vector<std::string> strange_;
  // Where it belongs, and where it is.
  std::vector<std::pair<std::string, std::string>> displaced_;
  std::vector<std::string> injuries_;
  uint64_t collected_count_ = 0;
  uint64_t kept_count_ = 0;
};

TEST_F(HostileTreeTest, WhatIsLiveStaysAndNothingStrangeIsTouched) {
  const uint64_t first = FromEnvironment("RECLAIM_SEED", 20260305);
  const uint64_t count = FromEnvironment("RECLAIM_TREES", 200);
  for (uint64_t seed = first; seed < first + count; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    CheckTree(seed);
    if (HasFailure()) return;
    Clear();
  }
  printf("%d trees from seed %d: garbage was collected in %d, and kept in %d\n",
         static_cast<int>(count), static_cast<int>(first),
         static_cast<int>(collected_count_), static_cast<int>(kept_count_));
  EXPECT_GT(collected_count_, 0u) << "a tree that is kept whole shows little";
  EXPECT_GT(kept_count_, 0u);
  RecordProperty("figure_hostile_trees", static_cast<int>(count));
}

}  // namespace
}  // namespace reclaim::gc
