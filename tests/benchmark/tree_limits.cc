// The physical limits of work on a tree of files: bare loops that do nothing
// else.
//
//   tree_limits import FOLDER     each blob's size; manifests and tags read
//   tree_limits list FOLDER       the blobs' names alone
//   tree_limits drift FOLDER      the names, merged with those of stdin, which
//                                 ascend: what is "missing", what "unknown"
//   tree_limits unlink FOLDER     takes away the blobs that stdin names
//   tree_limits trash FOLDER      the same in two steps: "rename_seconds" into
//                                 a folder, "unlink_seconds" out of it; it is
//                                 synced for every 64 files
//
// FOLDER is a registry's tree or an image layout.  Prints a line of JSON: the
// number of blobs ("count"), the "seconds", and what is quoted above.

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <iostream>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

namespace reclaim::benchmark {
namespace {

constexpr char kTop[] = "/docker/registry/v2/";
constexpr uint64_t kFilesPerSync = 64;

using Figures = std::vector<std::pair<const char*, double>>;

class Stopwatch {
 public:
  double Seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() -
                                         begin_)
        .count();
  }

 private:
  const std::chrono::steady_clock::time_point begin_ =
      std::chrono::steady_clock::now();
};

std::vector<std::string> Names(int folder) {
  std::vector<std::string> names;
  DIR* listing = fdopendir(dup(folder));
  if (listing == nullptr) return names;
  while (const dirent* entry = readdir(listing)) {
    if (entry->d_name[0] != '.') names.emplace_back(entry->d_name);
  }
  closedir(listing);
  return names;
}

