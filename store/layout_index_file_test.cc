// Changes of index.json beside writers who come between any two steps of them,
// and crashes between the same steps.

#include "store/layout_index_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "base/fault_point.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "store/rooted_dir.h"
#include "store/testing/store_tree.h"

namespace reclaim::store {
namespace {

using ::reclaim::base::IsOk;
using ::reclaim::base::StatusIs;
using ::testing::HasSubstr;
using ::testing::Not;

// An index.json with an entry for each word.
std::string Index(const std::vector<std::string>& names) {
  return absl::StrCat(R"({"manifests":[")", absl::StrJoin(names, R"(",")"),
                      R"("]})");
}

class LayoutIndexFileTest : public ::testing::Test {
 protected:
  LayoutIndexFileTest() {
    folder_.Write("a/index.json", Index({"old", "base"}));
    root_ = *RootedDir::Open(folder_.path());
  }
  ~LayoutIndexFileTest() override {
    LayoutIndexFile::SetStepHookForTest(nullptr);
  }

  // Takes "old" out, as far as it is there.
  absl::Status Remove() {
    return file().Change([](const std::string& before) {
      std::string after = before;
      const size_t at = after.find(R"("old",)");
      if (at != std::string::npos) after.erase(at, 6);
      return absl::StatusOr<std::string>(after);
    });
  }
  LayoutIndexFile file() const { return LayoutIndexFile(root_.get(), "a"); }
  std::string path() const { return folder_.path() + "/a/index.json"; }
  std::string Now() const { return folder_.Read("a/index.json"); }

  // As tools do: what is there, and one name more, by a rename.
  void AddByRename(const std::string& name) {
    std::string bytes = Now();
    bytes.insert(bytes.size() - 2, absl::StrCat(R"(,")", name, "\""));
    folder_.Write("a/theirs", bytes);
    ASSERT_EQ(rename((folder_.path() + "/a/theirs").c_str(), path().c_str()),
              0);
  }
  // What an exchange holds back beside it.
  std::string Held() const {
    for (const auto& entry :
         std::filesystem::directory_iterator(folder_.path() + "/a")) {
      const std::string name = entry.path().filename();
      if (LayoutIndexFile::IsHeldBack(name)) return "a/" + name;
    }
    return "";
  }
  void ExpectNothingBeside() const {
    for (const auto& entry :
         std::filesystem::directory_iterator(folder_.path() + "/a")) {
      EXPECT_EQ(entry.path().filename(), "index.json");
    }
  }

  TempFolder folder_;
  std::unique_ptr<RootedDir> root_;
};

TEST_F(LayoutIndexFileTest, ChangesTheFile) {
  ASSERT_THAT(Remove(), IsOk());
  EXPECT_EQ(Now(), Index({"base"}));
  ExpectNothingBeside();
}

TEST_F(LayoutIndexFileTest, WhatSomebodyWroteMeanwhileStays) {
  bool has_written = false;
  LayoutIndexFile::SetStepHookForTest([&](absl::string_view step) {
    if (step == "exchange" && !has_written) {
      has_written = true;
      AddByRename("new");
    }
    return absl::OkStatus();
  });
  ASSERT_THAT(Remove(), IsOk());
  EXPECT_TRUE(has_written);
  EXPECT_EQ(Now(), Index({"base", "new"}));
  ExpectNothingBeside();
}

TEST_F(LayoutIndexFileTest, WhatSomebodyWritesInPlaceLaterStays) {
  // He opened it before we came, and writes when he is ready.
  const int theirs = open(path().c_str(), O_WRONLY | O_CLOEXEC);
  ASSERT_GE(theirs, 0);
  bool has_written = false;
  LayoutIndexFile::SetStepHookForTest([&](absl::string_view step) {
    if (step == "compare again" && !has_written) {
      has_written = true;
      const std::string bytes = Index({"old", "base", "new"});
      EXPECT_EQ(pwrite(theirs, bytes.data(), bytes.size(), 0),
                static_cast<ssize_t>(bytes.size()));
    }
    return absl::OkStatus();
  });
  ASSERT_THAT(Remove(), IsOk());
  close(theirs);
  EXPECT_EQ(Now(), Index({"base", "new"}));
  ExpectNothingBeside();
}

TEST_F(LayoutIndexFileTest, AThirdWriterWhileHisIsGivenBackLosesNothing) {
  std::vector<std::string> seen;
  LayoutIndexFile::SetStepHookForTest([&](absl::string_view step) {
    const bool is_first =
        std::find(seen.begin(), seen.end(), step) == seen.end();
    seen.emplace_back(step);
    if (step == "exchange" && is_first) AddByRename("second");
    // He read the file while the second one's was out of sight.
    if (step == "give back" && is_first) AddByRename("third");
    return absl::OkStatus();
  });
  ASSERT_THAT(Remove(), IsOk());
  EXPECT_THAT(Now(), HasSubstr("\"base\""));
  EXPECT_THAT(Now(), HasSubstr("\"second\""));
  EXPECT_THAT(Now(), HasSubstr("\"third\""));
  EXPECT_THAT(Now(), Not(HasSubstr("\"old\"")));
  ExpectNothingBeside();
}

