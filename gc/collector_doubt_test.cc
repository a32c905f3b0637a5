// What a scan cannot judge is kept, whatever a prune is asked (I5): trees with
// links, names that nobody accepts, and stores whose folder was replaced.

#include <filesystem>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_matchers.h"
#include "gc/collector.h"
#include "gc/collector_fixture.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "index/memory_engine.h"
#include "index/mutation.h"
#include "index/verify.h"
#include "oci/digest.h"
#include "store/testing/store_tree.h"

namespace reclaim::gc {
namespace {

using ::reclaim::base::IsOk;
using ::reclaim::base::StatusIs;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

namespace fs = std::filesystem;

using index::NodeState;

constexpr char kTop[] = "docker/registry/v2/repositories/";

// app:v1 stands; its old push and a blob of nobody are garbage.
class DoubtfulRegistryTest : public CollectorFixture {
 protected:
  DoubtfulRegistryTest() {
    kept_ = tree_.Image("app", "v1", {"base", "new"});
    old_ = tree_.Image("app", "", {"base", "old"});
    tree_.Blob("nothing names me");
  }
  std::string Full(const std::string& path) const {
    return absl::StrCat(folder_.path(), "/", path);
  }
  // A prune takes nothing, in this scan and in the next.
  void ExpectNothingTaken() {
    const std::string before = folder_.Snapshot();
    for (int i = 0; i < 2; ++i) {
      Scan();
      const WholePlan plan = MakePlan(Request());
      EXPECT_THAT(plan.items, IsEmpty());
      EXPECT_FALSE(plan.kept_scopes.empty());
      Prune();
      EXPECT_EQ(folder_.Snapshot(), before);
    }
  }
  int EmptyLinksFound() {
    int count = 0;
    index::VerifyOptions options;
    options.on_finding = [&count](const index::Finding& finding) {
      EXPECT_EQ(finding.check, "empty-link") << finding.detail;
      ++count;
    };
    EXPECT_THAT(index::Verify(graph_.get(), "s", store_.get(), clock_, options),
                IsOk());
    return count;
  }
  void ExpectCollected() {
    Scan();
    EXPECT_EQ(MakePlan(Request()).totals.blob_count, 4u)
        << "a blob, and of the old image manifest, config and layer";
    ASSERT_THAT(Apply(MakePlan(Request())), IsOk());
    EXPECT_EQ(StateOf(kept_), NodeState::kPresent);
    ExpectExact();
  }

