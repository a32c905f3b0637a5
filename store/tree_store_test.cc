// Stores on disk: scanning, measuring, and the three steps of deletion.

#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "base/fault_point.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "store/content_store.h"
#include "store/layout_index_file.h"
#include "store/open_store.h"
#include "store/rooted_dir.h"
#include "store/testing/deletion_permit_for_test.h"
#include "store/testing/store_tree.h"

namespace reclaim::store {
namespace {

using ::reclaim::base::IsOk;
using ::reclaim::base::StatusIs;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

class Facts final : public ScanSink {
 public:
  absl::Status Accept(ScanBatch batch) override {
    for (auto& f : batch.repositories) repositories.insert(f.repository);
    for (auto& f : batch.blobs) blobs.push_back(f);
    for (auto& f : batch.tags) tags.insert(f.repository + ":" + f.tag);
    for (auto& f : batch.memberships) memberships.push_back(f);
    for (auto& f : batch.uploads) uploads.insert(f.upload_id);
    for (auto& f : batch.strays) strays.insert(f.path);
    for (auto& f : batch.problems) problems.push_back(f);
    for (auto& f : batch.sections) {
      if (f.state == SectionState::kUnreadable) unreadable.insert(f.scope);
    }
    return absl::OkStatus();
  }
  bool IsCancelled() const override { return false; }

  std::set<std::string> repositories, tags, uploads, strays, unreadable;
  std::vector<BlobFact> blobs;
  std::vector<MembershipFact> memberships;
  std::vector<ProblemFact> problems;
};

std::unique_ptr<ContentStore> Open(const std::string& uri) {
  auto parsed = ParseStoreUri(uri);
  EXPECT_THAT(parsed, IsOk());
  auto store = OpenStore(*parsed, false);
  EXPECT_THAT(store, IsOk());
  return *std::move(store);
}

Facts ScanAll(const ContentStore& store) {
  Facts facts;
  ScanRequest request;
  EXPECT_THAT(store.Scan(request, &facts), IsOk());
  return facts;
}

Removal Blob(const oci::Digest& digest, const Place& place = "") {
  Removal removal;
  removal.kind = RemovalKind::kBlob;
  removal.place = place;
  removal.digest = digest;
  return removal;
}
Removal Named(RemovalKind kind, const std::string& repository,
              const oci::Digest& digest, const std::string& tag = "") {
  Removal removal;
  removal.kind = kind;
  removal.repository = repository;
  removal.tag = tag;
  removal.digest = digest;
  return removal;
}

class RegistryTest : public ::testing::Test {
 protected:
  RegistryTest() {
    image_ = tree_.Image("team/app", "v1", {"layer one", "layer two"});
    other_ = tree_.Image("web", "v1", {"layer one"});
    store_ = Open("registry:" + folder_.path());
  }
  std::vector<Removal> WholeApp() {
    const auto layer = [](const char* bytes) {
      return oci::Digest::Sha256Of(bytes);
    };
    return {Named(RemovalKind::kTag, "team/app", image_, "v1"),
            Named(RemovalKind::kRevisionLink, "team/app", image_),
            Named(RemovalKind::kLayerLink, "team/app", layer("layer one")),
            Named(RemovalKind::kLayerLink, "team/app", layer("layer two")),
            Blob(image_),
            Blob(layer("layer two"))};
  }
  void ExpectAllOk(const absl::StatusOr<std::vector<RemovalOutcome>>& all) {
    ASSERT_THAT(all, IsOk());
    for (const RemovalOutcome& outcome : *all) {
      EXPECT_THAT(outcome.status, IsOk());
    }
  }

