// Names that want to be paths, given to everything that reads one (E.2, 1); the
// services have rpc/hostile_names_test.

#include "tests/support/hostile_names.h"

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/status_matchers.h"
#include "base/utf8.h"
#include "gc/collector_fixture.h"
#include "gtest/gtest.h"
#include "index/node.h"
#include "nlohmann/json.hpp"
#include "oci/digest.h"
#include "oci/image_layout_index.h"
#include "oci/json_reader.h"
#include "oci/manifest.h"
#include "oci/name.h"
#include "oci/notification.h"
#include "store/content_store.h"
#include "store/open_store.h"
#include "store/testing/deletion_permit_for_test.h"
#include "store/testing/store_tree.h"
#include "store/types.h"

namespace reclaim {
namespace {

using ::reclaim::base::IsOk;
using ::reclaim::base::StatusIs;

std::string Shown(const std::string& text) {
  return absl::StrCat("\"", absl::CHexEscape(text.substr(0, 200)), "\"");
}

// As a string of JSON; of what is no UTF-8 the bytes as they are, for a
// document may have them.
std::string Quoted(const std::string& text) {
  if (!base::IsUtf8(text)) return absl::StrCat("\"", text, "\"");
  return oci::Json(text).dump();
}

std::string Event(const std::string& repository, const std::string& tag,
                  const std::string& digest) {
  return absl::StrCat(R"({"events":[{"action":"push","target":{"repository":)",
                      Quoted(repository), R"(,"tag":)", Quoted(tag),
                      R"(,"digest":)", Quoted(digest), "}}]}");
}

bool IsTakenAsEvent(const std::string& repository, const std::string& tag,
                    const std::string& digest) {
  const auto read = oci::ParseNotifications(Event(repository, tag, digest));
  return read.ok() && read->notifications.size() == 1;
}

TEST(HostileNamesTest, ThereAreEnough) {
  const size_t count =
      hostile::BadRepositories().size() + hostile::BadTags().size() +
      hostile::BadDigests().size() + hostile::BadFileNames().size();
  EXPECT_GE(count, 200u);
  testing::Test::RecordProperty("figure_hostile_names",
                                static_cast<int>(count));
}

TEST(HostileNamesTest, DigestsAreRefused) {
  const std::string good = hostile::GoodDigests()[0];
  for (const std::string& text : hostile::BadDigests()) {
    EXPECT_FALSE(oci::Digest::Parse(text).ok()) << Shown(text);
    EXPECT_FALSE(oci::ParseReference("app@" + text).ok()) << Shown(text);
    const std::string descriptor =
        absl::StrCat("{\"digest\":", Quoted(text), ",\"size\":1}");
    const std::string list = absl::StrCat("{\"manifests\":[", descriptor, "]}");
    EXPECT_FALSE(oci::ParseManifest(list, "").ok()) << Shown(text);
    EXPECT_FALSE(oci::ParseLayoutIndex(list).ok()) << Shown(text);
    const std::string image = absl::StrCat(
        "{\"config\":", descriptor, R"(,"layers":[{"digest":")", good, "\"}]}");
    EXPECT_FALSE(oci::ParseManifest(image, "").ok()) << Shown(text);
    EXPECT_FALSE(oci::ParseManifest(absl::StrCat(R"({"fsLayers":[{"blobSum":)",
                                                 Quoted(text), "}]}"),
                                    "")
                     .ok())
        << Shown(text);
    // An event without a digest is that of a tag that was deleted.
    if (!text.empty()) {
      EXPECT_FALSE(IsTakenAsEvent("app", "v1", text)) << Shown(text);
    }
  }
  for (const std::string& text : hostile::GoodDigests()) {
    ASSERT_THAT(oci::Digest::Parse(text), IsOk());
    EXPECT_EQ(oci::Digest::Parse(text)->ToString(), text);
    EXPECT_THAT(oci::ParseReference("app@" + text), IsOk());
    EXPECT_TRUE(IsTakenAsEvent("app", "v1", text)) << text;
  }
}

TEST(HostileNamesTest, RepositoriesAreRefused) {
  const std::string digest = hostile::GoodDigests()[0];
  for (const std::string& text : hostile::BadRepositories()) {
    EXPECT_FALSE(oci::IsRepositoryName(text)) << Shown(text);
    EXPECT_FALSE(IsTakenAsEvent(text, "v1", digest)) << Shown(text);
    // "x:y" is a repository with a tag.
    const auto reference = oci::ParseReference(text);
    if (reference.ok()) {
      EXPECT_NE(reference->repository, text);
      EXPECT_TRUE(oci::IsRepositoryName(reference->repository)) << Shown(text);
    }
  }
  for (const std::string& text : hostile::GoodRepositories()) {
    EXPECT_TRUE(oci::IsRepositoryName(text)) << text;
    EXPECT_TRUE(IsTakenAsEvent(text, "v1", digest)) << text;
    EXPECT_THAT(oci::ParseReference(text + ":v1"), IsOk());
  }
}

TEST(HostileNamesTest, TagsAreRefused) {
  const std::string digest = hostile::GoodDigests()[0];
  for (const std::string& text : hostile::BadTags()) {
    EXPECT_FALSE(oci::IsTagName(text)) << Shown(text);
    // An event without a tag is that of a digest.
    if (!text.empty()) {
      EXPECT_FALSE(IsTakenAsEvent("app", text, digest)) << Shown(text);
    }
    const auto reference = oci::ParseReference("app:" + text);
    EXPECT_FALSE(reference.ok() && reference->tag == text) << Shown(text);
  }
  for (const std::string& text : hostile::GoodTags()) {
    EXPECT_TRUE(oci::IsTagName(text)) << text;
    EXPECT_TRUE(IsTakenAsEvent("app", text, digest)) << text;
    EXPECT_THAT(oci::ParseReference("app:" + text), IsOk());
  }
}

// A store that is asked to take away what is no name of its own.
class HostileRemovalTest : public ::testing::Test {
 protected:
  void Refused(const store::Removal& removal, const std::string& text) {
    const auto done = store_->Quarantine(*permit_, run_, {removal});
    if (!done.ok()) return;
    ASSERT_EQ(done->size(), 1u);
    EXPECT_THAT((*done)[0].status, StatusIs(absl::StatusCode::kInvalidArgument))
        << Shown(text);
  }

