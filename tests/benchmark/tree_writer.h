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
  // Blobs that nothing names, besides: a share of all blobs, each as large as
  // one of them.
  double stray_blob_share = 0.02;
  // No blob is larger: most trees are to have files, not bytes.  Where deletion
  // is measured there is no such bound, but PopulationOptions::size_divisor.
  uint64_t blob_bytes_max = 4096;
};

// What is true of a tree, by the plainest reading of what was written.
struct TreeTruth {
  std::vector<std::string> live;     // digests, "sha256:…", ascending
  std::vector<std::string> garbage;  // the others
  // Logical.
  uint64_t live_bytes = 0;
  uint64_t garbage_bytes = 0;
};

// The smallest power of two that, as size_divisor of this population, lets its
// blobs take at most `bytes_max` on a disk, in blocks of 4 KiB and without
// strays; 2^30 if none does.
uint64_t SizeDivisor(const PopulationOptions& population, uint64_t bytes_max);

// Fills `folder`, which is empty.  Fails loudly: it is a tool of tests.
TreeTruth WriteTree(const std::string& folder, const TreeOptions& tree,
                    const PopulationOptions& population);

}  // namespace reclaim::benchmark

#endif  // RECLAIM_TESTS_BENCHMARK_TREE_WRITER_H_
