// Each document that a collection rests on, cut short at every byte and with a
// bit flipped in every byte: a service that never saw it whole takes nothing of
// what it names (I5; TRUST D.3, "torn and hostile trees").

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/status_matchers.h"
#include "gc/collector_fixture.h"
#include "gc/plan.h"
#include "gc/prune_request.h"
#include "gtest/gtest.h"
#include "index/memory_engine.h"
#include "oci/digest.h"
#include "oci/media_type.h"
#include "store/testing/store_tree.h"
#include "store/types.h"

namespace reclaim::gc {
namespace {

using ::reclaim::base::IsOk;

std::string AsDocker(const std::string& text) {
  return absl::StrReplaceAll(text,
                             {{oci::kOciManifestType, oci::kDockerManifestType},
                              {oci::kOciIndexType, oci::kDockerListType},
                              {oci::kOciConfigType, oci::kDockerConfigType}});
}

class TornTreeTest : public CollectorFixture {
 protected:
  // What the tree holds that `Prune` may never take.
  void Keep(const oci::Digest& digest) { kept_.push_back(digest); }

  // A service that begins with this tree.
  WholePlan PlanFromNothing() {
    collector_.reset();
    graph_.reset();
    engine_ = std::make_unique<index::MemoryEngine>();
    Restart();
    EXPECT_THAT(collector_->Recover(), IsOk());
    // A scan tells what it cannot read; it does not fail.
    EXPECT_THAT(collector_->Scan("s", false, "test", {}), IsOk());
    return MakePlan(Request());
  }

  void ExpectNothingTaken(const WholePlan& plan) {
    for (const PlanItem& item : plan.items) {
      if (!item.digest) continue;
      for (const oci::Digest& digest : kept_) {
        ASSERT_NE(*item.digest, digest) << "it takes what it may not";
      }
    }
  }

  // The document in all its torn forms.
  void Tear(const std::string& path, bool also_flipped) {
    SCOPED_TRACE(path);
    const std::string whole = folder_.Read(path);
    ASSERT_FALSE(whole.empty());
    for (size_t at = first_; at < whole.size(); ++at) {
      SCOPED_TRACE(absl::StrCat("byte ", at));
      Try(path, whole.substr(0, at));
      if (also_flipped) {
        std::string flipped = whole;
        flipped[at] = static_cast<char>(flipped[at] ^ (1 << (at % 8)));
        Try(path, flipped);
      }
      if (HasFatalFailure()) return;
    }
    folder_.Write(path, whole);
  }

  void Try(const std::string& path, const std::string& bytes) {
    folder_.Write(path, bytes);
    Age();
    const WholePlan plan = PlanFromNothing();
    ExpectNothingTaken(plan);
    if (!plan.items.empty()) ++useful_;
    ++torn_;
  }

  std::vector<oci::Digest> kept_;
  size_t first_ = 0;  // the shortest form
  int torn_ = 0;
  int useful_ = 0;  // of which something else was collected
};

class TornRegistryTest : public TornTreeTest {
 protected:
  TornRegistryTest() {
    // Garbage of another repository, which no doubt here need keep.
    tree_.Image("other", "v1", {"other base"});
    tree_.Image("other", "", {"other base", "other old"});
  }

  oci::Digest Layer(const std::string& bytes) {
    Keep(tree_.Layer("app", bytes));
    return kept_.back();
  }
  oci::Digest Manifest(const std::string& text) {
    Keep(tree_.Manifest("app", text));
    return kept_.back();
  }
  std::string ImageOf(const std::string& name) {
    const oci::Digest config =
        Layer(absl::StrCat(R"({"os":"linux","name":")", name, R"("})"));
    return store::ImageText({config, Layer(absl::StrCat("layer of ", name))});
  }
  void TearManifest(const oci::Digest& digest) {
    Open(store::StoreKind::kRegistry);
    Tear(tree_.BlobPath(digest), /*also_flipped=*/true);
    EXPECT_GT(useful_, 0) << "a plan that never takes anything shows nothing";
    RecordProperty("figure_torn_documents", torn_);
  }

