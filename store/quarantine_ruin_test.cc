// What a writer leaves who dies before he has written stands where something
// must come back: whatever fails, the place is never without either, and what
// was quarantined is in it or in quarantine.

#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/fault_point.h"
#include "base/status_matchers.h"
#include "gtest/gtest.h"
#include "oci/digest.h"
#include "store/quarantine_folder.h"
#include "store/rooted_dir.h"
#include "store/testing/quarantine_alone.h"
#include "store/testing/store_tree.h"
#include "store/types.h"

namespace reclaim::store {
namespace {

using ::reclaim::base::IsOk;
using ::reclaim::base::StatusIs;

constexpr char kRun[] = "0123456789abcdef";
constexpr int kCallMax = 500;

// Trees in memory, where the kernel has it: hundreds of them are made, with an
// fsync for each step.
class TreesInMemory final : public ::testing::Environment {
 public:
  void SetUp() override {
    if (access("/dev/shm", W_OK) == 0) setenv("TEST_TMPDIR", "/dev/shm", 1);
  }
};
const ::testing::Environment* const kTreesInMemory =
    ::testing::AddGlobalTestEnvironment(new TreesInMemory);

// A revision's link and one of a tag's history, as a registry has them.
class Links {
 public:
  explicit Links(RemovalKind kind = RemovalKind::kRevisionLink) {
    removal_.kind = kind;
    removal_.repository = "app";
    removal_.digest = oci::Digest::Sha256Of("image");
    paths_.floor = "top";
    paths_.paths = {"top/revisions/hex", "top/tags/v1/index/hex"};
    for (const std::string& path : paths_.paths) {
      folder_.Write(path + "/link", text());
    }
    auto root = RootedDir::Open(folder_.path());
    EXPECT_THAT(root, IsOk());
    root_ = *std::move(root);
    Restart();
  }

  void Restart() {
    quarantine_.emplace(root_.get());
    EXPECT_THAT(quarantine_->Tidy(), IsOk());
  }
  void Quarantine() {
    ASSERT_THAT(QuarantineAlone(kRun, removal_, paths_, &*quarantine_), IsOk());
  }
  absl::Status Restore() {
    const absl::Status status = quarantine_->Restore(kRun, removal_).status();
    quarantine_->Settle(kRun).IgnoreError();  // as the store does
    return status;
  }
  absl::Status Purge() { return quarantine_->Purge(kRun, removal_).status(); }
  bool IsListed() const {
    const auto items = quarantine_->List();
    EXPECT_THAT(items, IsOk());
    return items.ok() && !items->empty();
  }

  // In the place of both.
  void PutRuins(bool have_files) {
    for (const std::string& path : paths_.paths) {
      std::filesystem::create_directories(
          absl::StrCat(folder_.path(), "/", path));
      if (have_files) folder_.Write(path + "/link", "");
    }
  }
  bool Stands(const std::string& path) const {
    return folder_.Exists(path + "/link") &&
           folder_.Read(path + "/link") == text();
  }
  static std::string Moved(const std::string& path) {
    return QuarantineFolder::MovedPath(kRun, path);
  }
  // Before or after the two have changed places.
  void ExpectNoneLost(bool has_exchange) const {
    for (const std::string& path : paths_.paths) {
      SCOPED_TRACE(path);
      EXPECT_NE(Stands(path), Stands(Moved(path)));
      if (has_exchange) {
        EXPECT_TRUE(folder_.Exists(path));
      }
    }
  }
  void ExpectAllBack() const {
    for (const std::string& path : paths_.paths) {
      EXPECT_TRUE(Stands(path)) << path;
    }
    EXPECT_FALSE(folder_.Exists(kReclaimFolder));
  }

  std::string text() const { return removal_.digest->ToString(); }
  const std::string& path() const { return paths_.paths[0]; }
  const TempFolder& folder() const { return folder_; }
  const RootedDir& root() const { return *root_; }
  const QuarantineFolder& quarantine() const { return *quarantine_; }
  const Removal& removal() const { return removal_; }

