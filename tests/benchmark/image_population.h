// tests/benchmark/image_population.h — images that share layers as those of a
// registry do, from a seed.
//
// The model of PERFORMANCE.md 1.4: repositories with a log-normal number of
// tags, base images of 2 to 8 layers that may derive from older ones, a
// Zipf-like choice of the base, one empty layer in half of the images, tags
// that keep a prefix of their predecessor's layers and add 1 to 6 new ones, and
// sizes of which a third is tiny and the rest log-normal around 3 MB.  As that
// model gives them: a tenth of the layers is above 25 MB, where it names 63.
//
// For choices among images, so without what registry_population.h has beside:
// indexes, configs, images without a tag, the few with a hundred layers.  A
// base that derives from a long line of others makes all images upon it longer.

#ifndef RECLAIM_TESTS_BENCHMARK_IMAGE_POPULATION_H_
#define RECLAIM_TESTS_BENCHMARK_IMAGE_POPULATION_H_

#include <cstdint>
#include <vector>

namespace reclaim::tests {

struct ImagePopulation {
  std::vector<uint64_t> layer_bytes;
  // The layers of each image, without duplicates, in order of age: the first
  // image was used longest ago.
  std::vector<std::vector<uint32_t>> images;

  uint64_t edge_count() const;
};

ImagePopulation MakePopulation(uint32_t image_count, uint64_t seed);

}  // namespace reclaim::tests

#endif  // RECLAIM_TESTS_BENCHMARK_IMAGE_POPULATION_H_
