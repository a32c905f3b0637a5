// Descriptors whose sizes lie, in random trees: every figure is the file
// system's (E.2, 5).  What is no size at all makes its manifest one that nobody
// understands, and takes nothing with it.
//
// RECLAIM_TREES sets how many trees, RECLAIM_SEED the first seed.

#include <sys/stat.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "accounting/image_usage.h"
#include "base/status_matchers.h"
#include "gc/collector_fixture.h"
#include "gc/plan.h"
#include "gc/run.h"
#include "gtest/gtest.h"
#include "index/graph_view.h"
#include "index/memory_engine.h"
#include "index/node.h"
#include "index/totals.h"
#include "oci/digest.h"
#include "oci/media_type.h"
#include "store/testing/store_tree.h"
#include "store/types.h"

namespace reclaim::gc {
namespace {

using ::reclaim::base::IsOk;

uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  uint64_t value = otherwise;
  if (text != nullptr && !absl::SimpleAtoi(text, &value)) {
    ADD_FAILURE() << name << " is no number: " << text;
  }
  return value;
}

using Digests = std::set<oci::Digest>;

// A registry in which `app` says sizes as it likes, and `other` does not.
class LyingTree {
 public:
  LyingTree(const store::TempFolder* folder, uint64_t seed)
      : tree_(folder), folder_(folder), random_(seed) {
    for (int i = 0; i < 3; ++i) pool_.push_back(Layer("app"));
    std::vector<oci::Digest> images;
    for (size_t i = 2 + Below(4); i > 0; --i) images.push_back(Image());
    for (size_t i = Below(3); i > 0; --i) images.push_back(Index(images));
    for (const oci::Digest& image : images) {
      if (Below(2) == 0) Tag("app", image);
    }
    Tag("other", tree_.Image("other", "", {"other base"}));
    garbage_of_other_ = tree_.Image("other", "", {"other old"});
  }

  const Digests& all() const { return all_; }
  const Digests& refused() const { return refused_; }
  const oci::Digest& garbage_of_other() const { return garbage_of_other_; }

  // What these reach, as the documents that are understood say.
  Digests Reached(const Digests& tops) const {
    Digests reached;
    std::vector<oci::Digest> stack(tops.begin(), tops.end());
    while (!stack.empty()) {
      const oci::Digest digest = stack.back();
      stack.pop_back();
      if (!reached.insert(digest).second) continue;
      const auto parts = parts_.find(digest);
      if (parts == parts_.end()) continue;
      stack.insert(stack.end(), parts->second.begin(), parts->second.end());
    }
    return reached;
  }
  Digests Kept() const { return Reached(tagged_); }

  // Of the files of these, as the kernel says.
  store::Bytes BytesOf(const Digests& digests) const {
    store::Bytes bytes;
    for (const oci::Digest& digest : digests) {
      const std::string path =
          absl::StrCat(folder_->path(), "/", tree_.BlobPath(digest));
      struct stat st;
      if (stat(path.c_str(), &st) != 0) {
        ADD_FAILURE() << path << " is not there";
        continue;
      }
      bytes += {static_cast<uint64_t>(st.st_size),
                static_cast<uint64_t>(st.st_blocks) * 512};
    }
    return bytes;
  }

 private:
  size_t Below(size_t limit) { return random_() % limit; }

  oci::Digest Layer(const std::string& repository) {
    std::string bytes = absl::StrCat(random_(), " ");
    bytes.resize(bytes.size() + Below(3) * Below(9000), 'x');
    return *all_.insert(tree_.Layer(repository, bytes)).first;
  }

