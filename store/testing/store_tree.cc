#include "store/testing/store_tree.h"

#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "oci/media_type.h"

namespace reclaim::store {
namespace {

namespace fs = std::filesystem;

std::string DescriptorText(const oci::Digest& digest, const char* type) {
  return absl::StrCat(R"({"mediaType":")", type, R"(","digest":")",
                      digest.ToString(), R"(","size":1})");
}

std::string Join(const std::vector<std::string>& parts) {
  std::string text;
  for (const std::string& part : parts) {
    absl::StrAppend(&text, text.empty() ? "" : ",", part);
  }
  return text;
}

std::string Link(const oci::Digest& digest) {
  return absl::StrCat(oci::ToString(digest.algorithm()), "/", digest.hex(),
                      "/link");
}

}  // namespace

TempFolder::TempFolder() {
  const char* base = std::getenv("TEST_TMPDIR");
  std::string name =
      absl::StrCat(base == nullptr ? "/tmp" : base, "/tree-XXXXXX");
  RECLAIM_CHECK(mkdtemp(name.data()) != nullptr, "a temporary folder");
  path_ = name;
}

TempFolder::~TempFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

void TempFolder::Write(const std::string& path,
                       const std::string& bytes) const {
  const fs::path full = fs::path(path_) / path;
  fs::create_directories(full.parent_path());
  std::ofstream(full, std::ios::binary) << bytes;
}

std::string TempFolder::Read(const std::string& path) const {
  std::ifstream file(fs::path(path_) / path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

bool TempFolder::Exists(const std::string& path) const {
  return fs::exists(fs::symlink_status(fs::path(path_) / path));
}

void TempFolder::Remove(const std::string& path) const {
  fs::remove_all(fs::path(path_) / path);
}

std::string TempFolder::Snapshot() const {
  std::map<std::string, std::string> lines;
  for (const auto& entry : fs::recursive_directory_iterator(path_)) {
    struct stat st;
    if (lstat(entry.path().c_str(), &st) != 0) continue;
    const std::string relative = entry.path().string().substr(path_.size() + 1);
    std::string line = absl::StrCat(relative, " ", st.st_mode, " ", st.st_uid);
    if (S_ISREG(st.st_mode)) {
      absl::StrAppend(&line, " ", st.st_mtim.tv_sec, ".", st.st_mtim.tv_nsec,
                      " ", oci::Digest::Sha256Of(Read(relative)).Short());
    }
    lines[relative] = line;
  }
  std::string text;
  for (const auto& [path, line] : lines) absl::StrAppend(&text, line, "\n");
  return text;
}

uint64_t TempFolder::DiskBytes() const {
  uint64_t bytes = 0;
  for (const auto& entry : fs::recursive_directory_iterator(path_)) {
    struct stat st;
    if (lstat(entry.path().c_str(), &st) == 0) {
      bytes += static_cast<uint64_t>(st.st_blocks) * 512;
    }
  }
  return bytes;
}

void TempFolder::WaitForClock() const {
  const std::string probe = path_ + ".clock";
  const auto now = [&] {
    std::ofstream(probe) << "tick";
    struct stat st;
    RECLAIM_CHECK(stat(probe.c_str(), &st) == 0, "the probe was written");
    return std::make_pair(st.st_ctim.tv_sec, st.st_ctim.tv_nsec);
  };
  const auto before = now();
  while (now() == before) {
  }
  fs::remove(probe);
}

std::string ImageText(const std::vector<oci::Digest>& blobs,
                      const oci::Digest& subject) {
  std::vector<std::string> layers;
  for (size_t i = 1; i < blobs.size(); ++i) {
    layers.push_back(DescriptorText(blobs[i], "application/x-layer"));
  }
  std::string text = absl::StrCat(R"({"schemaVersion":2,"mediaType":")",
                                  oci::kOciManifestType, R"(","config":)",
                                  DescriptorText(blobs[0], oci::kOciConfigType),
                                  R"(,"layers":[)", Join(layers), "]");
  if (!subject.empty()) {
    absl::StrAppend(&text, R"(,"subject":)",
                    DescriptorText(subject, oci::kOciManifestType));
  }
  return text + "}";
}

std::string IndexText(const std::vector<oci::Digest>& manifests) {
  std::vector<std::string> entries;
  for (const oci::Digest& digest : manifests) {
    entries.push_back(DescriptorText(digest, oci::kOciManifestType));
  }
  return absl::StrCat(R"({"schemaVersion":2,"mediaType":")", oci::kOciIndexType,
                      R"(","manifests":[)", Join(entries), "]}");
}