  store::RegistryTree tree_{&folder_};
};

TEST_F(TornRegistryTest, AnImage) {
  const oci::Digest image = Manifest(ImageOf("one"));
  tree_.Tag("app", "v1", image);
  TearManifest(image);
}

TEST_F(TornRegistryTest, AnImageOfDocker) {
  const oci::Digest image = Manifest(AsDocker(ImageOf("one")));
  tree_.Tag("app", "v1", image);
  TearManifest(image);
}

TEST_F(TornRegistryTest, AnIndex) {
  const oci::Digest index = Manifest(
      store::IndexText({Manifest(ImageOf("one")), Manifest(ImageOf("two"))}));
  tree_.Tag("app", "v1", index);
  TearManifest(index);
}

TEST_F(TornRegistryTest, AListOfDocker) {
  const oci::Digest list = Manifest(
      AsDocker(store::IndexText({Manifest(AsDocker(ImageOf("one"))),
                                 Manifest(AsDocker(ImageOf("two")))})));
  tree_.Tag("app", "v1", list);
  TearManifest(list);
}

TEST_F(TornRegistryTest, AReferrer) {
  const oci::Digest image = Manifest(ImageOf("one"));
  tree_.Tag("app", "v1", image);
  const oci::Digest config = Layer("{}");
  const oci::Digest signature =
      Manifest(store::ImageText({config, Layer("the signature")}, image));
  TearManifest(signature);
}

// Not with flipped bits: a link that names another digest is one that a client
// may have written, and a tag without the revision that it names is what a
// deletion over the registry's API leaves.
TEST_F(TornRegistryTest, Links) {
  const oci::Digest image = Manifest(ImageOf("one"));
  tree_.Tag("app", "v1", image);
  Open(store::StoreKind::kRegistry);
  const std::string repository = "docker/registry/v2/repositories/app/";
  const std::string layer = kept_.front().hex();
  const std::string tag = repository + "_manifests/tags/v1/current/link";
  Tear(tag, /*also_flipped=*/false);
  first_ = 1;
  for (const std::string& folder :
       {absl::StrCat("_manifests/revisions/sha256/", image.hex()),
        absl::StrCat("_layers/sha256/", layer)}) {
    const std::string link = absl::StrCat(repository, folder, "/link");
    Tear(link, /*also_flipped=*/false);
    EXPECT_EQ(useful_, 0) << "one torn link keeps the whole registry";
    // What it is of says its path, and nothing contradicts that.
    const std::string whole = folder_.Read(link);
    Try(link, "");
    EXPECT_EQ(std::exchange(useful_, 0), 1) << "the rest is collected";
    folder_.Write(link, whole);
  }
  Age();
  const WholePlan whole = PlanFromNothing();
  ExpectNothingTaken(whole);
  EXPECT_FALSE(whole.items.empty())
      << "a plan that never takes anything shows nothing";
  RecordProperty("figure_torn_documents", torn_);
}

// A flipped bit may turn an index.json into another one that is as good.
TEST_F(TornTreeTest, AnIndexJson) {
  store::LayoutTree tree(&folder_, "images");
  const oci::Digest image = tree.Image({"a layer", "another"});
  tree.Entry(image, "v1");
  for (const char* layer : {"a layer", "another"}) {
    Keep(oci::Digest::Sha256Of(layer));
  }
  Keep(image);
  // Garbage of another layout, which no doubt here need keep.
  store::LayoutTree other(&folder_, "other");
  other.Entry(other.Image({"other base"}), "v1");
  other.Image({"other base", "other old"});
  Open(store::StoreKind::kImageLayout);
  Tear("images/index.json", /*also_flipped=*/false);
  EXPECT_GT(useful_, 0) << "a plan that never takes anything shows nothing";
  RecordProperty("figure_torn_documents", torn_);
}

}  // namespace
}  // namespace reclaim::gc
