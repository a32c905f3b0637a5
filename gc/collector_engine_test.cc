// Collection on engines: their records are planned, taken away through them,
// and come back.

#include "absl/strings/str_cat.h"
#include "gc/engine_fixture.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "store/testing/fake_engine.h"

namespace reclaim::gc {
namespace {

using base::IsOk;
using base::StatusIs;
using index::NodeKind;
using store::ContainerState;
using store::RemovalKind;
using ::testing::HasSubstr;

class CollectorEngineTest : public EngineFixture {};

TEST_F(CollectorEngineTest, AScanTakesUpRecordsAndDropsThoseThatAreGone) {
  OpenEngine(false);
  const oci::Digest image = node_->AddImage("a", "v1", {"base", "a"}, 1000);
  AddSnapshot("base", "", {});
  AddSnapshot("top", "base", {});
  AddContainer("web", ContainerState::kRunning, image);
  node_->has.containers[0].snapshot = "top";
  node_->has.volumes.push_back(
      {"v", "local", store::Bytes{5, 5}, {}, false, {}});
  node_->has.networks.push_back({"n", "bridge", {}, false, {}});
  Scan();
  EXPECT_TRUE(Has(NodeKind::kContainer, "web"));
  EXPECT_TRUE(Has(NodeKind::kSnapshot, "top"));
  EXPECT_TRUE(Has(NodeKind::kVolume, "v"));
  EXPECT_TRUE(Has(NodeKind::kNetwork, "n"));
  const uint64_t sequence = graph_->Read()->sequence();
  Scan();
  EXPECT_EQ(graph_->Read()->sequence(), sequence) << "nothing was put again";
  node_->has.containers.clear();
  node_->has.volumes.clear();
  Scan();
  EXPECT_FALSE(Has(NodeKind::kContainer, "web"));
  EXPECT_FALSE(Has(NodeKind::kVolume, "v"));
  EXPECT_TRUE(Has(NodeKind::kNetwork, "n"));
}

TEST_F(CollectorEngineTest, AForeignHoldIsARootAndEndsWithTheEngines) {
  OpenEngine(false);
  const oci::Digest image = node_->AddImage("a", "v1", {"a"}, 1000);
  store::HoldFact hold;
  hold.id = std::string(store::kHoldPrefix) + "lease/default/x";
  store::HeldThing thing;
  thing.digest = image;
  hold.targets.push_back(thing);
  thing = {};
  thing.snapshot = "one that is not there";
  hold.targets.push_back(thing);
  node_->has.holds.push_back(hold);
  index::PutLease ours;
  ours.store = "s";
  ours.id = "client";
  Scan();
  ASSERT_THAT(Record({ours}), IsOk());
  EXPECT_TRUE(MakePlan(Request(PruneVerb::kAllImages)).items.empty());
  node_->has.holds.clear();
  Scan();
  EXPECT_TRUE(Has(NodeKind::kLease, "client")) << "no business of the engine";
  EXPECT_FALSE(MakePlan(Request(PruneVerb::kAllImages)).items.empty());
}

TEST_F(CollectorEngineTest, SnapshotsGoWithTheirImageAndComeBack) {
  OpenEngine(false);
  node_->AddImage("a", "v1", {"base", "a"}, 1000);
  const oci::Digest other = node_->AddImage("b", "v1", {"base", "b"}, 1000);
  AddSnapshot("base", "", {});
  AddSnapshot("a", "base",
              {oci::Digest::Sha256Of("{\"os\":\"linux\",\"of\":"
                                     "\"av1\"}")});
  AddSnapshot("b", "base",
              {oci::Digest::Sha256Of("{\"os\":\"linux\",\"of\":"
                                     "\"bv1\"}")});
  AddContainer("web", ContainerState::kExited, other);
  node_->has.containers[0].snapshot = "b";
  Scan();
  const Plan plan = MakePlan(Request(PruneVerb::kAllImages));
  EXPECT_EQ(plan.totals.bytes.content.logical_bytes, 1000u + 100u)
      << "the layer and the snapshot of a, not what b shares";
  const auto run = Apply(plan);
  ASSERT_THAT(run, IsOk());
  EXPECT_EQ(run->bytes.content, plan.totals.bytes.content);
  EXPECT_EQ(Count(node_->quarantined, RemovalKind::kSnapshot), 1u);
  EXPECT_EQ(node_->quarantined.back().name, "a") << "unpacked layers go last";
  EXPECT_EQ(node_->quarantined.front().kind, RemovalKind::kTag);
  EXPECT_FALSE(Has(NodeKind::kSnapshot, "a"));
  Scan();
  EXPECT_FALSE(Has(NodeKind::kSnapshot, "a")) << "what is held is not new";
  ASSERT_THAT(RestoreRun(run->id), IsOk());
  EXPECT_TRUE(Has(NodeKind::kSnapshot, "a"));
  EXPECT_TRUE(HasTag("a", "v1"));
  ExpectExact();
  const Plan again = MakePlan(Request(PruneVerb::kAllImages));
  EXPECT_EQ(again.totals.bytes.content, plan.totals.bytes.content);
}

TEST_F(CollectorEngineTest, ASnapshotStaysWhenItsImageIsTaggedAfterThePlan) {
  OpenEngine(false);
  const oci::Digest image = node_->AddImage("a", "v1", {"a"}, 1000);
  AddSnapshot("a", "",
              {oci::Digest::Sha256Of("{\"os\":\"linux\",\"of\":"
                                     "\"av1\"}")});
  Scan();
  const WholePlan plan = MakePlan(Request(PruneVerb::kAllImages));
  ASSERT_EQ(plan.items.size(), 5u);
  index::PutTag put;
  put.store = "s";
  put.repository = "new";
  put.tag = "v2";
  put.digest = image;
  ASSERT_THAT(Record({put}), IsOk());
  ASSERT_THAT(Apply(plan), IsOk());
  EXPECT_TRUE(Has(NodeKind::kSnapshot, "a"));
  EXPECT_EQ(Count(node_->quarantined, RemovalKind::kSnapshot), 0u);
  EXPECT_EQ(Count(node_->quarantined, RemovalKind::kBlob), 0u);
}

TEST_F(CollectorEngineTest, AnEngineWithoutUndoDeletesAtOnce) {
  OpenEngine(true);
  const oci::Digest used = node_->AddImage("a", "v1", {"base", "a"}, 1000);
  node_->AddImage("", "", {"base", "old"}, 1000);
  AddContainer("web", ContainerState::kRunning, used);
  AddContainer("done", ContainerState::kExited, used);
  node_->has.volumes.push_back(
      {"v", "local", store::Bytes{5, 5}, {}, true, {}});
  Scan();
  PruneRequest request = Request();
  request.with_volumes = true;
  const Plan plan = MakePlan(request);
  const auto run = Apply(plan);
  ASSERT_THAT(run, IsOk());
  EXPECT_EQ(run->phase, RunPhase::kSucceeded);
  EXPECT_EQ(run->bytes.content, plan.totals.bytes.content);
  EXPECT_EQ(run->bytes.content.logical_bytes, 1000u + 7u + 5u);
  EXPECT_EQ(Count(node_->purged, RemovalKind::kContainer), 1u);
  EXPECT_EQ(Count(node_->purged, RemovalKind::kVolume), 1u);
  EXPECT_EQ(QuarantineCount(), 0u);
  EXPECT_EQ(node_->has.containers.size(), 1u);
  Scan();
  EXPECT_TRUE(MakePlan(request).items.empty()) << "one run converges";
}

TEST_F(CollectorEngineTest, WhatTheEngineRefusesStays) {
  OpenEngine(true);
  const oci::Digest image = node_->AddImage("a", "v1", {"a"}, 1000);
  AddContainer("done", ContainerState::kExited, image);
  AddContainer("other", ContainerState::kExited, image);
  node_->refused.insert("done");
  Scan();
  const auto run = Apply(MakePlan(Request(PruneVerb::kContainers)));
  ASSERT_THAT(run, IsOk());
  EXPECT_EQ(run->item_count, 1u);
  EXPECT_EQ(run->bytes.content.logical_bytes, 7u) << "what was freed";
  ASSERT_EQ(run->skipped.size(), 1u);
  EXPECT_EQ(run->skipped[0].reason, SkipReason::kInUse);
  EXPECT_TRUE(Has(NodeKind::kContainer, "done"));
  EXPECT_FALSE(Has(NodeKind::kContainer, "other"));
  EXPECT_EQ(QuarantineCount(), 0u);
  ExpectExact();
}

TEST_F(CollectorEngineTest, WhatARefusedNameNamesStaysWithIt) {
  OpenEngine(true);
  const oci::Digest image = node_->AddImage("a", "v1", {"a"}, 1000);
  node_->AddImage("b", "v1", {"b"}, 1000);
  node_->refused.insert(image.ToString());
  Scan();
  const auto run = Apply(MakePlan(Request(PruneVerb::kAllImages)));
  ASSERT_THAT(run, IsOk());
  EXPECT_EQ(run->bytes.content.logical_bytes, 1000u) << "of b";
  EXPECT_TRUE(HasTag("a", "v1"));
  EXPECT_FALSE(HasTag("b", "v1"));
  EXPECT_EQ(StateOf(image), index::NodeState::kPresent);
  EXPECT_EQ(StateOf(oci::Digest::Sha256Of("a")), index::NodeState::kPresent);
  EXPECT_EQ(QuarantineCount(), 0u);
  Scan();
  EXPECT_EQ(graph_->Read()->totals(id_).image_count, 1u);
  ExpectExact();
}

// It was started after the plan, and no event has told of that yet.
TEST_F(CollectorEngineTest, WhatARefusedContainerUsesStays) {
  OpenEngine(false);
  const oci::Digest image = node_->AddImage("a", "v1", {"a"}, 1000);
  node_->AddImage("b", "v1", {"b"}, 1000);
  AddContainer("done", ContainerState::kExited, image);
  node_->kept.insert("done");
  Scan();
  PruneRequest request = Request();
  request.all_images = true;
  const auto run = Apply(MakePlan(request));
  ASSERT_THAT(run, IsOk());
  EXPECT_EQ(run->bytes.content.logical_bytes, 1000u) << "of b";
  EXPECT_TRUE(Has(NodeKind::kContainer, "done"));
  EXPECT_TRUE(HasTag("a", "v1"));
  EXPECT_FALSE(HasTag("b", "v1"));
  EXPECT_EQ(StateOf(image), index::NodeState::kPresent);
  EXPECT_EQ(StateOf(oci::Digest::Sha256Of("a")), index::NodeState::kPresent);
  EXPECT_EQ(Count(node_->quarantined, RemovalKind::kTag), 1u);
  ExpectExact();
}

TEST_F(CollectorEngineTest, ContainersGoBeforeWhatTheyUse) {
  OpenEngine(true);
  const oci::Digest image = node_->AddImage("a", "v1", {"a"}, 1000);
  AddContainer("done", ContainerState::kExited, image);
  Scan();
  PruneRequest request = Request();
  request.all_images = true;
  ASSERT_THAT(Apply(MakePlan(request)), IsOk());
  ASSERT_FALSE(node_->purged.empty());
  EXPECT_EQ(node_->purged[0].kind, RemovalKind::kContainer);
  EXPECT_EQ(node_->purged[1].kind, RemovalKind::kTag);
}

TEST_F(CollectorEngineTest, AnIndexThatIsGoneSparesNothing) {
  OpenEngine(true);
  const oci::Digest image = node_->AddImage("a", "v1", {"a"}, 1000);
  const std::string index = absl::StrCat(
      "{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":"
      "\"application/vnd.oci.image.manifest.v1+json\",\"digest\":\"",
      image.ToString(), "\",\"size\":0}]}");
  const oci::Digest digest = oci::Digest::Sha256Of(index);
  node_->texts[digest] = index;
  store::BlobFact blob;
  blob.digest = digest;
  blob.is_manifest = true;
  blob.stat.modified = absl::UnixEpoch();
  node_->has.blobs.push_back(blob);
  Scan();
  // An archive's index goes as soon as it has been taken in.
  node_->has.blobs.pop_back();
  Scan();
  EXPECT_EQ(StateOf(digest), index::NodeState::kAbsent);
  PruneRequest request = Request(PruneVerb::kAllImages);
  request.filter.references = {"a:v1"};
  EXPECT_EQ(MakePlan(request).totals.bytes.content.logical_bytes, 1000u);
}

TEST_F(CollectorEngineTest, ContentThatTheEngineKeepsIsPresentAgain) {
  OpenEngine(false);
  node_->AddImage("a", "v1", {"a"}, 1000);
  Scan();
  ASSERT_THAT(Apply(MakePlan(Request(PruneVerb::kAllImages))), IsOk());
  const oci::Digest layer = oci::Digest::Sha256Of("a");
  node_->refused.insert(layer.ToString());
  const auto run = PurgeNow();
  ASSERT_THAT(run, IsOk());
  EXPECT_EQ(run->bytes.content.logical_bytes, 0u);
  EXPECT_EQ(StateOf(layer), index::NodeState::kPresent);
  EXPECT_EQ(QuarantineCount(), 0u);
  ExpectExact();
}

TEST_F(CollectorEngineTest, AnEngineThatIsAwayLosesNothing) {
  OpenEngine(true);
  node_->AddImage("a", "v1", {"a"}, 1000);
  Scan();
  const Plan plan = MakePlan(Request(PruneVerb::kAllImages));
  node_->is_away = true;
  EXPECT_THAT(Apply(plan), StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_THAT(collector_->Sync("s", {}),
              StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_THAT(Apply(plan), StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_TRUE(node_->purged.empty());
  EXPECT_TRUE(HasTag("a", "v1"));
  ExpectExact();
  node_->is_away = false;
  ASSERT_THAT(collector_->RecoverStore("s"), IsOk());
  ASSERT_THAT(collector_->Sync("s", {}), IsOk());
  // The plan was not used up.
  const auto run = Apply(plan);
  ASSERT_THAT(run, IsOk());
  EXPECT_EQ(run->phase, RunPhase::kSucceeded);
  EXPECT_EQ(run->bytes.content, plan.totals.bytes.content);
  EXPECT_FALSE(HasTag("a", "v1"));
  ExpectExact();
}

TEST_F(CollectorEngineTest, AParentGoesWithItsLastChild) {
  OpenEngine(true);
  const oci::Digest parent = node_->AddImage("", "", {"base"}, 1000);
  const std::string child = absl::StrCat(
      "{\"schemaVersion\":2,\"config\":{\"digest\":\"",
      oci::Digest::Sha256Of("c").ToString(),
      "\",\"mediaType\":\"application/vnd.oci.image.config.v1+json\",\"size\":"
      "0},\"layers\":[{\"digest\":\"",
      parent.ToString(),
      "\",\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\","
      "\"size\":0}]}");
  const oci::Digest digest = oci::Digest::Sha256Of(child);
  node_->texts[digest] = child;
  store::BlobFact blob;
  blob.digest = digest;
  blob.is_manifest = true;
  blob.stat.modified = absl::UnixEpoch();
  node_->has.blobs.push_back(blob);
  node_->has.tags.push_back({"app", "v1", digest, "", absl::UnixEpoch()});
  node_->has.repositories.push_back({"app", ""});
  Scan();
  EXPECT_TRUE(MakePlan(Request(PruneVerb::kImages)).items.empty())
      << "not dangling while its child is there (case 18)";
  EXPECT_EQ(graph_->Read()->totals(id_).dangling_image_count, 0u);
  EXPECT_EQ(graph_->Read()->totals(id_).image_count, 1u);
  ASSERT_THAT(Apply(MakePlan(Request(PruneVerb::kAllImages))), IsOk());
  EXPECT_TRUE(node_->has.blobs.empty()) << "the whole chain (case 19)";
}

// Docker's: the engine frees them with the last of both.
TEST_F(CollectorEngineTest, LayersThatTheBuildCacheHasStayWithIt) {
  OpenEngine(true);
  node_->AddImage("a", "v1", {"base", "a"}, 1000);
  node_->AddImage("b", "v1", {"base", "b"}, 500);
  store::BuildCacheFact cache;
  cache.id = "r";
  cache.bytes = store::Bytes();
  cache.is_shared = true;
  cache.layers = {oci::Digest::Sha256Of("a")};
  node_->has.build_cache.push_back(cache);
  Scan();
  PruneRequest system = Request();
  system.all_images = true;
  system.all_cache = true;
  const Plan both = MakePlan(system);
  EXPECT_EQ(both.totals.bytes.content.logical_bytes, 2500u);
  EXPECT_EQ(both.cached.blob_count, 0u) << "the cache goes as well";
  PruneRequest named = Request(PruneVerb::kImages);
  named.only_references = {"b:v1"};
  EXPECT_EQ(MakePlan(named).cached.blob_count, 0u) << "it has nothing of b";
  named.only_references = {"a:v1"};
  EXPECT_EQ(MakePlan(named).cached.bytes.logical_bytes, 1000u);

  const Plan plan = MakePlan(Request(PruneVerb::kAllImages));
  EXPECT_EQ(plan.totals.bytes.content.logical_bytes, 1500u);
  EXPECT_EQ(plan.cached.blob_count, 1u);
  EXPECT_EQ(plan.cached.bytes.logical_bytes, 1000u);
  const auto stored = collector_->GetPlan(plan.id, 0, 0);
  ASSERT_THAT(stored.status(), IsOk());
  EXPECT_EQ(stored->plan.cached.blob_count, 1u) << "it is told later as well";
  const auto run = Apply(plan);
  ASSERT_THAT(run, IsOk());
  EXPECT_EQ(run->bytes.content, plan.totals.bytes.content);
  EXPECT_TRUE(run->skipped.empty());
  EXPECT_TRUE(Has(NodeKind::kBuildCache, "r"));
  EXPECT_EQ(StateOf(oci::Digest::Sha256Of("a")), index::NodeState::kPresent);
  ExpectExact();
}

}  // namespace
}  // namespace reclaim::gc