  // A size, as JSON; `*is_one` unless nobody may say so.
  std::string Lie(bool* is_one) {
    static constexpr const char* kSizes[] = {
        "0",
        "1",
        "7",
        "4096",
        "2147483648",
        "4294967296",
        "9007199254740991",
        "9007199254740992",
        "9007199254740993",
        "4611686018427387904",
        "9223372036854775806",
        "9223372036854775807",
        "null",
        "-0",
    };
    static constexpr const char* kNoSizes[] = {
        "-1",
        "-4096",
        "-9223372036854775808",
        "-9223372036854775809",
        "9223372036854775808",
        "18446744073709551615",
        "18446744073709551616",
        "1e30",
        "0.5",
        "7.0",
        "\"7\"",
        "[7]",
        "{}",
        "true",
    };
    if (Below(12) != 0) return kSizes[Below(std::size(kSizes))];
    *is_one = false;
    return kNoSizes[Below(std::size(kNoSizes))];
  }

  std::string Described(const oci::Digest& digest, const char* type,
                        bool* is_understood) {
    return absl::StrCat(R"({"mediaType":")", type, R"(","digest":")",
                        digest.ToString(), R"(","size":)", Lie(is_understood),
                        "}");
  }

  oci::Digest Manifest(const std::string& text,
                       const std::vector<oci::Digest>& parts,
                       bool is_understood) {
    const oci::Digest digest = tree_.Manifest("app", text);
    all_.insert(digest);
    if (is_understood) {
      parts_[digest] = parts;
    } else {
      refused_.insert(digest);
    }
    return digest;
  }

  oci::Digest Image() {
    bool is_understood = true;
    std::vector<oci::Digest> parts;
    parts.push_back(tree_.Layer(
        "app", absl::StrCat(R"({"os":"linux","n":")", random_(), "\"}")));
    all_.insert(parts[0]);
    const std::string config =
        Described(parts[0], oci::kOciConfigType, &is_understood);
    std::vector<std::string> layers;
    for (size_t i = Below(4); i > 0; --i) {
      parts.push_back(Below(2) == 0 ? pool_[Below(3)] : Layer("app"));
      layers.push_back(
          Described(parts.back(), "application/x-layer", &is_understood));
    }
    return Manifest(
        absl::StrCat(R"({"schemaVersion":2,"mediaType":")",
                     oci::kOciManifestType, R"(","config":)", config,
                     R"(,"layers":[)", absl::StrJoin(layers, ","), "]}"),
        parts, is_understood);
  }

  oci::Digest Index(const std::vector<oci::Digest>& images) {
    bool is_understood = true;
    std::vector<oci::Digest> parts;
    std::vector<std::string> entries;
    for (size_t i = 1 + Below(3); i > 0; --i) {
      parts.push_back(images[Below(images.size())]);
      const bool is_index = indexes_.count(parts.back()) > 0;
      entries.push_back(Described(
          parts.back(), is_index ? oci::kOciIndexType : oci::kOciManifestType,
          &is_understood));
    }
    const oci::Digest index = Manifest(
        absl::StrCat(R"({"schemaVersion":2,"mediaType":")", oci::kOciIndexType,
                     R"(","manifests":[)", absl::StrJoin(entries, ","), "]}"),
        parts, is_understood);
    indexes_.insert(index);
    return index;
  }

  void Tag(const std::string& repository, const oci::Digest& digest) {
    tree_.Tag(repository, absl::StrCat("v", tagged_.size()), digest);
    tagged_.insert(digest);
  }

  const store::RegistryTree tree_;
  const store::TempFolder* const folder_;
  std::mt19937_64 random_;
  std::vector<oci::Digest> pool_;
  Digests all_;  // of `app`
  std::map<oci::Digest, std::vector<oci::Digest>> parts_;
  Digests refused_;
  Digests indexes_;
  Digests tagged_;
  oci::Digest garbage_of_other_;
};

class LyingSizesTest : public CollectorFixture {
 protected:
  // Every blob of the store; none is named twice.
  Digests Stored(const LyingTree& tree) const {
    Digests stored = tree.all();
    const auto reader = graph_->Read();
    for (const accounting::ImageUsage& image :
         accounting::ListImageUsage(reader->view(), id_, true)) {
      for (const index::NodeId id :
           accounting::ContentClosure(reader->view(), image.node)) {
        stored.insert(reader->view().digest(id));
      }
    }
    return stored;
  }

