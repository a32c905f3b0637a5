// What is asked of the disk before RocksDB is.

#include "index/rocksdb_engine.h"

#include <cstdint>
#include <filesystem>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "index/engine.h"
#include "store/testing/store_tree.h"

namespace reclaim::index {
namespace {

using ::reclaim::base::IsOk;
using ::reclaim::base::StatusIs;
using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr uint64_t kMebibyte = uint64_t{1} << 20;

class RocksDbEngineTest : public ::testing::Test {
 protected:
  absl::Status Open(const absl::StatusOr<uint64_t>& free) {
    RocksDbOptions options;
    options.path = folder_.path() + "/graph";
    options.free_bytes = [&](const std::string& folder) {
      EXPECT_TRUE(std::filesystem::equivalent(folder, folder_.path()));
      return free;
    };
    return OpenRocksDb(options).status();
  }

  store::TempFolder folder_;
};

TEST_F(RocksDbEngineTest, OnAFullDiskItSaysWhatToDo) {
  for (const uint64_t free : {uint64_t{0}, uint64_t{4096}, kMebibyte - 1}) {
    EXPECT_THAT(Open(free), StatusIs(absl::StatusCode::kResourceExhausted,
                                     AllOf(HasSubstr("free some space"),
                                           HasSubstr("ballast_bytes"))));
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder_.path())) << "nothing is begun";
}

TEST_F(RocksDbEngineTest, WithAMebibyteItOpens) {
  EXPECT_THAT(Open(kMebibyte), IsOk());
  EXPECT_THAT(Open(uint64_t{0}),
              StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_THAT(Open(uint64_t{1} << 40), IsOk());
}

TEST_F(RocksDbEngineTest, WhoCannotBeAskedStopsNothing) {
  EXPECT_THAT(Open(absl::UnavailableError("statvfs")), IsOk());
}

}  // namespace
}  // namespace reclaim::index
