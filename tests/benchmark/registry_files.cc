#include "tests/benchmark/registry_files.h"

#include <filesystem>
#include <fstream>
#include <system_error>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/check.h"

namespace reclaim::benchmark {
namespace {

namespace fs = std::filesystem;

constexpr int kAttemptMax = 10;

struct File {
  std::string path;  // below its folder
  std::string bytes;
};

void Write(const fs::path& path, const std::string& bytes) {
  fs::create_directories(path.parent_path());
  std::ofstream file(path, std::ios::binary);
  file << bytes;
  file.close();
  RECLAIM_CHECK(file.good(), "the folder of the measurement has room");
}

// A folder that is there already stays as it is: it has the same in it.
void PutFolder(const fs::path& folder, const fs::path& aside,
               const std::vector<File>& files) {
  if (fs::exists(folder)) return;
  const fs::path made = aside / "made";
  for (const File& file : files) Write(made / file.path, file.bytes);
  std::error_code error;
  // A collector may take the folder above between, if nothing else is in it.
  for (int attempt = 0; attempt < kAttemptMax; ++attempt) {
    fs::create_directories(folder.parent_path(), error);
    fs::rename(made, folder, error);
    if (!error) return;
  }
  RECLAIM_CHECK(false, "a folder made aside can be moved into the tree");
}

std::string HexOf(const Blob& blob) {
  return blob.digest.substr(blob.digest.find(':') + 1);
}

}  // namespace

void LayPush(const std::string& tree, const std::string& aside,
             const Push& push) {
  const fs::path top = fs::path(tree) / "docker/registry/v2";
  const fs::path repository = top / "repositories" / push.repository;
  const auto put_link = [&](const std::string& path, const Blob& blob) {
    PutFolder(repository / path / HexOf(blob), aside, {{"link", blob.digest}});
  };
  std::vector<Blob> blobs = push.added;
  blobs.push_back(push.manifest);
  for (const Blob& blob : blobs) {
    const std::string hex = HexOf(blob);
    PutFolder(top / "blobs/sha256" / hex.substr(0, 2) / hex, aside,
              {{"data", blob.bytes}});
  }
  for (const Blob& blob : push.known) put_link("_layers/sha256", blob);
  for (const Blob& blob : push.added) put_link("_layers/sha256", blob);
  put_link("_manifests/revisions/sha256", push.manifest);
  PutFolder(repository / "_manifests/tags" / push.tag, aside,
            {{"current/link", push.manifest.digest},
             {absl::StrCat("index/sha256/", HexOf(push.manifest), "/link"),
              push.manifest.digest}});
}

}  // namespace reclaim::benchmark
