#include "gc/deletion_guard.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "base/fault_point.h"
#include "base/status_matchers.h"
#include "gc/deletion_guard_fixture.h"
#include "gc/plan.h"
#include "gc/records.h"
#include "gc/run.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "index/mutation.h"
#include "index/node.h"
#include "index/reference_graph.h"
#include "oci/digest.h"
#include "store/testing/store_tree.h"
#include "store/types.h"

namespace reclaim::gc {
namespace {

using ::reclaim::base::IsOk;
using ::reclaim::base::StatusIs;
using ::testing::HasSubstr;

using index::NodeKind;
using index::NodeState;

class DeletionGuardTest : public DeletionGuardFixture {};

TEST_F(DeletionGuardTest, WhatNothingKeepsMayGo) {
  EXPECT_THAT(
      Judge({BlobItem(D("loose")), BlobItem(D("layer")), BlobItem(D(Text()))}),
      ::testing::Each(SkipReason::kNone));
}

TEST_F(DeletionGuardTest, ARootThatCameSinceKeepsAllBelow) {
  const PlanItem layer = BlobItem(D("layer"));
  ASSERT_THAT(Record({Tag("app", "v1", D(Text()))}), IsOk());
  EXPECT_EQ(JudgeOne(layer), SkipReason::kTouched);
  NextEpoch();  // the stamp alone would not say it
  EXPECT_EQ(JudgeOne(layer), SkipReason::kBecameLive);
  EXPECT_EQ(JudgeOne(BlobItem(D("loose"))), SkipReason::kNone);
}

TEST_F(DeletionGuardTest, ALeaseKeepsUntilItHasPassed) {
  index::PutLease lease;
  lease.store = "s";
  lease.id = "l";
  lease.expires = clock_.Now();
  index::Target target;
  target.content = index::ContentName{"s", "", D(Text())};
  lease.targets = {target};
  ASSERT_THAT(Record({lease}), IsOk());
  NextEpoch();
  EXPECT_EQ(JudgeOne(BlobItem(D("layer"))), SkipReason::kLeased)
      << "exactly now has not passed";
  terms_.keeper.now += absl::Microseconds(1);
  EXPECT_EQ(JudgeOne(BlobItem(D("layer"))), SkipReason::kNone);
}

TEST_F(DeletionGuardTest, AFlatLeaseKeepsWhatItNamesAndNothingBelow) {
  index::PutLease lease;
  lease.store = "s";
  lease.id = "l";
  lease.is_flat = true;
  index::Target target;
  target.content = index::ContentName{"s", "", D(Text())};
  lease.targets = {target};
  ASSERT_THAT(Record({lease}), IsOk());
  NextEpoch();
  EXPECT_EQ(JudgeOne(BlobItem(D(Text()))), SkipReason::kLeased);
  EXPECT_EQ(JudgeOne(BlobItem(D("layer"))), SkipReason::kNone);
}

TEST_F(DeletionGuardTest, AContainerThatCameSinceIsUse) {
  index::PutContainer container;
  container.store = "s";
  container.id = "web";
  container.image = D(Text());
  ASSERT_THAT(Record({container}), IsOk());
  NextEpoch();
  EXPECT_EQ(JudgeOne(BlobItem(D("config"))), SkipReason::kInUse);
}

TEST_F(DeletionGuardTest, WhatIsYoungIsKept) {
  index::PutBlob again = Blob("loose");
  again.modified = clock_.Now() + absl::Hours(1);
  ASSERT_THAT(Record({again}), IsOk());
  EXPECT_EQ(JudgeOne(BlobItem(D("loose"))), SkipReason::kTouched)
      << "written later than the plan";
  terms_.keeper.planned = absl::InfiniteFuture();
  EXPECT_EQ(JudgeOne(BlobItem(D("loose"))), SkipReason::kBecameLive);
}

TEST_F(DeletionGuardTest, WhatIsGoneOrAnotherThingIsLeft) {
  PlanItem loose = BlobItem(D("loose"));
  loose.kind = NodeKind::kLayer;
  EXPECT_EQ(JudgeOne(loose), SkipReason::kChanged);
  ASSERT_THAT(Record({index::RemoveBlob{{"s", "", D("loose")}}}), IsOk());
  EXPECT_EQ(JudgeOne(BlobItem(D("loose"))), SkipReason::kGone);
}

TEST_F(DeletionGuardTest, AnUnreadableScopeIsNotJudged) {
  terms_.unreadable_scopes = {{"app", "torn"}};
  EXPECT_EQ(JudgeOne(BlobItem(D("loose"))), SkipReason::kScopeKept);
  terms_.unreadable_scopes = {{"", "all"}};
  EXPECT_EQ(JudgeOne(BlobItem(D("loose"))), SkipReason::kScopeKept);
  terms_.unreadable_scopes = {{"elsewhere", "torn"}};
  EXPECT_EQ(JudgeOne(BlobItem(D("loose"))), SkipReason::kNone);
}

TEST_F(DeletionGuardTest, ATagThatMovedStays) {
  ASSERT_THAT(Record({Tag("app", "v1", D(Text()))}), IsOk());
  NextEpoch();
  const PlanItem tag = TagItem("v1", D(Text()));
  EXPECT_EQ(JudgeOne(tag), SkipReason::kNone);
  // In one batch the image goes with its last name.
  EXPECT_THAT(Judge({tag, BlobItem(D(Text())), BlobItem(D("layer"))}),
              ::testing::Each(SkipReason::kNone));
  ASSERT_THAT(Record({Tag("app", "v1", D("loose"))}), IsOk());
  EXPECT_EQ(JudgeOne(tag), SkipReason::kChanged);
  ASSERT_THAT(Record({index::RemoveTag{"s", "app", "v1"}}), IsOk());
  EXPECT_EQ(JudgeOne(tag), SkipReason::kGone);
}

TEST_F(DeletionGuardTest, ATagWhoseImageWasPulledStays) {
  ASSERT_THAT(Record({Tag("app", "v1", D(Text()))}), IsOk());
  NextEpoch();
  index::Touch touch;
  touch.name = {"s", "", D(Text())};
  ASSERT_THAT(Record({touch}), IsOk());
  EXPECT_EQ(JudgeOne(TagItem("v1", D(Text()))), SkipReason::kTouched);
}

TEST_F(DeletionGuardTest, ALinkIsJudgedInItsRepository) {
  const absl::Time old = clock_.Now() - absl::Hours(90);
  ASSERT_THAT(Record({Link("app", "layer", old), Link("lib", "layer", old),
                      Tag("lib", "v1", D(Text()))}),
              IsOk());
  NextEpoch();
  EXPECT_EQ(JudgeOne(LinkItem("app", "layer")), SkipReason::kNone);
  EXPECT_EQ(JudgeOne(LinkItem("lib", "layer")), SkipReason::kBecameLive);
  EXPECT_EQ(JudgeOne(LinkItem("none", "layer")), SkipReason::kGone);
  ASSERT_THAT(Record({Link("app", "layer", clock_.Now() + absl::Hours(1))}),
              IsOk());
  EXPECT_EQ(JudgeOne(LinkItem("app", "layer")), SkipReason::kTouched);
}

TEST_F(DeletionGuardTest, APermitComesAfterTheRecord) {
  {
    DeletionGuard guard(graph_.get());
    EXPECT_DEATH(static_cast<void>(guard.permit()), "no permit before");
  }
  const index::NodeId loose = NodeOf(D("loose"));
  DeletionGuard guard(graph_.get());
  ASSERT_THAT(
      guard.Record({{loose, NodeState::kQuarantined, "r", ""}}, {}, {}, "test"),
      IsOk());
  static_cast<void>(guard.permit());
  // The write order is free again: a writer does not wait for the guard.
  EXPECT_THAT(Record({Blob("another")}), IsOk());
}

TEST_F(DeletionGuardTest, NoPermitWithoutADurableRecord) {
  const index::NodeId loose = NodeOf(D("loose"));
  DeletionGuard guard(graph_.get());
  base::ScopedFault fault("engine.commit",
                          absl::ResourceExhaustedError("disk full"));
  EXPECT_THAT(
      guard.Record({{loose, NodeState::kQuarantined, "r", ""}}, {}, {}, "test"),
      StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_DEATH(static_cast<void>(guard.permit()), "no permit before");
}

TEST_F(DeletionGuardTest, WhatIsInQuarantineOrHasAnotherDigestIsLeft) {
  PlanItem other = BlobItem(D("loose"));
  other.digest = D("layer");
  const Verdict verdict = Verdicts({other})[0];
  EXPECT_EQ(verdict.reason, SkipReason::kChanged);
  EXPECT_THAT(verdict.detail, HasSubstr("it is known to be a"));
  const PlanItem loose = BlobItem(D("loose"));
  Quarantine(D("loose"));
  EXPECT_EQ(JudgeOne(loose), SkipReason::kGone);
  PlanItem never = loose;
  never.node = index::kNoNode - 1;
  EXPECT_EQ(JudgeOne(never), SkipReason::kGone);
}

TEST_F(DeletionGuardTest, WhatAnOpaqueManifestMayReferenceStays) {
  ASSERT_THAT(Record({Tag("app", "v1", D("loose")), Upload("u"),
                      Link("app", "layer", clock_.Now() - absl::Hours(90)),
                      index::MarkUnreadable{{"s", "", D("torn")}, "torn"}}),
              IsOk());
  NextEpoch();
  terms_.keeper.now += absl::Hours(500);
  PlanItem revision = LinkItem("app", "layer");
  revision.removal->kind = store::RemovalKind::kRevisionLink;
  PlanItem snapshot;
  snapshot.removal = store::Removal();
  snapshot.removal->kind = store::RemovalKind::kSnapshot;
  for (const PlanItem& item :
       {BlobItem(D("loose")), LinkItem("app", "layer"), revision, snapshot}) {
    const Verdict verdict = Verdicts({item})[0];
    EXPECT_EQ(verdict.reason, SkipReason::kScopeKept);
    EXPECT_EQ(verdict.detail,
              "a manifest that is not understood may reference it");
  }
  // Tags and uploads name nothing that nobody understands.
  EXPECT_EQ(JudgeOne(TagItem("v1", D("loose"))), SkipReason::kNone);
  EXPECT_EQ(JudgeOne(UploadItem("u")), SkipReason::kNone);
}

TEST_F(DeletionGuardTest, WhatCouldNotBeReadIsKeptByPlaceAndByRepository) {
  index::PutBlob there = Blob("there");
  there.name.place = "elsewhere";
  ASSERT_THAT(Record({index::PutRepository{"s", "lib", "elsewhere"}, there}),
              IsOk());
  NextEpoch();
  const auto blob_of = [this](const std::string& repository,
                              const std::string& place) {
    PlanItem item = BlobItem(D("loose"));
    item.removal->repository = repository;
    item.removal->place = place;
    return item;
  };
  using Scopes = std::vector<index::UnreadableScope>;
  terms_.unreadable_scopes = Scopes{{"app", "torn"}};
  EXPECT_EQ(JudgeOne(blob_of("app", "elsewhere")), SkipReason::kScopeKept);
  EXPECT_EQ(JudgeOne(blob_of("lib", "")), SkipReason::kScopeKept);
  EXPECT_EQ(JudgeOne(blob_of("lib", "elsewhere")), SkipReason::kNone);
  // A place that is no repository, before one that is.
  terms_.unreadable_scopes = Scopes{{"", "all"}, {"app", "torn"}};
  EXPECT_EQ(JudgeOne(blob_of("lib", "elsewhere")), SkipReason::kScopeKept);
  terms_.unreadable_scopes = Scopes{{"elsewhere", "torn"}};
  EXPECT_EQ(JudgeOne(blob_of("none", "elsewhere")), SkipReason::kScopeKept);
  EXPECT_EQ(JudgeOne(blob_of("none", "")), SkipReason::kNone);
}

TEST_F(DeletionGuardTest, EachJudgementHasTermsOfItsOwn) {
  const std::vector<PlanItem> items = {BlobItem(D("loose"))};
  DeletionGuard guard(graph_.get());
  GuardTerms kept = terms_;
  for (const char* scope : {"", "app"}) {
    kept.unreadable_scopes = {{scope, "torn"}};
    EXPECT_EQ(guard.Judge(items, kept)[0].reason, SkipReason::kScopeKept);
    EXPECT_EQ(guard.Judge(items, terms_)[0].reason, SkipReason::kNone);
  }
  std::vector<PlanItem> named = items;
  named[0].removal->repository = "app";
  named[0].removal->place = "elsewhere";
  EXPECT_EQ(guard.Judge(named, kept)[0].reason, SkipReason::kScopeKept);
  EXPECT_EQ(guard.Judge(named, terms_)[0].reason, SkipReason::kNone);
}

TEST_F(DeletionGuardTest, AVetoedItemStaysAndGoesOnKeeping) {
  ASSERT_THAT(Record({Tag("app", "v1", D(Text()))}), IsOk());
  NextEpoch();
  const std::vector<PlanItem> items = {TagItem("v1", D(Text())),
                                       BlobItem(D(Text()))};
  const std::vector<Verdict> vetoes = {
      {SkipReason::kTouched, "it was pushed anew"}, {}};
  DeletionGuard guard(graph_.get());
  const std::vector<Verdict> verdicts = guard.Judge(items, terms_, vetoes);
  EXPECT_THAT(
      ReasonsOf(verdicts),
      ::testing::ElementsAre(SkipReason::kTouched, SkipReason::kBecameLive));
  EXPECT_EQ(verdicts[0].detail, "it was pushed anew");
  EXPECT_THAT(ReasonsOf(guard.Judge(items, terms_, {{}, {}})),
              ::testing::Each(SkipReason::kNone));
}

TEST_F(DeletionGuardTest, AnItemThatStaysGoesOnKeeping) {
  ASSERT_THAT(
      Record({Tag("app", "v1", D(Text())), Tag("app", "v2", D(Text()))}),
      IsOk());
  NextEpoch();
  EXPECT_THAT(Judge({TagItem("v1", D("loose")), TagItem("v2", D(Text())),
                     BlobItem(D(Text()))}),
              ::testing::ElementsAre(SkipReason::kChanged, SkipReason::kNone,
                                     SkipReason::kBecameLive));
}

TEST_F(DeletionGuardTest, ATagOfAnIndexIsUsedWithWhatItLists) {
  const std::string text = store::IndexText({D(Text())});
  index::PutManifest put;
  put.name = {"s", "", D(text)};
  put.bytes = text;
  ASSERT_THAT(Record({put, Tag("app", "v1", D(text))}), IsOk());
  NextEpoch();
  EXPECT_EQ(JudgeOne(TagItem("v1", D(text))), SkipReason::kNone);
  index::Touch touch;
  touch.name = {"s", "", D(Text())};
  ASSERT_THAT(Record({touch}), IsOk());
  const Verdict verdict = Verdicts({TagItem("v1", D(text))})[0];
  EXPECT_EQ(verdict.reason, SkipReason::kTouched);
  EXPECT_THAT(verdict.detail, HasSubstr("since the plan"));
}

TEST_F(DeletionGuardTest, AnyOfWhatAnIndexListsIsItsUse) {
  const std::string other = store::ImageText({D("config")});
  const std::string text = store::IndexText({D(Text()), D(other)});
  index::PutManifest put;
  put.name = {"s", "", D(other)};
  put.bytes = other;
  index::PutManifest top;
  top.name = {"s", "", D(text)};
  top.bytes = text;
  ASSERT_THAT(Record({put, top, Tag("app", "v1", D(text))}), IsOk());
  for (const oci::Digest& used : {D(Text()), D(other), D(text)}) {
    NextEpoch();
    EXPECT_EQ(JudgeOne(TagItem("v1", D(text))), SkipReason::kNone);
    index::Touch touch;
    touch.name = {"s", "", used};
    ASSERT_THAT(Record({touch}), IsOk());
    EXPECT_EQ(JudgeOne(TagItem("v1", D(text))), SkipReason::kTouched);
  }
}

// A layer of an image is used by other images as well.
TEST_F(DeletionGuardTest, ATagOfAnImageIsNotUsedWithItsLayers) {
  ASSERT_THAT(Record({Tag("app", "v1", D(Text()))}), IsOk());
  NextEpoch();
  index::Touch touch;
  touch.name = {"s", "", D("layer")};
  ASSERT_THAT(Record({touch}), IsOk());
  EXPECT_EQ(JudgeOne(TagItem("v1", D(Text()))), SkipReason::kNone);
}

TEST_F(DeletionGuardTest, ATagThatWasPutAnewStays) {
  ASSERT_THAT(Record({Tag("app", "v1", D("loose"))}), IsOk());
  NextEpoch();
  index::Touch touch;
  touch.name.store = "s";
  touch.repository = "app";
  touch.tag = "v1";
  ASSERT_THAT(Record({touch}), IsOk());
  EXPECT_EQ(JudgeOne(TagItem("v1", D("loose"))), SkipReason::kTouched);
}

TEST_F(DeletionGuardTest, WhatHoldsATagHoldsIt) {
  index::PutPin pin;
  pin.store = "s";
  pin.id = "p";
  pin.target = Named(NodeKind::kTag, "app", "v2");
  ASSERT_THAT(
      Record({Tag("app", "v1", D("loose")), Tag("app", "v2", D("loose")),
              Lease("l", Named(NodeKind::kTag, "app", "v1")), pin}),
      IsOk());
  NextEpoch();
  Verdict verdict = Verdicts({TagItem("v1", D("loose"))})[0];
  EXPECT_EQ(verdict.reason, SkipReason::kLeased);
  EXPECT_EQ(verdict.detail, "held by lease l");
  verdict = Verdicts({TagItem("v2", D("loose"))})[0];
  EXPECT_EQ(verdict.reason, SkipReason::kBecameLive);
  EXPECT_EQ(verdict.detail, "held by pin p");
  // Unless the holder goes in the same commit.
  EXPECT_THAT(
      Judge({NamedItem(NodeKind::kLease, "", "l"), TagItem("v1", D("loose"))}),
      ::testing::Each(SkipReason::kNone));
}

TEST_F(DeletionGuardTest, AnotherNodeOfThatNameIsAnother) {
  ASSERT_THAT(Record({Tag("app", "v1", D("loose")), Upload("u"), Upload("o")}),
              IsOk());
  NextEpoch();
  terms_.keeper.now += absl::Hours(500);
  PlanItem tag = TagItem("v1", D("loose"));
  tag.name = "v2";
  EXPECT_EQ(JudgeOne(tag), SkipReason::kGone);
  PlanItem upload = UploadItem("u");
  EXPECT_EQ(JudgeOne(upload), SkipReason::kNone);
  upload.node = UploadItem("o").node;
  EXPECT_EQ(JudgeOne(upload), SkipReason::kGone);
  upload = UploadItem("u");
  upload.kind = NodeKind::kTag;
  EXPECT_EQ(JudgeOne(upload), SkipReason::kGone);
  PlanItem record = NamedItem(NodeKind::kUpload, "app", "u");
  record.node = index::kNoNode - 1;
  EXPECT_EQ(JudgeOne(record), SkipReason::kGone);
}

TEST_F(DeletionGuardTest, EachKindOfLinkHasItsTime) {
  const absl::Time old = clock_.Now() - absl::Hours(90);
  const absl::Time later = clock_.Now() + absl::Hours(1);
  index::PutMembership revision = Link("app", "layer", later);
  revision.kind = store::MembershipKind::kRevision;
  ASSERT_THAT(Record({Link("app", "layer", old), revision}), IsOk());
  NextEpoch();
  PlanItem item = LinkItem("app", "layer");
  EXPECT_EQ(JudgeOne(item), SkipReason::kBecameLive)
      << "the young one keeps the other";
  item.removal->kind = store::RemovalKind::kRevisionLink;
  EXPECT_EQ(JudgeOne(item), SkipReason::kTouched);
  terms_.names_seen = later;
  EXPECT_EQ(JudgeOne(item), SkipReason::kBecameLive);
  terms_.keeper.grace_period = absl::ZeroDuration();
  terms_.keeper.now = later;
  EXPECT_EQ(JudgeOne(item), SkipReason::kNone);
}

TEST_F(DeletionGuardTest, ALinkToWhatWasAskedForStays) {
  ASSERT_THAT(Record({Link("app", "loose", clock_.Now() - absl::Hours(90))}),
              IsOk());
  NextEpoch();
  EXPECT_EQ(JudgeOne(LinkItem("app", "loose")), SkipReason::kNone);
  PlanItem elsewhere = LinkItem("app", "loose");
  elsewhere.removal->place = "elsewhere";
  EXPECT_EQ(JudgeOne(elsewhere), SkipReason::kGone);
  elsewhere = LinkItem("app", "loose");
  elsewhere.removal->digest = D("unknown");
  EXPECT_EQ(JudgeOne(elsewhere), SkipReason::kGone);
  index::Touch touch;
  touch.name = {"s", "", D("loose")};
  ASSERT_THAT(Record({touch}), IsOk());
  EXPECT_EQ(JudgeOne(LinkItem("app", "loose")), SkipReason::kTouched);
}

// The entry that names an image goes before it; one that stays keeps it.
TEST_F(DeletionGuardTest, AnOnlyNameKeepsUntilItsEntryGoes) {
  index::PutMembership entry =
      Link("app", Text(), clock_.Now() - absl::Hours(90));
  entry.kind = store::MembershipKind::kRevision;
  entry.is_only_name = true;
  ASSERT_THAT(Record({entry}), IsOk());
  NextEpoch();
  PlanItem link = LinkItem("app", Text());
  link.removal->kind = store::RemovalKind::kRevisionLink;
  const PlanItem image = BlobItem(D(Text()));
  EXPECT_EQ(JudgeOne(image), SkipReason::kBecameLive);
  EXPECT_THAT(Judge({link, image}), ::testing::Each(SkipReason::kNone));
  ASSERT_THAT(Record({Lease("l", Content(D(Text())))}), IsOk());
  NextEpoch();
  EXPECT_THAT(
      Judge({link, BlobItem(D("layer")), image}),
      ::testing::ElementsAre(SkipReason::kLeased, SkipReason::kBecameLive,
                             SkipReason::kBecameLive));
}

TEST_F(DeletionGuardTest, AnUploadStaysWhileItIsWrittenTo) {
  index::PutUpload upload = Upload("u");
  const absl::Time begin = clock_.Now();
  upload.started = begin;
  ASSERT_THAT(Record({upload}), IsOk());
  const PlanItem item = UploadItem("u");
  terms_.keeper.now = begin + terms_.keeper.upload_lifetime;
  EXPECT_EQ(JudgeOne(item), SkipReason::kTouched) << "put since the plan";
  NextEpoch();
  EXPECT_EQ(JudgeOne(item), SkipReason::kNone);
  terms_.keeper.now -= absl::Seconds(1);
  const Verdict verdict = Verdicts({item})[0];
  EXPECT_EQ(verdict.reason, SkipReason::kTouched);
  EXPECT_EQ(verdict.detail, "the upload was written to");
  terms_.keeper.now = begin + absl::Hours(1);
  upload.expires = terms_.keeper.now;
  ASSERT_THAT(Record({upload}), IsOk());
  NextEpoch();
  EXPECT_EQ(JudgeOne(item), SkipReason::kTouched) << "exactly now";
  terms_.keeper.now += absl::Microseconds(1);
  EXPECT_EQ(JudgeOne(item), SkipReason::kNone);
}

TEST_F(DeletionGuardTest, WhatItsOwnerUsesStays) {
  index::PutContainer container;
  container.store = "s";
  container.id = "web";
  container.state = store::ContainerState::kRunning;
  index::PutNetwork network;
  network.store = "s";
  network.name = "bridge";
  network.is_predefined = true;
  index::PutBuildCache cache;
  cache.store = "s";
  cache.id = "c";
  cache.is_in_use = true;
  ASSERT_THAT(Record({container, network, cache}), IsOk());
  NextEpoch();
  for (const PlanItem& item : {NamedItem(NodeKind::kContainer, "", "web"),
                               NamedItem(NodeKind::kNetwork, "", "bridge"),
                               NamedItem(NodeKind::kBuildCache, "", "c")}) {
    const Verdict verdict = Verdicts({item})[0];
    EXPECT_EQ(verdict.reason, SkipReason::kInUse);
    EXPECT_EQ(verdict.detail, "its owner uses it");
  }
  container.state = store::ContainerState::kExited;
  ASSERT_THAT(Record({container}), IsOk());
  const PlanItem stopped = NamedItem(NodeKind::kContainer, "", "web");
  EXPECT_EQ(JudgeOne(stopped), SkipReason::kTouched);
  NextEpoch();
  EXPECT_EQ(JudgeOne(stopped), SkipReason::kNone);
}

TEST_F(DeletionGuardTest, AVolumeStaysWithWhatUsesIt) {
  index::PutVolume volume;
  volume.store = "s";
  volume.name = "data";
  index::PutContainer container;
  container.store = "s";
  container.id = "web";
  container.state = store::ContainerState::kExited;
  container.volumes = {"data"};
  ASSERT_THAT(Record({volume, container}), IsOk());
  NextEpoch();
  PlanItem item = NamedItem(NodeKind::kVolume, "", "data");
  item.removal = store::Removal();
  item.removal->kind = store::RemovalKind::kVolume;
  item.removal->name = "data";
  Verdict verdict = Verdicts({item})[0];
  EXPECT_EQ(verdict.reason, SkipReason::kInUse);
  EXPECT_EQ(verdict.detail, "used by container web");
  EXPECT_THAT(Judge({NamedItem(NodeKind::kContainer, "", "web"), item}),
              ::testing::Each(SkipReason::kNone));
  ASSERT_THAT(Record({index::RemoveNamed{"s", NodeKind::kContainer, "", "web"},
                      Lease("l", Named(NodeKind::kVolume, "", "data"))}),
              IsOk());
  NextEpoch();
  verdict = Verdicts({item})[0];
  EXPECT_EQ(verdict.reason, SkipReason::kLeased);
  EXPECT_EQ(verdict.detail, "used by lease l");
}

TEST_F(DeletionGuardTest, AnUnpackedLayerStaysWithItsImage) {
  index::PutSnapshot base;
  base.store = "s";
  base.key = "base";
  index::PutSnapshot top;
  top.store = "s";
  top.key = "top";
  top.parent = "base";
  top.image = D(Text());
  ASSERT_THAT(Record({base, top, Tag("app", "v1", D(Text()))}), IsOk());
  NextEpoch();
  const PlanItem layer = NamedItem(NodeKind::kSnapshot, "", "top");
  EXPECT_EQ(JudgeOne(layer), SkipReason::kBecameLive);
  EXPECT_EQ(JudgeOne(NamedItem(NodeKind::kSnapshot, "", "base")),
            SkipReason::kInUse);
  EXPECT_THAT(Judge({TagItem("v1", D(Text())), BlobItem(D(Text())), layer,
                     NamedItem(NodeKind::kSnapshot, "", "base")}),
              ::testing::Each(SkipReason::kNone));
  // No other record stays with what it names.
  index::PutContainer container;
  container.store = "s";
  container.id = "web";
  container.state = store::ContainerState::kExited;
  container.image = D(Text());
  ASSERT_THAT(Record({container}), IsOk());
  NextEpoch();
  EXPECT_EQ(JudgeOne(NamedItem(NodeKind::kContainer, "", "web")),
            SkipReason::kNone);
}

TEST_F(DeletionGuardTest, EachUserOfAVolumeIsOne) {
  index::PutVolume volume;
  volume.store = "s";
  volume.name = "data";
  index::PutContainer web;
  web.store = "s";
  web.id = "web";
  web.state = store::ContainerState::kExited;
  web.volumes = {"data"};
  index::PutContainer db = web;
  db.id = "db";
  ASSERT_THAT(Record({volume, web, db}), IsOk());
  NextEpoch();
  const PlanItem item = NamedItem(NodeKind::kVolume, "", "data");
  for (const char* leaving : {"web", "db"}) {
    EXPECT_THAT(Judge({NamedItem(NodeKind::kContainer, "", leaving), item}),
                ::testing::ElementsAre(SkipReason::kNone, SkipReason::kInUse));
  }
}

TEST_F(DeletionGuardTest, ASnapshotStaysWithItsImageAndWithWhatStandsOnIt) {
  index::PutSnapshot base;
  base.store = "s";
  base.key = "base";
  base.image = D(Text());
  index::PutSnapshot top = base;
  top.key = "top";
  top.parent = "base";
  top.image.reset();
  index::PutContainer container;
  container.store = "s";
  container.id = "web";
  container.snapshot = "base";
  ASSERT_THAT(Record({base, top}), IsOk());
  NextEpoch();
  EXPECT_EQ(JudgeOne(NamedItem(NodeKind::kSnapshot, "", "base")),
            SkipReason::kInUse)
      << "nothing keeps its image, but one stands on it";
  ASSERT_THAT(Record({Tag("app", "v1", D(Text())), container}), IsOk());
  NextEpoch();
  EXPECT_EQ(JudgeOne(NamedItem(NodeKind::kSnapshot, "", "base")),
            SkipReason::kBecameLive);
  EXPECT_EQ(JudgeOne(NamedItem(NodeKind::kSnapshot, "", "top")),
            SkipReason::kNone)
      << "what keeps the one below it keeps not this one";
}

TEST_F(DeletionGuardTest, APermitSaysWhatThePlanSaid) {
  const index::NodeId loose = NodeOf(D("loose"));
  const PlanItem item = BlobItem(D("loose"));
  terms_.is_forced = true;
  DeletionGuard guard(graph_.get());
  ASSERT_TRUE(guard.Judge({&item, 1}, terms_)[0].may_go());
  ASSERT_THAT(
      guard.Record({{loose, NodeState::kQuarantined, "r", ""}}, {}, {}, "test"),
      IsOk());
  EXPECT_EQ(guard.permit().planned(), terms_.names_seen);
  EXPECT_TRUE(guard.permit().is_forced());
}

TEST_F(DeletionGuardTest, AGuardJudgesInOrderOrNotAtAll) {
  const PlanItem item = BlobItem(D("loose"));
  DeletionGuard guard(graph_.get());
  EXPECT_DEATH(static_cast<void>(guard.Judge({&item, 1}, terms_, {{}, {}})),
               "a veto belongs to one item");
  EXPECT_EQ(guard.reader().view().FindContent(0, D("loose")), item.node);
  ASSERT_THAT(guard.Record({}, {}, {}, "test"), IsOk());
  EXPECT_DEATH(static_cast<void>(guard.reader()), "until Record");
  EXPECT_DEATH(static_cast<void>(guard.Judge({&item, 1}, terms_)),
               "judged in order");
  EXPECT_DEATH(static_cast<void>(guard.Record({}, {}, {}, "test")),
               "records once");
}

TEST_F(DeletionGuardTest, WhatIsReachedInQuarantineIsNotFreed) {
  ASSERT_THAT(Record({Tag("app", "v1", D(Text())),
                      Link("app", "layer", clock_.Now() - absl::Hours(90)),
                      Link("app", "loose", clock_.Now() - absl::Hours(90))}),
              IsOk());
  const QuarantineRecord layer = Moved(BlobItem(D("layer")));
  const QuarantineRecord loose = Moved(BlobItem(D("loose")));
  const QuarantineRecord link = Moved(LinkItem("app", "layer"));
  QuarantineRecord revision = link;
  revision.item.removal->kind = store::RemovalKind::kRevisionLink;
  const QuarantineRecord loose_link = Moved(LinkItem("app", "loose"));
  // What stands in its place was written by somebody else.
  EXPECT_EQ(JudgePurge(layer), SkipReason::kNone);
  EXPECT_EQ(JudgePurge(link), SkipReason::kNone);
  Quarantine(D("layer"));
  Quarantine(D("loose"));
  EXPECT_EQ(JudgePurge(layer), SkipReason::kBecameLive);
  EXPECT_EQ(JudgePurge(link), SkipReason::kBecameLive);
  EXPECT_EQ(JudgePurge(revision), SkipReason::kBecameLive);
  EXPECT_EQ(JudgePurge(loose), SkipReason::kNone);
  EXPECT_EQ(JudgePurge(loose_link), SkipReason::kNone);
  // A second copy, or one that is half gone, is nobody's.
  for (const auto state :
       {QuarantineState::kSuperseded, QuarantineState::kPurging}) {
    QuarantineRecord copy = layer;
    copy.state = state;
    EXPECT_EQ(JudgePurge(copy), SkipReason::kNone);
  }
  // Nor what is of a place that the graph does not know, or has no removal.
  QuarantineRecord elsewhere = layer;
  elsewhere.item.removal->place = "elsewhere";
  EXPECT_EQ(JudgePurge(elsewhere), SkipReason::kNone);
  elsewhere.item.removal->kind = store::RemovalKind::kLayerLink;
  EXPECT_EQ(JudgePurge(elsewhere), SkipReason::kNone);
  QuarantineRecord tag = layer;
  tag.item.removal->kind = store::RemovalKind::kTag;
  EXPECT_EQ(JudgePurge(tag), SkipReason::kNone);
  QuarantineRecord bare = layer;
  bare.item.removal.reset();
  EXPECT_EQ(JudgePurge(bare), SkipReason::kNone);
  NextEpoch();
  DeletionGuard guard(graph_.get());
  EXPECT_THAT(ReasonsOf(guard.JudgePurge({loose, layer, loose}, terms_)),
              ::testing::ElementsAre(SkipReason::kNone, SkipReason::kBecameLive,
                                     SkipReason::kNone));
}

TEST_F(DeletionGuardTest, WhatCannotBeJudgedIsNotFreed) {
  QuarantineRecord loose = Moved(BlobItem(D("loose")));
  Quarantine(D("loose"));
  terms_.unreadable_scopes = {{"app", "torn"}};
  EXPECT_EQ(JudgePurge(loose), SkipReason::kScopeKept);
  loose.state = QuarantineState::kSuperseded;
  EXPECT_EQ(JudgePurge(loose), SkipReason::kScopeKept);
  // What is half gone can't come back.
  loose.state = QuarantineState::kPurging;
  EXPECT_EQ(JudgePurge(loose), SkipReason::kNone);
}

// Doubt is of what the repositories link that name what is not understood.
class RegistryGuardTest : public DeletionGuardFixture {
 protected:
  RegistryGuardTest() : DeletionGuardFixture(store::StoreKind::kRegistry) {
    const absl::Time old = clock_.Now() - absl::Hours(90);
    index::PutMembership torn = Link("app", "torn", old);
    torn.kind = store::MembershipKind::kRevision;
    EXPECT_THAT(
        Record({Blob("torn"), Blob("lost"), Link("lib", "layer", old), torn,
                index::MarkUnreadable{{"s", "", D("torn")}, "torn"}}),
        IsOk());
    NextEpoch();
  }
  PlanItem LinkedBlob(const std::string& bytes,
                      std::vector<std::string> linked_by) {
    PlanItem item = BlobItem(D(bytes));
    item.linked_by = std::move(linked_by);
    return item;
  }
};

TEST_F(RegistryGuardTest, WhatARepositoryInDoubtLinkedStays) {
  EXPECT_EQ(JudgeOne(LinkedBlob("loose", {"lib"})), SkipReason::kNone);
  Verdict verdict = Verdicts({LinkedBlob("loose", {"lib", "app"})})[0];
  EXPECT_EQ(verdict.reason, SkipReason::kScopeKept);
  EXPECT_THAT(verdict.detail, HasSubstr("a repository that linked it"));
  EXPECT_EQ(JudgeOne(LinkedBlob("loose", {"unknown", ""})), SkipReason::kNone);
  // Without any it may have been one's that lost the link.
  verdict = Verdicts({LinkedBlob("lost", {})})[0];
  EXPECT_EQ(verdict.reason, SkipReason::kScopeKept);
  EXPECT_THAT(verdict.detail, HasSubstr("no repository links it"));
  EXPECT_EQ(JudgeOne(LinkedBlob("layer", {})), SkipReason::kNone)
      << "lib links it";
}

TEST_F(RegistryGuardTest, WithoutDoubtLinksAreOfNoMatter) {
  ASSERT_THAT(Record({index::RemoveMembership{"s", "app", D("torn")}}), IsOk());
  NextEpoch();
  terms_.keeper.now += absl::Hours(24);
  EXPECT_EQ(JudgeOne(LinkedBlob("lost", {})), SkipReason::kNone);
}

TEST_F(RegistryGuardTest, LinksOfARepositoryInDoubtStay) {
  const absl::Time old = clock_.Now() - absl::Hours(90);
  ASSERT_THAT(Record({Link("app", "loose", old), Link("lib", "loose", old)}),
              IsOk());
  NextEpoch();
  EXPECT_EQ(JudgeOne(LinkItem("app", "loose")), SkipReason::kScopeKept);
}

TEST_F(RegistryGuardTest, WhatItLinkedIsNotFreed) {
  const QuarantineRecord app = Moved(LinkedBlob("loose", {"app"}));
  const QuarantineRecord lib = Moved(LinkedBlob("loose", {"lib"}));
  const QuarantineRecord none = Moved(LinkedBlob("loose", {}));
  EXPECT_EQ(JudgePurge(app), SkipReason::kNone) << "a second copy";
  Quarantine(D("loose"));
  EXPECT_EQ(JudgePurge(app), SkipReason::kScopeKept);
  EXPECT_EQ(JudgePurge(none), SkipReason::kScopeKept);
  EXPECT_EQ(JudgePurge(lib), SkipReason::kNone);
  // A link is its own repository's, whoever linked what it leads to.
  EXPECT_EQ(JudgePurge(Moved(LinkItem("lib", "loose"))), SkipReason::kNone);
  // What was found in quarantine after a loss of the database has no node.
  QuarantineRecord adopted = Moved(LinkedBlob("loose", {}));
  adopted.item.removal->digest = D("unknown");
  adopted.item.node = index::kNoNode;
  EXPECT_EQ(JudgePurge(adopted), SkipReason::kScopeKept);
}

}  // namespace
}  // namespace reclaim::gc
