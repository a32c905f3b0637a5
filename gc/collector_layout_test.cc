// Folders of image layouts beside tools that know nothing of us: what they
// write while names are taken away stays, and a layout that a scan does not
// find any more is not garbage while it is there (I5).

#include <fcntl.h>
#include <sys/stat.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/status_matchers.h"
#include "gc/collector.h"
#include "gc/collector_fixture.h"
#include "gc/plan.h"
#include "gc/prune_request.h"
#include "gc/run.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "oci/digest.h"
#include "store/layout_index_file.h"
#include "store/testing/store_tree.h"

namespace reclaim::gc {
namespace {

using ::reclaim::base::IsOk;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

namespace fs = std::filesystem;

using index::NodeState;

class LostLayoutTest : public CollectorFixture {
 protected:
  LostLayoutTest() {
    for (const char* place : {"x/a", "x/b"}) {
      store::LayoutTree tree(&folder_, place);
      images_.push_back(tree.Image({place}));
      tree.Entry(images_.back(), "v1");
    }
    Open(store::StoreKind::kImageLayout);
    Scan();
  }
  ~LostLayoutTest() override { fs::remove_all(away_); }

  std::string Full(const std::string& path) const {
    return absl::StrCat(folder_.path(), "/", path);
  }
  // A prune takes nothing, in this scan and in the next, and after a start.
  void ExpectNothingTaken() {
    const std::string before = folder_.Snapshot();
    for (int i = 0; i < 3; ++i) {
      if (i == 2) {
        Restart();
        ASSERT_THAT(collector_->Recover(), IsOk());
      }
      Scan();
      EXPECT_THAT(MakePlan(Request()).items, IsEmpty());
      Prune();
      ASSERT_THAT(PurgeNow(), IsOk());
      EXPECT_EQ(folder_.Snapshot(), before);
      EXPECT_TRUE(HasTag("x/a", "v1"));
      EXPECT_TRUE(HasTag("x/b", "v1")) << "its names are known still";
    }
  }
  void ExpectKept(const std::string& place) {
    Scan();
    const Plan plan = MakePlan(Request());
    ASSERT_EQ(plan.kept_scopes.size(), 1u);
    EXPECT_EQ(plan.kept_scopes[0].scope, place);
  }
  // The other layouts are collected.
  void ExpectTheOtherIsCollected() {
    store::LayoutTree(&folder_, "x/a").Blob("nothing names me");
    Age();
    Scan();
    const Plan plan = MakePlan(Request());
    EXPECT_EQ(plan.totals.blob_count, 1u);
  }

  std::vector<oci::Digest> images_;
  const std::string away_ = folder_.path() + ".away";
};

TEST_F(LostLayoutTest, WithoutOciLayout) {
  fs::remove(Full("x/b/oci-layout"));
  ExpectNothingTaken();
  ExpectKept("x/b");
  ExpectTheOtherIsCollected();
}

TEST_F(LostLayoutTest, WithALinkInThePlaceOfOciLayout) {
  fs::rename(Full("x/b/oci-layout"), Full("mark"));
  fs::create_symlink("../../mark", Full("x/b/oci-layout"));
  ExpectNothingTaken();
  ExpectKept("x/b");
}

TEST_F(LostLayoutTest, WithNothingButItsBlobs) {
  fs::remove(Full("x/b/oci-layout"));
  fs::remove(Full("x/b/index.json"));
  ExpectNothingTaken();
  ExpectKept("x/b");
  ExpectTheOtherIsCollected();
}

TEST_F(LostLayoutTest, WithinALayoutThatSomebodyMadeOfTheFolderAbove) {
  store::LayoutTree outer(&folder_, "x");
  outer.Entry(outer.Image({"outer"}), "new");
  ExpectNothingTaken();
  EXPECT_TRUE(HasTag("x", "new"));
}

TEST_F(LostLayoutTest, BehindALink) {
  fs::rename(Full("x/b"), away_);
  fs::create_directory_symlink(away_, Full("x/b"));
  ExpectNothingTaken();
  ExpectKept("x/b");
  ExpectTheOtherIsCollected();
  EXPECT_TRUE(
      fs::exists(absl::StrCat(away_, "/blobs/sha256/", images_[1].hex())));
}

TEST_F(LostLayoutTest, ThatIsGoneIsForgotten) {
  fs::remove_all(Full("x/b"));
  Scan();
  EXPECT_FALSE(HasTag("x/b", "v1"));
  EXPECT_EQ(StateOf(images_[1], "x/b"), NodeState::kAbsent);
  EXPECT_THAT(MakePlan(Request()).kept_scopes, IsEmpty());
}

TEST_F(LostLayoutTest, ThatComesBackIsCollectedAgain) {
  const std::string mark = folder_.Read("x/b/oci-layout");
  store::LayoutTree(&folder_, "x/b").Blob("nothing names me");
  Age();
  fs::remove(Full("x/b/oci-layout"));
  ExpectNothingTaken();
  folder_.Write("x/b/oci-layout", mark);
  Scan();
  EXPECT_THAT(MakePlan(Request()).kept_scopes, IsEmpty());
  EXPECT_EQ(MakePlan(Request()).totals.blob_count, 1u);
}

// "a" has a tagged image and one without a name, which a prune takes.
class EditedLayoutTest : public CollectorFixture {
 protected:
  EditedLayoutTest() {
    kept_ = tree_.Image({"one"});
    garbage_ = tree_.Image({"two"});
    tree_.Entry(kept_, "v1");
    tree_.Entry(garbage_, "");
    Open(store::StoreKind::kImageLayout);
    Scan();
  }
  ~EditedLayoutTest() override {
    store::LayoutIndexFile::SetStepHookForTest(nullptr);
  }

