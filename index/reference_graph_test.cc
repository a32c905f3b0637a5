#include "index/reference_graph.h"

#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/config.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/fault_point.h"
#include "base/simulated_clock.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "index/graph_records.h"
#include "index/memory_engine.h"
#include "index/recount.h"
#include "oci/media_type.h"
#include "tests/support/seed.h"

namespace reclaim::index {
namespace {

using ::reclaim::base::IsOk;
using ::reclaim::base::IsOkAndHolds;
using ::reclaim::base::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

oci::Digest D(const std::string& letter) {
  return oci::Digest::Sha256Of(letter);
}

std::string DescriptorText(const oci::Digest& digest, const char* type) {
  return absl::StrCat(R"({"mediaType":")", type, R"(","digest":")",
                      digest.ToString(), R"(","size":1})");
}

// An image manifest over blobs named by letters; the first is the config.
std::string ImageText(const std::vector<std::string>& blobs,
                      const oci::Digest& subject = oci::Digest()) {
  std::vector<std::string> layers;
  for (size_t i = 1; i < blobs.size(); ++i) {
    layers.push_back(DescriptorText(D(blobs[i]), "application/x-layer"));
  }
  std::string text =
      absl::StrCat(R"({"mediaType":")", oci::kOciManifestType, R"(","config":)",
                   DescriptorText(D(blobs[0]), oci::kOciConfigType),
                   R"(,"layers":[)", absl::StrJoin(layers, ","), "]");
  if (!subject.empty()) {
    absl::StrAppend(&text, R"(,"subject":)",
                    DescriptorText(subject, oci::kOciManifestType));
  }
  return text + "}";
}

class ReferenceGraphTest : public ::testing::Test {
 protected:
  ReferenceGraphTest() {
    options_.grace_period = absl::ZeroDuration();
    Open();
    StoreRecord store;
    store.name = "s";
    EXPECT_THAT(graph_->RegisterStore(store), IsOk());
  }

  void Open() {
    graph_.reset();
    auto opened = ReferenceGraph::Open(&engine_, &clock_, options_);
    ASSERT_THAT(opened, IsOk());
    graph_ = *std::move(opened);
  }

  absl::StatusOr<AppliedMutation> Apply(std::vector<Operation> operations,
                                        std::string request_id = "") {
    Mutation mutation;
    mutation.operations = std::move(operations);
    mutation.request_id = std::move(request_id);
    mutation.actor = "test";
    return graph_->Apply(mutation, Durability::kDurable);
  }

  static PutBlob Blob(const std::string& letter, uint64_t bytes) {
    PutBlob op;
    op.name = {"s", "", D(letter)};
    op.bytes = {bytes, bytes};
    return op;
  }
  static PutManifest Image(const std::string& text) {
    PutManifest op;
    op.name = {"s", "", oci::Digest::Sha256Of(text)};
    op.bytes = text;
    return op;
  }
  static PutTag Tag(const std::string& tag, const oci::Digest& digest) {
    PutTag op;
    op.store = "s";
    op.repository = "app";
    op.tag = tag;
    op.digest = digest;
    return op;
  }

  NodeId Find(const oci::Digest& digest) {
    return graph_->Read()->view().FindContent(0, digest);
  }
  bool IsLive(const oci::Digest& digest) {
    const auto reader = graph_->Read();
    return reader->IsLive(reader->view().FindContent(0, digest));
  }
  StoreTotals Totals() { return graph_->Read()->totals(0); }

  void ExpectExact() {
    const auto reader = graph_->Read();
    RecountInputs inputs;
    inputs.store = 0;
    inputs.now = clock_.Now();
    inputs.grace_period = options_.grace_period;
    inputs.orphans = reader->totals(0).orphan;
    const StoreTotals recounted = Recount(reader->view(), inputs);
    ASSERT_EQ(reader->totals(0), recounted)
        << ToString(reader->totals(0)) << "recounted\n"
        << ToString(recounted);
  }

  MemoryEngine engine_;
  base::SimulatedClock clock_;
  GraphOptions options_;
  std::unique_ptr<ReferenceGraph> graph_;
};

