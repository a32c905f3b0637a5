#include "rpc/store_table.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/fault_point.h"
#include "base/random.h"
#include "base/simulated_clock.h"
#include "base/status_matchers.h"
#include "gc/collector.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "index/memory_engine.h"
#include "index/reference_graph.h"
#include "rpc/store_list.h"
#include "store/testing/store_tree.h"

namespace reclaim::rpc {
namespace {

using ::reclaim::base::IsOk;
using ::reclaim::base::IsOkAndHolds;
using ::reclaim::base::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class StoreTableTest : public ::testing::Test {
 protected:
  StoreTableTest() {
    Start();
    for (const char* place : {"l/la", "l/lab", "other"}) {
      store::LayoutTree tree(&folder_, place);
      tree.Entry(tree.Image({place}), "v1");
    }
    store::RegistryTree(&folder_).Image("app", "v1", {"one"});
  }

  void Start() {
    stores_.reset();
    collector_.reset();
    graph_.reset();
    auto graph = index::ReferenceGraph::Open(engine_.get(), &clock_, {});
    EXPECT_THAT(graph, IsOk());
    graph_ = *std::move(graph);
    auto collector =
        gc::Collector::Create(graph_.get(), &clock_, &random_, nullptr);
    EXPECT_THAT(collector, IsOk());
    collector_ = *std::move(collector);
    auto list = StoreList::Open(state_.path() + "/stores");
    EXPECT_THAT(list, IsOk());
    list_ = *std::move(list);
    stores_ = std::make_unique<StoreTable>(graph_.get(), collector_.get(),
                                           list_.get());
  }
  // The daemon starts again, and the database is gone.
  void LoseDatabase() {
    stores_.reset();
    collector_.reset();
    graph_.reset();
    engine_ = std::make_unique<index::MemoryEngine>();
    Start();
  }

  std::string Path(const std::string& path) const {
    return absl::StrCat(folder_.path(), "/", path);
  }
  absl::Status Register(const std::string& name, const std::string& uri) {
    StoreSettings settings;
    settings.name = name;
    settings.uri = uri;
    return stores_->Register(settings).status();
  }
  void Move(const std::string& from, const std::string& to) const {
    EXPECT_EQ(rename(Path(from).c_str(), Path(to).c_str()), 0) << from;
  }
  void Link(const std::string& target, const std::string& path) const {
    EXPECT_EQ(symlink(Path(target).c_str(), Path(path).c_str()), 0) << path;
  }
  absl::Status RegisterReadOnly(const std::string& name,
                                const std::string& uri) {
    StoreSettings settings;
    settings.name = name;
    settings.uri = uri;
    settings.is_read_only = true;
    settings.knows_containers = true;
    settings.writers.write_duration_max = absl::Seconds(7);
    return stores_->Register(settings).status();
  }
  bool IsReadOnly(const std::string& name) {
    EXPECT_THAT(stores_->Open(name), IsOk());
    const auto content = stores_->Content(name);
    EXPECT_THAT(content, IsOk());
    return content.ok() && (*content)->traits().is_read_only;
  }
  void ExpectRefused(const std::string& uri) {
    EXPECT_THAT(Register("refused", uri),
                StatusIs(absl::StatusCode::kAlreadyExists,
                         HasSubstr("must not be collected twice")));
    EXPECT_THAT(stores_->Find("refused"),
                StatusIs(absl::StatusCode::kNotFound));
  }

  base::SimulatedClock clock_;
  base::SeededRandom random_{5};
  store::TempFolder folder_;
  store::TempFolder state_;  // the data directory
  std::unique_ptr<index::MemoryEngine> engine_ =
      std::make_unique<index::MemoryEngine>();
  std::unique_ptr<index::ReferenceGraph> graph_;
  std::unique_ptr<gc::Collector> collector_;
  std::unique_ptr<StoreList> list_;
  std::unique_ptr<StoreTable> stores_;
};

TEST_F(StoreTableTest, AStoreInAStoreIsRefused) {
  ASSERT_THAT(Register("outer", "image-layout:" + Path("l")), IsOk());
  ExpectRefused("image-layout:" + Path("l"));
  ExpectRefused("image-layout:" + Path("l/la"));
  ExpectRefused("image-layout:" + Path("l/la/"));
  ASSERT_EQ(symlink(Path("l/la").c_str(), Path("alias").c_str()), 0);
  ExpectRefused("image-layout:" + Path("alias"));
  EXPECT_THAT(Register("other", "image-layout:" + Path("other")), IsOk());
}

TEST_F(StoreTableTest, AStoreAroundAStoreIsRefused) {
  ASSERT_THAT(Register("inner", "image-layout:" + Path("l/la")), IsOk());
  ExpectRefused("image-layout:" + Path("l"));
  ExpectRefused("image-layout:" + folder_.path());
  ExpectRefused("registry:" + folder_.path());
  // By components: "la" is no part of "lab".
  EXPECT_THAT(Register("beside", "image-layout:" + Path("l/lab")), IsOk());
  // The same one again is the same one.
  EXPECT_THAT(Register("inner", "image-layout:" + Path("l/la")), IsOk());
}

TEST_F(StoreTableTest, ARegistryIsTheFolderThatHoldsIt) {
  ASSERT_THAT(Register("hub", "registry:" + Path("docker/registry/v2")),
              IsOk());
  ExpectRefused("registry:" + folder_.path());
  ExpectRefused("image-layout:" + Path("other"));
}

TEST_F(StoreTableTest, AForgottenStoreIsInNobodysWay) {
  ASSERT_THAT(Register("inner", "image-layout:" + Path("l/la")), IsOk());
  ASSERT_THAT(stores_->Forget("inner"), IsOk());
  EXPECT_THAT(Register("outer", "image-layout:" + Path("l")), IsOk());
}

TEST_F(StoreTableTest, WhatWasRegisteredOutlivesTheDatabase) {
  StoreSettings settings;
  settings.name = "hub";
  settings.uri = "registry:" + Path("docker/registry/v2");
  settings.is_read_only = true;
  settings.writers.write_duration_max = absl::Seconds(7);
  settings.writers.descriptor_cache = index::DescriptorCache::kMemory;
  ASSERT_THAT(stores_->Register(settings), IsOk());
  ASSERT_THAT(Register("gone", "memory:gone"), IsOk());
  ASSERT_THAT(stores_->Forget("gone"), IsOk());
  const auto told = stores_->Find("hub");
  ASSERT_THAT(told, IsOk());
  LoseDatabase();
  EXPECT_THAT(stores_->Recall(), IsOkAndHolds(ElementsAre("hub")));
  stores_->OpenAll();
  const auto record = stores_->Find("hub");
  ASSERT_THAT(record, IsOk());
  EXPECT_EQ(record->uri, told->uri);
  EXPECT_EQ(record->kind, store::StoreKind::kRegistry);
  EXPECT_TRUE(record->is_read_only);
  EXPECT_EQ(record->writers.write_duration_max, absl::Seconds(7));
  EXPECT_EQ(record->writers.descriptor_cache, index::DescriptorCache::kMemory);
  EXPECT_THAT(stores_->Content("hub"), IsOk());
  EXPECT_THAT(stores_->Find("gone"), StatusIs(absl::StatusCode::kNotFound));
  // A start with the database as it was.
  Start();
  EXPECT_THAT(stores_->Recall(), IsOkAndHolds(IsEmpty()));
}

TEST_F(StoreTableTest, AStoreThatIsAwayIsRecalledAllTheSame) {
  ASSERT_THAT(Register("other", "image-layout:" + Path("other")), IsOk());
  ASSERT_EQ(rename(Path("other").c_str(), Path("away").c_str()), 0);
  LoseDatabase();
  EXPECT_THAT(stores_->Recall(), IsOkAndHolds(ElementsAre("other")));
  stores_->OpenAll();
  EXPECT_FALSE(stores_->Problem("other").ok());
  EXPECT_FALSE(stores_->Open("other").ok());
  ASSERT_EQ(rename(Path("away").c_str(), Path("other").c_str()), 0);
  EXPECT_THAT(stores_->Open("other"), IsOk());
}

// The configuration changes while the disk of a store is away.
TEST_F(StoreTableTest, WhatIsSaidOfAStoreThatIsAwayHolds) {
  const std::string uri = "image-layout:" + Path("other");
  ASSERT_THAT(Register("other", uri), IsOk());
  Move("other", "away");
  Start();
  EXPECT_THAT(RegisterReadOnly("other", uri),
              StatusIs(absl::StatusCode::kNotFound,
                       HasSubstr("stays registered, read-only")));
  stores_->OpenAll();
  EXPECT_FALSE(stores_->Problem("other").ok());
  EXPECT_TRUE(list_->Find("other")->is_read_only);
  Move("away", "other");
  EXPECT_TRUE(IsReadOnly("other"));
  const auto record = stores_->Find("other");
  ASSERT_THAT(record, IsOk());
  EXPECT_TRUE(record->knows_containers);
  EXPECT_EQ(record->writers.write_duration_max, absl::Seconds(7));
}

TEST_F(StoreTableTest, WhatIsNoStoreAndWasNoneIsNotRemembered) {
  EXPECT_THAT(RegisterReadOnly("new", "image-layout:" + Path("nowhere")),
              StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(stores_->Find("new"), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_EQ(list_->Find("new"), std::nullopt);
}

TEST_F(StoreTableTest, AStoreThatIsAwayIsTheSameByEachPath) {
  Link("l", "way");
  Link("l/la", "alias");
  ASSERT_THAT(Register("la", "image-layout:" + Path("l/la")), IsOk());
  Move("l/la", "away");
  Start();
  for (const char* path : {"l/la", "l/la/", "l//la", "l/./la", "l/lab/../la",
                           "way/la", "way/../l/la/", "alias"}) {
    EXPECT_THAT(Register("la", "image-layout:" + Path(path)),
                StatusIs(absl::StatusCode::kNotFound))
        << path;
  }
  // Without a name as well.
  EXPECT_THAT(Register("", "image-layout:" + Path("l/la/")),
              StatusIs(absl::StatusCode::kNotFound));
  Move("away", "l/la");
  EXPECT_FALSE(IsReadOnly("la"));
}

// What is left of it is the empty folder that its disk is mounted on.
TEST_F(StoreTableTest, ABarePathThatIsAwayIsWhatItWas) {
  ASSERT_THAT(Register("hub", folder_.path()), IsOk());
  Move("docker", "away");
  Start();
  StoreSettings settings;
  settings.name = "hub";
  settings.uri = folder_.path() + "/";
  settings.is_read_only = true;
  settings.writers.descriptor_cache = index::DescriptorCache::kMemory;
  const absl::Status status = stores_->Register(settings).status();
  EXPECT_NE(status.code(), absl::StatusCode::kAlreadyExists) << status;
  EXPECT_NE(status.code(), absl::StatusCode::kInvalidArgument) << status;
  EXPECT_FALSE(status.ok());
  Move("away", "docker");
  EXPECT_TRUE(IsReadOnly("hub"));
  EXPECT_EQ(stores_->Find("hub")->kind, store::StoreKind::kRegistry);
}

// Nobody can say which store it is; its name is the best guess, and a store
// that is not deleted from loses nothing by a wrong one.
TEST_F(StoreTableTest, AStoreBehindALinkThatIsAwayIsTheOneOfItsName) {
  ASSERT_EQ(mkdir(Path("disk").c_str(), 0700), 0);
  Link("other", "disk/current");
  const std::string uri = "image-layout:" + Path("disk/current");
  ASSERT_THAT(Register("other", uri), IsOk());
  const std::string resolved = stores_->Find("other")->uri;
  Move("disk", "away");
  Start();
  EXPECT_THAT(
      RegisterReadOnly("other", uri),
      StatusIs(absl::StatusCode::kNotFound, HasSubstr("leads nowhere now")));
  EXPECT_TRUE(IsReadOnly("other"));
  const auto record = stores_->Find("other");
  ASSERT_THAT(record, IsOk());
  EXPECT_EQ(record->uri, resolved);
  EXPECT_FALSE(record->knows_containers) << "that may be of another store";
  // One that is there is another one.
  EXPECT_THAT(Register("other", "image-layout:" + Path("l/la")),
              StatusIs(absl::StatusCode::kAlreadyExists));
}

TEST_F(StoreTableTest, ARegistrationThatCannotBeListedIsRefused) {
  {
    const base::ScopedFault full("store_list.before_write",
                                 absl::ResourceExhaustedError("no space"));
    EXPECT_THAT(Register("other", "image-layout:" + Path("other")),
                StatusIs(absl::StatusCode::kResourceExhausted));
  }
  EXPECT_THAT(stores_->Find("other"), StatusIs(absl::StatusCode::kNotFound));
  ASSERT_THAT(Register("other", "image-layout:" + Path("other")), IsOk());
  const base::ScopedFault full("store_list.before_write",
                               absl::ResourceExhaustedError("no space"));
  EXPECT_FALSE(stores_->Forget("other").ok());
  EXPECT_THAT(stores_->Content("other"), IsOk());
}

// A database of an earlier version, or a list that was moved away.
TEST_F(StoreTableTest, WhatTheGraphRemembersIsListedAtTheNextStart) {
  ASSERT_THAT(Register("other", "image-layout:" + Path("other")), IsOk());
  state_.Remove("stores");
  Start();
  EXPECT_THAT(stores_->Recall(), IsOkAndHolds(IsEmpty()));
  ASSERT_THAT(stores_->UpdateList(), IsOk());
  LoseDatabase();
  EXPECT_THAT(stores_->Recall(), IsOkAndHolds(ElementsAre("other")));
}

// An old copy of the list was put back.
TEST_F(StoreTableTest, AListThatContradictsTheGraphIsAnError) {
  ASSERT_THAT(Register("old", "image-layout:" + Path("other")), IsOk());
  const std::string old = state_.Read("stores");
  ASSERT_THAT(stores_->Forget("old"), IsOk());
  ASSERT_THAT(Register("new", "image-layout:" + Path("other")), IsOk());
  state_.Write("stores", old);
  Start();
  EXPECT_THAT(stores_->Recall(),
              StatusIs(absl::StatusCode::kAlreadyExists,
                       HasSubstr(state_.path() + "/stores has old")));
}

}  // namespace
}  // namespace reclaim::rpc
