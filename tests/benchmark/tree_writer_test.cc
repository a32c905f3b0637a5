// What is written is what the truth beside it says: every file is read again,
// and a walk that knows nothing of the writer says what is needed.

#include "tests/benchmark/tree_writer.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "oci/digest.h"

namespace reclaim::benchmark {
namespace {

namespace fs = std::filesystem;

using ::testing::IsEmpty;
using ::testing::Not;

constexpr char kV2[] = "docker/registry/v2";

class Folder {
 public:
  Folder() {
    std::string name = ::testing::TempDir() + "/tree-XXXXXX";
    path_ = mkdtemp(name.data());
  }
  ~Folder() { fs::remove_all(path_); }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

std::string Read(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file),
          std::istreambuf_iterator<char>()};
}

std::vector<fs::path> FilesBelow(const fs::path& top) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(top)) {
    if (entry.is_regular_file()) files.push_back(entry.path());
  }
  return files;
}

// What a manifest names; of a blob that is none, nothing.
struct Document {
  std::set<std::string> named;
  std::string subject;
};

Document ParseDocument(const std::string& bytes) {
  Document document;
  const auto json =
      nlohmann::json::parse(bytes, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || !json.contains("schemaVersion")) return document;
  for (const char* list : {"layers", "manifests"}) {
    if (!json.contains(list)) continue;
    for (const auto& descriptor : json[list]) {
      document.named.insert(descriptor["digest"].get<std::string>());
    }
  }
  if (json.contains("config")) {
    document.named.insert(json["config"]["digest"].get<std::string>());
  }
  if (json.contains("subject")) {
    document.subject = json["subject"]["digest"].get<std::string>();
  }
  return document;
}

// A tree as its files tell it.
struct Found {
  std::map<std::string, uint64_t> sizes;  // of blobs, by digest
  std::map<std::string, Document> documents;
  std::set<std::string> tagged;
  std::map<std::string, int> tag_counts;  // by repository
  bool is_registry = false;
};

void AddBlob(const std::string& hex, const fs::path& path, Found* found) {
  const std::string bytes = Read(path);
  const std::string digest = "sha256:" + hex;
  EXPECT_EQ(oci::Digest::Sha256Of(bytes).ToString(), digest) << path;
  EXPECT_TRUE(found->sizes.emplace(digest, bytes.size()).second) << path;
  if (bytes.empty() || bytes[0] != '{') return;
  found->documents.emplace(digest, ParseDocument(bytes));
}

// A link says what its path says, and names a blob; of a tag's current one the
// history has a link as well.
void AddLink(const fs::path& path, const fs::path& repositories, Found* found) {
  ASSERT_EQ(path.filename().string(), "link") << path;
  const std::string digest = Read(path);
  EXPECT_EQ(found->sizes.count(digest), 1u) << path;
  const fs::path folder = path.parent_path();
  if (folder.filename() != "current") {
    EXPECT_EQ("sha256:" + folder.filename().string(), digest) << path;
    return;
  }
  const fs::path tag = folder.parent_path();
  EXPECT_TRUE(fs::exists(tag / "index/sha256" / digest.substr(7) / "link"));
  const fs::path repository =
      tag.parent_path().parent_path().parent_path().lexically_relative(
          repositories);
  found->tagged.insert(digest);
  ++found->tag_counts[repository.string()];
}

Found ReadRegistry(const fs::path& root) {
  Found found;
  found.is_registry = true;
  const fs::path blobs = root / kV2 / "blobs/sha256";
  for (const fs::path& path : FilesBelow(blobs)) {
    const std::string hex = path.parent_path().filename().string();
    EXPECT_EQ(path.string(),
              (blobs / hex.substr(0, 2) / hex / "data").string());
    AddBlob(hex, path, &found);
  }
  const fs::path repositories = root / kV2 / "repositories";
  for (const fs::path& path : FilesBelow(repositories)) {
    AddLink(path, repositories, &found);
  }
  return found;
}

Found ReadLayout(const fs::path& root) {
  Found found;
  for (const fs::path& path : FilesBelow(root / "blobs/sha256")) {
    AddBlob(path.filename().string(), path, &found);
  }
  EXPECT_TRUE(fs::exists(root / "oci-layout"));
  const auto index = nlohmann::json::parse(Read(root / "index.json"));
  for (const auto& entry : index["manifests"]) {
    const std::string digest = entry["digest"].get<std::string>();
    EXPECT_EQ(found.sizes.at(digest), entry["size"].get<uint64_t>());
    found.tagged.insert(digest);
  }
  return found;
}