TEST_F(ReferenceGraphTest, ALostDatabaseIsOnRecordUntilItIsConfirmed) {
  EXPECT_FALSE(graph_->UnconfirmedLoss()) << "the first there ever was";
  ASSERT_THAT(graph_->ConfirmLoss(), IsOk()) << "nothing to confirm";
  options_.earlier_database = "its audit is there";
  Open();
  EXPECT_FALSE(graph_->UnconfirmedLoss()) << "it is there";
  MemoryEngine fresh;
  const auto reopen = [&](const std::string& earlier) {
    graph_.reset();
    options_.earlier_database = earlier;
    auto opened = ReferenceGraph::Open(&fresh, &clock_, options_);
    EXPECT_THAT(opened, IsOk());
    graph_ = *std::move(opened);
    return graph_->UnconfirmedLoss();
  };
  const absl::Time found = clock_.Now();
  for (const char* earlier : {"its audit is there", "", "another"}) {
    const auto loss = reopen(earlier);
    ASSERT_TRUE(loss) << earlier;
    EXPECT_EQ(loss->why, "its audit is there");
    EXPECT_EQ(loss->found, found);
    clock_.Advance(absl::Hours(1));
    ASSERT_THAT(graph_->BeginEpoch(), IsOk()) << "other writes keep it";
  }
  ASSERT_THAT(graph_->ConfirmLoss(), IsOk());
  EXPECT_FALSE(graph_->UnconfirmedLoss());
  EXPECT_FALSE(reopen("its audit is there"));
}

TEST_F(ReferenceGraphTest, AnOlderCopyOfTheDatabaseIsALossOfIt) {
  options_.later_database = "it is at mark 1";
  options_.earlier_database = "its audit is there";
  Open();
  const auto loss = graph_->UnconfirmedLoss();
  ASSERT_TRUE(loss);
  EXPECT_EQ(loss->why, "it is at mark 1");
  EXPECT_EQ(loss->found, clock_.Now());
  clock_.Advance(absl::Hours(1));
  options_.later_database = "it is at mark 2";
  Open();
  ASSERT_TRUE(graph_->UnconfirmedLoss());
  EXPECT_EQ(graph_->UnconfirmedLoss()->found, loss->found) << "the first one";
  options_.later_database = "";
  Open();
  ASSERT_TRUE(graph_->UnconfirmedLoss()) << "durable";
  ASSERT_THAT(graph_->ConfirmLoss(), IsOk());
  Open();
  EXPECT_FALSE(graph_->UnconfirmedLoss());
}

TEST_F(ReferenceGraphTest, DerivesEdgesFromAManifestsBytes) {
  const std::string text = ImageText({"c", "l1", "l2"});
  ASSERT_THAT(Apply({Blob("l1", 100), Image(text),
                     Tag("v1", oci::Digest::Sha256Of(text))}),
              IsOk());
  EXPECT_TRUE(IsLive(D("l1")));
  EXPECT_EQ(Totals().absent.count, 2u);  // the config and one layer
  EXPECT_EQ(Totals().live.bytes.logical_bytes, 100 + text.size());
  ExpectExact();
}

TEST_F(ReferenceGraphTest, ApplyingAgainChangesNothingAndWritesNoEvent) {
  const std::string text = ImageText({"c", "l1"});
  const std::vector<Operation> operations = {
      Blob("l1", 100), Image(text), Tag("v1", oci::Digest::Sha256Of(text))};
  const auto first = Apply(operations);
  ASSERT_THAT(first, IsOk());
  EXPECT_EQ(first->changed_count, 4u);  // the repository was made by need
  const auto second = Apply(operations);
  ASSERT_THAT(second, IsOk());
  EXPECT_EQ(second->changed_count, 0u);
  EXPECT_EQ(second->sequence, first->sequence);
}

