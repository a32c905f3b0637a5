#include "store/containerd_files.h"

#include <sys/stat.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "store/folder_size.h"

namespace reclaim::store {
namespace {

constexpr uint64_t kBlock = 4096;
constexpr uint64_t kSector = 512;

Bytes TreeBytes(const std::string& path) {
  const FolderSize size = SizeOfFolder(path);
  return {size.file_bytes, size.allocated_bytes};
}

}  // namespace

Bytes ContentBytes(const std::string& content_root, const oci::Digest& digest,
                   uint64_t size) {
  Bytes bytes{size, (size + kBlock - 1) / kBlock * kBlock};
  if (content_root.empty()) return bytes;
  const std::string path =
      absl::StrCat(content_root, "/blobs/", oci::ToString(digest.algorithm()),
                   "/", digest.hex());
  struct stat st;
  if (lstat(path.c_str(), &st) == 0 && S_ISREG(st.st_mode)) {
    bytes.allocated_bytes = static_cast<uint64_t>(st.st_blocks) * kSector;
  }
  return bytes;
}

std::vector<std::string> ListContentFiles(const std::string& content_root) {
  std::vector<std::string> files;
  if (content_root.empty()) return files;
  const std::string blobs = content_root + "/blobs";
  for (const std::string& algorithm : NamesIn(blobs)) {
    for (const std::string& hex :
         NamesIn(absl::StrCat(blobs, "/", algorithm))) {
      files.push_back(absl::StrCat(algorithm, "/", hex));
    }
  }
  return files;
}

std::vector<StrayFact> StrayContent(
    const std::string& content_root, const std::vector<std::string>& files,
    const absl::flat_hash_set<oci::Digest>& known) {
  std::vector<StrayFact> strays;
  for (const std::string& file : files) {
    const auto digest =
        oci::Digest::Parse(absl::StrReplaceAll(file, {{"/", ":"}}));
    if (digest.ok() && known.contains(*digest)) continue;
    StrayFact stray;
    stray.path = absl::StrCat("blobs/", file);
    stray.why = "containerd has no such content in any namespace";
    stray.bytes = TreeBytes(absl::StrCat(content_root, "/", stray.path));
    strays.push_back(std::move(stray));
  }
  return strays;
}

std::vector<StrayFact> StraySnapshots(const std::string& root,
                                      uint64_t known_count,
                                      uint64_t known_bytes) {
  std::vector<StrayFact> strays;
  if (root.empty()) return strays;
  const std::vector<std::string> folders = NamesIn(root + "/snapshots");
  if (folders.size() <= known_count) return strays;
  Bytes all;
  for (const std::string& folder : folders) {
    const std::string path = absl::StrCat(root, "/snapshots/", folder);
    struct stat st;
    // The overlay snapshotter has "fs" (and "work") in each, the native none.
    const bool is_overlay = lstat((path + "/fs").c_str(), &st) == 0;
    all += TreeBytes(is_overlay ? path + "/fs" : path);
  }
  const uint64_t extra =
      all.allocated_bytes > known_bytes ? all.allocated_bytes - known_bytes : 0;
  const uint64_t count = folders.size() - known_count;
  for (uint64_t i = 0; i < count; ++i) {
    StrayFact stray;
    stray.path = "snapshots";
    stray.why = absl::StrCat("the snapshotter knows ", known_count,
                             " snapshots and has ", folders.size(), " folders");
    if (i == 0) stray.bytes = {extra, extra};
    strays.push_back(std::move(stray));
  }
  return strays;
}

}  // namespace reclaim::store