  // The store is two folders down, so that "../.." leads to `outside_`.
  void Open() {
    const std::string folder = outside_.path() + "/a/store";
    std::filesystem::create_directories(outside_.path() + "/a");
    std::filesystem::rename(folder_.path(), folder);
    auto opened =
        store::OpenStore({store::StoreKind::kRegistry, folder}, false);
    ASSERT_THAT(opened, IsOk());
    store_ = *std::move(opened);
    outside_.Write("x", "canary");
    outside_.Write("a/x", "canary");
    outside_.Write("etc/passwd", "canary");
  }

  store::TempFolder outside_;
  store::TempFolder folder_;
  store::RegistryTree tree_{&folder_};
  store::DeletionPermitForTest permit_;
  store::RunId run_ = "0123456789abcdef";
  std::unique_ptr<store::ContentStore> store_;
};

TEST_F(HostileRemovalTest, NothingIsTouched) {
  store::Removal removal;
  removal.digest = tree_.Image("app", "v1", {"a layer"});
  tree_.Upload("app", "1", "of an upload");
  Open();
  const std::string before = outside_.Snapshot();
  for (const std::string& text : hostile::BadRepositories()) {
    removal.repository = text;
    removal.tag = "v1";
    removal.upload_id = "1";
    for (const auto kind :
         {store::RemovalKind::kTag, store::RemovalKind::kRevisionLink,
          store::RemovalKind::kLayerLink, store::RemovalKind::kUpload}) {
      removal.kind = kind;
      Refused(removal, text);
    }
  }
  removal.repository = "app";
  removal.kind = store::RemovalKind::kTag;
  for (const std::string& text : hostile::BadTags()) {
    removal.tag = text;
    Refused(removal, text);
  }
  removal.kind = store::RemovalKind::kUpload;
  for (const std::string& text : hostile::BadFileNames()) {
    removal.upload_id = text;
    Refused(removal, text);
  }
  removal.kind = store::RemovalKind::kTag;
  removal.tag = "v1";
  for (const std::string& text : hostile::BadFileNames()) {
    run_ = text;
    const auto done = store_->Quarantine(*permit_, text, {removal});
    EXPECT_FALSE(done.ok()) << "run " << Shown(text);
    EXPECT_FALSE(store_->Restore(text, {removal}).ok()) << Shown(text);
    EXPECT_FALSE(store_->Purge(*permit_, text, {removal}).ok()) << Shown(text);
  }
  EXPECT_EQ(outside_.Snapshot(), before);
  // And what is a name is taken.
  const auto done = store_->Quarantine(*permit_, "0123456789abcdef", {removal});
  ASSERT_THAT(done, IsOk());
  EXPECT_THAT((*done)[0].status, IsOk());
}

// Names on a disk: whatever a file system lets stand there.
class HostileTreeTest : public gc::CollectorFixture {
 protected:
  static bool IsFileName(const std::string& text) {
    return !text.empty() && text.size() < 256 && text != "." && text != ".." &&
           text.find('/') == std::string::npos &&
           text.find('\0') == std::string::npos;
  }

  store::RegistryTree tree_{&folder_};
};

TEST_F(HostileTreeTest, NothingIsTakenThatHasNoName) {
  const oci::Digest image = tree_.Image("app", "v1", {"a layer"});
  const oci::Digest garbage = tree_.Image("app", "", {"another"});
  int count = 0;
  for (const std::string& text : hostile::BadRepositories()) {
    if (!IsFileName(text)) continue;
    tree_.Tag(text, "v1", image);
    ++count;
  }
  for (const std::string& text : hostile::BadTags()) {
    if (!IsFileName(text)) continue;
    tree_.Tag("app", text, image);
    ++count;
  }
  EXPECT_GT(count, 100);
  Open(store::StoreKind::kRegistry);
  const std::string before = folder_.Snapshot();
  // It tells each; what they name is not known.
  EXPECT_THAT(collector_->Scan("s", false, "test", {}), IsOk());
  const auto plan = MakePlan(Request());
  EXPECT_EQ(plan.items.size(), 0u);
  EXPECT_FALSE(plan.kept_scopes.empty());
  EXPECT_EQ(StateOf(garbage), index::NodeState::kPresent);
  EXPECT_EQ(folder_.Snapshot(), before);
}

}  // namespace
}  // namespace reclaim