  // Another tool copies an image to "a" and gives it this name.  It keeps old
  // times, as rsync does: by them nobody wrote since a plan was made.
  void AddTheirs(const std::string& name) {
    theirs_.push_back(tree_.Image({name}));
    std::string index = folder_.Read("a/index.json");
    const size_t end = index.rfind(']');
    index.insert(
        end, absl::StrCat(R"(,{"mediaType":)",
                          R"("application/vnd.oci.image.manifest.v1+json",)",
                          R"("digest":")", theirs_.back().ToString(),
                          R"(","size":1,"annotations":{)",
                          R"("org.opencontainers.image.ref.name":")", name,
                          R"("}})"));
    folder_.Write("theirs", index);
    const int64_t seconds =
        absl::ToUnixSeconds(clock_.Now() - absl::Hours(1000));
    const struct timespec times[2] = {{seconds, 0}, {seconds, 0}};
    ASSERT_EQ(utimensat(AT_FDCWD, (folder_.path() + "/theirs").c_str(), times,
                        AT_SYMLINK_NOFOLLOW),
              0);
    fs::rename(folder_.path() + "/theirs", folder_.path() + "/a/index.json");
  }
  // Once, right before `step`.
  void WriteBefore(const std::string& step, const std::string& name) {
    store::LayoutIndexFile::SetStepHookForTest(
        [this, step, name, is_done = false](absl::string_view next) mutable {
          if (next == step && !is_done) {
            is_done = true;
            AddTheirs(name);
          }
          return absl::OkStatus();
        });
  }
  void ExpectNames(const std::vector<std::string>& names) {
    Scan();
    for (const std::string& name : names) EXPECT_TRUE(HasTag("a", name));
    EXPECT_THAT(MakePlan(Request()).kept_scopes, IsEmpty());
    for (const oci::Digest& digest : theirs_) {
      EXPECT_EQ(StateOf(digest, "a"), NodeState::kPresent);
    }
  }

  store::LayoutTree tree_{&folder_, "a"};
  oci::Digest kept_;
  oci::Digest garbage_;
  std::vector<oci::Digest> theirs_;
};

TEST_F(EditedLayoutTest, ANameWrittenWhileAPruneEditsStays) {
  WriteBefore("exchange", "new");
  Prune();
  ASSERT_EQ(theirs_.size(), 1u);
  EXPECT_THAT(folder_.Read("a/index.json"), Not(HasSubstr(garbage_.hex())));
  ExpectNames({"v1", "new"});
  EXPECT_EQ(StateOf(garbage_, "a"), NodeState::kQuarantined);
  Prune();
  ASSERT_THAT(PurgeNow(), IsOk());
  ExpectNames({"v1", "new"});
}

TEST_F(EditedLayoutTest, ANameWrittenWhileARestoreEditsStays) {
  const gc::Run run = Prune();
  AddTheirs("first");
  WriteBefore("exchange", "second");
  ASSERT_THAT(RestoreRun(run.id), IsOk());
  ASSERT_EQ(theirs_.size(), 2u);
  EXPECT_THAT(folder_.Read("a/index.json"), HasSubstr(garbage_.hex()));
  ExpectNames({"v1", "first", "second"});
  EXPECT_EQ(StateOf(garbage_, "a"), NodeState::kPresent);
}

// Dead before any step of the edit, while another tool's file is out of sight.
TEST_F(EditedLayoutTest, ANameWrittenBeforeACrashIsThereAfterTheNextStart) {
  int crash_count = 0;
  for (int n = 1;; ++n) {
    SCOPED_TRACE(n);
    int step_count = 0;
    bool has_written = false;
    const std::string name = absl::StrCat("n", n);
    store::LayoutIndexFile::SetStepHookForTest([&](absl::string_view step) {
      if (step_count >= n) return absl::UnavailableError("crash");
      ++step_count;
      if (step == "exchange" && !has_written) {
        has_written = true;
        AddTheirs(name);
      }
      return absl::OkStatus();
    });
    const auto run = Apply(MakePlan(Request()));
    store::LayoutIndexFile::SetStepHookForTest(nullptr);
    Restart();
    ASSERT_THAT(collector_->Recover(), IsOk());
    EXPECT_FALSE(folder_.Exists("a/.reclaim-index.json.tmp"));
    if (has_written) ExpectNames({"v1", name});
    if (step_count < n) break;
    ++crash_count;
    // For the next round all of it is garbage again.
    Scan();
    if (StateOf(garbage_, "a") != NodeState::kPresent && run.ok()) {
      ASSERT_THAT(RestoreRun(run->id), IsOk());
    }
    ASSERT_LT(n, 100);
  }
  EXPECT_GT(crash_count, 5);
}

