// Images share layers as PERFORMANCE.md 1.4 has it.

#include "tests/benchmark/image_population.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <set>
#include <vector>

#include "gtest/gtest.h"

namespace reclaim::tests {
namespace {

template <typename T>
T Quantile(std::vector<T> values, double share) {
  const auto at = static_cast<size_t>(share * (values.size() - 1));
  std::nth_element(values.begin(), values.begin() + at, values.end());
  return values[at];
}

TEST(ImagePopulationTest, LayersAreSharedAndAsLargeAsRealOnes) {
  const ImagePopulation population = MakePopulation(20'000, 1);
  ASSERT_EQ(population.images.size(), 20'000u);
  std::vector<uint32_t> references(population.layer_bytes.size());
  std::vector<size_t> lengths;
  for (const std::vector<uint32_t>& image : population.images) {
    const std::set<uint32_t> once(image.begin(), image.end());
    EXPECT_EQ(once.size(), image.size());
    ASSERT_LT(*once.rbegin(), references.size());
    for (const uint32_t layer : image) ++references[layer];
    lengths.push_back(image.size());
  }
  double used = 0;
  double used_once = 0;
  double used_often = 0;
  for (const uint32_t count : references) {
    if (count > 0) ++used;
    if (count == 1) ++used_once;
    if (count > 25) ++used_often;
  }
  const double mean = static_cast<double>(population.edge_count()) / used;
  EXPECT_TRUE(mean >= 3.5 && mean <= 7.5) << mean;
  const double once = used_once / used;
  EXPECT_TRUE(once >= 0.65 && once <= 0.90) << once;
  const double often = used_often / used;
  EXPECT_TRUE(often >= 0.003 && often <= 0.01) << often;
  EXPECT_GE(*std::max_element(references.begin(), references.end()), 2'000u);
  const size_t median = Quantile(lengths, 0.5);
  EXPECT_TRUE(median >= 8 && median <= 30) << median;
  EXPECT_LE(Quantile(lengths, 1), 127u);
  EXPECT_LT(Quantile(population.layer_bytes, 0.5), 4'000'000u);
  const uint64_t large = Quantile(population.layer_bytes, 0.9);
  EXPECT_TRUE(large >= 20'000'000 && large <= 32'000'000) << large;
}

TEST(ImagePopulationTest, TheSameSeedGivesTheSameImages) {
  const ImagePopulation first = MakePopulation(500, 1);
  const ImagePopulation second = MakePopulation(500, 1);
  EXPECT_EQ(first.images, second.images);
  EXPECT_EQ(first.layer_bytes, second.layer_bytes);
  EXPECT_NE(first.images, MakePopulation(500, 2).images);
}

}  // namespace
}  // namespace reclaim::tests
