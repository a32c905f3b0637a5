// Every store through the one suite.

#include "store/content_store.h"

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "store/memory_store.h"
#include "store/open_store.h"
#include "store/testing/content_store_suite.h"
#include "store/testing/store_tree.h"

namespace reclaim::store {
namespace {

class RegistryWorld final : public StoreWorld {
 public:
  std::string repository() const override { return "team/app"; }
  Place place() const override { return ""; }
  oci::Digest PutImage(const std::string& tag,
                       const std::vector<std::string>& layers) override {
    return tree_.Image(repository(), tag, layers);
  }
  oci::Digest PutBlob(const std::string& bytes) override {
    return tree_.Blob(bytes);
  }
  void Damage(const oci::Digest& digest) override {
    folder_.Write(tree_.BlobPath(digest), "other bytes");
  }
  absl::StatusOr<std::unique_ptr<ContentStore>> Open(
      bool is_read_only) override {
    return OpenStore({StoreKind::kRegistry, folder_.path()}, is_read_only);
  }

 private:
  TempFolder folder_;
  RegistryTree tree_{&folder_};
};

// One layout, or a folder with one deep in it.
class LayoutWorld final : public StoreWorld {
 public:
  explicit LayoutWorld(std::string place) : place_(std::move(place)) {}

  std::string repository() const override {
    return place_.empty() ? folder_.path().substr(folder_.path().rfind('/') + 1)
                          : place_;
  }
  Place place() const override { return place_; }
  oci::Digest PutImage(const std::string& tag,
                       const std::vector<std::string>& layers) override {
    const oci::Digest image = tree_.Image(layers);
    tree_.Entry(image, tag);
    return image;
  }
  oci::Digest PutBlob(const std::string& bytes) override {
    return tree_.Blob(bytes);
  }
  void Damage(const oci::Digest& digest) override {
    folder_.Write(tree_.Path("blobs/sha256/" + digest.hex()), "other bytes");
  }
  absl::StatusOr<std::unique_ptr<ContentStore>> Open(
      bool is_read_only) override {
    return OpenStore({StoreKind::kImageLayout, folder_.path()}, is_read_only);
  }

 private:
  const std::string place_;
  TempFolder folder_;
  LayoutTree tree_{&folder_, place_};
};

class MemoryWorld final : public StoreWorld {
 public:
  MemoryWorld() { content_->PutRepository(repository(), place()); }

  std::string repository() const override { return "app"; }
  Place place() const override { return "a place"; }
  oci::Digest PutImage(const std::string& tag,
                       const std::vector<std::string>& layers) override {
    std::vector<oci::Digest> blobs = {PutBlob(absl::StrCat("config of ", tag))};
    for (const std::string& layer : layers) blobs.push_back(PutBlob(layer));
    const oci::Digest image = PutBlob(ImageText(blobs));
    content_->PutLink(repository(), image, MembershipKind::kRevision, time_);
    if (!tag.empty()) content_->PutTag(repository(), tag, image, time_);
    return image;
  }
  oci::Digest PutBlob(const std::string& bytes) override {
    return content_->PutBlob(place(), bytes, time_);
  }
  void Damage(const oci::Digest& digest) override {
    content_->Damage(place(), digest, "other bytes");
  }
  absl::StatusOr<std::unique_ptr<ContentStore>> Open(
      bool is_read_only) override {
    return OpenMemoryStore(content_, is_read_only);
  }

 private:
  const absl::Time time_ = absl::FromUnixSeconds(1700000000);
  std::shared_ptr<MemoryContent> content_ = std::make_shared<MemoryContent>();
};

template <typename World>
std::unique_ptr<StoreWorld> Make() {
  return std::make_unique<World>();
}
std::unique_ptr<StoreWorld> MakeLayout() {
  return std::make_unique<LayoutWorld>("");
}
std::unique_ptr<StoreWorld> MakeFolderOfLayouts() {
  return std::make_unique<LayoutWorld>("deep/in/it");
}

INSTANTIATE_TEST_SUITE_P(Registry, ContentStoreSuite,
                         ::testing::Values(&Make<RegistryWorld>));
INSTANTIATE_TEST_SUITE_P(ImageLayout, ContentStoreSuite,
                         ::testing::Values(&MakeLayout));
INSTANTIATE_TEST_SUITE_P(FolderOfLayouts, ContentStoreSuite,
                         ::testing::Values(&MakeFolderOfLayouts));
INSTANTIATE_TEST_SUITE_P(Memory, ContentStoreSuite,
                         ::testing::Values(&Make<MemoryWorld>));

TEST(MemoryStoreTest, TellsWhatWasDoneToItInOrder) {
  const std::shared_ptr<MemoryContent> content = MemoryContentOf("effects");
  const auto store = OpenStore(*ParseStoreUri("memory:effects"), false);
  ASSERT_TRUE(store.ok());
  Removal blob;
  blob.digest = content->PutBlob("", "bytes", absl::FromUnixSeconds(1));
  DeletionPermitForTest permit;
  ASSERT_TRUE((*store)->Quarantine(*permit, "r1", {blob}).ok());
  ASSERT_TRUE((*store)->Restore("r1", {blob}).ok());
  ASSERT_TRUE((*store)->Quarantine(*permit, "r2", {blob}).ok());
  ASSERT_TRUE((*store)->Purge(*permit, "r2", {blob}).ok());
  std::string text;
  for (const MemoryEffect& effect : content->Effects()) {
    absl::StrAppend(&text, static_cast<int>(effect.kind), effect.run_id, " ");
  }
  EXPECT_EQ(text, "0 1r1 2r1 1r2 3r2 ");
  EXPECT_EQ(MemoryContentOf("effects"), content) << "one a name";
}

}  // namespace
}  // namespace reclaim::store