TEST_F(LayoutIndexFileTest, WhoWritesAllTheTimeKeepsTheFile) {
  int count = 0;
  LayoutIndexFile::SetStepHookForTest([&](absl::string_view step) {
    if (step == "exchange") AddByRename(absl::StrCat("n", count++));
    return absl::OkStatus();
  });
  EXPECT_THAT(Remove(), StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_GT(count, 10);
  for (int i = 0; i < count; ++i) {
    EXPECT_THAT(Now(), HasSubstr(absl::StrCat("\"n", i, "\"")));
  }
  EXPECT_THAT(Now(), HasSubstr("\"old\""));
  ExpectNothingBeside();
}

// Dead before the n-th step, with writers between the steps before it.
TEST_F(LayoutIndexFileTest, ACrashLosesNothingOfWhatOthersWrote) {
  int crash_count = 0;
  for (const bool has_third : {false, true}) {
    for (int n = 0;; ++n) {
      SCOPED_TRACE(absl::StrCat("step ", n, has_third ? ", third writer" : ""));
      folder_.Write("a/index.json", Index({"old", "base"}));
      int step_count = 0;
      std::vector<std::string> written;
      LayoutIndexFile::SetStepHookForTest([&](absl::string_view step) {
        const bool is_theirs =
            (step == "exchange" && written.empty()) ||
            (has_third && step == "give back" && written.size() == 1);
        if (is_theirs && step_count < n) {
          written.push_back(absl::StrCat("n", written.size()));
          AddByRename(written.back());
        }
        return step_count++ < n ? absl::OkStatus()
                                : absl::UnavailableError("crash");
      });
      const absl::Status done = Remove();
      LayoutIndexFile::SetStepHookForTest(nullptr);
      crash_count += done.ok() ? 0 : 1;
      root_->RemoveTemporary("a/index.json").IgnoreError();  // mostly not there
      ASSERT_THAT(file().Settle(), IsOk());
      for (const std::string& name : written) {
        EXPECT_THAT(Now(), HasSubstr(absl::StrCat("\"", name, "\"")));
      }
      EXPECT_THAT(Now(), HasSubstr("\"base\""));
      ExpectNothingBeside();
      if (done.ok()) break;
      ASSERT_LT(n, 100);
    }
  }
  EXPECT_GT(crash_count, 10);
}

TEST_F(LayoutIndexFileTest, WhatCannotBeGivenBackIsKeptAndTold) {
  bool has_written = false;
  LayoutIndexFile::SetStepHookForTest([&](absl::string_view step) {
    // Dead from then on.
    if (has_written) return absl::UnavailableError("crash");
    if (step == "exchange") {
      has_written = true;
      folder_.Write("a/index.json", "{torn");
    }
    return absl::OkStatus();
  });
  EXPECT_FALSE(Remove().ok());
  LayoutIndexFile::SetStepHookForTest(nullptr);
  AddByRename("later");
  EXPECT_THAT(file().Settle(), StatusIs(absl::StatusCode::kUnavailable,
                                        HasSubstr("another tool wrote")));
  EXPECT_THAT(Remove(), StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_EQ(Now(), Index({"base", "later"}));
  int held_count = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(folder_.path() + "/a")) {
    const std::string name = entry.path().filename();
    if (!LayoutIndexFile::IsHeldBack(name)) continue;
    ++held_count;
    EXPECT_EQ(folder_.Read("a/" + name), "{torn");
  }
  EXPECT_EQ(held_count, 1);
}

TEST_F(LayoutIndexFileTest, WhereNothingCanChangePlacesItLooksAndRenames) {
  int exchange_count = 0;
  for (const bool has_writer : {false, true}) {
    for (int n = 0; n < 200; ++n) {
      folder_.Write("a/index.json", Index({"old", "base"}));
      bool has_written = false;
      LayoutIndexFile::SetStepHookForTest([&](absl::string_view step) {
        if (step == "exchange" && has_writer && !has_written) {
          has_written = true;
          AddByRename("new");
        }
        return absl::OkStatus();
      });
      // The call that says so is one of these.
      base::ScopedErrno fault(EINVAL, n, false);
      const absl::Status done = Remove();
      const auto failed = fault.failed();
      if (failed.empty()) break;
      if (failed.count("exchange.renameat2") == 0) {
        LayoutIndexFile::SetStepHookForTest(nullptr);
        root_->RemoveTemporary("a/index.json").IgnoreError();  // mostly none
        file().Settle().IgnoreError();  // if it was this that failed
        continue;
      }
      ++exchange_count;
      EXPECT_THAT(done, IsOk());
      EXPECT_EQ(Now(), has_writer ? Index({"base", "new"}) : Index({"base"}));
      ExpectNothingBeside();
    }
  }
  EXPECT_GE(exchange_count, 2);
}

TEST_F(LayoutIndexFileTest, OwnerModeAndAttributesAreKept) {
  const bool is_root = geteuid() == 0;
  if (is_root) {
    ASSERT_EQ(chown(path().c_str(), 1234, 2345), 0);
  }
  ASSERT_EQ(chmod(path().c_str(), 0664), 0);
  // user::rw-, user:4321:r--, group::r--, mask::rw-, other::r--
  const unsigned char kAccessList[] = {
      2, 0,    0,    0,   1,   0,   6,  0, 255, 255, 255, 255, 2,   0,  4,
      0, 0xe1, 0x10, 0,   0,   4,   0,  4, 0,   255, 255, 255, 255, 16, 0,
      6, 0,    255,  255, 255, 255, 32, 0, 4,   0,   255, 255, 255, 255};
  ASSERT_EQ(setxattr(path().c_str(), "system.posix_acl_access", kAccessList,
                     sizeof(kAccessList), 0),
            0);
  ASSERT_THAT(Remove(), IsOk());
  struct stat st;
  ASSERT_EQ(stat(path().c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 07777, 0664u);
  EXPECT_EQ(st.st_uid, is_root ? 1234 : geteuid());
  EXPECT_EQ(st.st_gid, is_root ? 2345 : getegid());
  unsigned char found[sizeof(kAccessList)];
  ASSERT_EQ(
      getxattr(path().c_str(), "system.posix_acl_access", found, sizeof(found)),
      static_cast<ssize_t>(sizeof(found)));
  EXPECT_TRUE(std::equal(found, found + sizeof(found), kAccessList));
}

// Whoever can't give the file its owner leaves it as it is.
TEST_F(LayoutIndexFileTest, AnOwnerThatCannotBeKeptEndsTheChange) {
  int refused_count = 0;
  for (int n = 0; n < 200; ++n) {
    base::ScopedErrno fault(EPERM, n, false);
    const absl::Status done = Remove();
    if (fault.failed().empty()) break;
    if (fault.failed().count("like.fchown") == 0) {
      folder_.Write("a/index.json", Index({"old", "base"}));
      continue;
    }
    ++refused_count;
    EXPECT_THAT(done, StatusIs(absl::StatusCode::kPermissionDenied,
                               HasSubstr("owner of")));
    EXPECT_EQ(Now(), Index({"old", "base"}));
    ExpectNothingBeside();
  }
  EXPECT_EQ(refused_count, 1);
}

// The same bytes written anew: whoever wrote them wants what they name.
class PlannedChangeTest : public LayoutIndexFileTest {
 protected:
  absl::Status RemovePlanned(absl::Time planned) {
    return file().Change(
        [](const std::string&) {
          return absl::StatusOr<std::string>(Index({"base"}));
        },
        planned);
  }
  absl::Time Written() const { return root_->Stat("a/index.json")->modified; }
};

TEST_F(PlannedChangeTest, WhatWasWrittenSinceThePlanStays) {
  const std::string before = Now();
  EXPECT_THAT(RemovePlanned(Written() - absl::Milliseconds(1)),
              StatusIs(absl::StatusCode::kAborted));
  EXPECT_EQ(Now(), before);
  ExpectNothingBeside();
}

TEST_F(PlannedChangeTest, AChangeOfOursIsNobodysWrite) {
  const absl::Time written = Written();
  ASSERT_THAT(RemovePlanned(written), IsOk());
  EXPECT_EQ(Now(), Index({"base"}));
  EXPECT_EQ(Written(), written);
}

TEST_F(PlannedChangeTest, TheSameBytesWrittenAmidTheStepsStay) {
  for (const char* const step : {"exchange", "compare"}) {
    folder_.Write("a/index.json", Index({"old", "base"}));
    const absl::Time planned = Written();
    folder_.WaitForClock();
    bool has_written = false;
    LayoutIndexFile::SetStepHookForTest([&](absl::string_view next) {
      if (next == step && !has_written) {
        has_written = true;
        // Of a file that is open already, after the exchange.
        const std::string there =
            next == "exchange" ? std::string("a/index.json") : Held();
        folder_.Write(there, Index({"old", "base"}));
      }
      return absl::OkStatus();
    });
    EXPECT_THAT(RemovePlanned(planned), StatusIs(absl::StatusCode::kAborted))
        << step;
    LayoutIndexFile::SetStepHookForTest(nullptr);
    EXPECT_TRUE(has_written);
    EXPECT_EQ(Now(), Index({"old", "base"})) << step;
    ExpectNothingBeside();
  }
}

}  // namespace
}  // namespace reclaim::store
