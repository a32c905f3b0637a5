// tests/benchmark/tree_writer.h — a population as files: a registry's tree or
// an image layout, with the truth about it.
//
// Blobs are real: their names are the digests of their bytes, manifests are
// JSON.  Everything is as old as it would be after a year, so that no grace
// period hides it.

#ifndef RECLAIM_TESTS_BENCHMARK_TREE_WRITER_H_
#define RECLAIM_TESTS_BENCHMARK_TREE_WRITER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tests/benchmark/registry_population.h"

namespace reclaim::benchmark {

enum class TreeLayout { kRegistry, kImageLayout };

struct TreeOptions {
  TreeLayout layout = TreeLayout::kRegistry;
  // Blobs that nothing names, besides: a share of all blobs.
  double stray_blob_share = 0.02;
  // No blob is larger: a tree is to have files, not bytes.
  uint64_t blob_bytes_max = 8192;
};

// What is true of a tree, by the plainest reading of what was written.
struct TreeTruth {
  std::vector<std::string> live;     // digests, "sha256:…", ascending
  std::vector<std::string> garbage;  // the others
  uint64_t garbage_bytes = 0;        // logical
};

// Fills `folder`, which is empty.  Fails loudly: it is a tool of tests.
TreeTruth WriteTree(const std::string& folder, const TreeOptions& tree,
                    const PopulationOptions& population);

}  // namespace reclaim::benchmark

#endif  // RECLAIM_TESTS_BENCHMARK_TREE_WRITER_H_