  void CheckTotals(const LyingTree& tree) {
    const Digests stored = Stored(tree);
    const index::StoreTotals totals = graph_->Read()->totals(id_);
    EXPECT_EQ(totals.stored(), tree.BytesOf(stored));
    EXPECT_EQ(totals.live.count + totals.candidate.count, stored.size());
    EXPECT_EQ(totals.orphan.count, 0u);
  }

  void CheckImages(const LyingTree& tree) {
    const auto reader = graph_->Read();
    for (const accounting::ImageUsage& image :
         accounting::ListImageUsage(reader->view(), id_, true)) {
      const oci::Digest digest = reader->view().digest(image.node);
      EXPECT_EQ(image.size, image.shared + image.unique);
      if (tree.all().count(digest) == 0) continue;  // of `other`
      EXPECT_EQ(image.size, tree.BytesOf(tree.Reached({digest})))
          << digest.ToString();
      ++image_count_;
    }
  }

  // What is planned is what the files have, and what the disk gets.
  void CheckCollection(const LyingTree& tree) {
    const WholePlan plan = MakePlan(Request());
    Digests planned;
    for (const PlanItem& item : plan.items) {
      // Not the links to it.
      if (item.node == index::kNoNode || !item.digest) continue;
      if (Find(*item.digest) == item.node) planned.insert(*item.digest);
    }
    const Digests kept = tree.Kept();
    for (const oci::Digest& digest : planned) {
      EXPECT_EQ(kept.count(digest), 0u) << digest.ToString();
    }
    EXPECT_EQ(planned.count(tree.garbage_of_other()), 1u);
    for (const oci::Digest& digest : tree.all()) {
      const bool may_go = tree.refused().empty() && kept.count(digest) == 0;
      EXPECT_EQ(planned.count(digest), may_go ? 1u : 0u) << digest.ToString();
    }
    EXPECT_EQ(plan.totals.bytes.content, tree.BytesOf(planned));
    const uint64_t before = folder_.DiskBytes();
    ASSERT_THAT(Apply(plan), IsOk());
    ExpectExact();
    const auto purged = PurgeNow();
    ASSERT_THAT(purged, IsOk());
    EXPECT_EQ(purged->bytes.total(), plan.totals.bytes.total());
    EXPECT_EQ(before - folder_.DiskBytes(),
              plan.totals.bytes.total().allocated_bytes);
    ExpectExact();
  }

  void CheckTree(uint64_t seed) {
    const LyingTree tree(&folder_, seed);
    Open(store::StoreKind::kRegistry);
    // It tells what it does not understand.
    ASSERT_THAT(collector_->Scan("s", false, "test", {}), IsOk());
    ExpectExact();
    CheckTotals(tree);
    CheckImages(tree);
    CheckCollection(tree);
    refused_count_ += tree.refused().size();
  }

  // For the next tree.
  void Clear() {
    collector_.reset();
    graph_.reset();
    store_.reset();
    engine_ = std::make_unique<index::MemoryEngine>();
    for (const char* name : {"docker", ".reclaim"}) folder_.Remove(name);
  }

  size_t image_count_ = 0;
  size_t refused_count_ = 0;
};

TEST_F(LyingSizesTest, NothingIsCountedButWhatTheFileSystemSays) {
  const uint64_t first = FromEnvironment("RECLAIM_SEED", 20260304);
  const uint64_t count = FromEnvironment("RECLAIM_TREES", 100);
  printf("%d trees from seed %d\n", static_cast<int>(count),
         static_cast<int>(first));
  for (uint64_t seed = first; seed < first + count; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    CheckTree(seed);
    if (HasFailure()) return;
    Clear();
  }
  EXPECT_GT(image_count_, count) << "figures that nobody compared";
  EXPECT_GT(refused_count_, 0u);
  RecordProperty("figure_trees_of_lying_sizes", static_cast<int>(count));
}

}  // namespace
}  // namespace reclaim::gc
