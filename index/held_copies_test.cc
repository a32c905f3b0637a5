// What is held in no place is held wherever it is, now and later.

#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/simulated_clock.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "index/engine.h"
#include "index/graph_records.h"
#include "index/graph_view.h"
#include "index/memory_engine.h"
#include "index/mutation.h"
#include "index/node.h"
#include "index/recount.h"
#include "index/reference_graph.h"
#include "oci/digest.h"
#include "oci/media_type.h"
#include "reclaim/storage/v1/storage.pb.h"
#include "store/types.h"

namespace reclaim::index {
namespace {

using ::reclaim::base::IsOk;
using ::reclaim::base::IsOkAndHolds;
using ::reclaim::base::StatusIs;
using ::testing::HasSubstr;

oci::Digest D(const std::string& letter) {
  return oci::Digest::Sha256Of(letter);
}

// Gives back at once, and remembers what.
class Returner final : public Restorer {
 public:
  explicit Returner(ReferenceGraph* graph) : graph_(graph) {
    graph_->SetRestorer(this);
  }
  ~Returner() override { graph_->SetRestorer(nullptr); }

  absl::Status RestoreNodes(absl::Span<const NodeId> nodes,
                            absl::string_view actor) override {
    std::vector<StateChange> changes;
    for (const NodeId node : nodes) {
      changes.push_back({node, NodeState::kPresent, "run", ""});
    }
    returned_count_ += nodes.size();
    return graph_->HoldWriteOrder()->Commit(changes, {}, {}, actor);
  }
  size_t returned_count() const { return returned_count_; }

 private:
  ReferenceGraph* graph_;
  size_t returned_count_ = 0;
};

// An image of one config and one layer.
std::string ImageText(const std::string& config, const std::string& layer) {
  const auto part = [](const std::string& letter, const char* type) {
    return absl::StrCat(R"({"mediaType":")", type, R"(","digest":")",
                        D(letter).ToString(), R"(","size":1})");
  };
  return absl::StrCat(R"({"mediaType":")", oci::kOciManifestType,
                      R"(","config":)", part(config, oci::kOciConfigType),
                      R"(,"layers":[)", part(layer, "application/x-layer"),
                      "]}");
}

class HeldCopiesTest : public ::testing::Test {
 protected:
  HeldCopiesTest() {
    options_.grace_period = absl::ZeroDuration();
    Open();
    StoreRecord store;
    store.name = "s";
    store.kind = store::StoreKind::kImageLayout;
    EXPECT_THAT(graph_->RegisterStore(store), IsOk());
  }

  void Open() {
    graph_.reset();
    auto opened = ReferenceGraph::Open(&engine_, &clock_, options_);
    ASSERT_THAT(opened, IsOk());
    graph_ = *std::move(opened);
  }

  uint64_t Apply(std::vector<Operation> operations) {
    Mutation mutation;
    mutation.operations = std::move(operations);
    mutation.actor = "test";
    const auto applied = graph_->Apply(mutation, Durability::kDurable);
    EXPECT_THAT(applied, IsOk());
    ExpectExact();
    return applied.ok() ? applied->changed_count : 0;
  }

  static PutBlob Blob(const std::string& place, const std::string& letter) {
    PutBlob op;
    op.name = {"s", place, D(letter)};
    op.bytes = {10, 10};
    return op;
  }
  static PutManifest Image(const std::string& place,
                           const std::string& layer = "layer") {
    PutManifest op;
    op.bytes = ImageText("config", layer);
    op.name = {"s", place, D(op.bytes)};
    return op;
  }
  // A whole image.
  void PutImage(const std::string& place) {
    Apply({Blob(place, "config"), Blob(place, "layer"), Image(place)});
  }
  static PutPin Pin(const oci::Digest& digest, const std::string& place = "") {
    PutPin op;
    op.store = "s";
    op.id = "p";
    op.target.content = ContentName{"s", place, digest};
    return op;
  }
  static PutLease Lease(const std::vector<std::string>& letters) {
    PutLease op;
    op.store = "s";
    op.id = "l";
    for (const std::string& letter : letters) {
      op.targets.emplace_back().content = ContentName{"s", "", D(letter)};
    }
    return op;
  }
  static PutContainer Container() {
    PutContainer op;
    op.store = "s";
    op.id = "c";
    op.state = ContainerState::kRunning;
    return op;
  }

  bool IsLive(const std::string& place, const oci::Digest& digest) {
    const auto reader = graph_->Read();
    const GraphView& view = reader->view();
    const NodeId id = view.FindContent(view.FindPlace(0, place), digest);
    return id != kNoNode && reader->IsLive(id);
  }
  // The image with all that it is made of.
  bool IsImageLive(const std::string& place) {
    return IsLive(place, D(ImageText("config", "layer"))) &&
           IsLive(place, D("config")) && IsLive(place, D("layer"));
  }
  NodeId FindNamed(NodeKind kind, const std::string& name) {
    return graph_->Read()->view().FindNamed({kind, 0, "", name});
  }

