// SEMANTICS.md 2.4, cases 84 and 85, on a real registry tree with two
// repositories: a manifest that is not understood keeps what its repository
// links, and the other one is collected (docs/decisions/0009-doubt.md).

#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/status_matchers.h"
#include "gc/collector_fixture.h"
#include "gc/run.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "store/testing/store_tree.h"

namespace reclaim::tests {
namespace {

using base::IsOk;
using index::NodeState;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

// Both repositories have a tag that stands and an old push that lost its own;
// all images share a layer.  A blob is linked by nobody.
class DoubtTest : public gc::CollectorFixture {
 protected:
  DoubtTest() {
    app_old_ = tree_.Image("app", "", {"base", "app old"});
    other_ = tree_.Image("other", "v1", {"base", "other new"});
    other_old_ = tree_.Image("other", "", {"base", "other old"});
    orphan_ = tree_.Blob("nothing names me");
  }

  static oci::Digest D(const std::string& bytes) {
    return oci::Digest::Sha256Of(bytes);
  }
  // An image of `app` whose manifest has lost its end.
  oci::Digest Tear(const std::string& tag) {
    const oci::Digest torn = tree_.Image("app", tag, {"base", "app new"});
    const std::string path = tree_.BlobPath(torn);
    whole_ = folder_.Read(path);
    folder_.Write(path, whole_.substr(0, whole_.size() / 2));
    return torn;
  }
  // One that is not there.
  oci::Digest Lose(const std::string& tag) {
    const oci::Digest lost = tree_.Image("app", tag, {"base", "app new"});
    whole_ = folder_.Read(tree_.BlobPath(lost));
    folder_.Remove(tree_.BlobPath(lost));
    return lost;
  }
  void Mend(const oci::Digest& torn) {
    folder_.Write(tree_.BlobPath(torn), whole_);
    Age();
  }
  std::set<std::string> Blobs(const gc::WholePlan& plan) const {
    std::set<std::string> digests;
    for (const gc::PlanItem& item : plan.items) {
      if (item.removal->kind == store::RemovalKind::kBlob) {
        digests.insert(item.digest->ToString());
      }
    }
    return digests;
  }
  std::set<std::string> Scopes(const gc::WholePlan& plan) const {
    std::set<std::string> scopes;
    for (const gc::PlanItem& item : plan.items) scopes.insert(item.scope);
    return scopes;
  }
  // What only the old push of `other` has; its config is a blob as well.
  void ExpectOnlyOtherGoes(const gc::WholePlan& plan) {
    const std::set<std::string> blobs = Blobs(plan);
    EXPECT_EQ(blobs.size(), 3u) << "manifest, config and layer";
    EXPECT_EQ(blobs.count(other_old_.ToString()), 1u);
    EXPECT_EQ(blobs.count(D("other old").ToString()), 1u);
    EXPECT_THAT(Scopes(plan), UnorderedElementsAre("", "other"));
  }
  void ExpectKept() {
    for (const oci::Digest& kept :
         {app_old_, D("app old"), D("app new"), D("base"), other_, orphan_}) {
      EXPECT_EQ(StateOf(kept), NodeState::kPresent) << kept.ToString();
      EXPECT_TRUE(folder_.Exists(tree_.BlobPath(kept))) << kept.ToString();
    }
  }

