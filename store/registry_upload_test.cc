// Uploads that a plan takes: their client may go on with them at any moment.

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstddef>
#include <ctime>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/fault_point.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "store/content_store.h"
#include "store/open_store.h"
#include "store/testing/deletion_permit_for_test.h"
#include "store/testing/store_tree.h"
#include "store/types.h"

namespace reclaim::store {
namespace {

using ::reclaim::base::IsOk;
using ::reclaim::base::StatusIs;
using ::testing::HasSubstr;
using ::testing::SizeIs;

// Uploads that were begun long ago; file times are the machine's.
class UploadTest : public ::testing::Test {
 protected:
  UploadTest() {
    tree_.Image("web", "v1", {"layer"});
    auto store = OpenStore({StoreKind::kRegistry, folder_.path()}, false);
    EXPECT_THAT(store, IsOk());
    store_ = *std::move(store);
    tree_.Upload("web", "u1", "half of it");
    folder_.Write(kFolder + "/hashstates/sha256/4", "state");
    for (const char* path : {"/data", "/startedat", "/hashstates/sha256/4",
                             "/hashstates/sha256", "/hashstates", ""}) {
      SetTime(kFolder + path, kBegun);
    }
    one_.kind = RemovalKind::kUpload;
    one_.repository = "web";
    one_.upload_id = "u1";
  }

  void SetTime(const std::string& path, absl::Time time) {
    const timespec at = absl::ToTimespec(time);
    const timespec times[2] = {at, at};
    const std::string whole = folder_.path() + "/" + path;
    ASSERT_EQ(utimensat(AT_FDCWD, whole.c_str(), times, 0), 0) << path;
  }
  absl::Status QuarantineOne(const DeletionPermitForTest& permit) {
    const auto outcomes = store_->Quarantine(*permit, "run1", {one_});
    return outcomes.ok() ? (*outcomes)[0].status : outcomes.status();
  }
  absl::Status PurgeOne() {
    const auto outcomes = store_->Purge(*permit_, "run1", {one_});
    return outcomes.ok() ? (*outcomes)[0].status : outcomes.status();
  }
  bool IsInPlace() const { return folder_.Exists(kFolder + "/data"); }