  NodeId Find(const std::string& place, const oci::Digest& digest) {
    const auto reader = graph_->Read();
    const GraphView& view = reader->view();
    return view.FindContent(view.FindPlace(0, place), digest);
  }
  Epoch StampOf(const std::string& place, const oci::Digest& digest) {
    const NodeId id = Find(place, digest);
    return graph_->Read()->view().fields(id).stamp;
  }
  void Quarantine(const std::string& place,
                  const std::vector<oci::Digest>& digests) {
    std::vector<StateChange> changes;
    for (const oci::Digest& digest : digests) {
      changes.push_back(
          {Find(place, digest), NodeState::kQuarantined, "run", ""});
    }
    EXPECT_THAT(graph_->HoldWriteOrder()->Commit(changes, {}, {}, "test"),
                IsOk());
  }

  void ExpectExact() {
    const auto reader = graph_->Read();
    RecountInputs inputs;
    inputs.store = 0;
    inputs.now = clock_.Now();
    EXPECT_EQ(reader->totals(0), Recount(reader->view(), inputs));
  }

  MemoryEngine engine_;
  base::SimulatedClock clock_;
  GraphOptions options_;
  std::unique_ptr<ReferenceGraph> graph_;
  const oci::Digest image_ = D(ImageText("config", "layer"));
};

TEST_F(HeldCopiesTest, APinInNoPlaceHoldsEachCopyAndOneInAPlaceThatAlone) {
  PutImage("a");
  PutImage("b");
  Apply({Pin(image_)});
  EXPECT_TRUE(IsImageLive("a"));
  EXPECT_TRUE(IsImageLive("b"));
  EXPECT_EQ(Apply({Pin(image_)}), 0u) << "the same again";
  Apply({RemoveNamed{"s", NodeKind::kPin, "", "p"}});
  EXPECT_FALSE(IsImageLive("a"));
  EXPECT_FALSE(IsImageLive("b"));
  Apply({Pin(image_, "b")});
  EXPECT_FALSE(IsImageLive("a"));
  EXPECT_TRUE(IsImageLive("b"));
}

TEST_F(HeldCopiesTest, WhatComesLaterIsHeldAndStaysSo) {
  Apply({Pin(image_)});
  PutImage("b");
  EXPECT_TRUE(IsImageLive("b"));
  PutImage("a");
  EXPECT_TRUE(IsImageLive("a"));
  EXPECT_EQ(Apply({Pin(image_)}), 0u) << "the order is that of arrival";
  Open();
  ExpectExact();
  EXPECT_TRUE(IsImageLive("a"));
  EXPECT_TRUE(IsImageLive("b"));
}

TEST_F(HeldCopiesTest, WhatWasAbsentAndComesBackIsHeld) {
  PutImage("a");
  Apply({RemoveBlob{{"s", "a", image_}}});
  Apply({Pin(image_)});
  EXPECT_FALSE(IsLive("a", image_));
  Apply({Image("a")});
  EXPECT_TRUE(IsImageLive("a"));
}

TEST_F(HeldCopiesTest, OneMutationMayBringBoth) {
  Apply({Pin(image_), Blob("a", "config"), Blob("a", "layer"), Image("a")});
  EXPECT_TRUE(IsImageLive("a"));
  Apply({RemoveNamed{"s", NodeKind::kPin, "", "p"}});
  Apply({Blob("b", "config"), Blob("b", "layer"), Image("b"), Pin(image_)});
  EXPECT_TRUE(IsImageLive("a"));
  EXPECT_TRUE(IsImageLive("b"));
}

TEST_F(HeldCopiesTest, AContainerHoldsWhatItsReferenceNames) {
  PutContainer container = Container();
  container.image_reference = absl::StrCat("app@", image_.ToString());
  Apply({container});
  PutImage("a");
  EXPECT_TRUE(IsImageLive("a"));
}

// Docker's id of an image is the digest of its config.
TEST_F(HeldCopiesTest, AContainerHoldsTheImageWhoseConfigItNamed) {
  PutContainer container = Container();
  container.image = D("config");
  Apply({container});
  Apply({Blob("a", "config"), Blob("a", "layer")});
  EXPECT_TRUE(IsLive("a", D("config")));
  Apply({Image("a")});
  EXPECT_TRUE(IsImageLive("a"));
  PutImage("b");
  EXPECT_TRUE(IsImageLive("b"));
}

