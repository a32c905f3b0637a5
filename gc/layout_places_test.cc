// Image layouts of one store that are not as far from each other as they seem:
// two of one name, two that share a folder of blobs, and notes of two that are
// told by the same text.

#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_matchers.h"
#include "gc/collector.h"
#include "gc/collector_fixture.h"
#include "gc/plan.h"
#include "gc/prune_request.h"
#include "gc/run.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "oci/digest.h"
#include "oci/media_type.h"
#include "store/testing/store_tree.h"

namespace reclaim::gc {
namespace {

using ::reclaim::base::IsOk;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

namespace fs = std::filesystem;

using index::NodeState;

class LayoutPlacesTest : public CollectorFixture {
 protected:
  // Of the repository that the store's own folder is.
  std::string RootName() const {
    return fs::path(folder_.path()).filename().string();
  }
  std::string Full(const std::string& path) const {
    return absl::StrCat(folder_.path(), "/", path);
  }
  // Neither by this scan nor by the next; why.
  std::string ExpectNothingTaken() {
    const std::string before = folder_.Snapshot();
    std::string why;
    for (int i = 0; i < 2; ++i) {
      Scan();
      const WholePlan plan = MakePlan(Request());
      EXPECT_THAT(plan.items, IsEmpty());
      for (const KeptScope& kept : plan.kept_scopes) {
        if (kept.scope.empty()) why = kept.why;
      }
      EXPECT_THAT(Apply(plan), IsOk());
      EXPECT_THAT(PurgeNow(), IsOk());
      EXPECT_EQ(folder_.Snapshot(), before);
    }
    return why;
  }
  // One name, of an index.
  void NameIndex(const std::string& place, const oci::Digest& index) {
    folder_.Write(
        absl::StrCat(place, "/index.json"),
        absl::StrCat(R"({"schemaVersion":2,"manifests":[{"mediaType":")",
                     oci::kOciIndexType, R"(","digest":")", index.ToString(),
                     R"(","size":1,"annotations":{)",
                     R"("org.opencontainers.image.ref.name":"v1"}}]})"));
  }