  TempFolder folder_;
  RegistryTree tree_{&folder_};
  oci::Digest image_, other_;
  std::unique_ptr<ContentStore> store_;
  DeletionPermitForTest permit_;
};

TEST_F(RegistryTest, ReportsWhatIsThere) {
  tree_.Upload("web", "0000-1111", "half a layer");
  const Facts facts = ScanAll(*store_);
  EXPECT_THAT(facts.repositories, UnorderedElementsAre("team/app", "web"));
  EXPECT_THAT(facts.tags, UnorderedElementsAre("team/app:v1", "web:v1"));
  EXPECT_THAT(facts.blobs, SizeIs(6));
  EXPECT_THAT(facts.memberships, SizeIs(7));
  EXPECT_THAT(facts.uploads, UnorderedElementsAre("0000-1111"));
  EXPECT_TRUE(facts.strays.empty());
  EXPECT_TRUE(facts.problems.empty());
}

TEST_F(RegistryTest, SeveralThreadsReportTheSame) {
  Facts facts;
  ScanRequest request;
  request.thread_count = 8;
  EXPECT_THAT(store_->Scan(request, &facts), IsOk());
  EXPECT_THAT(facts.blobs, SizeIs(6));
}

TEST_F(RegistryTest, QuarantineHidesAndRestoreGivesAnIdenticalTree) {
  const std::string before = folder_.Snapshot();
  ExpectAllOk(store_->Quarantine(*permit_, "run1", WholeApp()));
  EXPECT_THAT(store_->Stat("", image_), StatusIs(absl::StatusCode::kNotFound));
  const Facts hidden = ScanAll(*store_);
  EXPECT_THAT(hidden.tags, UnorderedElementsAre("web:v1"));
  EXPECT_THAT(*store_->ListQuarantine(), SizeIs(6));
  ExpectAllOk(store_->Restore("run1", WholeApp()));
  EXPECT_EQ(folder_.Snapshot(), before);
}

TEST_F(RegistryTest, ARestartForgetsNothingOfTheQuarantine) {
  const std::string before = folder_.Snapshot();
  ExpectAllOk(store_->Quarantine(*permit_, "run1", WholeApp()));
  store_ = Open("registry:" + folder_.path());
  EXPECT_THAT(*store_->ListQuarantine(), SizeIs(6));
  ExpectAllOk(store_->Restore("run1", WholeApp()));
  EXPECT_EQ(folder_.Snapshot(), before);
}

TEST_F(RegistryTest, PurgeFreesExactlyWhatWasMeasured) {
  const uint64_t before = folder_.DiskBytes();
  const auto measured = store_->Measure(WholeApp());
  ASSERT_THAT(measured, IsOk());
  ExpectAllOk(store_->Quarantine(*permit_, "run1", WholeApp()));
  ExpectAllOk(store_->Purge(*permit_, "run1", WholeApp()));
  EXPECT_FALSE(folder_.Exists(".reclaim"));
  EXPECT_EQ(before - folder_.DiskBytes(), measured->total().allocated_bytes);
  const uint64_t layer_bytes = std::string("layer two").size();
  EXPECT_GT(measured->content.logical_bytes, layer_bytes);
}

TEST_F(RegistryTest, EachStepIsIdempotent) {
  ExpectAllOk(store_->Quarantine(*permit_, "run1", WholeApp()));
  const auto again = store_->Quarantine(*permit_, "run1", WholeApp());
  ASSERT_THAT(again, IsOk());
  for (const RemovalOutcome& outcome : *again) {
    EXPECT_THAT(outcome.status, StatusIs(absl::StatusCode::kNotFound));
  }
  ExpectAllOk(store_->Purge(*permit_, "run1", WholeApp()));
  const auto purged = store_->Purge(*permit_, "run1", WholeApp());
  ASSERT_THAT(purged, IsOk());
  for (const RemovalOutcome& outcome : *purged) {
    EXPECT_THAT(outcome.status, StatusIs(absl::StatusCode::kNotFound));
  }
}

TEST_F(RegistryTest, ATagThatMovedStays) {
  tree_.Tag("team/app", "v1", other_);
  const auto outcomes = store_->Quarantine(
      *permit_, "run1", {Named(RemovalKind::kTag, "team/app", image_, "v1")});
  ASSERT_THAT(outcomes, IsOk());
  EXPECT_THAT((*outcomes)[0].status, StatusIs(absl::StatusCode::kAborted));
  EXPECT_THAT(ScanAll(*store_).tags, testing::Contains("team/app:v1"));
}

TEST_F(RegistryTest, ATagPushedAnewSinceThePlanStays) {
  // The plan is of long ago, the tag's file of today.
  const DeletionPermitForTest permit(absl::FromUnixSeconds(1000000000));
  const auto outcomes = store_->Quarantine(
      *permit, "run1", {Named(RemovalKind::kTag, "team/app", image_, "v1")});
  ASSERT_THAT(outcomes, IsOk());
  EXPECT_THAT((*outcomes)[0].status, StatusIs(absl::StatusCode::kAborted));
  EXPECT_THAT(ScanAll(*store_).tags, testing::Contains("team/app:v1"));
}

// It comes back to where others have written: neither this nor a later purge of
// the run makes that look older.
TEST_F(RegistryTest, ATagThatStaysLeavesTheTimesOfItsFoldersAlone) {
  const DeletionPermitForTest permit(absl::FromUnixSeconds(1000000000));
  const std::vector<Removal> one = {
      Named(RemovalKind::kTag, "team/app", image_, "v1")};
  const std::filesystem::path tags =
      folder_.path() +
      "/docker/registry/v2/repositories/team/app/_manifests/tags";
  ASSERT_TRUE(std::filesystem::exists(tags));
  const auto time = [](int64_t seconds) {
    return std::filesystem::file_time_type(std::chrono::seconds(seconds));
  };
  std::filesystem::last_write_time(tags, time(1000));
  const auto outcomes = store_->Quarantine(*permit, "run1", one);
  ASSERT_THAT(outcomes, IsOk());
  EXPECT_THAT((*outcomes)[0].status, StatusIs(absl::StatusCode::kAborted));
  std::filesystem::last_write_time(tags, time(2000));
  ASSERT_THAT(store_->Purge(*permit, "run1", one), IsOk());
  EXPECT_EQ(std::filesystem::last_write_time(tags), time(2000));
}

TEST_F(RegistryTest, RestoreOverwritesNothing) {
  const std::vector<Removal> one = {Blob(image_)};
  ExpectAllOk(store_->Quarantine(*permit_, "run1", one));
  folder_.Write(tree_.BlobPath(image_), "somebody else's");
  const auto outcomes = store_->Restore("run1", one);
  ASSERT_THAT(outcomes, IsOk());
  EXPECT_THAT((*outcomes)[0].status,
              StatusIs(absl::StatusCode::kAlreadyExists));
  EXPECT_EQ(folder_.Read(tree_.BlobPath(image_)), "somebody else's");
}

TEST_F(RegistryTest, ACrashBetweenMovesLosesNothing) {
  const std::string before = folder_.Snapshot();
  {
    base::ScopedFault crash("rooted_dir.move", absl::AbortedError("crash"), 3);
    ASSERT_THAT(store_->Quarantine(*permit_, "run1", WholeApp()), IsOk());
  }
  store_ = Open("registry:" + folder_.path());
  const auto left = store_->ListQuarantine();
  ASSERT_THAT(left, IsOk());
  std::vector<Removal> removals;
  for (const QuarantinedItem& item : *left) removals.push_back(item.removal);
  EXPECT_THAT(removals, SizeIs(testing::Le(3u)));
  ExpectAllOk(store_->Restore("run1", removals));
  // The journal of what never moved may be left; the store's own tree is not
  // changed.
  folder_.Remove(".reclaim");
  EXPECT_EQ(folder_.Snapshot(), before);
}

TEST_F(RegistryTest, WhatIsNotUnderstoodIsToldAndNeverTouched) {
  const std::string blobs = "docker/registry/v2/blobs/sha256/";
  folder_.Write(blobs + "zz/file", "?");
  folder_.Write(blobs + "ab/notahash/data", "?");
  folder_.Write("docker/registry/v2/repositories/UP_PER/_layers/x", "?");
  ASSERT_EQ(symlink("/etc", (folder_.path() + "/docker/registry/v2/" +
                             "repositories/web/evil")
                                .c_str()),
            0);
  const Facts facts = ScanAll(*store_);
  EXPECT_THAT(facts.strays, testing::Contains(blobs + "ab/notahash"));
  EXPECT_THAT(facts.strays,
              testing::Contains("docker/registry/v2/repositories/UP_PER"));
  // A registry would follow it.
  ASSERT_THAT(facts.problems, SizeIs(1));
  EXPECT_EQ(facts.problems[0].path, "docker/registry/v2/repositories/web/evil");
  EXPECT_THAT(facts.unreadable, testing::Contains(""));
}

TEST_F(RegistryTest, ALinkInThePlaceOfABlobIsNeverFollowed) {
  const std::string data = folder_.path() + "/" + tree_.BlobPath(image_);
  unlink(data.c_str());
  ASSERT_EQ(symlink("/etc/passwd", data.c_str()), 0);
  EXPECT_THAT(store_->Stat("", image_),
              StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_FALSE(store_->Read("", image_, 100).ok());
  const auto outcomes = store_->Quarantine(*permit_, "run1", {Blob(image_)});
  ASSERT_THAT(outcomes, IsOk());
  EXPECT_FALSE((*outcomes)[0].status.ok());
}

TEST_F(RegistryTest, ALinkInThePlaceOfAFolderIsNeverFollowed) {
  namespace fs = std::filesystem;
  const TempFolder outside;
  const fs::path data = fs::path(folder_.path()) / tree_.BlobPath(image_);
  const fs::path shard = data.parent_path().parent_path();
  const fs::path away = fs::path(outside.path()) / "shard";
  fs::rename(shard, away);
  fs::create_directory_symlink(away, shard);
  const std::string before = outside.Snapshot();
  EXPECT_FALSE(store_->Stat("", image_).ok());
  EXPECT_FALSE(store_->Read("", image_, 100).ok());
  EXPECT_FALSE(store_->VerifyDigest("", image_).ok());
  for (const BlobFact& blob : ScanAll(*store_).blobs) {
    EXPECT_NE(blob.digest, image_);
  }
  const auto outcomes = store_->Quarantine(*permit_, "run1", {Blob(image_)});
  EXPECT_TRUE(!outcomes.ok() || !(*outcomes)[0].status.ok());
  EXPECT_EQ(outside.Snapshot(), before);
}

TEST_F(RegistryTest, APipeInThePlaceOfABlobDoesNotHang) {
  const std::string data = folder_.path() + "/" + tree_.BlobPath(image_);
  unlink(data.c_str());
  ASSERT_EQ(mkfifo(data.c_str(), 0600), 0);
  EXPECT_THAT(store_->Read("", image_, 100),
              StatusIs(absl::StatusCode::kFailedPrecondition));
}

TEST_F(RegistryTest, ATornLinkMakesItsRepositoryUnreadable) {
  folder_.Write(
      "docker/registry/v2/repositories/web/_manifests/tags/v1/current/link",
      "sha256:");
  const Facts facts = ScanAll(*store_);
  ASSERT_THAT(facts.problems, SizeIs(1));
  EXPECT_EQ(facts.problems[0].repository, "web");
  EXPECT_THAT(facts.unreadable, UnorderedElementsAre("web"));
}

TEST_F(RegistryTest, FindsDamagedBytes) {
  EXPECT_THAT(store_->VerifyDigest("", image_), IsOk());
  folder_.Write(tree_.BlobPath(image_), "other bytes");
  EXPECT_THAT(store_->VerifyDigest("", image_),
              StatusIs(absl::StatusCode::kDataLoss));
}

TEST_F(RegistryTest, AReadOnlyStoreRefusesToDelete) {
  auto store = OpenStore(*ParseStoreUri("registry:" + folder_.path()), true);
  ASSERT_THAT(store, IsOk());
  EXPECT_THAT((*store)->Quarantine(*permit_, "run1", {Blob(image_)}),
              StatusIs(absl::StatusCode::kFailedPrecondition));
}

TEST_F(RegistryTest, AnIdThatIsAPathIsRefused) {
  EXPECT_THAT(store_->Quarantine(*permit_, "../x", {Blob(image_)}),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(ImageLayoutTest, NamesAreTagsAndTheRestAreRevisions) {
  TempFolder folder;
  LayoutTree tree(&folder, "");
  const oci::Digest named = tree.Image({"one"});
  const oci::Digest unnamed = tree.Image({"two"});
  tree.Entry(named, "v1");
  tree.Entry(unnamed, "");
  const auto store = Open("image-layout:" + folder.path());
  const Facts facts = ScanAll(*store);
  const std::string name = folder.path().substr(folder.path().rfind('/') + 1);
  EXPECT_THAT(facts.tags, UnorderedElementsAre(name + ":v1"));
  ASSERT_THAT(facts.memberships, SizeIs(1));
  EXPECT_EQ(facts.memberships[0].digest, unnamed);
  EXPECT_FALSE(facts.memberships[0].is_only_name);
}

TEST(ImageLayoutTest, WhereNothingHasANameEntriesAreTheOnlyNames) {
  TempFolder folder;
  LayoutTree tree(&folder, "");
  tree.Entry(tree.Image({"one"}), "");
  const Facts facts = ScanAll(*Open(folder.path()));
  ASSERT_THAT(facts.memberships, SizeIs(1));
  EXPECT_TRUE(facts.memberships[0].is_only_name);
}

TEST(ImageLayoutTest, AFolderOfLayoutsHasAPlaceForEach) {
  TempFolder folder;
  for (const char* place : {"a", "deep/b"}) {
    LayoutTree tree(&folder, place);
    tree.Entry(tree.Image({"shared"}), "v1");
  }
  const Facts facts = ScanAll(*Open(folder.path()));
  EXPECT_THAT(facts.tags, UnorderedElementsAre("a:v1", "deep/b:v1"));
  EXPECT_THAT(facts.blobs, SizeIs(6));
}

TEST(ImageLayoutTest, ALayoutWithinALayoutIsFound) {
  TempFolder folder;
  for (const char* place : {"x", "x/a", "x/deep/b"}) {
    LayoutTree tree(&folder, place);
    tree.Entry(tree.Image({place}), "v1");
  }
  folder.Write("x/other/file", "");
  const Facts facts = ScanAll(*Open(folder.path()));
  EXPECT_THAT(facts.tags,
              UnorderedElementsAre("x:v1", "x/a:v1", "x/deep/b:v1"));
  EXPECT_THAT(facts.strays, UnorderedElementsAre("x/other"));
}

TEST(ImageLayoutTest, WhatHasLostItsMarkIsALayoutOfUnknownNames) {
  for (const bool is_link : {false, true}) {
    TempFolder folder;
    for (const char* place : {"a", "b"}) {
      LayoutTree tree(&folder, place);
      tree.Entry(tree.Image({place}), "v1");
    }
    folder.Write("c/index.json", "{}");  // nobody's
    folder.Remove("b/oci-layout");
    if (is_link) {
      const std::string link = folder.path() + "/b/oci-layout";
      ASSERT_EQ(symlink("../a/oci-layout", link.c_str()), 0);
    }
    const Facts facts = ScanAll(*Open(folder.path()));
    EXPECT_THAT(facts.repositories, UnorderedElementsAre("a", "b"));
    EXPECT_THAT(facts.unreadable, UnorderedElementsAre("b"));
    EXPECT_THAT(facts.blobs, SizeIs(6));
    EXPECT_THAT(facts.tags, UnorderedElementsAre("a:v1"));
    folder.Remove("a/oci-layout");
    EXPECT_THAT(OpenStore(*ParseStoreUri("image-layout:" + folder.path()),
                          /*is_read_only=*/false),
                StatusIs(absl::StatusCode::kFailedPrecondition));
  }
}

TEST(ImageLayoutTest, AnEditThatAWriterOvertakesLeavesNothingBehind) {
  TempFolder folder;
  LayoutTree tree(&folder, "");
  const oci::Digest image = tree.Image({"one"});
  tree.Entry(image, "v1");
  const auto store = Open(folder.path());
  LayoutIndexFile::SetStepHookForTest([&](absl::string_view step) {
    if (step == "exchange") {
      LayoutTree again(&folder, "");
      again.Entry(again.Image({"new"}), "v1");
    }
    return absl::OkStatus();
  });
  DeletionPermitForTest permit;
  const auto outcomes = store->Quarantine(
      *permit, "run1", {Named(RemovalKind::kTag, "r", image, "v1")});
  LayoutIndexFile::SetStepHookForTest(nullptr);
  ASSERT_THAT(outcomes, IsOk());
  EXPECT_THAT((*outcomes)[0].status, StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(*store->ListQuarantine(), SizeIs(0));
  EXPECT_THAT(ScanAll(*store).tags, SizeIs(1));
}

TEST(ImageLayoutTest, EditsComeBackByteForByte) {
  TempFolder folder;
  LayoutTree tree(&folder, "");
  const oci::Digest image = tree.Image({"one"});
  const oci::Digest unnamed = tree.Image({"two"});
  tree.Entry(image, "v1");
  tree.Entry(unnamed, "");
  const std::string index = folder.Read("index.json");
  const auto store = Open(folder.path());
  const std::vector<Removal> removals = {
      Named(RemovalKind::kTag, "r", image, "v1"),
      Named(RemovalKind::kRevisionLink, "r", unnamed), Blob(unnamed)};
  DeletionPermitForTest permit;
  const auto outcomes = store->Quarantine(*permit, "run1", removals);
  ASSERT_THAT(outcomes, IsOk());
  for (const auto& outcome : *outcomes) EXPECT_THAT(outcome.status, IsOk());
  EXPECT_THAT(folder.Read("index.json"),
              testing::Not(HasSubstr(unnamed.ToString())));
  EXPECT_THAT(folder.Read("index.json"), testing::Not(HasSubstr("ref.name")));
  const auto restored = store->Restore("run1", removals);
  ASSERT_THAT(restored, IsOk());
  for (const auto& outcome : *restored) EXPECT_THAT(outcome.status, IsOk());
  EXPECT_EQ(folder.Read("index.json"), index);
  EXPECT_TRUE(folder.Exists("blobs/sha256/" + unnamed.hex()));
  EXPECT_FALSE(folder.Exists(".reclaim"));
}

TEST(ImageLayoutTest, AnEntryComesBackIntoAFileThatOthersEdited) {
  TempFolder folder;
  LayoutTree tree(&folder, "");
  const oci::Digest image = tree.Image({"one"});
  tree.Entry(image, "v1");
  const auto store = Open(folder.path());
  const std::vector<Removal> removals = {
      Named(RemovalKind::kTag, "r", image, "v1")};
  DeletionPermitForTest permit;
  ASSERT_THAT(store->Quarantine(*permit, "run1", removals), IsOk());
  LayoutTree again(&folder, "");
  again.Entry(again.Image({"new"}), "v2");
  const auto restored = store->Restore("run1", removals);
  ASSERT_THAT(restored, IsOk());
  EXPECT_THAT((*restored)[0].status, IsOk());
  const Facts facts = ScanAll(*store);
  EXPECT_THAT(facts.tags, SizeIs(2));
}

// "tag a:b:c" of the folder "a" and of the folder "a:b".
class SameTextTest : public ::testing::Test {
 protected:
  SameTextTest() {
    const auto add = [this](const Place& place, const std::string& tag) {
      LayoutTree tree(&folder_, place);
      Removal removal = Named(RemovalKind::kTag, place, tree.Image({tag}), tag);
      removal.place = place;
      tree.Entry(*removal.digest, tag);
      removals_.push_back(std::move(removal));
    };
    add("a", "b:c");
    add("a:b", "c");
    EXPECT_EQ(ToString(removals_[0]), ToString(removals_[1]));
    store_ = Open(folder_.path());
  }
  void Quarantine() {
    const auto outcomes = store_->Quarantine(*permit_, "run1", removals_);
    ASSERT_THAT(outcomes, IsOk());
    for (const auto& outcome : *outcomes) EXPECT_THAT(outcome.status, IsOk());
  }
  // Leaves the note of the second removal alone, where older versions wrote
  // those of both.
  void MakeOld() {
    const std::filesystem::path tree =
        folder_.path() + "/.reclaim/quarantine/run1/tree";
    std::vector<std::filesystem::path> notes;
    for (const auto& entry : std::filesystem::directory_iterator(tree)) {
      notes.push_back(entry.path());
    }
    ASSERT_THAT(notes, SizeIs(2));
    const std::string old =
        ".note-" + oci::Digest::Sha256Of(ToString(removals_[1])).hex();
    for (const std::filesystem::path& note : notes) {
      const std::string text = folder_.Read(".reclaim/quarantine/run1/tree/" +
                                            note.filename().string());
      if (text.find(removals_[1].digest->ToString()) == std::string::npos) {
        std::filesystem::remove(note);
      } else {
        std::filesystem::rename(note, tree / old);
      }
    }
    store_ = Open(folder_.path());
  }
  // Of the first and the second.
  std::vector<absl::Status> Restore() {
    const auto outcomes = store_->Restore("run1", removals_);
    EXPECT_THAT(outcomes, IsOk());
    if (!outcomes.ok()) return {outcomes.status(), outcomes.status()};
    return {(*outcomes)[0].status, (*outcomes)[1].status};
  }

  TempFolder folder_;
  std::vector<Removal> removals_;
  std::unique_ptr<ContentStore> store_;
  DeletionPermitForTest permit_;
};

TEST_F(SameTextTest, EachHasItsNote) {
  const std::string first = folder_.Read("a/index.json");
  const std::string second = folder_.Read("a:b/index.json");
  Quarantine();
  EXPECT_THAT(*store_->ListQuarantine(), SizeIs(2));
  for (const absl::Status& status : Restore()) EXPECT_THAT(status, IsOk());
  EXPECT_EQ(folder_.Read("a/index.json"), first);
  EXPECT_EQ(folder_.Read("a:b/index.json"), second);
}

// Whoever may write to the store may write to them.
TEST_F(SameTextTest, ANoteThatWasChangedIsDamaged) {
  Quarantine();
  const std::string edited = folder_.Read("a/index.json");
  const std::string tree = ".reclaim/quarantine/run1/tree/";
  for (const char* note :
       {"", "7", "{", "[]", "{}", R"({"before":7,"after":7})",
        R"({"before":"{}","after":null})", R"({"after":"sha256:0"})"}) {
    for (const auto& entry :
         std::filesystem::directory_iterator(folder_.path() + "/" + tree)) {
      folder_.Write(tree + entry.path().filename().string(), note);
    }
    for (const absl::Status& status : Restore()) {
      EXPECT_THAT(status, StatusIs(absl::StatusCode::kDataLoss)) << note;
    }
  }
  EXPECT_EQ(folder_.Read("a/index.json"), edited);
}

TEST_F(SameTextTest, OfAnOldNoteItsOwnRemovalComesBack) {
  const std::string second = folder_.Read("a:b/index.json");
  Quarantine();
  MakeOld();
  ASSERT_THAT(*store_->ListQuarantine(), SizeIs(1));
  EXPECT_EQ((*store_->ListQuarantine())[0].removal, removals_[1]);
  const auto restored = Restore();
  EXPECT_THAT(restored[0],
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("by hand")));
  EXPECT_THAT(restored[1], IsOk());
  EXPECT_EQ(folder_.Read("a:b/index.json"), second);
  EXPECT_FALSE(folder_.Exists(".reclaim"));
  EXPECT_THAT(Restore()[0], StatusIs(absl::StatusCode::kDataLoss))
      << "also when nothing is left of the run";
  LayoutTree(&folder_, "a").Entry(*removals_[0].digest, "b:c");
  EXPECT_THAT(Restore()[0], StatusIs(absl::StatusCode::kNotFound))
      << "it is back";
  LayoutTree again(&folder_, "a");
  again.Entry(again.Image({"new"}), "b:c");
  EXPECT_THAT(Restore()[0], StatusIs(absl::StatusCode::kAlreadyExists));
}

TEST_F(SameTextTest, APurgeLeavesTheNoteOfTheOther) {
  Quarantine();
  MakeOld();
  ASSERT_THAT(store_->Purge(*permit_, "run1", {removals_[0]}), IsOk());
  EXPECT_THAT(*store_->ListQuarantine(), SizeIs(1));
  EXPECT_THAT(Restore()[1], IsOk());
}

TEST(ImageLayoutTest, TwoOfOneNameAreAProblemOfTheStore) {
  TempFolder folder;
  const std::string name = folder.path().substr(folder.path().rfind('/') + 1);
  for (const std::string& place : {std::string(), name}) {
    LayoutTree tree(&folder, place);
    tree.Entry(tree.Image({place}), "of " + place);
  }
  const auto store = Open("image-layout:" + folder.path());
  const Facts facts = ScanAll(*store);
  EXPECT_THAT(facts.repositories, UnorderedElementsAre(name));
  EXPECT_THAT(facts.tags, UnorderedElementsAre(name + ":of "));
  EXPECT_THAT(facts.blobs, SizeIs(6));
  ASSERT_THAT(facts.problems, SizeIs(1));
  EXPECT_EQ(facts.problems[0].repository, "");
  EXPECT_FALSE(facts.problems[0].place.has_value());
  EXPECT_THAT(std::string(facts.problems[0].status.message()),
              HasSubstr(folder.path() + "/" + name));
}

TEST(ImageLayoutTest, ADamagedIndexIsUnreadableAndItsBlobsAreStillKnown) {
  TempFolder folder;
  LayoutTree tree(&folder, "a");
  tree.Entry(tree.Image({"one"}), "v1");
  folder.Write("a/index.json", "{");
  const Facts facts = ScanAll(*Open(folder.path()));
  EXPECT_THAT(facts.unreadable, UnorderedElementsAre("a"));
  EXPECT_THAT(facts.blobs, SizeIs(3));
  EXPECT_THAT(facts.problems, SizeIs(1));
}

TEST(ImageLayoutTest, HardLinksShareAnExtent) {
  TempFolder folder;
  for (const char* place : {"a", "b"}) {
    LayoutTree tree(&folder, place);
    tree.Entry(tree.Image({"shared"}), "v1");
  }
  const std::string blob =
      "/blobs/sha256/" + oci::Digest::Sha256Of("shared").hex();
  folder.Remove("b" + blob);
  ASSERT_EQ(link((folder.path() + "/a" + blob).c_str(),
                 (folder.path() + "/b" + blob).c_str()),
            0);
  std::vector<Extent> extents;
  for (const BlobFact& fact : ScanAll(*Open(folder.path())).blobs) {
    if (fact.stat.extent) extents.push_back(*fact.stat.extent);
  }
  ASSERT_THAT(extents, SizeIs(2));
  EXPECT_EQ(extents[0], extents[1]);
}

// What goes frees nothing as long as another name of its file is left.
TEST(ImageLayoutTest, OfAFileWithSeveralNamesTheLastFreesTheBytes) {
  TempFolder folder;
  TempFolder outside;
  std::vector<Removal> names;
  const oci::Digest digest = oci::Digest::Sha256Of("shared");
  for (const char* place : {"a", "b"}) {
    LayoutTree tree(&folder, place);
    tree.Entry(tree.Image({"shared"}), "v1");
    Removal removal;
    removal.place = place;
    removal.digest = digest;
    names.push_back(removal);
  }
  const std::string blob = "/blobs/sha256/" + digest.hex();
  const std::string first = folder.path() + "/a" + blob;
  folder.Remove("b" + blob);
  ASSERT_EQ(link(first.c_str(), (folder.path() + "/b" + blob).c_str()), 0);
  const auto store = Open(folder.path());
  const auto both = store->Measure(names);
  ASSERT_THAT(both, IsOk());
  EXPECT_EQ(both->content.logical_bytes, 6u);
  EXPECT_EQ(both->held, Bytes());
  ASSERT_THAT(both->shared, SizeIs(2));
  EXPECT_EQ(both->shared[1].removal, 1u);
  EXPECT_EQ(both->shared[1].link_count, 2u);
  const auto one = store->Measure(absl::MakeSpan(names).subspan(1));
  ASSERT_THAT(one, IsOk());
  EXPECT_EQ(one->content, Bytes());
  EXPECT_EQ(one->held.logical_bytes, 6u);

  const DeletionPermitForTest permit;
  ASSERT_THAT(store->Quarantine(*permit, "0123456789abcdef", names), IsOk());
  const std::string moved =
      folder.path() + "/.reclaim/quarantine/0123456789abcdef/tree/a" + blob;
  ASSERT_EQ(link(moved.c_str(), (outside.path() + "/backup").c_str()), 0);
  const auto purged = store->Purge(*permit, "0123456789abcdef", names);
  ASSERT_THAT(purged, IsOk());
  for (const RemovalOutcome& outcome : *purged) {
    EXPECT_THAT(outcome.status, IsOk());
    EXPECT_EQ(outcome.bytes.content, Bytes());
    EXPECT_EQ(outcome.bytes.held.logical_bytes, 6u);
  }
}

TEST(StoreUriTest, SaysWhatItUnderstands) {
  EXPECT_THAT(ParseStoreUri("ftp:/x"),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("registry:/PATH")));
  EXPECT_THAT(ParseStoreUri("registry:relative"),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(OpenStore(*ParseStoreUri("registry:/nowhere"), false),
              StatusIs(absl::StatusCode::kNotFound));
  EXPECT_EQ(DefaultStoreName(*ParseStoreUri("registry:/var/lib/My Registry/")),
            "myregistry");
}

}  // namespace
}  // namespace reclaim::store