  store::RegistryTree tree_{&folder_};
  oci::Digest kept_;
  oci::Digest old_;
};

TEST_F(DoubtfulRegistryTest, WhatALinkedRepositoryHoldsStays) {
  tree_.Image("moved", "v1", {"linked"});
  fs::rename(Full(absl::StrCat(kTop, "moved")), Full("elsewhere"));
  const std::string link = Full(absl::StrCat(kTop, "lnk"));
  fs::create_directory_symlink("../../../../elsewhere", link);
  Open(store::StoreKind::kRegistry);
  ExpectNothingTaken();
  fs::remove(link);
  fs::rename(Full("elsewhere"), Full(absl::StrCat(kTop, "moved")));
  ExpectCollected();
}

TEST_F(DoubtfulRegistryTest, WhatARepositoryWithoutAnAcceptedNameHoldsStays) {
  tree_.Image("Upper", "v1", {"upper"});
  Open(store::StoreKind::kRegistry);
  ExpectNothingTaken();
  fs::rename(Full(absl::StrCat(kTop, "Upper")),
             Full(absl::StrCat(kTop, "lower")));
  ExpectCollected();
}

// A registry was killed between opening a link and writing it: what its path
// names is linked as it would be by a whole one, and the rest is collected.
TEST_F(DoubtfulRegistryTest, AnEmptyLinkCountsAsAWholeOne) {
  const auto empty = [this](const char* folder, const oci::Digest& digest) {
    folder_.Write(
        absl::StrCat(kTop, "app/", folder, "/sha256/", digest.hex(), "/link"),
        "");
  };
  empty("_manifests/revisions", kept_);
  empty("_manifests/revisions", old_);
  empty("_layers", oci::Digest::Sha256Of("base"));
  empty("_layers", oci::Digest::Sha256Of("old"));
  Open(store::StoreKind::kRegistry);
  Scan();
  EXPECT_EQ(EmptyLinksFound(), 4);
  ExpectCollected();
  EXPECT_EQ(StateOf(oci::Digest::Sha256Of("base")), NodeState::kPresent);
  EXPECT_EQ(StateOf(old_), NodeState::kQuarantined);
  EXPECT_FALSE(folder_.Exists(absl::StrCat(
      kTop, "app/_manifests/revisions/sha256/", old_.hex(), "/link")));
  ASSERT_THAT(PurgeNow(), IsOk());
  EXPECT_EQ(QuarantineCount(), 0u);
  Scan();
  EXPECT_EQ(EmptyLinksFound(), 2) << "of what is kept: a pull of it fails";
  EXPECT_EQ(StateOf(kept_), NodeState::kPresent);
  EXPECT_THAT(MakePlan(Request()).items, IsEmpty());
}

TEST_F(DoubtfulRegistryTest, ALinkedTagIsToldAndStopsNoPlan) {
  const std::string link =
      Full(absl::StrCat(kTop, "app/_manifests/tags/latest"));
  fs::create_directory_symlink("v1", link);
  Open(store::StoreKind::kRegistry);
  ExpectNothingTaken();
  fs::remove(link);
  Scan();
  EXPECT_EQ(MakePlan(Request()).totals.blob_count, 4u);
}

TEST_F(DoubtfulRegistryTest, WhatATagWithoutAnAcceptedNameHoldsStays) {
  tree_.Tag("app", ".dot", tree_.Image("app", "", {"dot"}));
  Open(store::StoreKind::kRegistry);
  ExpectNothingTaken();
}

// Such a name in a record would make the database unreadable.
TEST_F(DoubtfulRegistryTest, ANameThatIsNoTextStopsCollectionAndNothingElse) {
  Open(store::StoreKind::kRegistry);
  index::PutPin pin;
  pin.store = "s";
  pin.id = "mine";
  pin.target.content =
      index::ContentName{"s", "", oci::Digest::Sha256Of("nothing names me")};
  Scan();
  ASSERT_THAT(Record({pin}), IsOk());
  const std::pair<std::string, std::string> names[] = {
      {"caf\xe9", "/_manifests/x"},
      {"app/_uploads/\xff\xfe", "/data"},
      {"app/_manifests/tags/\xff", "/current/link"}};
  for (const auto& [name, file] : names) {
    SCOPED_TRACE(file);
    folder_.Write(absl::StrCat(kTop, name, file), "x");
    Age();
    ExpectNothingTaken();
    Restart();
    ASSERT_THAT(collector_->Recover(), IsOk());
    EXPECT_NE(graph_->Read()->view().FindNamed(
                  {index::NodeKind::kPin, id_, "", "mine"}),
              index::kNoNode);
    folder_.Remove(absl::StrCat(kTop, name));
  }
  Scan();
  EXPECT_EQ(MakePlan(Request()).totals.blob_count, 3u)
      << "the pinned one stays";
}

// What kept content may be gone with the database (pins, leases, rules).
class LostDatabaseTest : public DoubtfulRegistryTest {
 protected:
  void LoseDatabase() {
    options_.earlier_database = "its audit is there";
    collector_.reset();
    graph_.reset();
    engine_ = std::make_unique<index::MemoryEngine>();
    Restart();
    ASSERT_THAT(collector_->Recover(), IsOk());
    Scan();
  }
  void ExpectUnconfirmed(const absl::Status& status) {
    EXPECT_THAT(status, StatusIs(absl::StatusCode::kFailedPrecondition,
                                 HasSubstr("run `reclaim store confirm`")));
    EXPECT_TRUE(status.GetPayload(kUnconfirmedPayload));
  }
};

TEST_F(LostDatabaseTest, NothingIsDeletedUntilSomebodyConfirms) {
  Open(store::StoreKind::kRegistry);
  Scan();
  const std::string run = Prune().id;
  LoseDatabase();
  const std::string before = folder_.Snapshot();
  const Plan plan = MakePlan(Request());
  EXPECT_FALSE(collector_->CheckConfirmed().ok());
  ExpectUnconfirmed(Apply(plan).status());
  ExpectUnconfirmed(PurgeNow().status());
  EXPECT_EQ(folder_.Snapshot(), before);
  Restart();
  ExpectUnconfirmed(Apply(plan).status());
  ASSERT_THAT(collector_->Recover(), IsOk());
  // What was taken before can be given back meanwhile.
  EXPECT_THAT(RestoreRun(run), IsOk());
  Scan();
  ASSERT_THAT(graph_->ConfirmLoss(), IsOk());
  EXPECT_THAT(collector_->CheckConfirmed(), IsOk());
  EXPECT_THAT(Apply(MakePlan(Request())), IsOk());
  EXPECT_EQ(StateOf(kept_), NodeState::kPresent);
  EXPECT_THAT(PurgeNow(), IsOk());
}

// A pin that is recorded again before the confirmation holds, also against a
// plan that was made before it.
TEST_F(LostDatabaseTest, WhatIsRecordedAgainBeforeIsKept) {
  Open(store::StoreKind::kRegistry);
  LoseDatabase();
  const Plan plan = MakePlan(Request());
  EXPECT_EQ(plan.totals.blob_count, 4u);
  index::PutPin pin;
  pin.store = "s";
  pin.id = "mine";
  const oci::Digest blob = oci::Digest::Sha256Of("nothing names me");
  pin.target.content = index::ContentName{"s", "", blob};
  ASSERT_THAT(Record({pin}), IsOk());
  ASSERT_THAT(graph_->ConfirmLoss(), IsOk());
  ASSERT_THAT(Apply(plan), IsOk());
  EXPECT_EQ(StateOf(blob), NodeState::kPresent);
}

std::string BlobPath(const oci::Digest& digest) {
  return absl::StrCat("docker/registry/v2/blobs/sha256/",
                      digest.hex().substr(0, 2), "/", digest.hex(), "/data");
}

// The registry's own collector passes it by, and takes what it alone names.
TEST_F(DoubtfulRegistryTest, WhatAMissingManifestMayReferenceStays) {
  const oci::Digest lost = tree_.Image("app", "v2", {"base", "of the lost"});
  const std::string bytes = folder_.Read(BlobPath(lost));
  folder_.Remove(BlobPath(lost));
  Open(store::StoreKind::kRegistry);
  ExpectNothingTaken();
  folder_.Write(BlobPath(lost), bytes);
  ExpectCollected();
}

// Once read it is known: then nothing else has to be kept.
TEST_F(DoubtfulRegistryTest, WhatAKnownManifestReferencesStaysWithoutIt) {
  const oci::Digest lost = tree_.Image("app", "v2", {"base", "of the lost"});
  Open(store::StoreKind::kRegistry);
  Scan();
  folder_.Remove(BlobPath(lost));
  ExpectCollected();
  EXPECT_EQ(StateOf(oci::Digest::Sha256Of("of the lost")), NodeState::kPresent);
}

// Deleted over the API of an older registry, which leaves the tag.
TEST_F(DoubtfulRegistryTest, ATagOfADeletedImageKeepsNothing) {
  const oci::Digest gone = tree_.Image("app", "v2", {"base", "of the gone"});
  folder_.Remove(BlobPath(gone));
  folder_.Remove(absl::StrCat(kTop, "app/_manifests/revisions/sha256/",
                              gone.hex(), "/link"));
  Open(store::StoreKind::kRegistry);
  Scan();
  EXPECT_EQ(MakePlan(Request()).totals.blob_count, 6u)
      << "its config and its layer as well";
}

using DoubtfulLayoutTest = CollectorFixture;

TEST_F(DoubtfulLayoutTest, BesideAMissingManifestNothingIsTaken) {
  store::LayoutTree tree(&folder_, "a");
  store::LayoutTree unnamed(&folder_, "b");
  store::LayoutTree other(&folder_, "c");
  const oci::Digest lost = tree.Image({"one"});
  tree.Entry(lost, "v1");
  const oci::Digest alone = unnamed.Image({"two"});
  unnamed.Entry(alone, "");
  other.Entry(other.Image({"three"}), "v1");
  const oci::Digest garbage = other.Blob("nothing names me");
  folder_.Remove("a/blobs/sha256/" + lost.hex());
  folder_.Remove("b/blobs/sha256/" + alone.hex());
  Open(store::StoreKind::kImageLayout);
  Scan();
  Prune();
  EXPECT_EQ(StateOf(oci::Digest::Sha256Of("one"), "a"), NodeState::kPresent);
  EXPECT_EQ(StateOf(oci::Digest::Sha256Of("two"), "b"), NodeState::kPresent);
  EXPECT_EQ(StateOf(garbage, "c"), NodeState::kQuarantined);
}

TEST_F(DoubtfulLayoutTest, EntriesWithOneNameAreAllKept) {
  store::LayoutTree tree(&folder_, "a");
  const oci::Digest first = tree.Image({"one"});
  const oci::Digest second = tree.Image({"two"});
  const oci::Digest garbage = tree.Image({"three"});
  tree.Entry(first, "v1");
  tree.Entry(second, "v1");
  tree.Entry(garbage, "");
  Open(store::StoreKind::kImageLayout);
  for (int i = 0; i < 3; ++i) {
    Scan();
    Prune();
    EXPECT_EQ(StateOf(first, "a"), NodeState::kPresent);
    EXPECT_EQ(StateOf(second, "a"), NodeState::kPresent);
    EXPECT_EQ(StateOf(garbage, "a"), NodeState::kQuarantined);
    ExpectExact();
  }
  EXPECT_THAT(folder_.Read("a/index.json"), HasSubstr(second.hex()));
}

// Tools share blobs between layouts that way.
TEST_F(DoubtfulLayoutTest, BlobsThatAnotherLayoutLinksStay) {
  store::LayoutTree tree(&folder_, "a");
  tree.Entry(tree.Image({"one"}), "v1");
  const oci::Digest shared = tree.Image({"two"});
  store::LayoutTree other(&folder_, "b");
  other.Entry(shared, "v1");
  folder_.Write("b/oci-layout", folder_.Read("a/oci-layout"));
  const std::string link = folder_.path() + "/b/blobs";
  fs::create_directory_symlink("../a/blobs", link);
  Open(store::StoreKind::kImageLayout);
  for (const bool is_whole : {true, false}) {
    if (!is_whole) {
      fs::remove(link);
      fs::create_directory(link);
      fs::create_directory_symlink("../../a/blobs/sha256", link + "/sha256");
    }
    for (int i = 0; i < 2; ++i) {
      Scan();
      EXPECT_THAT(MakePlan(Request()).items, IsEmpty());
      Prune();
      EXPECT_EQ(StateOf(shared, "a"), NodeState::kPresent);
    }
  }
  // Its name still asks for them (gc/layout_places_test).
  fs::remove_all(link);
  Scan();
  EXPECT_THAT(MakePlan(Request()).items, IsEmpty());
  fs::remove_all(folder_.path() + "/b");
  Scan();
  EXPECT_EQ(MakePlan(Request()).totals.blob_count, 3u);
}

// The folder of a store goes and another one comes under its name.
class ReplacedStoreTest : public DoubtfulRegistryTest {
 protected:
  ReplacedStoreTest() {
    Open(store::StoreKind::kRegistry);
    Scan();
  }
  ~ReplacedStoreTest() override { fs::remove_all(away_); }