// The folder of the store may be a layout itself: what the container said holds
// beyond the image that is there.
TEST_F(HeldCopiesTest, AConfigIsHeldElsewhereAlsoIfItsImageLiesInNoPlace) {
  PutImage("");
  PutContainer container = Container();
  container.image = D("config");
  Apply({container});
  EXPECT_TRUE(IsImageLive(""));
  Apply({Blob("b", "config"), Blob("b", "other"), Image("b", "other")});
  EXPECT_TRUE(IsLive("b", D("config")));
  EXPECT_TRUE(IsLive("b", D(ImageText("config", "other"))));
  EXPECT_TRUE(IsLive("b", D("other")));
  EXPECT_EQ(Apply({container}), 0u) << "the same again";
}

// An image of which its config alone would come back is none.
TEST_F(HeldCopiesTest, AConfigBringsItsImageBackFromQuarantine) {
  PutImage("a");
  Quarantine("a", {image_, D("config"), D("layer")});
  const Returner returner(graph_.get());
  PutContainer container = Container();
  container.image = D("config");
  Apply({container});
  EXPECT_EQ(returner.returned_count(), 3u);
  EXPECT_TRUE(IsImageLive("a"));
}

TEST_F(HeldCopiesTest, MountedImagesNeedNotLieBesideTheContainersOwn) {
  PutImage("b");
  Apply({Blob("a", "other")});
  PutContainer container = Container();
  container.image = D("other");
  container.place = "a";
  container.mounted_images = {image_};
  Apply({container});
  EXPECT_TRUE(IsLive("a", D("other")));
  EXPECT_TRUE(IsImageLive("b"));
  PutImage("c");
  EXPECT_TRUE(IsImageLive("c"));
}

TEST_F(HeldCopiesTest, ASnapshotPassesOnToAllThatItWasMadeOf) {
  PutImage("a");
  PutSnapshot snapshot;
  snapshot.store = "s";
  snapshot.key = "k";
  snapshot.image = image_;
  snapshot.unpacked_from = {D("config")};
  PutContainer container = Container();
  container.snapshot = "k";
  Apply({snapshot, container});
  EXPECT_TRUE(IsImageLive("a"));
  PutImage("b");
  EXPECT_TRUE(IsImageLive("b"));
}

TEST_F(HeldCopiesTest, AnEarlierVersionsPinIsHeldFromTheNextStartOn) {
  PutImage("a");
  Apply({Pin(image_)});
  // As it was recorded then: the place "" alone.
  const std::string key = IdKey(FindNamed(NodeKind::kPin, "p"));
  const auto value = engine_.Get(Family::kNamed, key);
  ASSERT_THAT(value, IsOk());
  storage::v1::NamedRecord record;
  ASSERT_TRUE(value->has_value() && record.ParseFromString(**value));
  ASSERT_EQ(record.targets_size(), 2);
  record.mutable_targets()->Truncate(1);
  Batch batch;
  batch.Put(Family::kNamed, key, record.SerializeAsString());
  ASSERT_THAT(engine_.Commit(batch, Durability::kDurable), IsOk());
  Open();
  EXPECT_TRUE(IsImageLive("a"));
  ExpectExact();
}

TEST_F(HeldCopiesTest, ALeaseNamesEachTargetOnce) {
  Apply({Lease({"x", "y"})});
  Apply({Lease({"y", "z"})});
  const auto record = graph_->GetNamed(FindNamed(NodeKind::kLease, "l"));
  ASSERT_THAT(record, IsOk());
  EXPECT_EQ(std::get<PutLease>(*record).targets.size(), 3u);
  EXPECT_EQ(Apply({Lease({"x"})}), 0u);
}

// It holds them all the while: a client that renews hundreds of leases, of
// thousands of digests each, asks for a time and no more.
TEST_F(HeldCopiesTest, ARenewalLooksAtNothingThatTheLeaseHas) {
  PutImage("a");
  PutImage("b");
  PutSnapshot snapshot;
  snapshot.store = "s";
  snapshot.key = "k";
  PutLease lease = Lease({"config"});
  lease.expires = clock_.Now() + absl::Hours(1);
  Target& named = lease.targets.emplace_back();
  named.kind = NodeKind::kSnapshot;
  named.name = "k";
  const Target by_name = named;
  Apply({snapshot, lease});
  const auto epoch = graph_->BeginEpoch();
  ASSERT_THAT(epoch, IsOk());
  lease.expires = clock_.Now() + absl::Hours(2);
  lease.targets.clear();
  EXPECT_EQ(Apply({lease}), 1u);
  EXPECT_LT(StampOf("a", D("config")), *epoch);
  Apply({RemoveNamed{"s", NodeKind::kSnapshot, "", "k"}});
  // Who asks for it by its name is told that nothing is held.
  lease.targets = {by_name};
  Mutation asked;
  asked.operations = {lease};
  EXPECT_THAT(
      graph_->Apply(asked, Durability::kDurable),
      StatusIs(absl::StatusCode::kNotFound, HasSubstr("k is not known")));
  // What has gone is no reason to let the rest go.
  lease.targets = Lease({"layer", "config"}).targets;
  EXPECT_EQ(Apply({lease}), 1u);
  EXPECT_LT(StampOf("a", D("config")), *epoch);
  EXPECT_EQ(StampOf("a", D("layer")), *epoch);
  EXPECT_EQ(StampOf("b", D("layer")), *epoch);
  clock_.Advance(absl::Minutes(90));
  EXPECT_TRUE(IsLive("a", D("config")));
  EXPECT_TRUE(IsLive("b", D("layer")));
  // Whatever has its name is held again from then on.
  Apply({snapshot});
  const NodeId again = FindNamed(NodeKind::kSnapshot, "k");
  EXPECT_FALSE(graph_->Read()->IsLive(again));
  lease.expires = clock_.Now() + absl::Hours(2);
  lease.targets.clear();
  Apply({lease});
  EXPECT_TRUE(graph_->Read()->IsLive(again));
}

