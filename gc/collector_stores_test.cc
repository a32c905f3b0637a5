// The collector over image layouts and external stores.

#include <filesystem>
#include <future>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/fault_point.h"
#include "base/status_matchers.h"
#include "gc/collector.h"
#include "gc/collector_fixture.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "index/reference_graph.h"
#include "index/verify.h"
#include "store/testing/store_tree.h"

namespace reclaim::gc {
namespace {

using ::reclaim::base::IsOk;
using ::reclaim::base::StatusIs;
using ::testing::HasSubstr;

using index::NodeState;

oci::Digest D(const std::string& bytes) { return oci::Digest::Sha256Of(bytes); }

class LayoutCollectorTest : public CollectorFixture {
 protected:
  LayoutCollectorTest() {
    one_ = tree_.Image({"base", "one"});
    two_ = tree_.Image({"base", "two"});
    three_ = tree_.Image({"three"});
    tree_.Entry(one_, "v1");
    tree_.Entry(two_, "v2");
    tree_.Entry(three_, "");
    Open(store::StoreKind::kImageLayout);
    Scan();
  }
  void ExpectVerified() {
    std::string findings;
    index::VerifyOptions options;
    options.read_data = true;
    options.on_finding = [&findings](const index::Finding& finding) {
      findings +=
          finding.check + " " + finding.subject + ": " + finding.detail + "\n";
    };
    const auto report =
        index::Verify(graph_.get(), "s", store_.get(), clock_, options);
    ASSERT_THAT(report, IsOk());
    EXPECT_EQ(report->damage_count, 0u) << findings;
  }
  store::LayoutTree tree_{&folder_, "a/b"};
  oci::Digest one_, two_, three_;
};

// What lies in quarantine without a node is counted beside the graph, right
// after each commit: a run at work makes the two differ at any look, and is no
// damage. A count that is wrong stays wrong.
TEST_F(LayoutCollectorTest, ACountThatMovesOnIsNoMismatch) {
  index::AdoptedTally counted;
  bool is_at_work = true;
  std::string findings;
  index::VerifyOptions options;
  options.on_finding = [&findings](const index::Finding& finding) {
    findings += finding.check + " ";
  };
  options.list_adopted = [&] {
    if (is_at_work) ++counted.all.count;
    graph_->SetAdopted("s", counted);
    is_at_work = is_at_work && counted.all.count < 20;
    // Of the batch before.
    return std::vector<index::AdoptedBlob>(counted.all.count -
                                           (is_at_work ? 3 : 0));
  };
  counted.all.count = 5;
  ASSERT_THAT(index::Verify(graph_.get(), "s", store_.get(), clock_, options),
              IsOk());
  EXPECT_THAT(findings, testing::Not(testing::HasSubstr("counter-mismatch")));

  options.list_adopted = [] { return std::vector<index::AdoptedBlob>(); };
  ASSERT_THAT(index::Verify(graph_.get(), "s", store_.get(), clock_, options),
              IsOk());
  EXPECT_THAT(findings, testing::HasSubstr("counter-mismatch"));
}

// A scan keeps the whole store until it has come to its end.  Who asks
// meanwhile is not told of damage that is none.
TEST_F(LayoutCollectorTest, AScanAtWorkIsNoKeptScope) {
  const auto is_marked = [this] {
    return !graph_->Stores()[0].unreadable_scopes.empty();
  };
  std::once_flag in_sync;
  std::future<std::vector<index::UnreadableScope>> asked;
  ASSERT_THAT(collector_->Sync("s",
                               [&] {
                                 std::call_once(in_sync, [&] {
                                   EXPECT_TRUE(is_marked());
                                   asked = std::async(std::launch::async, [&] {
                                     return collector_->KeptScopes("s");
                                   });
                                 });
                                 return false;
                               }),
              IsOk());
  ASSERT_TRUE(asked.valid());
  EXPECT_EQ(asked.get().size(), 0u) << "it waits for a sync";
  std::once_flag in_scan;
  RunControl control;
  control.is_cancelled = [&] {
    std::call_once(in_scan, [&] {
      EXPECT_TRUE(is_marked());
      EXPECT_EQ(collector_->KeptScopes("s").size(), 0u);
    });
    return false;
  };
  ASSERT_THAT(collector_->Scan("s", false, "test", control), IsOk());
  {
    base::ScopedFault fault("scan.before_removals",
                            absl::UnavailableError("it dies"));
    const auto scan = collector_->Scan("s", false, "test", {});
    EXPECT_TRUE(!scan.ok() || scan->phase == RunPhase::kFailed);
  }
  EXPECT_EQ(collector_->KeptScopes("s").size(), 1u) << "it did not end";
  Scan();
  EXPECT_EQ(collector_->KeptScopes("s").size(), 0u);
  EXPECT_EQ(collector_->KeptScopes("another").size(), 0u);
}

TEST_F(LayoutCollectorTest, DanglingEntriesGoAndComeBack) {
  const std::string before = folder_.Read("a/b/index.json");
  const uint64_t bytes = folder_.DiskBytes();
  const Plan plan = MakePlan(Request(PruneVerb::kImages));
  EXPECT_EQ(plan.totals.blob_count, 3u);
  const auto run = Apply(plan);
  ASSERT_THAT(run, IsOk());
  EXPECT_EQ(run->phase, RunPhase::kSucceeded);
  EXPECT_EQ(StateOf(three_, "a/b"), NodeState::kQuarantined);
  EXPECT_THAT(folder_.Read("a/b/index.json"),
              ::testing::Not(HasSubstr(three_.hex())));
  ExpectExact();
  ASSERT_THAT(RestoreRun(run->id), IsOk());
  EXPECT_EQ(folder_.Read("a/b/index.json"), before);
  EXPECT_EQ(StateOf(three_, "a/b"), NodeState::kPresent);
  ExpectExact();
  Scan();
  ASSERT_THAT(Apply(MakePlan(Request(PruneVerb::kImages))), IsOk());
  const auto purged = PurgeNow();
  ASSERT_THAT(purged, IsOk());
  EXPECT_EQ(bytes - folder_.DiskBytes(),
            plan.totals.bytes.total().allocated_bytes);
}

TEST_F(LayoutCollectorTest, UnusedImagesLeaveNoEntryBehind) {
  PruneRequest request = Request(PruneVerb::kAllImages);
  EXPECT_THAT(collector_->MakePlan(request, {}),
              StatusIs(absl::StatusCode::kFailedPrecondition));
  request.containers_are_complete = true;
  const std::string before = folder_.Read("a/b/index.json");
  const auto run = Apply(MakePlan(request));
  ASSERT_THAT(run, IsOk());
  EXPECT_EQ(run->phase, RunPhase::kSucceeded);
  EXPECT_THAT(run->skipped, ::testing::IsEmpty());
  EXPECT_THAT(folder_.Read("a/b/index.json"),
              ::testing::Not(HasSubstr("sha256")));
  ASSERT_THAT(RestoreRun(run->id), IsOk());
  EXPECT_EQ(folder_.Read("a/b/index.json"), before);
  EXPECT_TRUE(HasTag("a/b", "v1"));
  EXPECT_TRUE(HasTag("a/b", "v2"));
  ExpectExact();
}

// Whatever becomes of the names of a file: records and memory agree.
TEST_F(LayoutCollectorTest, WhatHasSeveralNamesVerifies) {
  store::LayoutTree other(&folder_, "c");
  other.Entry(other.Image({"x"}), "v1");
  const std::string blob = "blobs/sha256/" + D("three").hex();
  std::filesystem::create_hard_link(folder_.path() + "/" + tree_.Path(blob),
                                    folder_.path() + "/" + other.Path(blob));
  Age();
  Scan();
  const index::NodeId name = Find(D("three"), "c");
  ASSERT_NE(graph_->Read()->view().ExtentOf(name), index::kNoNode);
  ExpectVerified();
  ASSERT_THAT(Apply(MakePlan(Request(PruneVerb::kImages))), IsOk());
  EXPECT_EQ(StateOf(D("three"), "a/b"), NodeState::kQuarantined);
  EXPECT_EQ(StateOf(D("three"), "c"), NodeState::kQuarantined);
  ExpectVerified();
  ASSERT_THAT(PurgeNow(), IsOk());
  ExpectVerified();
}

// It would find no garbage, and nobody would know why.
TEST_F(LayoutCollectorTest, NothingIsPlannedWhileARunReadsTheStore) {
  int refused_count = 0;
  RunControl control;
  control.on_progress = [&](const gc::Run& run) {
    if (run.progress.step != "scanning" || run.phase != RunPhase::kRunning) {
      return;
    }
    EXPECT_THAT(collector_->MakePlan(Request(), {}),
                StatusIs(absl::StatusCode::kAborted));
    ++refused_count;
  };
  ASSERT_THAT(collector_->Scan("s", true, "test", control), IsOk());
  EXPECT_GT(refused_count, 0);
  EXPECT_EQ(MakePlan(Request()).totals.blob_count, 3u);
}

TEST_F(LayoutCollectorTest, ALayoutThatIsGoneIsForgotten) {
  folder_.Remove("a/b");
  tree_ = store::LayoutTree(&folder_, "c");
  tree_.Entry(tree_.Image({"x"}), "v1");
  Scan();
  EXPECT_FALSE(HasTag("a/b", "v1"));
  EXPECT_EQ(StateOf(one_, "a/b"), NodeState::kAbsent);
  EXPECT_TRUE(HasTag("c", "v1"));
}

// Content that an orchestrator owns, with its containers.
class ExternalCollectorTest : public CollectorFixture {
 protected:
  ExternalCollectorTest() {
    Open(store::StoreKind::kExternal);
    const std::string text = store::ImageText({D("config"), D("layer")});
    image_ = D(text);
    index::PutManifest manifest;
    manifest.name = {"s", "", image_};
    manifest.bytes = text;
    EXPECT_THAT(Record({manifest, Blob("config", 10), Blob("layer", 100)}),
                IsOk());
    index::PutContainer container;
    container.store = "s";
    container.id = "web";
    container.state = index::ContainerState::kExited;
    container.image = image_;
    container.volumes = {"data"};
    container.labels = {{"team", "a"}};
    container.writable = store::Bytes{7, 7};
    index::PutVolume volume;
    volume.store = "s";
    volume.name = "data";
    volume.is_anonymous = true;
    volume.bytes = store::Bytes{50, 50};
    EXPECT_THAT(Record({volume, container}), IsOk());
    clock_.Advance(absl::Hours(1));
  }
  static index::PutBlob Blob(const std::string& bytes, uint64_t size) {
    index::PutBlob put;
    put.name = {"s", "", D(bytes)};
    put.bytes = {size, size};
    return put;
  }
  bool HasNamed(index::NodeKind kind, const std::string& name) const {
    return graph_->Read()->view().FindNamed({kind, id_, "", name}) !=
           index::kNoNode;
  }
  oci::Digest image_;
};

TEST_F(ExternalCollectorTest, SystemPruneConvergesAndIsUndone) {
  PruneRequest request = Request();
  request.with_volumes = true;
  const Plan plan = MakePlan(request);
  const auto run = Apply(plan);
  ASSERT_THAT(run, IsOk());
  EXPECT_EQ(run->phase, RunPhase::kSucceeded);
  EXPECT_EQ(run->item_count, 5u);
  EXPECT_EQ(run->bytes.content, plan.totals.bytes.content);
  EXPECT_FALSE(HasNamed(index::NodeKind::kContainer, "web"));
  EXPECT_FALSE(HasNamed(index::NodeKind::kVolume, "data"));
  EXPECT_EQ(StateOf(image_), NodeState::kQuarantined);
  ExpectExact();
  ASSERT_THAT(RestoreRun(run->id), IsOk());
  EXPECT_TRUE(HasNamed(index::NodeKind::kVolume, "data"));
  EXPECT_EQ(StateOf(D("layer")), NodeState::kPresent);
  const auto reader = graph_->Read();
  const index::NodeId web =
      reader->view().FindNamed({index::NodeKind::kContainer, id_, "", "web"});
  ASSERT_NE(web, index::kNoNode);
  EXPECT_EQ(reader->view().Kept(web).size(), 2u);
  const auto record = graph_->GetNamed(web);
  ASSERT_THAT(record, IsOk());
  EXPECT_EQ(std::get<index::PutContainer>(*record).labels.at("team"), "a");
}

TEST_F(ExternalCollectorTest, AContainerStartedAfterThePlanStays) {
  PruneRequest request = Request();
  request.with_volumes = true;
  const Plan plan = MakePlan(request);
  index::PutContainer container;
  container.store = "s";
  container.id = "web";
  container.state = index::ContainerState::kRunning;
  container.image = image_;
  container.volumes = {"data"};
  ASSERT_THAT(Record({container}), IsOk());
  const auto run = Apply(plan);
  ASSERT_THAT(run, IsOk());
  EXPECT_EQ(run->item_count, 0u);
  EXPECT_EQ(run->skipped_count, 5u);
  EXPECT_TRUE(HasNamed(index::NodeKind::kVolume, "data"));
  EXPECT_EQ(StateOf(D("layer")), NodeState::kPresent);
}

TEST_F(ExternalCollectorTest, TheFeedSaysWhatToDeleteAndWhatNotTo) {
  const auto run = Apply(MakePlan(Request()));
  ASSERT_THAT(run, IsOk());
  ASSERT_THAT(graph_->CheckExists({"s", "", D("layer")}, "puller"), IsOk());
  ASSERT_THAT(PurgeNow(), IsOk());
  const auto events = graph_->ListEvents(0, 1000);
  ASSERT_THAT(events, IsOk());
  std::map<index::EventKind, int> counts;
  for (const index::Event& event : events->events) ++counts[event.kind];
  EXPECT_EQ(counts[index::EventKind::kQuarantined], 3);
  EXPECT_EQ(counts[index::EventKind::kRestored], 1);
  EXPECT_EQ(counts[index::EventKind::kPurged], 2);
  EXPECT_EQ(StateOf(D("layer")), NodeState::kPresent);
  EXPECT_EQ(StateOf(image_), NodeState::kAbsent);
  ExpectExact();
}

}  // namespace
}  // namespace reclaim::gc