  store::LayoutTree root_{&folder_, ""};
  store::LayoutTree a_{&folder_, "a"};
  store::LayoutTree b_{&folder_, "b"};
};

// Names of one would be looked for among the blobs of the other.
TEST_F(LayoutPlacesTest, TwoOfOneNameKeepTheStore) {
  const oci::Digest image = root_.Image({"one"});
  root_.Entry(image, "v1");
  root_.Blob("nothing names me");
  store::LayoutTree inner(&folder_, RootName());
  inner.Entry(inner.Image({"one"}), "v1");
  inner.Entry(inner.Image({"two"}), "v2");
  Open(store::StoreKind::kImageLayout);
  EXPECT_THAT(ExpectNothingTaken(),
              AllOf(HasSubstr(folder_.path() + " and "),
                    HasSubstr(Full(RootName())), HasSubstr("rename")));
  EXPECT_TRUE(HasTag(RootName(), "v1"));

  fs::rename(Full(RootName()), Full("inner"));
  Scan();
  const WholePlan plan = MakePlan(Request());
  EXPECT_THAT(plan.kept_scopes, IsEmpty());
  EXPECT_EQ(plan.totals.blob_count, 1u);
  EXPECT_THAT(Apply(plan), IsOk());
  EXPECT_EQ(StateOf(image), NodeState::kPresent);
  EXPECT_TRUE(HasTag(RootName(), "v1"));
  EXPECT_TRUE(HasTag("inner", "v2"));
}

// Its names have the same digests and times as before.
TEST_F(LayoutPlacesTest, OneThatMovesKeepsItsNames) {
  const std::string name = RootName();
  store::LayoutTree inner(&folder_, name);
  const oci::Digest image = inner.Image({"one"});
  inner.Entry(image, "v1");
  Open(store::StoreKind::kImageLayout);
  Scan();
  for (const char* part : {"blobs", "index.json", "oci-layout"}) {
    fs::rename(Full(absl::StrCat(name, "/", part)), Full(part));
  }
  fs::remove(Full(name));
  EXPECT_EQ(ExpectNothingTaken(), "");
  EXPECT_TRUE(HasTag(name, "v1"));
  EXPECT_EQ(StateOf(image), NodeState::kPresent);
}

// As `skopeo copy --dest-shared-blob-dir a/blobs` leaves it.
TEST_F(LayoutPlacesTest, ASharedFolderOfBlobsKeepsTheStore) {
  a_.Entry(a_.Image({"one"}), "v1");
  const oci::Digest shared = a_.Image({"shared"});
  b_.Entry(shared, "v1");
  folder_.Write("b/oci-layout", R"({"imageLayoutVersion":"1.0.0"})");
  Open(store::StoreKind::kImageLayout);
  EXPECT_THAT(ExpectNothingTaken(),
              AllOf(HasSubstr("layout b names " + shared.ToString()),
                    HasSubstr("among those of a"), HasSubstr("copy")));

  EXPECT_EQ(b_.Image({"shared"}), shared);
  Age();
  Scan();
  const WholePlan plan = MakePlan(Request());
  EXPECT_THAT(plan.kept_scopes, IsEmpty());
  EXPECT_THAT(plan.items, SizeIs(3)) << "the copies in a";
}

TEST_F(LayoutPlacesTest, LayersInTheBlobsOfAnotherLayoutKeepTheStore) {
  a_.Entry(a_.Image({"one"}), "v1");
  const std::string text =
      store::ImageText({a_.Blob("{}"), a_.Blob("a shared layer")});
  b_.Entry(b_.Blob(text), "v1");
  Open(store::StoreKind::kImageLayout);
  EXPECT_THAT(ExpectNothingTaken(), HasSubstr("layout b names "));
}

TEST_F(LayoutPlacesTest, AnIndexWithoutAnyOfItsImagesKeepsTheStore) {
  a_.Entry(a_.Image({"one"}), "v1");
  const oci::Digest image = a_.Image({"shared"});
  NameIndex("b", b_.Blob(store::IndexText({image})));
  Open(store::StoreKind::kImageLayout);
  EXPECT_THAT(ExpectNothingTaken(),
              HasSubstr("layout b names " + image.ToString()));
}

// `docker save` and others copy one platform of an index.
TEST_F(LayoutPlacesTest, PlatformsThatWereNotCopiedKeepNothing) {
  const std::string text =
      store::IndexText({a_.Image({"amd64"}), b_.Image({"arm64"})});
  NameIndex("a", a_.Blob(text));
  NameIndex("b", b_.Blob(text));
  a_.Blob("nothing names me");
  Open(store::StoreKind::kImageLayout);
  Scan();
  const WholePlan plan = MakePlan(Request());
  EXPECT_THAT(plan.kept_scopes, IsEmpty());
  EXPECT_EQ(plan.totals.blob_count, 1u);
}

// "tag a:b:c" is a tag of the folder "a", and one of the folder "a:b".
TEST_F(LayoutPlacesTest, NamesOfTheSameTextComeBack) {
  store::LayoutTree other(&folder_, "a:b");
  a_.Entry(a_.Image({"one"}), "b:c");
  other.Entry(other.Image({"two"}), "c");
  Open(store::StoreKind::kImageLayout);
  Scan();
  const std::string first = folder_.Read("a/index.json");
  const std::string second = folder_.Read("a:b/index.json");
  PruneRequest request = Request(PruneVerb::kAllImages);
  request.containers_are_complete = true;
  const auto run = Apply(MakePlan(request));
  ASSERT_THAT(run, IsOk());
  EXPECT_FALSE(HasTag("a", "b:c"));
  EXPECT_FALSE(HasTag("a:b", "c"));
  const auto restored = RestoreRun(run->id);
  ASSERT_THAT(restored, IsOk());
  EXPECT_EQ(restored->phase, RunPhase::kSucceeded);
  EXPECT_EQ(folder_.Read("a/index.json"), first);
  EXPECT_EQ(folder_.Read("a:b/index.json"), second);
  EXPECT_EQ(QuarantineCount(), 0u);
}

// What can't be given back is not called given back, by no restart either.
TEST_F(LayoutPlacesTest, ANameWithoutItsNoteIsToldOf) {
  a_.Entry(a_.Image({"one"}), "v1");
  a_.Entry(a_.Image({"two"}), "v2");
  Open(store::StoreKind::kImageLayout);
  Scan();
  PruneRequest request = Request(PruneVerb::kAllImages);
  request.containers_are_complete = true;
  const auto run = Apply(MakePlan(request));
  ASSERT_THAT(run, IsOk());
  std::vector<fs::path> notes;
  for (const auto& entry : fs::recursive_directory_iterator(Full(".reclaim"))) {
    if (entry.path().filename().string().rfind(".note-", 0) == 0) {
      notes.push_back(entry.path());
    }
  }
  ASSERT_GE(notes.size(), 2u);
  for (const fs::path& note : notes) fs::remove(note);
  const size_t count = QuarantineCount();
  Restart();
  ASSERT_THAT(collector_->Recover(), IsOk());
  EXPECT_EQ(QuarantineCount(), count);
  const auto restored = RestoreRun(run->id);
  ASSERT_THAT(restored, IsOk());
  EXPECT_NE(restored->phase, RunPhase::kSucceeded);
  std::string told;
  for (const std::string& problem : restored->problems) {
    absl::StrAppend(&told, problem, "\n");
  }
  EXPECT_THAT(told, AllOf(HasSubstr("a/index.json does not list "),
                          HasSubstr("by hand")));
  Scan();
  EXPECT_THAT(PurgeNow(), IsOk());
  EXPECT_EQ(QuarantineCount(), 0u);
}

}  // namespace
}  // namespace reclaim::gc