TEST_F(ReferenceGraphTest, ARequestIdIsAppliedOnce) {
  const auto first = Apply({Blob("a", 1)}, "id-1");
  ASSERT_THAT(first, IsOk());
  const auto replay = Apply({Blob("b", 1)}, "id-1");
  ASSERT_THAT(replay, IsOk());
  EXPECT_TRUE(replay->was_replayed);
  EXPECT_EQ(replay->sequence, first->sequence);
  EXPECT_EQ(Find(D("b")), kNoNode);
  clock_.Advance(absl::Hours(25));
  EXPECT_FALSE(Apply({Blob("b", 1)}, "id-1")->was_replayed);
}

TEST_F(ReferenceGraphTest, AMutationIsAllOrNothing) {
  PutTag bad = Tag("v1", oci::Digest());
  EXPECT_THAT(Apply({Blob("a", 1), bad}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("operations[1].digest")));
  EXPECT_EQ(Find(D("a")), kNoNode);
  EXPECT_EQ(Totals(), StoreTotals());
}

TEST_F(ReferenceGraphTest, AFullDiskChangesNothingAndLaterWritesWork) {
  {
    base::ScopedFault fault("engine.commit",
                            absl::ResourceExhaustedError("disk full"));
    EXPECT_THAT(Apply({Blob("a", 1)}),
                StatusIs(absl::StatusCode::kResourceExhausted));
  }
  EXPECT_EQ(Find(D("a")), kNoNode);
  EXPECT_THAT(Apply({Blob("a", 1)}), IsOk());
}

TEST_F(ReferenceGraphTest, ABrokenEngineMakesTheGraphReadOnly) {
  {
    base::ScopedFault fault("engine.commit", absl::UnavailableError("EIO"));
    EXPECT_THAT(Apply({Blob("a", 1)}),
                StatusIs(absl::StatusCode::kUnavailable));
  }
  EXPECT_THAT(Apply({Blob("a", 1)}),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("restart")));
}

