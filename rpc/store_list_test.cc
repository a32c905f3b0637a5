#include "rpc/store_list.h"

#include <unistd.h>

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_replace.h"
#include "absl/time/time.h"
#include "base/fault_point.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "store/testing/store_tree.h"

namespace reclaim::rpc {
namespace {

using ::reclaim::base::IsOk;
using ::reclaim::base::StatusIs;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

StoreSettings Hub() {
  StoreSettings settings;
  settings.name = "hub";
  settings.uri = "registry:/srv/a\tb\n c\\\xff";
  settings.is_read_only = true;
  settings.knows_containers = true;
  settings.writers.write_duration_max = absl::Milliseconds(1500);
  settings.writers.descriptor_cache = index::DescriptorCache::kMemory;
  settings.writers.registry_url = "http://127.0.0.1:5000";
  return settings;
}

StoreSettings Layout() {
  StoreSettings settings;
  settings.name = "layout";
  settings.uri = "image-layout:/srv/layout";
  return settings;
}

void ExpectHub(const StoreSettings& read) {
  EXPECT_EQ(read.name, "hub");
  EXPECT_EQ(read.uri, Hub().uri);
  EXPECT_TRUE(read.is_read_only);
  EXPECT_TRUE(read.knows_containers);
  EXPECT_EQ(read.writers.write_duration_max, absl::Milliseconds(1500));
  EXPECT_EQ(read.writers.descriptor_cache, index::DescriptorCache::kMemory);
  EXPECT_EQ(read.writers.registry_url, "http://127.0.0.1:5000");
}

class StoreListTest : public ::testing::Test {
 protected:
  std::unique_ptr<StoreList> Open() {
    auto list = StoreList::Open(Path());
    EXPECT_THAT(list, IsOk());
    return list.ok() ? *std::move(list) : nullptr;
  }
  std::string Path() const { return folder_.path() + "/stores"; }
  void ExpectDamaged(const std::string& bytes) {
    folder_.Write("stores", bytes);
    EXPECT_THAT(StoreList::Open(Path()),
                StatusIs(absl::StatusCode::kDataLoss,
                         AllOf(HasSubstr(Path()), HasSubstr("store add"))))
        << bytes;
  }

  store::TempFolder folder_;
};

TEST_F(StoreListTest, WhatWasPutIsReadAgain) {
  const auto list = Open();
  EXPECT_THAT(list->stores(), IsEmpty());
  ASSERT_THAT(list->Put(Layout()), IsOk());
  ASSERT_THAT(list->Put(Hub()), IsOk());
  const auto again = Open();
  ASSERT_EQ(again->stores().size(), 2u);
  ExpectHub(again->stores()[0]);
  EXPECT_EQ(again->stores()[1].name, "layout");
  EXPECT_FALSE(again->stores()[1].is_read_only);
  ASSERT_TRUE(again->Find("hub").has_value());
  ExpectHub(*again->Find("hub"));
  EXPECT_FALSE(again->Find("hu").has_value());
}

TEST_F(StoreListTest, APutReplacesARemovedOneIsGone) {
  const auto list = Open();
  ASSERT_THAT(list->Put(Hub()), IsOk());
  StoreSettings changed = Hub();
  changed.writers.registry_url = "";
  ASSERT_THAT(list->Put(changed), IsOk());
  EXPECT_EQ(Open()->Find("hub")->writers.registry_url, "");
  ASSERT_THAT(list->Remove("hub"), IsOk());
  EXPECT_THAT(Open()->stores(), IsEmpty());
  EXPECT_THAT(list->Remove("hub"), IsOk());
}

TEST_F(StoreListTest, ATornListIsAnErrorThatNamesIt) {
  {
    const auto list = Open();
    ASSERT_THAT(list->Put(Hub()), IsOk());
    ASSERT_THAT(list->Put(Layout()), IsOk());
  }
  const std::string whole = folder_.Read("stores");
  for (size_t size = 0; size < whole.size(); ++size) {
    ExpectDamaged(whole.substr(0, size));
  }
  ExpectDamaged(whole + "\n");
  for (size_t i = 0; i < whole.size(); ++i) {
    std::string flipped = whole;
    flipped[i] ^= 1;
    ExpectDamaged(flipped);
  }
  folder_.Write("stores", whole);
  EXPECT_EQ(Open()->stores().size(), 2u);
}

TEST_F(StoreListTest, ALaterVersionIsRefused) {
  ASSERT_THAT(Open()->Put(Hub()), IsOk());
  ExpectDamaged(absl::StrReplaceAll(
      folder_.Read("stores"), {{"reclaim-stores 1", "reclaim-stores 2"}}));
}

TEST_F(StoreListTest, ALinkInItsPlaceIsNotFollowed) {
  folder_.Write("elsewhere", "reclaim-stores 1\n");
  ASSERT_EQ(symlink("elsewhere", Path().c_str()), 0);
  EXPECT_FALSE(StoreList::Open(Path()).ok());
}

TEST_F(StoreListTest, WhatCannotBeWrittenChangesNothing) {
  const auto list = Open();
  ASSERT_THAT(list->Put(Hub()), IsOk());
  {
    const base::ScopedFault full("store_list.before_write",
                                 absl::ResourceExhaustedError("no space"));
    EXPECT_FALSE(list->Put(Layout()).ok());
    EXPECT_FALSE(list->Remove("hub").ok());
  }
  EXPECT_FALSE(list->Find("layout").has_value());
  EXPECT_TRUE(list->Find("hub").has_value());
  EXPECT_EQ(Open()->stores().size(), 1u);
  // What an interrupted write left beside it is in nobody's way.
  folder_.Write("stores.new", "torn");
  EXPECT_THAT(list->Put(Layout()), IsOk());
  EXPECT_EQ(Open()->stores().size(), 2u);
}

}  // namespace
}  // namespace reclaim::rpc
