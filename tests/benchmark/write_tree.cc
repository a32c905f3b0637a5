// Writes a population as a tree of files, and the truth about it beside it:
//
//   write_tree registry|image-layout FOLDER OBJECTS [TAGS_PER_REPOSITORY
//   [SEED]]
//
// FOLDER is made; FOLDER.live and FOLDER.garbage list digests, one a line.

#include <sys/stat.h>

#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "tests/benchmark/tree_writer.h"

namespace reclaim::benchmark {
namespace {

void WriteLines(const std::string& path,
                const std::vector<std::string>& lines) {
  std::ofstream file(path);
  for (const std::string& line : lines) file << line << '\n';
}

int Main(const std::vector<std::string>& arguments) {
  PopulationOptions population;
  TreeOptions tree;
  if (arguments.size() < 3 || arguments.size() > 5 ||
      !absl::SimpleAtoi(arguments[2], &population.object_count) ||
      (arguments.size() > 3 &&
       !absl::SimpleAtoi(arguments[3], &population.tags_per_repository)) ||
      (arguments.size() > 4 &&
       !absl::SimpleAtoi(arguments[4], &population.seed))) {
    std::fputs(
        "write_tree registry|image-layout FOLDER OBJECTS "
        "[TAGS_PER_REPOSITORY [SEED]]\n",
        stderr);
    return 2;
  }
  tree.layout = arguments[0] == "registry" ? TreeLayout::kRegistry
                                           : TreeLayout::kImageLayout;
  const std::string& folder = arguments[1];
  mkdir(folder.c_str(), 0755);
  const TreeTruth truth = WriteTree(folder, tree, population);
  WriteLines(folder + ".live", truth.live);
  WriteLines(folder + ".garbage", truth.garbage);
  std::printf("%zu live, %zu garbage, %llu bytes of garbage\n",
              truth.live.size(), truth.garbage.size(),
              static_cast<unsigned long long>(truth.garbage_bytes));
  return 0;
}

}  // namespace
}  // namespace reclaim::benchmark

int main(int argc, char** argv) {
  return reclaim::benchmark::Main({argv + 1, argv + argc});
}