  store::RegistryTree tree_{&folder_};
  oci::Digest app_old_;
  oci::Digest other_;
  oci::Digest other_old_;
  oci::Digest orphan_;
  std::string whole_;
};

TEST_F(DoubtTest, Case084_ATornManifestKeepsItsRepositoryTheOtherIsCollected) {
  const oci::Digest torn = Tear("v1");
  Open(store::StoreKind::kRegistry);
  Scan();
  const gc::WholePlan plan = MakePlan(Request());
  ExpectOnlyOtherGoes(plan);
  ASSERT_EQ(plan.kept_scopes.size(), 1u);
  EXPECT_EQ(plan.kept_scopes[0].scope, "app");
  EXPECT_THAT(plan.kept_scopes[0].why,
              AllOf(HasSubstr(torn.ToString()), HasSubstr("not understood"),
                    HasSubstr("the others are collected")));
  const std::string before = folder_.Snapshot();
  const auto run = Apply(plan);
  ASSERT_THAT(run, IsOk());
  EXPECT_EQ(run->item_count, plan.totals.item_count);
  EXPECT_EQ(StateOf(other_old_), NodeState::kQuarantined);
  ExpectKept();
  ExpectExact();
  ASSERT_THAT(RestoreRun(run->id), IsOk());
  EXPECT_EQ(folder_.Snapshot(), before);
  // For good, though the doubt lasts.
  Scan();
  const gc::Run again = Prune();
  const auto purged = PurgeNow();
  ASSERT_THAT(purged, IsOk());
  EXPECT_EQ(purged->item_count, again.item_count);
  EXPECT_EQ(QuarantineCount(), 0u);
  EXPECT_FALSE(folder_.Exists(tree_.BlobPath(other_old_)));
  ExpectKept();
  EXPECT_EQ(MakePlan(Request()).totals.item_count, 0u);
  ExpectExact();
}

TEST_F(DoubtTest, Case084_OnceItIsPushedAgainItsRepositoryIsCollected) {
  const oci::Digest torn = Tear("v1");
  Open(store::StoreKind::kRegistry);
  Scan();
  Prune();
  ExpectKept();
  Mend(torn);
  Scan();
  const gc::WholePlan plan = MakePlan(Request());
  EXPECT_TRUE(plan.kept_scopes.empty());
  EXPECT_EQ(Blobs(plan).count(app_old_.ToString()), 1u);
  EXPECT_EQ(Blobs(plan).count(orphan_.ToString()), 1u);
  ASSERT_THAT(Apply(plan), IsOk());
  EXPECT_EQ(StateOf(torn), NodeState::kPresent);
  EXPECT_EQ(StateOf(D("app new")), NodeState::kPresent);
  ExpectExact();
}

// A registry serves an untagged manifest by its digest.
TEST_F(DoubtTest, Case084_AnUntaggedTornManifestIsADoubtAsWell) {
  Tear("");
  Open(store::StoreKind::kRegistry);
  Scan();
  ExpectOnlyOtherGoes(MakePlan(Request()));
}

TEST_F(DoubtTest, Case084_WhatBothRepositoriesHoldIsInDoubtInBoth) {
  const oci::Digest torn = Tear("v1");
  tree_.Tag("other", "v2", torn);
  Open(store::StoreKind::kRegistry);
  Scan();
  const gc::WholePlan plan = MakePlan(Request());
  EXPECT_TRUE(plan.items.empty());
  EXPECT_EQ(plan.kept_scopes.size(), 2u);
}

// The plan was made, or carried out, before anybody knew.
TEST_F(DoubtTest, Case084_ADoubtThatComesLaterKeepsWhatIsLeft) {
  const oci::Digest named = tree_.Image("app", "v1", {"base", "app new"});
  Open(store::StoreKind::kRegistry);
  Scan();
  const gc::Run all = Prune();
  ASSERT_EQ(StateOf(app_old_), NodeState::kQuarantined);
  ASSERT_EQ(StateOf(orphan_), NodeState::kQuarantined);
  folder_.Write(tree_.BlobPath(named), "{");
  index::MarkUnreadable mark;
  mark.name = {"s", "", named};
  mark.why = "test";
  ASSERT_THAT(Record({mark}), IsOk());
  const auto purged = PurgeNow();
  ASSERT_THAT(purged, IsOk());
  EXPECT_EQ(StateOf(other_old_), NodeState::kAbsent);
  EXPECT_EQ(StateOf(app_old_), NodeState::kQuarantined);
  EXPECT_EQ(StateOf(D("app old")), NodeState::kQuarantined);
  EXPECT_EQ(StateOf(orphan_), NodeState::kQuarantined) << "nobody linked it";
  ExpectExact();
  ASSERT_THAT(RestoreRun(all.id), IsOk());
  ExpectKept();
}

TEST_F(DoubtTest, Case085_AnUnknownTypeKeepsItsRepositoryTheOtherIsCollected) {
  tree_.Image("app", "v0", {"base", "app new"});
  const oci::Digest unknown = tree_.Manifest("app", R"({"strange":true})");
  tree_.Tag("app", "v1", unknown);
  Open(store::StoreKind::kRegistry);
  Scan();
  const gc::WholePlan plan = MakePlan(Request());
  ExpectOnlyOtherGoes(plan);
  EXPECT_THAT(plan.kept_scopes,
              Contains(AllOf(
                  Field(&gc::KeptScope::scope, "app"),
                  Field(&gc::KeptScope::why, HasSubstr(unknown.ToString())))));
  ASSERT_THAT(Apply(plan), IsOk());
  EXPECT_EQ(StateOf(unknown), NodeState::kPresent);
  ExpectKept();
  ExpectExact();
  // Its repository is deleted: the doubt goes with it.
  folder_.Remove("docker/registry/v2/repositories/app");
  Scan();
  const gc::WholePlan last = MakePlan(Request());
  EXPECT_TRUE(last.kept_scopes.empty());
  EXPECT_EQ(Blobs(last).count(app_old_.ToString()), 1u);
  EXPECT_EQ(Blobs(last).count(D("app old").ToString()), 1u);
}

// Named and not there, it may reference what a torn one may.
TEST_F(DoubtTest,
       Case084_AMissingManifestKeepsItsRepositoryTheOtherIsCollected) {
  const oci::Digest lost = Lose("v1");
  Open(store::StoreKind::kRegistry);
  Scan();
  for (const bool is_restarted : {false, true}) {
    SCOPED_TRACE(is_restarted);
    if (is_restarted) {
      Scan();  // which has nothing new to read
      Restart();
      ASSERT_THAT(collector_->Recover(), IsOk());
    }
    const gc::WholePlan plan = MakePlan(Request());
    ExpectOnlyOtherGoes(plan);
    ASSERT_EQ(plan.kept_scopes.size(), 1u);
    EXPECT_EQ(plan.kept_scopes[0].scope, "app");
    EXPECT_THAT(plan.kept_scopes[0].why,
                AllOf(HasSubstr(lost.ToString()), HasSubstr("is not there"),
                      HasSubstr("the others are collected")));
  }
  Prune();
  EXPECT_EQ(StateOf(other_old_), NodeState::kQuarantined);
  ExpectKept();
  ASSERT_THAT(PurgeNow(), IsOk());
  EXPECT_FALSE(folder_.Exists(tree_.BlobPath(other_old_)));
  ExpectKept();
  ExpectExact();
}

TEST_F(DoubtTest, Case084_EachScanTellsOfAMissingManifest) {
  const oci::Digest lost = Lose("v1");
  Open(store::StoreKind::kRegistry);
  for (int i = 0; i < 3; ++i) {
    const auto run = collector_->Scan("s", i == 2, "test", {});
    ASSERT_THAT(run, IsOk());
    EXPECT_EQ(run->phase, gc::RunPhase::kPartial);
    EXPECT_THAT(run->problems,
                ElementsAre(AllOf(HasSubstr(lost.ToString()),
                                  HasSubstr("app:v1 names it, and it is not "
                                            "there"))));
  }
}

TEST_F(DoubtTest, Case084_OnceItIsThereAgainItsRepositoryIsCollected) {
  const oci::Digest lost = Lose("v1");
  Open(store::StoreKind::kRegistry);
  Scan();
  Prune();
  ExpectKept();
  Mend(lost);
  Scan();
  const gc::WholePlan plan = MakePlan(Request());
  EXPECT_TRUE(plan.kept_scopes.empty());
  EXPECT_EQ(Blobs(plan).count(app_old_.ToString()), 1u);
  EXPECT_EQ(Blobs(plan).count(orphan_.ToString()), 1u);
  ASSERT_THAT(Apply(plan), IsOk());
  EXPECT_EQ(StateOf(lost), NodeState::kPresent);
  EXPECT_EQ(StateOf(D("app new")), NodeState::kPresent);
  ExpectExact();
}

TEST_F(DoubtTest, Case084_OnceItIsDeletedItsRepositoryIsCollected) {
  const oci::Digest lost = Lose("v1");
  Open(store::StoreKind::kRegistry);
  Scan();
  Prune();
  ExpectKept();
  // Over the API of a registry that leaves the tag.
  folder_.Remove(
      absl::StrCat("docker/registry/v2/repositories/app/_manifests/"
                   "revisions/sha256/",
                   lost.hex(), "/link"));
  Scan();
  const gc::WholePlan plan = MakePlan(Request());
  EXPECT_TRUE(plan.kept_scopes.empty());
  EXPECT_EQ(Blobs(plan).count(app_old_.ToString()), 1u);
  EXPECT_EQ(Blobs(plan).count(D("app new").ToString()), 1u);
  EXPECT_EQ(Blobs(plan).count(orphan_.ToString()), 1u);
}

// Only what a tag names can be asked for by those who do not know it.
TEST_F(DoubtTest, Case084_AMissingManifestWithoutATagIsNoDoubt) {
  Lose("");
  Open(store::StoreKind::kRegistry);
  Scan();
  const gc::WholePlan plan = MakePlan(Request());
  EXPECT_TRUE(plan.kept_scopes.empty());
  EXPECT_EQ(Blobs(plan).count(app_old_.ToString()), 1u);
}

// An image whose labels nobody can read: they might say that it stays.
TEST_F(DoubtTest, Case084_AnUnreadableConfigKeepsItsRepository) {
  const oci::Digest config =
      tree_.Layer("app", std::string(size_t{5} << 20, ' '));
  const oci::Digest image = tree_.Manifest(
      "app", store::ImageText({config, tree_.Layer("app", "app new")}));
  tree_.Tag("app", "v1", image);
  Open(store::StoreKind::kRegistry);
  Scan();
  const gc::WholePlan plan = MakePlan(Request());
  ExpectOnlyOtherGoes(plan);
  ASSERT_EQ(plan.kept_scopes.size(), 1u);
  EXPECT_EQ(plan.kept_scopes[0].scope, "app");
  Prune();
  ExpectKept();
  EXPECT_EQ(StateOf(config), NodeState::kPresent);
  ExpectExact();
}

TEST_F(DoubtTest, Case084_AnUnreadableConfigThatComesLaterDoesSoAsWell) {
  const std::string bytes(size_t{5} << 20, ' ');
  const oci::Digest config = tree_.Layer("app", bytes);
  const oci::Digest image = tree_.Manifest(
      "app", store::ImageText({config, tree_.Layer("app", "app new")}));
  tree_.Tag("app", "v1", image);
  folder_.Remove(tree_.BlobPath(config));
  Open(store::StoreKind::kRegistry);
  Scan();
  EXPECT_TRUE(MakePlan(Request()).kept_scopes.empty());
  folder_.Write(tree_.BlobPath(config), bytes);
  Age();
  Scan();
  ExpectOnlyOtherGoes(MakePlan(Request()));
  ExpectKept();
  // It goes again: an image without its config is none that anybody filters.
  folder_.Remove(tree_.BlobPath(config));
  Scan();
  EXPECT_TRUE(MakePlan(Request()).kept_scopes.empty());
}

}  // namespace
}  // namespace reclaim::tests