// It has held nothing for a while: what it names is named anew.
TEST_F(HeldCopiesTest, ALeaseThatHadExpiredBringsBackWhatItHeld) {
  PutImage("a");
  PutLease lease = Lease({"layer"});
  lease.expires = clock_.Now() + absl::Hours(1);
  Apply({lease});
  clock_.Advance(absl::Hours(2));
  EXPECT_FALSE(IsLive("a", D("layer")));
  Quarantine("a", {D("layer")});
  const auto epoch = graph_->BeginEpoch();
  ASSERT_THAT(epoch, IsOk());
  const Returner returner(graph_.get());
  lease.expires = clock_.Now() + absl::Hours(1);
  lease.targets.clear();
  Apply({lease});
  EXPECT_EQ(returner.returned_count(), 1u);
  EXPECT_TRUE(IsLive("a", D("layer")));
  EXPECT_EQ(StampOf("a", D("layer")), *epoch);
}

TEST_F(HeldCopiesTest, AUseInNoPlaceIsOneOfEachCopy) {
  PutImage("a");
  PutImage("b");
  const auto epoch = graph_->BeginEpoch();
  ASSERT_THAT(epoch, IsOk());
  Touch touch;
  touch.name = {"s", "", image_};
  EXPECT_EQ(Apply({touch}), 2u);
  EXPECT_EQ(StampOf("a", image_), *epoch);
  EXPECT_EQ(StampOf("b", image_), *epoch);
  touch.name.place = "a";
  clock_.Advance(absl::Hours(1));
  EXPECT_EQ(Apply({touch}), 1u);
  for (const std::string place : {"", "nowhere"}) {
    touch.name = {"s", place, D("unknown")};
    EXPECT_FALSE(
        graph_->Apply({{touch}, "", "test"}, Durability::kDurable).ok())
        << place;
  }
}

TEST_F(HeldCopiesTest, WhatIsAskedForInNoPlaceIsHereIfAnyCopyIs) {
  PutImage("a");
  Apply({Blob("b", "config")});
  Quarantine("b", {D("config")});
  Apply({Pin(D("elsewhere"))});  // makes the place ""
  const auto epoch = graph_->BeginEpoch();
  ASSERT_THAT(epoch, IsOk());
  const Returner returner(graph_.get());
  const std::vector<ContentName> names = {{"s", "", D("config")},
                                          {"s", "", D("elsewhere")},
                                          {"s", "", D("layer")},
                                          {"s", "b", D("layer")},
                                          {"s", "nowhere", D("layer")}};
  EXPECT_THAT(graph_->CheckExists(names, "test"),
              IsOkAndHolds(std::vector<bool>{true, false, true, false, false}));
  EXPECT_EQ(returner.returned_count(), 1u) << "each copy is asked for";
  EXPECT_EQ(StampOf("a", D("config")), *epoch);
  EXPECT_EQ(StampOf("b", D("config")), *epoch);
}

// More names than are looked up one by one.
TEST_F(HeldCopiesTest, ManyDigestsInManyPlacesAreFoundInOneWalk) {
  std::vector<Operation> blobs;
  for (int place = 0; place < 1001; ++place) {
    blobs.push_back(Blob(absl::StrCat("p", place), "filler"));
  }
  Apply(blobs);
  Apply({Blob("p0", "0"), Blob("p1000", "0"), Blob("p500", "99")});
  std::vector<std::string> letters;
  for (int i = 0; i < 100; ++i) letters.push_back(absl::StrCat(i));
  Apply({Lease(letters)});
  EXPECT_TRUE(IsLive("p0", D("0")));
  EXPECT_TRUE(IsLive("p1000", D("0")));
  EXPECT_TRUE(IsLive("p500", D("99")));
  EXPECT_FALSE(IsLive("p7", D("filler")));
}

}  // namespace
}  // namespace reclaim::index