  const std::string kFolder = "docker/registry/v2/repositories/web/_uploads/u1";
  const std::string kMoved = ".reclaim/quarantine/run1/tree/" + kFolder;
  const absl::Time kBegun = absl::FromUnixSeconds(1000000000);
  TempFolder folder_;
  RegistryTree tree_{&folder_};
  std::unique_ptr<ContentStore> store_;
  DeletionPermitForTest permit_;
  Removal one_;
};

TEST_F(UploadTest, WhatNobodyGoesOnWithGoes) {
  ASSERT_THAT(QuarantineOne(DeletionPermitForTest(kBegun)), IsOk());
  EXPECT_FALSE(IsInPlace());
  EXPECT_THAT(PurgeOne(), IsOk());
  EXPECT_FALSE(folder_.Exists(".reclaim"));
}

// Whatever of it a client has changed, it is never out of his sight.
TEST_F(UploadTest, OneThatIsResumedAfterThePlanIsNotMoved) {
  const std::vector<std::function<void()>> changes = {
      [&] { folder_.Write(kFolder + "/data", "more of it"); },
      [&] { folder_.Write(kFolder + "/startedat", "2026-01-01T00:00:00Z"); },
      [&] { folder_.Write(kFolder + "/hashstates/sha256/4", "later"); },
      [&] { folder_.Write(kFolder + "/hashstates/sha256/8", "later"); },
      [&] { folder_.Remove(kFolder + "/startedat"); },
  };
  for (size_t i = 0; i < changes.size(); ++i) {
    SCOPED_TRACE(i);
    changes[i]();
    const base::ScopedFault moves("rooted_dir.move",
                                  absl::AbortedError("moved"));
    EXPECT_THAT(QuarantineOne(DeletionPermitForTest(kBegun)),
                StatusIs(absl::StatusCode::kAborted, HasSubstr("written to")));
    EXPECT_EQ(moves.hit_count(), 0);
    EXPECT_TRUE(IsInPlace());
    for (const char* path : {"/data", "/startedat", "/hashstates/sha256/4",
                             "/hashstates/sha256/8", ""}) {
      if (!folder_.Exists(kFolder + path)) continue;
      SetTime(kFolder + path, kBegun);
    }
  }
  EXPECT_THAT(QuarantineOne(DeletionPermitForTest(kBegun)), IsOk());
}

// As if it had been written after the look before the move.
TEST_F(UploadTest, OneThatIsWrittenToWhileItMovesGoesBack) {
  SetTime(kFolder + "/data", absl::Now() + absl::Hours(1));
  const base::ScopedFault moves("rooted_dir.move", absl::AbortedError("moved"),
                                1000);
  EXPECT_THAT(QuarantineOne(permit_),
              StatusIs(absl::StatusCode::kAborted, HasSubstr("written to")));
  EXPECT_GT(moves.hit_count(), 1) << "there and back";
  EXPECT_EQ(folder_.Read(kFolder + "/data"), "half of it");
  EXPECT_THAT(*store_->ListQuarantine(), SizeIs(0));
}

// The registry had it open when it was moved.
TEST_F(UploadTest, WhatIsWrittenAfterTheMoveIsGivenBackNotFreed) {
  const std::string data = folder_.path() + "/" + kFolder + "/data";
  const int file = open(data.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
  ASSERT_GE(file, 0);
  ASSERT_THAT(QuarantineOne(DeletionPermitForTest(kBegun)), IsOk());
  ASSERT_FALSE(IsInPlace());
  EXPECT_EQ(write(file, ", and more", 10), 10);
  close(file);
  EXPECT_THAT(PurgeOne(),
              StatusIs(absl::StatusCode::kAborted, HasSubstr("written to")));
  EXPECT_EQ(folder_.Read(kFolder + "/data"), "half of it, and more");
  EXPECT_THAT(*store_->ListQuarantine(), SizeIs(0));
}

// So does a registry when it closes one: it notes by its path what it has
// hashed.
TEST_F(UploadTest, WhatARegistryNotesOfItWhenItClosesItIsNoOtherUpload) {
  const std::string data = folder_.path() + "/" + kFolder + "/data";
  for (const char* state : {"/hashstates/sha256/20", "/hashstates/sha256/4"}) {
    SCOPED_TRACE(state);
    ASSERT_THAT(QuarantineOne(DeletionPermitForTest(kBegun)), IsOk());
    folder_.Write(kMoved + "/data", "half of it, and more");
    folder_.Write(kFolder + state, "what was hashed");
    EXPECT_THAT(PurgeOne(),
                StatusIs(absl::StatusCode::kAborted, HasSubstr("written to")));
    EXPECT_EQ(folder_.Read(kFolder + "/data"), "half of it, and more");
    EXPECT_TRUE(folder_.Exists(kFolder + "/startedat"));
    EXPECT_THAT(*store_->ListQuarantine(), SizeIs(0));
    for (const char* path : {"/data", "/startedat", "/hashstates/sha256/4",
                             "/hashstates/sha256", "/hashstates", ""}) {
      SetTime(kFolder + path, kBegun);
    }
  }
}

TEST_F(UploadTest, WhatWasWrittenIsNotFreedForWhatLiesInItsPlace) {
  ASSERT_THAT(QuarantineOne(DeletionPermitForTest(kBegun)), IsOk());
  folder_.Write(kMoved + "/data", "half of it, and more");
  folder_.Write(kFolder + "/data", "whose is this");
  EXPECT_THAT(PurgeOne(), StatusIs(absl::StatusCode::kAlreadyExists));
  EXPECT_EQ(folder_.Read(kMoved + "/data"), "half of it, and more");
  EXPECT_EQ(folder_.Read(kFolder + "/data"), "whose is this");
}

// What a purge has left of one is no upload any more, and nobody's.
TEST_F(UploadTest, WhatAPurgeLeftDoesNotComeBack) {
  ASSERT_THAT(QuarantineOne(DeletionPermitForTest(kBegun)), IsOk());
  ASSERT_TRUE(folder_.Exists(kMoved + "/data"));
  folder_.Remove(kMoved + "/data");
  EXPECT_THAT(PurgeOne(), IsOk());
  EXPECT_FALSE(folder_.Exists(kFolder));
}

}  // namespace
}  // namespace reclaim::store
