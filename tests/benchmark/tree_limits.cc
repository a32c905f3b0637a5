// The physical limits of work on a tree of files: bare loops that do nothing
// else.
//
//   tree_limits import FOLDER     each blob's size; manifests and tags read
//   tree_limits list FOLDER       the blobs' names alone
//   tree_limits unlink FOLDER     takes away the blobs that stdin names
//
// FOLDER is a registry's tree or an image layout.  Prints the number of blobs
// and the seconds.

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <string>
#include <vector>

namespace reclaim::benchmark {
namespace {

constexpr char kTop[] = "/docker/registry/v2/";

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
  const ssize_t size = read(fd, bytes, sizeof(bytes));
  close(fd);
  return size > 0 && bytes[0] == '{';
}

class Limits {
 public:
  explicit Limits(const std::string& folder)
      : root_(open(folder.c_str(), O_RDONLY | O_DIRECTORY)),
        registry_(open((folder + kTop).c_str(), O_RDONLY | O_DIRECTORY)) {}

  uint64_t List(bool stats) {
    uint64_t count = 0;
    if (registry_ < 0) {
      const int blobs = OpenFolder(root_, "blobs/sha256");
      for (const std::string& hex : Names(blobs)) {
        ++count;
        if (stats) Stat(blobs, hex.c_str());
      }
      return count;
    }
    const int blobs = OpenFolder(registry_, "blobs/sha256");
    for (const std::string& shard : Names(blobs)) {
      const int folder = OpenFolder(blobs, shard.c_str());
      for (const std::string& hex : Names(folder)) {
        ++count;
        if (stats) Stat(folder, (hex + "/data").c_str());
      }
      close(folder);
    }
    return count;
  }

  // Every manifest that a revision or an index entry names, and every tag.
  void ReadManifests() {
    if (registry_ < 0) {
      const int blobs = OpenFolder(root_, "blobs/sha256");
      for (const std::string& hex : Names(blobs)) {
        ReadIfManifest(blobs, hex.c_str());
      }
      return;
    }
    ReadRepositories(OpenFolder(registry_, "repositories"));
  }

  uint64_t Unlink() {
    uint64_t count = 0;
    for (std::string line; std::getline(std::cin, line);) {
      const std::string hex = line.substr(line.find(':') + 1);
      if (registry_ < 0) {
        count += unlinkat(root_, ("blobs/sha256/" + hex).c_str(), 0) == 0;
        continue;
      }
      const std::string folder = "blobs/sha256/" + hex.substr(0, 2) + "/" + hex;
      count += unlinkat(registry_, (folder + "/data").c_str(), 0) == 0;
      unlinkat(registry_, folder.c_str(), AT_REMOVEDIR);
    }
    return count;
  }

 private:
  static void Stat(int folder, const char* name) {
    struct statx out;
    statx(folder, name, AT_SYMLINK_NOFOLLOW | AT_STATX_DONT_SYNC,
          STATX_SIZE | STATX_BLOCKS | STATX_MTIME, &out);
  }
  void ReadRepositories(int folder) {
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
  void ReadRepository(int repository, int tags) {
    for (const std::string& tag : Names(tags)) {
      ReadIfManifest(tags, (tag + "/current/link").c_str());
    }
    close(tags);
    const int layers = OpenFolder(repository, "_layers/sha256");
    Names(layers);
    close(layers);
    const int revisions = OpenFolder(repository, "_manifests/revisions/sha256");
    for (const std::string& hex : Names(revisions)) {
      ReadIfManifest(
          registry_,
          ("blobs/sha256/" + hex.substr(0, 2) + "/" + hex + "/data").c_str());
    }
    close(revisions);
  }

  const int root_;
  const int registry_;  // -1: an image layout
};

int Main(const std::string& mode, const std::string& folder) {
  const auto begin = std::chrono::steady_clock::now();
  Limits limits(folder);
  uint64_t count = 0;
  if (mode == "import") {
    count = limits.List(true);
    limits.ReadManifests();
  } else if (mode == "list") {
    count = limits.List(false);
  } else {
    count = limits.Unlink();
  }
  const std::chrono::duration<double> took =
      std::chrono::steady_clock::now() - begin;
  std::printf("%llu %.6f\n", static_cast<unsigned long long>(count),
              took.count());
  return 0;
}

}  // namespace
}  // namespace reclaim::benchmark

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fputs("tree_limits import|list|unlink FOLDER\n", stderr);
    return 2;
  }
  return reclaim::benchmark::Main(argv[1], argv[2]);
}
