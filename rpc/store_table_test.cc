#include "rpc/store_table.h"

#include <unistd.h>

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/random.h"
#include "base/simulated_clock.h"
#include "base/status_matchers.h"
#include "gc/collector.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "index/memory_engine.h"
#include "index/reference_graph.h"
#include "store/testing/store_tree.h"

namespace reclaim::rpc {
namespace {

using ::reclaim::base::IsOk;
using ::reclaim::base::StatusIs;
using ::testing::HasSubstr;

class StoreTableTest : public ::testing::Test {
 protected:
  StoreTableTest() {
    auto graph = index::ReferenceGraph::Open(&engine_, &clock_, {});
    EXPECT_THAT(graph, IsOk());
    graph_ = *std::move(graph);
    auto collector =
        gc::Collector::Create(graph_.get(), &clock_, &random_, nullptr);
    EXPECT_THAT(collector, IsOk());
    collector_ = *std::move(collector);
    stores_ = std::make_unique<StoreTable>(graph_.get(), collector_.get());
    for (const char* place : {"l/la", "l/lab", "other"}) {
      store::LayoutTree tree(&folder_, place);
      tree.Entry(tree.Image({place}), "v1");
    }
    store::RegistryTree(&folder_).Image("app", "v1", {"one"});
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
  index::MemoryEngine engine_;
  std::unique_ptr<index::ReferenceGraph> graph_;
  std::unique_ptr<gc::Collector> collector_;
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

}  // namespace
}  // namespace reclaim::rpc