int OpenFolder(int parent, const char* name) {
  return openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

// True if the file begins as a manifest does, which is then read whole.
bool ReadIfManifest(int folder, const char* name) {
  const int fd = openat(folder, name, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  char bytes[65536];
  ssize_t size = read(fd, bytes, 512);
  const bool is_json = size > 0 && bytes[0] == '{';
  while (is_json && size > 0) size = read(fd, bytes, sizeof(bytes));
  close(fd);
  return is_json;
}

// The digests that stdin names, hexadecimal.
std::vector<std::string> ReadDigests() {
  std::vector<std::string> digests;
  for (std::string line; std::getline(std::cin, line);) {
    digests.push_back(line.substr(line.find(':') + 1));
  }
  return digests;
}

class Limits {
 public:
  explicit Limits(const std::string& folder)
      : root_(open(folder.c_str(), O_RDONLY | O_DIRECTORY)),
        registry_(open((folder + kTop).c_str(), O_RDONLY | O_DIRECTORY)) {}

  uint64_t List(bool stats) const {
    uint64_t count = 0;
    ForEachFolder([&](int folder, const std::vector<std::string>& names) {
      count += names.size();
      if (!stats) return;
      for (const std::string& hex : names) {
        Stat(folder, (registry_ < 0 ? hex : hex + "/data").c_str());
      }
    });
    return count;
  }

  // Every manifest that a revision or an index entry names, and every tag.
  void ReadManifests() const {
    if (registry_ >= 0) {
      ReadRepositories(OpenFolder(registry_, "repositories"));
      return;
    }
    ForEachFolder([](int folder, const std::vector<std::string>& names) {
      for (const std::string& hex : names) ReadIfManifest(folder, hex.c_str());
    });
  }

  Figures Drift() const {
    const std::vector<std::string> recorded = ReadDigests();
    std::vector<std::string> there;
    ForEachFolder([&](int, std::vector<std::string> names) {
      // The folders come in order.
      std::sort(names.begin(), names.end());
      std::move(names.begin(), names.end(), std::back_inserter(there));
    });
    uint64_t missing = 0;
    uint64_t unknown = 0;
    for (size_t i = 0, j = 0; i < recorded.size() || j < there.size();) {
      const int order = i == recorded.size() ? 1
                        : j == there.size()  ? -1
                                             : recorded[i].compare(there[j]);
      missing += order < 0 ? 1 : 0;
      unknown += order > 0 ? 1 : 0;
      i += order <= 0 ? 1 : 0;
      j += order >= 0 ? 1 : 0;
    }
    return {
        {"count", there.size()}, {"missing", missing}, {"unknown", unknown}};
  }

  uint64_t Unlink() const {
    uint64_t count = 0;
    for (const std::string& hex : ReadDigests()) {
      count += unlinkat(top(), FileOf(hex).c_str(), 0) == 0 ? 1 : 0;
      RemoveFolderOf(hex);
    }
    return count;
  }

  Figures Trash() const {
    const std::vector<std::string> digests = ReadDigests();
    mkdirat(root_, "trash", 0700);
    const int trash = OpenFolder(root_, "trash");
    const Stopwatch renaming;
    ForEachSynced(digests, trash, [&](const std::string& hex) {
      renameat(top(), FileOf(hex).c_str(), trash, hex.c_str());
      RemoveFolderOf(hex);
    });
    const double rename_seconds = renaming.Seconds();
    const Stopwatch unlinking;
    uint64_t count = 0;
    ForEachSynced(digests, trash, [&](const std::string& hex) {
      count += unlinkat(trash, hex.c_str(), 0) == 0 ? 1 : 0;
    });
    const double unlink_seconds = unlinking.Seconds();
    close(trash);
    return {{"count", count},
            {"rename_seconds", rename_seconds},
            {"unlink_seconds", unlink_seconds}};
  }

 private:
  // Below which the folder of blobs is.
  int top() const { return registry_ < 0 ? root_ : registry_; }
  std::string FolderOf(const std::string& hex) const {
    return "blobs/sha256/" + hex.substr(0, 2) + "/" + hex;
  }
  std::string FileOf(const std::string& hex) const {
    return registry_ < 0 ? "blobs/sha256/" + hex : FolderOf(hex) + "/data";
  }
  void RemoveFolderOf(const std::string& hex) const {
    if (registry_ < 0) return;
    unlinkat(registry_, FolderOf(hex).c_str(), AT_REMOVEDIR);
  }

  // Calls visit(folder, names) for each folder that blobs are in, ascending.
  template <typename Visit>
  void ForEachFolder(Visit visit) const {
    const int blobs = OpenFolder(top(), "blobs/sha256");
    std::vector<std::string> names = Names(blobs);
    if (registry_ < 0) {
      visit(blobs, std::move(names));
    } else {
      std::sort(names.begin(), names.end());
      for (const std::string& shard : names) {
        const int folder = OpenFolder(blobs, shard.c_str());
        visit(folder, Names(folder));
        close(folder);
      }
    }
    close(blobs);
  }

  template <typename Visit>
  static void ForEachSynced(const std::vector<std::string>& digests, int folder,
                            Visit visit) {
    uint64_t count = 0;
    for (const std::string& hex : digests) {
      visit(hex);
      if (++count % kFilesPerSync == 0) fsync(folder);
    }
    fsync(folder);
  }

  static void Stat(int folder, const char* name) {
    struct statx out;
    statx(folder, name, AT_SYMLINK_NOFOLLOW | AT_STATX_DONT_SYNC,
          STATX_SIZE | STATX_BLOCKS | STATX_MTIME, &out);
  }
  void ReadRepositories(int folder) const {
    for (const std::string& name : Names(folder)) {
      if (name[0] == '_') continue;
      const int below = OpenFolder(folder, name.c_str());
      if (below < 0) continue;
      const int tags = OpenFolder(below, "_manifests/tags");
      if (tags >= 0) ReadRepository(below, tags);
      ReadRepositories(below);
    }
    close(folder);
  }
  void ReadRepository(int repository, int tags) const {
    for (const std::string& tag : Names(tags)) {
      ReadIfManifest(tags, (tag + "/current/link").c_str());
    }
    close(tags);
    const int layers = OpenFolder(repository, "_layers/sha256");
    Names(layers);
    close(layers);
    const int revisions = OpenFolder(repository, "_manifests/revisions/sha256");
    for (const std::string& hex : Names(revisions)) {
      ReadIfManifest(registry_, FileOf(hex).c_str());
    }
    close(revisions);
  }

  const int root_;
  const int registry_;  // -1: an image layout
};

Figures Measure(const std::string& mode, const Limits& limits) {
  if (mode == "drift") return limits.Drift();
  if (mode == "trash") return limits.Trash();
  if (mode == "unlink") return {{"count", limits.Unlink()}};
  const Figures listed = {{"count", limits.List(mode == "import")}};
  if (mode == "import") limits.ReadManifests();
  return listed;
}

int Main(const std::string& mode, const std::string& folder) {
  const Stopwatch whole;
  const Limits limits(folder);
  Figures figures = Measure(mode, limits);
  figures.emplace_back("seconds", whole.Seconds());
  const char* separator = "{";
  for (const auto& [name, value] : figures) {
    std::printf("%s\"%s\": %.6f", separator, name, value);
    separator = ", ";
  }
  std::puts("}");
  return 0;
}

}  // namespace
}  // namespace reclaim::benchmark

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fputs("tree_limits import|list|drift|unlink|trash FOLDER\n", stderr);
    return 2;
  }
  std::ios::sync_with_stdio(false);
  return reclaim::benchmark::Main(argv[1], argv[2]);
}
