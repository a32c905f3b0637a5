// Writes a population as a tree of files, and the truth about it beside it:
//
//   write_tree registry|image-layout FOLDER OBJECTS [NAME=VALUE ...]
//
//   tags=N       tags of each repository; 0: as many as real ones have
//   seed=N
//   untagged=X   share of images whose tag has moved on
//   deleted=X    share of repositories in which nothing has a tag
//   bytes=N      blobs are as large as real ones, divided so that those of a
//                tree take at most N; without it none is larger than 4 KiB
//   whole=N      objects of the tree that `bytes` is about, of which this one
//                is a part; OBJECTS unless it is said
//
// FOLDER is made; FOLDER.live and FOLDER.garbage list digests, one a line.
// Prints the sums as a line of JSON.

#include <sys/stat.h>

#include <cstdint>
#include <cstdio>
#include <fstream>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "tests/benchmark/tree_writer.h"

namespace reclaim::benchmark {
namespace {

struct Request {
  std::string folder;
  PopulationOptions population;
  TreeOptions tree;
  uint64_t bytes_max = 0;    // 0: blobs are cut, not divided
  uint64_t whole_count = 0;  // 0: this tree is the whole
};

bool SetOption(absl::string_view name, absl::string_view value,
               Request* request) {
  PopulationOptions* population = &request->population;
  if (name == "tags") {
    return absl::SimpleAtoi(value, &population->tags_per_repository);
  }
  if (name == "seed") return absl::SimpleAtoi(value, &population->seed);
  if (name == "untagged") {
    return absl::SimpleAtod(value, &population->untagged_share);
  }
  if (name == "deleted") {
    return absl::SimpleAtod(value, &population->deleted_repository_share);
  }
  if (name == "bytes") return absl::SimpleAtoi(value, &request->bytes_max);
  if (name == "whole") return absl::SimpleAtoi(value, &request->whole_count);
  return false;
}

bool Parse(const std::vector<std::string>& arguments, Request* request) {
  if (arguments.size() < 3) return false;
  const bool is_registry = arguments[0] == "registry";
  if (!is_registry && arguments[0] != "image-layout") return false;
  request->tree.layout =
      is_registry ? TreeLayout::kRegistry : TreeLayout::kImageLayout;
  request->folder = arguments[1];
  if (!absl::SimpleAtoi(arguments[2], &request->population.object_count)) {
    return false;
  }
  for (size_t i = 3; i < arguments.size(); ++i) {
    const std::pair<absl::string_view, absl::string_view> option =
        absl::StrSplit(arguments[i], absl::MaxSplits('=', 1));
    if (!SetOption(option.first, option.second, request)) return false;
  }
  return true;
}

// Decides how large blobs are.
void SetSizes(Request* request) {
  if (request->bytes_max == 0) return;
  PopulationOptions whole = request->population;
  if (request->whole_count > 0) whole.object_count = request->whole_count;
  request->population.size_divisor = SizeDivisor(whole, request->bytes_max);
  request->tree.blob_bytes_max = std::numeric_limits<uint64_t>::max();
}

void WriteLines(const std::string& path,
                const std::vector<std::string>& lines) {
  std::ofstream file(path);
  for (const std::string& line : lines) file << line << '\n';
}

int Main(const std::vector<std::string>& arguments) {
  Request request;
  if (!Parse(arguments, &request)) {
    std::fputs(
        "write_tree registry|image-layout FOLDER OBJECTS [tags=N] [seed=N] "
        "[untagged=X] [deleted=X] [bytes=N] [whole=N]\n",
        stderr);
    return 2;
  }
  SetSizes(&request);
  mkdir(request.folder.c_str(), 0755);
  const TreeTruth truth =
      WriteTree(request.folder, request.tree, request.population);
  WriteLines(request.folder + ".live", truth.live);
  WriteLines(request.folder + ".garbage", truth.garbage);
  std::printf(
      "{\"live\": %zu, \"garbage\": %zu, \"live_bytes\": %llu, "
      "\"garbage_bytes\": %llu, \"size_divisor\": %llu}\n",
      truth.live.size(), truth.garbage.size(),
      static_cast<unsigned long long>(truth.live_bytes),
      static_cast<unsigned long long>(truth.garbage_bytes),
      static_cast<unsigned long long>(request.population.size_divisor));
  return 0;
}

}  // namespace
}  // namespace reclaim::benchmark

int main(int argc, char** argv) {
  return reclaim::benchmark::Main({argv + 1, argv + argc});
}