std::string RegistryTree::BlobFolder(const oci::Digest& digest) const {
  return absl::StrCat("docker/registry/v2/blobs/",
                      oci::ToString(digest.algorithm()), "/",
                      digest.hex().substr(0, 2), "/", digest.hex());
}

std::string RegistryTree::BlobPath(const oci::Digest& digest) const {
  return BlobFolder(digest) + "/data";
}

std::string RegistryTree::LayerLink(const std::string& repository,
                                    const oci::Digest& digest) const {
  return absl::StrCat("docker/registry/v2/repositories/", repository,
                      "/_layers/", Link(digest));
}

std::string RegistryTree::RevisionLink(const std::string& repository,
                                       const oci::Digest& digest) const {
  return absl::StrCat("docker/registry/v2/repositories/", repository,
                      "/_manifests/revisions/", Link(digest));
}

oci::Digest RegistryTree::Blob(const std::string& bytes) const {
  const oci::Digest digest = oci::Digest::Sha256Of(bytes);
  if (!folder_->Exists(BlobPath(digest))) {
    folder_->Write(BlobPath(digest), bytes);
  }
  return digest;
}

oci::Digest RegistryTree::Layer(const std::string& repository,
                                const std::string& bytes) const {
  const oci::Digest digest = Blob(bytes);
  folder_->Write(LayerLink(repository, digest), digest.ToString());
  return digest;
}

oci::Digest RegistryTree::Manifest(const std::string& repository,
                                   const std::string& bytes) const {
  const oci::Digest digest = Blob(bytes);
  folder_->Write(RevisionLink(repository, digest), digest.ToString());
  return digest;
}

void RegistryTree::Tag(const std::string& repository, const std::string& tag,
                       const oci::Digest& digest) const {
  const std::string folder = absl::StrCat("docker/registry/v2/repositories/",
                                          repository, "/_manifests/tags/", tag);
  folder_->Write(folder + "/current/link", digest.ToString());
  folder_->Write(folder + "/index/" + Link(digest), digest.ToString());
}

oci::Digest RegistryTree::Image(const std::string& repository,
                                const std::string& tag,
                                const std::vector<std::string>& layers,
                                const oci::Digest& subject) const {
  std::vector<oci::Digest> blobs = {
      Layer(repository,
            absl::StrCat(R"({"os":"linux","x":")", Join(layers), R"("})"))};
  for (const std::string& layer : layers) {
    blobs.push_back(Layer(repository, layer));
  }
  const oci::Digest digest = Manifest(repository, ImageText(blobs, subject));
  if (!tag.empty()) Tag(repository, tag, digest);
  return digest;
}

void RegistryTree::Upload(const std::string& repository, const std::string& id,
                          const std::string& bytes) const {
  const std::string folder = absl::StrCat("docker/registry/v2/repositories/",
                                          repository, "/_uploads/", id);
  folder_->Write(folder + "/data", bytes);
  folder_->Write(folder + "/startedat", "2026-01-01T00:00:00Z");
}

std::string LayoutTree::Path(const std::string& path) const {
  return place_.empty() ? path : absl::StrCat(place_, "/", path);
}

oci::Digest LayoutTree::Blob(const std::string& bytes) const {
  const oci::Digest digest = oci::Digest::Sha256Of(bytes);
  folder_->Write(Path("blobs/sha256/" + digest.hex()), bytes);
  folder_->Write(Path("oci-layout"), R"({"imageLayoutVersion":"1.0.0"})");
  return digest;
}

oci::Digest LayoutTree::Image(const std::vector<std::string>& layers) const {
  std::vector<oci::Digest> blobs = {
      Blob(absl::StrCat(R"({"os":"linux","x":")", Join(layers), R"("})"))};
  for (const std::string& layer : layers) blobs.push_back(Blob(layer));
  return Blob(ImageText(blobs));
}

void LayoutTree::Entry(const oci::Digest& digest, const std::string& name) {
  std::string entry =
      absl::StrCat(R"({"mediaType":")", oci::kOciManifestType,
                   R"(","digest":")", digest.ToString(), R"(","size":1)");
  if (!name.empty()) {
    absl::StrAppend(&entry, R"(,"annotations":{"org.opencontainers.image.ref)",
                    R"(.name":")", name, R"("})");
  }
  absl::StrAppend(&entries_, entries_.empty() ? "" : ",", entry, "}");
  folder_->Write(
      Path("index.json"),
      absl::StrCat(R"({"schemaVersion":2,"manifests":[)", entries_, "]}\n"));
}

}  // namespace reclaim::store