TEST_F(EditedLayoutTest, WhatIsHeldBackKeepsItsLayout) {
  int step_count = 0;
  store::LayoutIndexFile::SetStepHookForTest([&](absl::string_view step) {
    if (step == "exchange") AddTheirs("new");
    return step == "compare" || step_count++ > 1
               ? absl::UnavailableError("crash")
               : absl::OkStatus();
  });
  // What becomes of the run is its affair.
  Apply(MakePlan(Request())).status().IgnoreError();
  ASSERT_EQ(theirs_.size(), 1u);
  EXPECT_THAT(folder_.Read("a/index.json"), Not(HasSubstr("\"new\"")));
  Scan();
  EXPECT_THAT(MakePlan(Request()).items, IsEmpty());
  store::LayoutIndexFile::SetStepHookForTest(nullptr);
  Restart();
  ASSERT_THAT(collector_->Recover(), IsOk());
  ExpectNames({"v1", "new"});
}

// He has opened it in place, and is not done.
TEST_F(EditedLayoutTest, AHalfWrittenIndexIsLeftToItsWriter) {
  const WholePlan plan = MakePlan(Request());
  ASSERT_FALSE(plan.items.empty());
  const std::string whole = folder_.Read("a/index.json");
  const std::string half = whole.substr(0, whole.size() / 2);
  for (const std::string& bytes : {half, std::string()}) {
    SCOPED_TRACE(bytes.size());
    Scan();
    const Plan again = MakePlan(Request());
    folder_.Write("a/index.json", bytes);
    const auto run = Apply(bytes.empty() ? again : plan);
    ASSERT_THAT(run, IsOk());
    EXPECT_EQ(run->phase, RunPhase::kPartial);
    EXPECT_THAT(
        run->skipped,
        Contains(AllOf(
            Field(&SkippedItem::reason, SkipReason::kChanged),
            Field(&SkippedItem::detail, AllOf(HasSubstr("a/index.json"),
                                              HasSubstr("a writer is at work"),
                                              HasSubstr("try again"))))));
    EXPECT_THAT(run->problems, IsEmpty());
    EXPECT_EQ(folder_.Read("a/index.json"), bytes);
    EXPECT_EQ(QuarantineCount(), 0u) << "what its entry names stays with it";
    folder_.Write("a/index.json", whole);
    Age();
  }
  clock_.Advance(absl::Hours(1));
  Scan();
  Prune();
  EXPECT_EQ(StateOf(garbage_, "a"), NodeState::kQuarantined);
  ExpectNames({"v1"});
}

TEST_F(EditedLayoutTest, AHalfWrittenIndexIsNotRestoredInto) {
  const gc::Run run = Prune();
  const std::string whole = folder_.Read("a/index.json");
  const std::string half = whole.substr(0, whole.size() / 2);
  folder_.Write("a/index.json", half);
  const auto restored = RestoreRun(run.id);
  ASSERT_THAT(restored, IsOk());
  EXPECT_EQ(restored->phase, RunPhase::kPartial);
  EXPECT_THAT(restored->problems, Contains(HasSubstr("try again")));
  EXPECT_EQ(folder_.Read("a/index.json"), half);
  EXPECT_EQ(QuarantineCount(), 1u) << "the entry; the bytes are back";
  folder_.Write("a/index.json", whole);
  ASSERT_THAT(RestoreRun(run.id), IsOk());
  EXPECT_EQ(QuarantineCount(), 0u);
  EXPECT_THAT(folder_.Read("a/index.json"), HasSubstr(garbage_.hex()));
}

// What `ctr image export` writes, for one.
TEST_F(EditedLayoutTest, WhatContainerdCallsAnImageIsATag) {
  const oci::Digest image = tree_.Image({"three"});
  std::string index = folder_.Read("a/index.json");
  index.insert(index.rfind(']'),
               absl::StrCat(R"(,{"mediaType":)",
                            R"("application/vnd.oci.image.manifest.v1+json",)",
                            R"("digest":")", image.ToString(),
                            R"(","size":1,"annotations":{)",
                            R"("io.containerd.image.name":"docker.io/x:1"}})"));
  folder_.Write("a/index.json", index);
  Age();
  Scan();
  EXPECT_TRUE(HasTag("a", "docker.io/x:1"));
  Prune();
  EXPECT_EQ(StateOf(image, "a"), NodeState::kPresent);
  EXPECT_EQ(StateOf(garbage_, "a"), NodeState::kQuarantined)
      << "an entry without a name beside named ones is dangling";
}

}  // namespace
}  // namespace reclaim::gc
