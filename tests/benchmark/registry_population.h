// tests/benchmark/registry_population.h — a registry's images, made up as real
// ones are distributed (PERFORMANCE.md 1.4).
//
// Seeded and streaming: nodes are told to a sink in the order in which a
// registry would learn of them (a repository, its layers, configs, manifests,
// indexes, tags), and only what later images share is remembered.  The same
// options give the same population on every machine.
//
// Source of the distributions: PERFORMANCE.md 1.1 to 1.4.

#ifndef RECLAIM_TESTS_BENCHMARK_REGISTRY_POPULATION_H_
#define RECLAIM_TESTS_BENCHMARK_REGISTRY_POPULATION_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/types/span.h"

namespace reclaim::benchmark {

// Dense, from 0, in the order of telling.
using BlobNumber = uint32_t;

struct PopulationOptions {
  uint64_t seed = 1;
  // Ends once so many objects (blobs, manifests, indexes, tags, repositories)
  // have been told; the last image is told whole.
  uint64_t object_count = 100'000;
  // 0: drawn (log-normal, median 12, at most 10,000); else each repository has
  // exactly so many tags: the "tall" shape.
  uint32_t tags_per_repository = 0;
  // Share of manifests whose tag has moved on.
  double untagged_share = 0.17;
  // Share of repositories in which nothing has a tag (deleted): garbage but for
  // what others share.
  double deleted_repository_share = 0.05;
  // Sizes are drawn, then divided by this (at least 1 byte): trees of files.
  uint64_t size_divisor = 1;
};

class PopulationSink {
 public:
  virtual ~PopulationSink() = default;
  virtual void OnRepository(const std::string& name) = 0;
  // A layer or a config, told once.
  virtual void OnBlob(BlobNumber blob, uint64_t size_bytes, bool is_config) = 0;
  // `children`: config first, then layers in order; a layer may be shared by
  // many.  Belongs to the repository told last.
  virtual void OnManifest(BlobNumber manifest,
                          absl::Span<const BlobNumber> children) = 0;
  virtual void OnIndex(BlobNumber index,
                       absl::Span<const BlobNumber> manifests) = 0;
  // An artifact whose subject is `subject`; its children as a manifest's.
  virtual void OnReferrer(BlobNumber manifest, BlobNumber subject,
                          absl::Span<const BlobNumber> children) = 0;
  virtual void OnTag(const std::string& tag, BlobNumber target) = 0;
};

struct PopulationCounts {
  uint64_t repositories = 0;
  uint64_t blobs = 0;  // layers and configs
  uint64_t manifests = 0;
  uint64_t indexes = 0;
  uint64_t referrers = 0;
  uint64_t tags = 0;
  uint64_t edges = 0;
  uint64_t objects() const {
    return repositories + blobs + manifests + indexes + referrers + tags;
  }
};

PopulationCounts Populate(const PopulationOptions& options,
                          PopulationSink* sink);

}  // namespace reclaim::benchmark

#endif  // RECLAIM_TESTS_BENCHMARK_REGISTRY_POPULATION_H_
