#include "server/readiness.h"

#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace reclaim::server {
namespace {

using base::IsOk;
using ::testing::HasSubstr;

class ReadinessTest : public ::testing::Test {
 protected:
  std::string Why() const {
    const absl::Status status = readiness_.Check();
    EXPECT_THAT(status, base::StatusIs(absl::StatusCode::kUnavailable));
    return std::string(status.message());
  }

  absl::Status written_;
  uint64_t free_bytes_ = 0;
  Readiness readiness_{[this] { return written_; },
                       [this] { return free_bytes_; }};
};

TEST_F(ReadinessTest, FromLoadingToTheEnd) {
  EXPECT_THAT(Why(), HasSubstr("being loaded"));
  readiness_.Serve();
  EXPECT_THAT(readiness_.Check(), IsOk());
  readiness_.End();
  EXPECT_THAT(Why(), HasSubstr("ending"));
  readiness_.Serve();
  EXPECT_THAT(Why(), HasSubstr("ending")) << "an end is for good";
}

TEST_F(ReadinessTest, AFullDiskUntilThereIsRoom) {
  readiness_.Serve();
  written_ = absl::ResourceExhaustedError("no space");
  EXPECT_THAT(Why(), HasSubstr("full"));
  free_bytes_ = uint64_t{1} << 30;
  EXPECT_THAT(readiness_.Check(), IsOk()) << "a write is worth a try";
}

TEST_F(ReadinessTest, ABrokenDatabaseWhateverTheRoom) {
  readiness_.Serve();
  free_bytes_ = uint64_t{1} << 30;
  written_ = absl::UnavailableError("sync failed");
  EXPECT_THAT(Why(), HasSubstr("read-only: sync failed"));
}

}  // namespace
}  // namespace reclaim::server