// What tags need: passes over all manifests until one finds nothing new.  In a
// registry a referrer is needed by its subject.
std::set<std::string> Needed(const Found& found) {
  std::set<std::string> needed = found.tagged;
  size_t before = 0;
  while (before != needed.size()) {
    before = needed.size();
    for (const auto& [digest, document] : found.documents) {
      if (found.is_registry && needed.count(document.subject) > 0) {
        needed.insert(digest);
      }
      if (needed.count(digest) == 0) continue;
      needed.insert(document.named.begin(), document.named.end());
    }
  }
  return needed;
}

void ExpectTrue(const TreeTruth& truth, const Found& found) {
  const std::set<std::string> needed = Needed(found);
  std::vector<std::string> live;
  std::vector<std::string> garbage;
  uint64_t live_bytes = 0;
  uint64_t garbage_bytes = 0;
  for (const auto& [digest, size] : found.sizes) {
    const bool is_live = needed.count(digest) > 0;
    (is_live ? live : garbage).push_back(digest);
    (is_live ? live_bytes : garbage_bytes) += size;
  }
  EXPECT_EQ(live.size(), needed.size()) << "something needed was not written";
  EXPECT_EQ(truth.live, live);
  EXPECT_EQ(truth.garbage, garbage);
  EXPECT_EQ(truth.live_bytes, live_bytes);
  EXPECT_EQ(truth.garbage_bytes, garbage_bytes);
  EXPECT_THAT(live, Not(IsEmpty()));
  EXPECT_THAT(garbage, Not(IsEmpty()));
}

PopulationOptions Small() {
  PopulationOptions population;
  population.object_count = 3'000;
  return population;
}

TEST(TreeWriterTest, TheTruthOfARegistryIsThatOfItsFiles) {
  const Folder folder;
  const TreeTruth truth =
      WriteTree(folder.path().string(), TreeOptions(), Small());
  const Found found = ReadRegistry(folder.path());
  ExpectTrue(truth, found);
  const auto has_subject = [](const auto& document) {
    return !document.second.subject.empty();
  };
  EXPECT_TRUE(
      std::any_of(found.documents.begin(), found.documents.end(), has_subject))
      << "no referrer was written";
  for (const auto& [digest, size] : found.sizes) {
    if (found.documents.count(digest) == 0) {
      EXPECT_LE(size, TreeOptions().blob_bytes_max) << digest;
    }
  }
}

TEST(TreeWriterTest, ATallRepositoryHasItsTagsInFiles) {
  PopulationOptions population = Small();
  population.tags_per_repository = 100;
  population.deleted_repository_share = 0;
  const Folder folder;
  const TreeTruth truth =
      WriteTree(folder.path().string(), TreeOptions(), population);
  const Found found = ReadRegistry(folder.path());
  ExpectTrue(truth, found);
  EXPECT_EQ(found.tag_counts.at("team0/app0"), 100);
  EXPECT_LE(found.tag_counts.size(), 5u);
}

TEST(TreeWriterTest, TheTruthOfAnImageLayoutIsThatOfItsFiles) {
  TreeOptions tree;
  tree.layout = TreeLayout::kImageLayout;
  const Folder folder;
  const TreeTruth truth = WriteTree(folder.path().string(), tree, Small());
  ExpectTrue(truth, ReadLayout(folder.path()));
}

TEST(TreeWriterTest, RealSizesAreDividedUntilTheyFit) {
  constexpr uint64_t kBytesMax = uint64_t{32} << 20;
  PopulationOptions population = Small();
  EXPECT_EQ(SizeDivisor(population, std::numeric_limits<uint64_t>::max()), 1u);
  EXPECT_EQ(SizeDivisor(population, 1), uint64_t{1} << 30);
  population.size_divisor = SizeDivisor(population, kBytesMax);
  EXPECT_GT(population.size_divisor, 1u);
  TreeOptions tree;
  tree.blob_bytes_max = std::numeric_limits<uint64_t>::max();
  tree.stray_blob_share = 0;
  const Folder folder;
  const TreeTruth truth = WriteTree(folder.path().string(), tree, population);
  const Found found = ReadRegistry(folder.path());
  ExpectTrue(truth, found);
  uint64_t in_blocks = 0;
  uint64_t largest = 0;
  for (const auto& [digest, size] : found.sizes) {
    in_blocks += (size + 4095) / 4096 * 4096;
    largest = std::max(largest, size);
  }
  EXPECT_LE(in_blocks, kBytesMax);
  EXPECT_GT(in_blocks, kBytesMax / 4) << "divided by more than it takes";
  EXPECT_GT(largest, 100'000u);
}

}  // namespace
}  // namespace reclaim::benchmark
