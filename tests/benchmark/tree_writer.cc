#include "tests/benchmark/tree_writer.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "base/check.h"
#include "oci/digest.h"

namespace reclaim::benchmark {
namespace {

constexpr char kOci[] = "application/vnd.oci.image.";
constexpr char kRepositories[] = "docker/registry/v2/repositories/";
constexpr time_t kLongAgo = 1'600'000'000;
constexpr uint64_t kBlockBytes = 4096;
constexpr size_t kDivisorBitsMax = 30;
// Of a manifest's JSON for each content that it names; rather more.
constexpr uint64_t kDescriptorBytes = 256;

void MakeFolders(std::string path) {
  for (size_t at = path.find('/', 1); at != std::string::npos;
       at = path.find('/', at + 1)) {
    path[at] = '\0';
    mkdir(path.c_str(), 0755);
    path[at] = '/';
  }
}

void WriteFile(const std::string& path, absl::string_view bytes) {
  int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
  if (fd < 0) {
    MakeFolders(path);
    fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
  }
  RECLAIM_CHECK(fd >= 0, "the folder can be written");
  while (!bytes.empty()) {
    const ssize_t written = write(fd, bytes.data(), bytes.size());
    RECLAIM_CHECK(written > 0, "the disk has room");
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  const timespec times[2] = {{kLongAgo, 0}, {kLongAgo, 0}};
  futimens(fd, times);
  close(fd);
}

// What the files of a population take, for each power of two by which sizes may
// be divided.
class FileBytes final : public PopulationSink {
 public:
  void OnRepository(const std::string&) override {}
  void OnBlob(BlobNumber, uint64_t size_bytes, bool) override {
    for (size_t bits = 0; bits < bytes_.size(); ++bits) {
      const uint64_t size = std::max<uint64_t>(1, size_bytes >> bits);
      bytes_[bits] += (size + kBlockBytes - 1) / kBlockBytes * kBlockBytes;
    }
  }
  void OnManifest(BlobNumber manifest,
                  absl::Span<const BlobNumber> children) override {
    documents_bytes_ += kBlockBytes + kDescriptorBytes * children.size();
  }
  void OnIndex(BlobNumber index,
               absl::Span<const BlobNumber> manifests) override {
    OnManifest(index, manifests);
  }
  void OnReferrer(BlobNumber manifest, BlobNumber,
                  absl::Span<const BlobNumber> children) override {
    OnManifest(manifest, children);
  }
  void OnTag(const std::string&, BlobNumber) override {}

  uint64_t DividedBy(size_t bits) const {
    return bytes_[bits] + documents_bytes_;
  }

 private:
  std::array<uint64_t, kDivisorBitsMax + 1> bytes_{};
  uint64_t documents_bytes_ = 0;
};

class TreeWriter final : public PopulationSink {
 public:
  TreeWriter(std::string folder, const TreeOptions& options)
      : folder_(std::move(folder)), options_(options) {}

  void OnRepository(const std::string& name) override;
  void OnBlob(BlobNumber blob, uint64_t size_bytes, bool is_config) override;
  void OnManifest(BlobNumber manifest,
                  absl::Span<const BlobNumber> children) override;
  void OnIndex(BlobNumber index,
               absl::Span<const BlobNumber> manifests) override;
  void OnReferrer(BlobNumber manifest, BlobNumber subject,
                  absl::Span<const BlobNumber> children) override;
  void OnTag(const std::string& tag, BlobNumber target) override;
  TreeTruth Finish();

 private:
  struct Known {
    std::string hex;
    uint64_t size = 0;
    std::vector<BlobNumber> kept;
    bool is_index = false;
  };

  bool IsRegistry() const { return options_.layout == TreeLayout::kRegistry; }
  std::string PathOf(const std::string& hex) const;
  void PutBytes(BlobNumber number, absl::string_view bytes);
  void PutManifest(BlobNumber number, const std::string& json,
                   absl::Span<const BlobNumber> kept);
  std::string Descriptor(BlobNumber number, absl::string_view type) const;
  std::string Json(absl::Span<const BlobNumber> children,
                   const std::string& more) const;
  void Link(const std::string& path, const std::string& hex);
  void WriteStrays();
  void WriteLayoutFiles();
  std::vector<bool> Reached() const;

  const std::string folder_;
  const TreeOptions options_;
  std::string repository_;
  std::set<std::string> linked_;  // of the repository
  std::vector<Known> known_;
  std::vector<BlobNumber> tagged_;
  std::vector<std::string> entries_;  // of index.json
  std::vector<std::string> strays_;
  uint64_t stray_bytes_ = 0;
};

std::string TreeWriter::PathOf(const std::string& hex) const {
  if (IsRegistry()) {
    return absl::StrCat(folder_, "/docker/registry/v2/blobs/sha256/",
                        hex.substr(0, 2), "/", hex, "/data");
  }
  return absl::StrCat(folder_, "/blobs/sha256/", hex);
}

void TreeWriter::PutBytes(BlobNumber number, absl::string_view bytes) {
  RECLAIM_CHECK(number == known_.size(), "numbers are dense");
  Known known;
  known.hex = oci::Digest::Sha256Of(bytes).hex();
  known.size = bytes.size();
  WriteFile(PathOf(known.hex), bytes);
  known_.push_back(std::move(known));
}

void TreeWriter::Link(const std::string& path, const std::string& hex) {
  if (!linked_.insert(path).second) return;
  WriteFile(absl::StrCat(folder_, "/", kRepositories, repository_, "/", path,
                         "/link"),
            "sha256:" + hex);
}

void TreeWriter::OnRepository(const std::string& name) {
  repository_ = name;
  linked_.clear();
  // Stays when the last tag goes; the registry's collector asks for it.
  if (IsRegistry()) {
    MakeFolders(absl::StrCat(folder_, "/", kRepositories, repository_,
                             "/_manifests/tags/"));
  }
}

void TreeWriter::OnBlob(BlobNumber blob, uint64_t size_bytes, bool is_config) {
  std::string bytes =
      is_config
          ? absl::StrCat("{\"os\":\"linux\",\"number\":", blob, ",\"pad\":\"")
          : absl::StrCat("blob ", blob, " ");
  const uint64_t size = std::min(size_bytes, options_.blob_bytes_max);
  if (bytes.size() < size) bytes.resize(size, 'x');
  if (is_config) bytes += "\"}";
  PutBytes(blob, bytes);
}

std::string TreeWriter::Descriptor(BlobNumber number,
                                   absl::string_view type) const {
  return absl::StrCat("{\"mediaType\":\"", kOci, type,
                      "\",\"digest\":\"sha256:", known_[number].hex,
                      "\",\"size\":", known_[number].size, "}");
}

std::string TreeWriter::Json(absl::Span<const BlobNumber> children,
                             const std::string& more) const {
  std::vector<std::string> layers;
  for (const BlobNumber child : children.subspan(1)) {
    layers.push_back(Descriptor(child, "layer.v1.tar+gzip"));
  }
  return absl::StrCat("{\"schemaVersion\":2,\"mediaType\":\"", kOci,
                      "manifest.v1+json\",\"config\":",
                      Descriptor(children[0], "config.v1+json"),
                      ",\"layers\":[", absl::StrJoin(layers, ","), "]", more,
                      "}");
}

void TreeWriter::PutManifest(BlobNumber number, const std::string& json,
                             absl::Span<const BlobNumber> kept) {
  PutBytes(number, json);
  known_[number].kept.assign(kept.begin(), kept.end());
  if (!IsRegistry()) return;
  Link("_manifests/revisions/sha256/" + known_[number].hex, known_[number].hex);
}

void TreeWriter::OnManifest(BlobNumber manifest,
                            absl::Span<const BlobNumber> children) {
  PutManifest(manifest, Json(children, ""), children);
  if (!IsRegistry()) return;
  for (const BlobNumber child : children) {
    Link("_layers/sha256/" + known_[child].hex, known_[child].hex);
  }
}

void TreeWriter::OnIndex(BlobNumber index,
                         absl::Span<const BlobNumber> manifests) {
  std::vector<std::string> entries;
  for (const BlobNumber manifest : manifests) {
    entries.push_back(Descriptor(manifest, "manifest.v1+json"));
  }
  PutManifest(index,
              absl::StrCat("{\"schemaVersion\":2,\"mediaType\":\"", kOci,
                           "index.v1+json\",\"manifests\":[",
                           absl::StrJoin(entries, ","), "]}"),
              manifests);
  known_[index].is_index = true;
}

void TreeWriter::OnReferrer(BlobNumber manifest, BlobNumber subject,
                            absl::Span<const BlobNumber> children) {
  const std::string type =
      known_[subject].is_index ? "index.v1+json" : "manifest.v1+json";
  PutManifest(manifest,
              Json(children, ",\"subject\":" + Descriptor(subject, type)),
              children);
  // A layout's readers find a referrer in index.json or not at all, and these
  // are not listed there: garbage, for umoci as well.
  if (!IsRegistry()) return;
  known_[subject].kept.push_back(manifest);
  for (const BlobNumber child : children) {
    Link("_layers/sha256/" + known_[child].hex, known_[child].hex);
  }
}

void TreeWriter::OnTag(const std::string& tag, BlobNumber target) {
  tagged_.push_back(target);
  const Known& known = known_[target];
  if (IsRegistry()) {
    Link(absl::StrCat("_manifests/tags/", tag, "/current"), known.hex);
    Link(absl::StrCat("_manifests/tags/", tag, "/index/sha256/", known.hex),
         known.hex);
    return;
  }
  entries_.push_back(absl::StrCat(
      "{\"mediaType\":\"", kOci,
      known.is_index ? "index.v1+json" : "manifest.v1+json",
      "\",\"digest\":\"sha256:", known.hex, "\",\"size\":", known.size,
      ",\"annotations\":{\"org.opencontainers.image.ref.name\":\"", repository_,
      ":", tag, "\"}}"));
}

void TreeWriter::WriteStrays() {
  const auto count = static_cast<uint64_t>(static_cast<double>(known_.size()) *
                                           options_.stray_blob_share);
  for (uint64_t i = 0; i < count; ++i) {
    std::string bytes = absl::StrCat("stray ", i, " ");
    const uint64_t size = std::min(known_[i * known_.size() / count].size,
                                   options_.blob_bytes_max);
    if (bytes.size() < size) bytes.resize(size, 'x');
    const std::string hex = oci::Digest::Sha256Of(bytes).hex();
    WriteFile(PathOf(hex), bytes);
    strays_.push_back(hex);
    stray_bytes_ += bytes.size();
  }
}

void TreeWriter::WriteLayoutFiles() {
  WriteFile(folder_ + "/oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}");
  WriteFile(folder_ + "/index.json",
            absl::StrCat("{\"schemaVersion\":2,\"manifests\":[",
                         absl::StrJoin(entries_, ","), "]}"));
}

std::vector<bool> TreeWriter::Reached() const {
  std::vector<bool> reached(known_.size());
  std::vector<BlobNumber> queue = tagged_;
  while (!queue.empty()) {
    const BlobNumber number = queue.back();
    queue.pop_back();
    if (reached[number]) continue;
    reached[number] = true;
    queue.insert(queue.end(), known_[number].kept.begin(),
                 known_[number].kept.end());
  }
  return reached;
}

TreeTruth TreeWriter::Finish() {
  WriteStrays();
  if (!IsRegistry()) WriteLayoutFiles();
  const std::vector<bool> reached = Reached();
  TreeTruth truth;
  // Equal bytes are one blob.
  std::set<std::string> live;
  std::set<std::string> garbage;
  for (size_t i = 0; i < known_.size(); ++i) {
    if (!reached[i] || !live.insert("sha256:" + known_[i].hex).second) continue;
    truth.live_bytes += known_[i].size;
  }
  for (const Known& known : known_) {
    const std::string digest = "sha256:" + known.hex;
    if (live.count(digest) > 0 || !garbage.insert(digest).second) continue;
    truth.garbage_bytes += known.size;
  }
  for (const std::string& hex : strays_) garbage.insert("sha256:" + hex);
  truth.garbage_bytes += stray_bytes_;
  truth.live.assign(live.begin(), live.end());
  truth.garbage.assign(garbage.begin(), garbage.end());
  return truth;
}

}  // namespace

uint64_t SizeDivisor(const PopulationOptions& population, uint64_t bytes_max) {
  PopulationOptions undivided = population;
  undivided.size_divisor = 1;
  FileBytes files;
  Populate(undivided, &files);
  size_t bits = 0;
  while (bits < kDivisorBitsMax && files.DividedBy(bits) > bytes_max) ++bits;
  return uint64_t{1} << bits;
}

TreeTruth WriteTree(const std::string& folder, const TreeOptions& tree,
                    const PopulationOptions& population) {
  TreeWriter writer(folder, tree);
  Populate(population, &writer);
  return writer.Finish();
}

}  // namespace reclaim::benchmark