 private:
  TempFolder folder_;
  std::unique_ptr<RootedDir> root_;
  std::optional<QuarantineFolder> quarantine_;
  Removal removal_;
  RemovalPaths paths_;
};

// Has each call of a restore over ruins fail; `judge` gets what is left.  True
// if the step that has the two change places was among them.
bool FailEach(int error, bool is_lasting,
              const std::function<void(Links*)>& judge) {
  bool has_reached = false;
  for (const bool have_files : {false, true}) {
    bool has_failed = true;
    for (int call = 0; has_failed; ++call) {
      SCOPED_TRACE(absl::StrCat("call ", call, ", have_files ", have_files));
      EXPECT_LT(call, kCallMax);
      Links links;
      links.Quarantine();
      links.PutRuins(have_files);
      {
        base::ScopedErrno fault(error, call, is_lasting);
        const absl::Status said = links.Restore();
        EXPECT_FALSE(absl::IsNotFound(said)) << said;
        has_failed = !fault.failed().empty();
        has_reached |= fault.failed().count("exchange.renameat2") > 0;
      }
      judge(&links);
      if (::testing::Test::HasFailure() || call == kCallMax) return false;
    }
  }
  return has_reached;
}

void ExpectAnotherRestoreMendsIt(Links* links) {
  links->ExpectNoneLost(true);
  links->Restart();
  const absl::Status again = links->Restore();
  EXPECT_TRUE(again.ok() || absl::IsNotFound(again)) << again;
  links->ExpectAllBack();
}

class QuarantineRuinTest : public ::testing::TestWithParam<int> {};

TEST_P(QuarantineRuinTest, OneCallThatFailsLosesNothing) {
  EXPECT_TRUE(FailEach(GetParam(), false, ExpectAnotherRestoreMendsIt));
}

TEST_P(QuarantineRuinTest, NorDoesADeathAtAnyCall) {
  EXPECT_TRUE(FailEach(GetParam(), true, ExpectAnotherRestoreMendsIt));
}

// What is in quarantine once the two have changed places is a ruin.
TEST_P(QuarantineRuinTest, WhatIsFreedAfterADeathIsNoLinkThatIsBack) {
  int exchanged_count = 0;
  EXPECT_TRUE(FailEach(GetParam(), true, [&](Links* links) {
    if (!links->Stands(links->path())) return;
    links->Restart();
    if (links->folder().Exists(Links::Moved(links->path()))) {
      ++exchanged_count;
      EXPECT_TRUE(links->IsListed());
      EXPECT_THAT(links->quarantine().WeighMoved(kRun, links->removal()),
                  IsOk());
    }
    const absl::Status freed = links->Purge();
    EXPECT_TRUE(freed.ok() || absl::IsNotFound(freed)) << freed;
    EXPECT_TRUE(links->Stands(links->path()));
    EXPECT_FALSE(links->IsListed());
  }));
  EXPECT_GT(exchanged_count, 1);
}

INSTANTIATE_TEST_SUITE_P(Errors, QuarantineRuinTest,
                         ::testing::Values(EIO, ENOENT, EINVAL, EROFS),
                         ::testing::PrintToStringParamName());

// The old way: the ruin goes, and then the other one comes.
TEST(QuarantineRuinsTest, WhereNothingChangesPlacesItComesBackAsWell) {
  for (const int error : {EINVAL, ENOSYS, EOPNOTSUPP}) {
    int count = 0;
    FailEach(error, false, [&](Links* links) {
      if (links->Stands(links->path())) ++count;
      links->ExpectNoneLost(true);
    });
    EXPECT_GT(count, 0);
  }
}

TEST(QuarantineRuinsTest, ThereADeathInBetweenLeavesTheGoodOneInQuarantine) {
  int death_count = 0;
  for (int call = 0, has_failed = 1; has_failed != 0; ++call) {
    ASSERT_LT(call, kCallMax);
    Links links;
    links.Quarantine();
    links.PutRuins(true);
    {
      base::ScopedErrno fault(EINVAL, call, false);
      base::ScopedFault death("rooted_dir.move", absl::AbortedError("death"),
                              1);
      links.Restore().IgnoreError();  // it died, or has not even begun
      has_failed = fault.failed().empty() ? 0 : 1;
    }
    if (!links.folder().Exists(links.path())) ++death_count;
    links.ExpectNoneLost(false);
    links.Restart();
    EXPECT_THAT(links.Restore(), IsOk());
    links.ExpectAllBack();
    if (::testing::Test::HasFailure()) return;
  }
  EXPECT_GT(death_count, 0);
}

TEST(QuarantineRuinsTest, WhatIsNoRuinStaysAndSoDoesTheOther) {
  for (const char* text : {"", "sha256:0", "other"}) {
    for (const bool has_more : {false, true}) {
      if (!has_more && *text == '\0') continue;  // a ruin
      Links links;
      links.Quarantine();
      links.folder().Write(links.path() + "/link", text);
      if (has_more) links.folder().Write(links.path() + "/what", "?");
      const std::string before = links.folder().Snapshot();
      EXPECT_THAT(links.Restore(), StatusIs(absl::StatusCode::kAlreadyExists));
      EXPECT_EQ(links.folder().Snapshot(), before);
    }
  }
  Links links;
  links.Quarantine();
  links.folder().Write(links.path(), "");  // not even a folder
  EXPECT_THAT(links.Restore(), StatusIs(absl::StatusCode::kAlreadyExists));
  EXPECT_TRUE(links.Stands(Links::Moved(links.path())));
}

// A writer came to write it: the caller knows what to do with a second one.
TEST(QuarantineRuinsTest, TheSameLinkInItsPlaceStands) {
  Links links;
  links.Quarantine();
  links.folder().Write(links.path() + "/link", links.text());
  EXPECT_THAT(links.Restore(), StatusIs(absl::StatusCode::kAlreadyExists));
  EXPECT_TRUE(links.Stands(links.path()));
  EXPECT_TRUE(links.Stands(Links::Moved(links.path())));
}

// A ruin may be collected like any link.
TEST(QuarantineRuinsTest, ARuinComesBackUnlessTheLinkStandsAgain) {
  for (const bool is_anew : {false, true}) {
    Links links;
    links.folder().Write(links.path() + "/link", "");
    links.Quarantine();
    if (is_anew) links.folder().Write(links.path() + "/link", links.text());
    EXPECT_THAT(links.Restore(), IsOk());
    EXPECT_EQ(links.folder().Read(links.path() + "/link"),
              is_anew ? links.text() : "");
    EXPECT_FALSE(links.folder().Exists(kReclaimFolder));
  }
}

// Of anything but a link a writer may have written something else meanwhile:
// only the kernel can tell that the folder is empty still.
TEST(QuarantineRuinsTest, AnEmptyFolderAloneGivesWayToAnythingElse) {
  for (const RemovalKind kind :
       {RemovalKind::kTag, RemovalKind::kBlob, RemovalKind::kUpload}) {
    for (const bool have_files : {false, true}) {
      Links links(kind);
      links.Quarantine();
      links.PutRuins(have_files);
      if (!have_files) {
        EXPECT_THAT(links.Restore(), IsOk());
        links.ExpectAllBack();
        continue;
      }
      EXPECT_THAT(links.Restore(), StatusIs(absl::StatusCode::kAlreadyExists));
      EXPECT_TRUE(links.Stands(Links::Moved(links.path())));
      EXPECT_EQ(links.folder().Read(links.path() + "/link"), "");
    }
  }
}

TEST(RootedDirTest, NamesOfDifferentFoldersChangePlaces) {
  TempFolder folder;
  folder.Write("a/one/file", "1");
  folder.Write("b/c/two/file", "2");
  auto root = RootedDir::Open(folder.path());
  ASSERT_THAT(root, IsOk());
  ASSERT_THAT((*root)->Exchange("a/one", "b/c/two"), IsOk());
  EXPECT_EQ(folder.Read("a/one/file"), "2");
  EXPECT_EQ(folder.Read("b/c/two/file"), "1");
  EXPECT_THAT((*root)->Exchange("a/one", "b/two"),
              StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT((*root)->Exchange("b/two", "a/one"),
              StatusIs(absl::StatusCode::kNotFound));
  EXPECT_FALSE((*root)->Exchange("a/one", "../two").ok());
  EXPECT_EQ(folder.Read("a/one/file"), "2");
}

}  // namespace
}  // namespace reclaim::store
