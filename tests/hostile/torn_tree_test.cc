// Each document that a collection rests on, cut short at every byte and with a
// bit flipped in every byte: a service that never saw it whole takes nothing of
// what it names (I5; TRUST D.3, "torn and hostile trees").  RECLAIM_BITS=8
// flips each bit of a byte.

#include <cstdlib>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
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

// How many bits of a byte are flipped, one after the other.
size_t BitCount() {
  const char* const asked = std::getenv("RECLAIM_BITS");
  int count = 1;
  if (asked == nullptr || !absl::SimpleAtoi(asked, &count)) return 1;
  return static_cast<size_t>(count);
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
      for (size_t i = 0; also_flipped && i < BitCount(); ++i) {
        const size_t bit = (at + i) % 8;
        SCOPED_TRACE(absl::StrCat("bit ", bit));
        std::string flipped = whole;
        flipped[at] = static_cast<char>(flipped[at] ^ (1 << bit));
        Try(path, flipped);
      }
      if (HasFatalFailure()) return;
    }
    folder_.Write(path, whole);
  }

  // The same of a store that holds garbage which no doubt here need keep.
  void TearAll(store::StoreKind kind, const std::string& path) {
    Open(kind);
    Tear(path, /*also_flipped=*/true);
    EXPECT_GT(useful_, 0) << "a plan that never takes anything shows nothing";
    RecordProperty("figure_torn_documents", torn_);
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
    TearAll(store::StoreKind::kRegistry, tree_.BlobPath(digest));
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

class TornLayoutTest : public TornTreeTest {
 protected:
  TornLayoutTest() {
    // Garbage of another layout, which no doubt here need keep.
    store::LayoutTree other(&folder_, "other");
    other.Entry(other.Image({"other base"}), "v1");
    other.Image({"other base", "other old"});
  }

  oci::Digest Blob(const std::string& bytes) {
    Keep(tree_.Blob(bytes));
    return kept_.back();
  }
  oci::Digest ImageOf(const std::string& name) {
    const oci::Digest config =
        Blob(absl::StrCat(R"({"os":"linux","name":")", name, R"("})"));
    return Blob(
        store::ImageText({config, Blob(absl::StrCat("layer of ", name))}));
  }
  void TearFile(const std::string& path) {
    TearAll(store::StoreKind::kImageLayout, tree_.Path(path));
  }
  void TearBlob(const oci::Digest& digest) {
    TearFile("blobs/sha256/" + digest.hex());
  }

  store::LayoutTree tree_{&folder_, "images"};
};

TEST_F(TornLayoutTest, AnImage) {
  const oci::Digest image = ImageOf("one");
  tree_.Entry(image, "v1");
  TearBlob(image);
}

// Its index.json has no names: what is listed is kept.
TEST_F(TornLayoutTest, AnIndex) {
  const oci::Digest index =
      Blob(store::IndexText({ImageOf("one"), ImageOf("two")}));
  folder_.Write(
      tree_.Path("index.json"),
      absl::StrReplaceAll(store::IndexText({index}),
                          {{oci::kOciManifestType, oci::kOciIndexType}}));
  TearBlob(index);
}

TEST_F(TornLayoutTest, AReferrer) {
  const oci::Digest image = ImageOf("one");
  const oci::Digest config = Blob("{}");
  const oci::Digest signature =
      Blob(store::ImageText({config, Blob("the signature")}, image));
  tree_.Entry(image, "v1");
  tree_.Entry(signature, "");
  TearBlob(signature);
}

// No flipped bit turns an index.json of one entry into one that keeps less: an
// entry without a name is kept where none has one, and beside a manifest that
// is not there nothing is taken.
TEST_F(TornLayoutTest, AnIndexJson) {
  tree_.Entry(ImageOf("one"), "v1");
  TearFile("index.json");
}

TEST_F(TornLayoutTest, ItsMark) {
  tree_.Entry(ImageOf("one"), "v1");
  TearFile("oci-layout");
}

}  // namespace
}  // namespace reclaim::gc