  void ExpectRefused() {
    const auto is_refused =
        StatusIs(absl::StatusCode::kUnavailable, HasSubstr("was replaced"));
    EXPECT_THAT(store_->GetCapacity(), is_refused);
    const auto run = collector_->Scan("s", true, "test", {});
    ASSERT_THAT(run, IsOk());
    EXPECT_EQ(run->phase, RunPhase::kFailed);
    EXPECT_THAT(run->problems, Contains(HasSubstr("was replaced")));
    EXPECT_EQ(StateOf(kept_), NodeState::kPresent) << "nothing is gone";
    EXPECT_TRUE(HasTag("app", "v1"));
    ExpectExact();
  }

  const std::string away_ = folder_.path() + ".away";
};

TEST_F(ReplacedStoreTest, WhatWasMovedAwayIsLeftAlone) {
  const Plan plan = MakePlan(Request());
  ASSERT_EQ(plan.totals.blob_count, 4u);
  fs::rename(folder_.path(), away_);
  fs::create_directory(folder_.path());
  store::RegistryTree(&folder_).Image("app", "v2", {"another"});
  const std::string before = folder_.Snapshot();
  // What becomes of the run is its affair: it took nothing away.
  const auto run = Apply(plan);
  EXPECT_FALSE(run.ok() && run->item_count > 0);
  EXPECT_FALSE(fs::exists(away_ + "/.reclaim")) << "nothing was moved there";
  EXPECT_EQ(folder_.Snapshot(), before);
  ExpectRefused();
  // It comes back: all is as it was.
  fs::remove_all(folder_.path());
  fs::rename(away_, folder_.path());
  Restart();
  ASSERT_THAT(collector_->Recover(), IsOk());
  ExpectCollected();
}

TEST_F(ReplacedStoreTest, WhatWasDeletedAndMadeAgainIsNotTakenForTheOldOne) {
  fs::remove_all(folder_.path());
  ExpectRefused();
  fs::create_directory(folder_.path());
  ExpectRefused();
  store::RegistryTree(&folder_).Image("app", "v2", {"another"});
  ExpectRefused();
  // A new start opens what is there now.
  Restart();
  ASSERT_THAT(collector_->Recover(), IsOk());
  Scan();
  EXPECT_FALSE(HasTag("app", "v1"));
  EXPECT_TRUE(HasTag("app", "v2"));
}

TEST_F(ReplacedStoreTest, AQuarantineInAFolderThatWasReplacedIsKept) {
  const gc::Run run = Prune();
  const size_t count = QuarantineCount();
  ASSERT_GT(count, 0u);
  fs::rename(folder_.path(), away_);
  fs::create_directory(folder_.path());
  const auto purged = PurgeNow();
  EXPECT_FALSE(purged.ok() && purged->item_count > 0);
  EXPECT_EQ(QuarantineCount(), count);
  EXPECT_TRUE(fs::exists(away_ + "/.reclaim"));
  fs::remove_all(folder_.path());
  fs::rename(away_, folder_.path());
  Restart();
  ASSERT_THAT(collector_->Recover(), IsOk());
  EXPECT_THAT(RestoreRun(run.id), IsOk());
}

}  // namespace
}  // namespace reclaim::gc