TEST_F(ReferenceGraphTest, RefusesBytesOfAnotherDigest) {
  PutManifest op = Image(ImageText({"c"}));
  op.name.digest = D("other");
  EXPECT_THAT(Apply({op}), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST_F(ReferenceGraphTest, AnUnreadableManifestKeepsItsPlace) {
  PutManifest op = Image("no manifest");
  const auto applied = Apply({op, Blob("x", 7)});
  ASSERT_THAT(applied, IsOk());
  EXPECT_EQ(applied->problems.size(), 1u);
  EXPECT_TRUE(IsLive(D("x")));
  ExpectExact();
}

TEST_F(ReferenceGraphTest, UnknownStoresAreNotFound) {
  PutBlob op = Blob("a", 1);
  op.name.store = "elsewhere";
  EXPECT_THAT(Apply({op}), StatusIs(absl::StatusCode::kNotFound,
                                    HasSubstr("reclaim store ls")));
}

TEST_F(ReferenceGraphTest, ARestartLosesNothing) {
  const std::string text = ImageText({"c", "l1"});
  const oci::Digest image = oci::Digest::Sha256Of(text);
  const std::string signature = ImageText({"sc"}, image);
  PutContainer container;
  container.store = "s";
  container.id = "web";
  container.image_reference = "app:v1";
  container.state = ContainerState::kRunning;
  container.volumes = {"data"};
  PutVolume volume;
  volume.store = "s";
  volume.name = "data";
  volume.bytes = store::Bytes{50, 50};
  PutMembership member;
  member.store = "s";
  member.repository = "app";
  member.digest = image;
  ASSERT_THAT(
      Apply({Blob("l1", 100), Blob("c", 5), Image(text), Image(signature),
             Tag("v1", image), container, volume, member}),
      IsOk());
  ExpectExact();
  const StoreTotals before = Totals();
  EXPECT_EQ(before.active_image_count, 1u);
  EXPECT_EQ(before.unused_volumes.count, 0u);
  Open();
  EXPECT_EQ(Totals(), before) << ToString(Totals()) << ToString(before);
  EXPECT_TRUE(IsLive(oci::Digest::Sha256Of(signature)));
  ExpectExact();
  const auto reader = graph_->Read();
  const NodeId web =
      reader->view().FindNamed({NodeKind::kContainer, 0, "", "web"});
  const auto record = graph_->GetNamed(web);
  ASSERT_THAT(record, IsOk());
  EXPECT_EQ(std::get<PutContainer>(*record).image_reference, "app:v1");
}

TEST_F(ReferenceGraphTest, AContainersStartEndAndRemovalAreUsesOfItsImage) {
  const std::string text = ImageText({"c"});
  const oci::Digest image = oci::Digest::Sha256Of(text);
  PutContainer container;
  container.store = "s";
  container.id = "web";
  container.image = image;
  container.state = ContainerState::kCreated;
  ASSERT_THAT(Apply({Blob("c", 5), Image(text), container}), IsOk());
  const auto used = [&] {
    const auto reader = graph_->Read();
    return reader->view().fields(reader->view().FindContent(0, image)).used;
  };
  EXPECT_EQ(used(), absl::InfinitePast());
  clock_.Advance(absl::Hours(1));
  container.state = ContainerState::kRunning;
  ASSERT_THAT(Apply({container}), IsOk());
  const absl::Time started = clock_.Now();
  EXPECT_EQ(used(), started);
  clock_.Advance(absl::Hours(1));
  const auto again = Apply({container});  // a scan sees it once more
  ASSERT_THAT(again, IsOk());
  EXPECT_EQ(again->changed_count, 0u);
  EXPECT_EQ(used(), started);
  container.state = ContainerState::kExited;
  ASSERT_THAT(Apply({container}), IsOk());
  EXPECT_EQ(used(), clock_.Now());
  Open();
  EXPECT_EQ(used(), clock_.Now());
  container.state = ContainerState::kRunning;
  clock_.Advance(absl::Hours(1));
  ASSERT_THAT(Apply({container}), IsOk());
  clock_.Advance(absl::Hours(1));
  ASSERT_THAT(Apply({RemoveNamed{"s", NodeKind::kContainer, "", "web"}}),
              IsOk());
  EXPECT_EQ(used(), clock_.Now());
  ExpectExact();
}

// What a rule counts from outlives a restart, and never comes out too early.
TEST_F(ReferenceGraphTest, SinceWhenAManifestHasNoRootIsDurable) {
  const std::string text = ImageText({"c"});
  const oci::Digest image = oci::Digest::Sha256Of(text);
  ASSERT_THAT(Apply({Blob("c", 5), Image(text), Tag("v1", image)}), IsOk());
  const auto since = [&] {
    const auto reader = graph_->Read();
    return reader->view()
        .fields(reader->view().FindContent(0, image))
        .unreferenced_since;
  };
  EXPECT_EQ(since(), absl::InfiniteFuture());
  clock_.Advance(absl::Hours(1));
  ASSERT_THAT(Apply({RemoveTag{"s", "app", "v1"}}), IsOk());
  const absl::Time untagged = clock_.Now();
  EXPECT_EQ(since(), untagged);
  ASSERT_THAT(graph_->BeginEpoch(), IsOk());
  clock_.Advance(absl::Hours(100));
  Open();
  EXPECT_EQ(since(), untagged);
  // Live for a while, and dead again: it counts anew, restarts in between.
  ASSERT_THAT(Apply({Tag("v1", image)}), IsOk());
  Open();
  EXPECT_EQ(since(), absl::InfiniteFuture());
  clock_.Advance(absl::Hours(1));
  ASSERT_THAT(Apply({RemoveTag{"s", "app", "v1"}}), IsOk());
  const absl::Time again = clock_.Now();
  // A crash before the next commit: later than it was, never earlier.
  clock_.Advance(absl::Hours(1));
  Open();
  EXPECT_GE(since(), again);
}

TEST_F(ReferenceGraphTest, AVolumeKnownAfterItsContainerIsConnected) {
  PutContainer container;
  container.store = "s";
  container.id = "web";
  container.volumes = {"data"};
  PutVolume volume;
  volume.store = "s";
  volume.name = "data";
  ASSERT_THAT(Apply({container}), IsOk());
  ASSERT_THAT(Apply({volume}), IsOk());
  EXPECT_EQ(Totals().unused_volumes.count, 0u);
  EXPECT_EQ(Totals().unknown_size_count, 2u);
}

// A link of a repository that is gone could not be read at the next start.
TEST_F(ReferenceGraphTest, ARepositoryGoesWithWhatItsOwnMutationHasPutThere) {
  const PutManifest image = Image(ImageText({"config", "layer"}));
  PutMembership link;
  link.store = "s";
  link.repository = "app";
  link.digest = image.name.digest;
  PutUpload upload;
  upload.store = "s";
  upload.repository = "app";
  upload.id = "u";
  const RemoveRepository removal{"s", "app"};
  const auto count = [&](NodeKind kind) {
    return Totals().by_kind[static_cast<size_t>(kind)].count;
  };
  const auto expect_gone = [&] {
    for (const NodeKind kind :
         {NodeKind::kRepository, NodeKind::kTag, NodeKind::kUpload}) {
      EXPECT_EQ(count(kind), 0u) << ToString(kind);
    }
    EXPECT_FALSE(IsLive(image.name.digest));
    ExpectExact();
    Open();
    ExpectExact();
  };
  // Of a repository that is new, and of one that was there.
  ASSERT_THAT(
      Apply({image, link, Tag("v1", image.name.digest), upload, removal}),
      IsOk());
  expect_gone();
  ASSERT_THAT(Apply({Tag("v1", image.name.digest), link}), IsOk());
  PutMembership layer = link;
  layer.digest = D("layer");
  layer.kind = store::MembershipKind::kLayer;
  ASSERT_THAT(
      Apply({layer, Tag("v2", image.name.digest), upload, removal, removal}),
      IsOk());
  expect_gone();
  // What is put behind the removal is another repository.
  ASSERT_THAT(Apply({link, removal, Tag("v3", image.name.digest)}), IsOk());
  Open();
  EXPECT_EQ(count(NodeKind::kTag), 1u);
  EXPECT_EQ(count(NodeKind::kRepository), 1u);
  EXPECT_TRUE(IsLive(image.name.digest));
  ExpectExact();
}

TEST_F(ReferenceGraphTest, TheNamesOfARepositoryGoInTheirOrder) {
  const auto upload = [](const std::string& id) {
    PutUpload put;
    put.store = "s";
    put.repository = "app";
    put.id = id;
    return put;
  };
  ASSERT_THAT(Apply({Tag("d", D("image")), upload("a"), Tag("b", D("image"))}),
              IsOk());
  auto page = graph_->ListEvents(0, 100);
  ASSERT_THAT(page, IsOk());
  const uint64_t before = page->newest_sequence;
  ASSERT_THAT(Apply({upload("c"), Tag("c", D("image")), Tag("a", D("image")),
                     RemoveRepository{"s", "app"}}),
              IsOk());
  page = graph_->ListEvents(before, 100);
  ASSERT_THAT(page, IsOk());
  std::vector<std::string> gone;
  for (const Event& event : page->events) {
    if (event.kind != EventKind::kRemoved) continue;
    gone.push_back(absl::StrCat(ToString(event.node_kind), " ", event.name));
  }
  EXPECT_THAT(gone, ElementsAre("tag a", "tag b", "tag c", "tag d", "upload a",
                                "upload c", "repository app"));
}

TEST_F(ReferenceGraphTest, CheckExistsRenewsTheGracePeriod) {
  options_.grace_period = absl::Hours(24);
  Open();
  PutBlob blob = Blob("a", 1);
  blob.modified = clock_.Now() - absl::Hours(48);
  ASSERT_THAT(Apply({blob}), IsOk());
  EXPECT_FALSE(IsLive(D("a")));
  EXPECT_THAT(graph_->CheckExists({"s", "", D("a")}, "test"),
              IsOkAndHolds(true));
  EXPECT_TRUE(IsLive(D("a")));
  EXPECT_THAT(graph_->CheckExists({"s", "", D("b")}, "test"),
              IsOkAndHolds(false));
  clock_.Advance(absl::Hours(24));
  EXPECT_FALSE(IsLive(D("a")));
  ExpectExact();
}

// Stands for the collector: moves the nodes back.
class FakeRestorer final : public Restorer {
 public:
  explicit FakeRestorer(ReferenceGraph* graph) : graph_(graph) {}
  absl::Status RestoreNodes(absl::Span<const NodeId> nodes,
                            absl::string_view actor) override {
    ++call_count;
    std::vector<StateChange> changes;
    for (const NodeId id : nodes) {
      changes.push_back({id, NodeState::kPresent, "r", ""});
    }
    return graph_->HoldWriteOrder()->Commit(changes, {}, {}, actor);
  }
  int call_count = 0;

 private:
  ReferenceGraph* graph_;
};

TEST_F(ReferenceGraphTest, ANewReferenceRestoresWhatIsInQuarantine) {
  FakeRestorer restorer(graph_.get());
  graph_->SetRestorer(&restorer);
  const std::string text = ImageText({"c", "l1"});
  const oci::Digest image = oci::Digest::Sha256Of(text);
  ASSERT_THAT(Apply({Blob("l1", 100), Blob("c", 5), Image(text)}), IsOk());
  std::vector<StateChange> changes;
  for (const oci::Digest& digest : {D("l1"), D("c"), image}) {
    changes.push_back({Find(digest), NodeState::kQuarantined, "r", ""});
  }
  ASSERT_THAT(graph_->HoldWriteOrder()->Commit(changes, {}, {}, "gc"), IsOk());
  EXPECT_EQ(Totals().quarantined.count, 3u);
  ExpectExact();
  ASSERT_THAT(Apply({Tag("v1", image)}), IsOk());
  EXPECT_EQ(restorer.call_count, 1);
  EXPECT_EQ(Totals().quarantined.count, 0u);
  EXPECT_TRUE(IsLive(D("l1")));
  ExpectExact();
}

TEST_F(ReferenceGraphTest, ForgettingAStoreForgetsItForGood) {
  ASSERT_THAT(Apply({Blob("a", 1), Tag("v1", D("a"))}), IsOk());
  ASSERT_THAT(graph_->ForgetStore("s"), IsOk());
  EXPECT_THAT(graph_->ForgetStore("s"), StatusIs(absl::StatusCode::kNotFound));
  Open();
  EXPECT_TRUE(graph_->Stores().empty());
}

TEST_F(ReferenceGraphTest, EventsTellWhatHappenedInOrder) {
  ASSERT_THAT(Apply({Blob("a", 1), Tag("v1", D("a"))}), IsOk());
  ASSERT_THAT(Apply({Tag("v1", D("b"))}), IsOk());
  const auto page = graph_->ListEvents(0, 100);
  ASSERT_THAT(page, IsOk());
  const std::vector<Event>& events = page->events;
  ASSERT_EQ(events.size(), 4u);
  EXPECT_EQ(events[3].kind, EventKind::kTagMoved);
  EXPECT_EQ(events[3].name, "v1");
  for (size_t i = 0; i < events.size(); ++i) {
    EXPECT_EQ(events[i].sequence, i + 1);
  }
  EXPECT_THAT(graph_->ListEvents(3, 100)->events.size(), 1u);
}

TEST_F(ReferenceGraphTest, OldEventsAreTrimmed) {
  options_.event_count_max = 2;
  Open();
  for (const char* letter : {"a", "b", "c", "d"}) {
    ASSERT_THAT(Apply({Blob(letter, 1)}), IsOk());
  }
  auto page = graph_->ListEvents(0, 100);
  ASSERT_THAT(page, IsOk());
  ASSERT_EQ(page->events.size(), 2u);
  EXPECT_EQ(page->events[0].sequence, 3u);
  EXPECT_EQ(page->oldest_sequence, 3u);
  EXPECT_EQ(page->newest_sequence, 4u);
  Open();
  page = graph_->ListEvents(0, 100);
  ASSERT_THAT(page, IsOk());
  EXPECT_EQ(page->oldest_sequence, 3u);
}

// A database that was written with a larger bound loses its oldest rows bit by
// bit: no commit does much.
TEST_F(ReferenceGraphTest, ALowerBoundTrimsALittleWithEachCommit) {
  for (int i = 0; i < 1000; ++i) {
    ASSERT_THAT(Apply({Blob(absl::StrCat(i), 1)}), IsOk());
  }
  options_.event_count_max = 10;
  Open();
  uint64_t oldest = 1;
  for (int i = 1000; i < 1010; ++i) {
    ASSERT_THAT(Apply({Blob(absl::StrCat(i), 1)}), IsOk());
    const auto page = graph_->ListEvents(0, 10'000);
    ASSERT_THAT(page, IsOk());
    EXPECT_LE(page->oldest_sequence - oldest, 257u);
    oldest = page->oldest_sequence;
    EXPECT_EQ(page->events.front().sequence, oldest);
    EXPECT_GE(page->events.size(), 10u);
  }
  EXPECT_EQ(oldest, 1001u);
}

TEST_F(ReferenceGraphTest, OldRequestsAreTrimmed) {
  const auto request_count = [&] {
    int count = 0;
    EXPECT_THAT(engine_.Scan(Family::kRequest, "", "",
                             [&](absl::string_view, absl::string_view) {
                               ++count;
                               return true;
                             }),
                IsOk());
    return count;
  };
  ASSERT_THAT(Apply({Blob("a", 1)}, "first"), IsOk());
  EXPECT_TRUE(Apply({Blob("a", 1)}, "first")->was_replayed);
  clock_.Advance(options_.request_memory - absl::Minutes(1));
  EXPECT_TRUE(Apply({Blob("a", 1)}, "first")->was_replayed);
  ASSERT_THAT(Apply({Blob("b", 1)}, "second"), IsOk());
  EXPECT_EQ(request_count(), 2);
  clock_.Advance(kRequestPeriod);
  ASSERT_THAT(Apply({Blob("c", 1)}, "third"), IsOk());
  EXPECT_EQ(request_count(), 2);
  EXPECT_FALSE(Apply({Blob("a", 1)}, "first")->was_replayed);
  EXPECT_TRUE(Apply({Blob("b", 1)}, "second")->was_replayed);
}

TEST_F(ReferenceGraphTest, AnswersAreRememberedAcrossARestart) {
  EXPECT_THAT(graph_->RecallAnswer("key"),
              IsOkAndHolds(std::optional<std::string>()));
  ASSERT_THAT(graph_->RememberAnswer("key", "run"), IsOk());
  // A mutation with the same id is another request.
  EXPECT_FALSE(Apply({Blob("a", 1)}, "key")->was_replayed);
  Open();
  EXPECT_THAT(graph_->RecallAnswer("key"),
              IsOkAndHolds(std::optional<std::string>("run")));
  clock_.Advance(options_.request_memory + absl::Seconds(1));
  EXPECT_THAT(graph_->RecallAnswer("key"),
              IsOkAndHolds(std::optional<std::string>()));
}

TEST_F(ReferenceGraphTest, TheClockDoesNotGoBack) {
  const absl::Time start = clock_.Now();
  ASSERT_THAT(Apply({Blob("a", 1)}), IsOk());
  clock_.Jump(start - absl::Hours(100));
  Open();
  ASSERT_THAT(Apply({Blob("b", 1)}), IsOk());
  const NodeId b = Find(D("b"));
  EXPECT_GE(graph_->Read()->view().fields(b).recorded, start);
}

// Labels are a map, which a message holds in any order.
TEST_F(ReferenceGraphTest, TheSameLabelsAreNoChangeWhateverTheirOrder) {
  Labels labels;
  for (int i = 0; i < 20; ++i) labels[absl::StrCat("label-", i)] = "value";
  PutContainer container;
  container.store = "s";
  container.id = "c";
  container.state = ContainerState::kRunning;
  container.labels = labels;
  PutSnapshot snapshot;
  snapshot.store = "s";
  snapshot.key = "k";
  snapshot.labels = labels;
  PutVolume volume;
  volume.store = "s";
  volume.name = "v";
  volume.labels = labels;
  PutNetwork network;
  network.store = "s";
  network.name = "n";
  network.labels = labels;
  PutLease lease;
  lease.store = "s";
  lease.id = "l";
  lease.labels = labels;
  PutImageConfig config;
  config.name = {"s", "", D("config")};
  config.labels = labels;
  const std::vector<Operation> operations = {container, snapshot, volume,
                                             network,   lease,    config};
  const auto first = Apply(operations);
  ASSERT_THAT(first, IsOk());
  EXPECT_EQ(first->changed_count, operations.size());
  for (int i = 0; i < 3; ++i) {
    const auto again = Apply(operations);
    ASSERT_THAT(again, IsOk());
    EXPECT_EQ(again->changed_count, 0u);
    EXPECT_EQ(again->sequence, first->sequence);
    Open();
    ASSERT_NE(graph_, nullptr);
  }
}

// It would keep itself for ever.
TEST_F(ReferenceGraphTest, ASnapshotDoesNotStandOnItself) {
  PutSnapshot snapshot;
  snapshot.store = "s";
  snapshot.key = "k";
  snapshot.parent = "k";
  ASSERT_THAT(Apply({snapshot}), IsOk());
  const auto reader = graph_->Read();
  const GraphView& view = reader->view();
  const NodeId id = view.FindNamed({NodeKind::kSnapshot, 0, "", "k"});
  ASSERT_NE(id, kNoNode);
  EXPECT_TRUE(view.Kept(id).empty());
}

// A sanitizer looks at the same code in each of them, ten times as long.
#ifdef ABSL_HAVE_ADDRESS_SANITIZER
constexpr int kMutationCount = 10000;
#else
constexpr int kMutationCount = 100000;
#endif

// 100,000 random mutations; at every 500th, and after all has been read from
// the engine again, the totals are the recount.  rpc/mutation_sequence_test
// recounts after each.
TEST_F(ReferenceGraphTest, TotalsAreExactOverAHundredThousandMutations) {
  const uint64_t seed = tests::AskSeed();
  std::mt19937_64 random(seed);
  const auto below = [&](uint64_t n) { return random() % n; };
  const auto letter = [&] { return absl::StrCat("b", below(300)); };
  std::vector<std::string> images;
  for (int i = 0; i < 200; ++i) {
    std::vector<std::string> blobs = {letter(), letter(), letter()};
    const bool is_referrer = !images.empty() && below(5) == 0;
    images.push_back(ImageText(
        blobs, is_referrer ? oci::Digest::Sha256Of(images[below(images.size())])
                           : oci::Digest()));
  }
  const auto image = [&] { return images[below(images.size())]; };
  for (int i = 0; i < kMutationCount; ++i) {
    std::vector<Operation> operations;
    switch (below(8)) {
      case 0:
        operations.push_back(Blob(letter(), below(1000)));
        break;
      case 1:
        operations.push_back(RemoveBlob{
            {"s", "",
             below(2) ? D(letter()) : oci::Digest::Sha256Of(image())}});
        break;
      case 2:
        operations.push_back(Image(image()));
        break;
      case 3:
      case 4:
        operations.push_back(
            Tag(absl::StrCat("v", below(50)), oci::Digest::Sha256Of(image())));
        break;
      case 5:
        operations.push_back(
            RemoveTag{"s", "app", absl::StrCat("v", below(50))});
        break;
      case 6: {
        PutContainer container;
        container.store = "s";
        container.id = absl::StrCat("c", below(20));
        container.image = oci::Digest::Sha256Of(image());
        operations.push_back(container);
        break;
      }
      case 7:
        operations.push_back(RemoveNamed{"s", NodeKind::kContainer, "",
                                         absl::StrCat("c", below(20))});
        break;
    }
    ASSERT_THAT(Apply(std::move(operations)), IsOk())
        << "RECLAIM_SEED=" << seed;
    if (i % 500 == 0) ExpectExact();
    if (HasFatalFailure()) return;
  }
  const StoreTotals before = Totals();
  Open();
  EXPECT_EQ(Totals(), before);
  ExpectExact();
}

}  // namespace
}  // namespace reclaim::index
