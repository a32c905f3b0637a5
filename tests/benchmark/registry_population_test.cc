// The population is distributed as real registries are (PERFORMANCE.md 1.4).

#include "tests/benchmark/registry_population.h"

#include <algorithm>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace reclaim::benchmark {
namespace {

class Statistics final : public PopulationSink {
 public:
  void OnRepository(const std::string&) override {}
  void OnBlob(BlobNumber blob, uint64_t size_bytes, bool is_config) override {
    Grow(blob);
    is_layer_[blob] = !is_config;
    if (!is_config) sizes.push_back(size_bytes);
  }
  void OnManifest(BlobNumber manifest,
                  absl::Span<const BlobNumber> children) override {
    Count(manifest, children);
    layers.push_back(children.size() - 1);
  }
  void OnIndex(BlobNumber index,
               absl::Span<const BlobNumber> manifests) override {
    Count(index, manifests);
  }
  void OnReferrer(BlobNumber manifest, BlobNumber subject,
                  absl::Span<const BlobNumber> children) override {
    EXPECT_LT(subject, manifest);
    Count(manifest, children);
  }
  void OnTag(const std::string&, BlobNumber target) override {
    EXPECT_LT(target, references_.size());
  }

  // Share of layers whose number of references `accept` accepts.
  template <typename Accept>
  double Share(Accept accept) const {
    uint64_t count = 0;
    uint64_t accepted = 0;
    for (size_t i = 0; i < references_.size(); ++i) {
      if (!is_layer_[i]) continue;
      ++count;
      if (accept(references_[i])) ++accepted;
    }
    return static_cast<double>(accepted) / static_cast<double>(count);
  }
  uint32_t most_references() const {
    return *std::max_element(references_.begin(), references_.end());
  }

  std::vector<uint64_t> sizes;
  std::vector<size_t> layers;

 private:
  void Grow(BlobNumber number) {
    ASSERT_EQ(number, references_.size()) << "numbers are dense";
    references_.push_back(0);
    is_layer_.push_back(false);
  }
  void Count(BlobNumber keeper, absl::Span<const BlobNumber> children) {
    Grow(keeper);
    for (const BlobNumber child : children) {
      ASSERT_LT(child, keeper);
      ++references_[child];
    }
  }
  std::vector<uint32_t> references_;
  std::vector<bool> is_layer_;
};

template <typename T>
T Quantile(std::vector<T> values, double share) {
  const auto at = static_cast<size_t>(share * (values.size() - 1));
  std::nth_element(values.begin(), values.begin() + at, values.end());
  return values[at];
}

TEST(RegistryPopulationTest, IsDistributedAsRegistriesAre) {
  PopulationOptions options;
  options.object_count = 300'000;
  Statistics seen;
  const PopulationCounts counts = Populate(options, &seen);
  EXPECT_GE(counts.objects(), options.object_count);
  EXPECT_LT(counts.objects(), options.object_count + 2'000);
  const auto median = Quantile(seen.layers, 0.5);
  EXPECT_TRUE(median >= 8 && median <= 15) << median;
  const auto p90 = Quantile(seen.layers, 0.9);
  EXPECT_TRUE(p90 >= 18 && p90 <= 30) << p90;
  EXPECT_GE(Quantile(seen.layers, 1), 100u);
  EXPECT_LE(Quantile(seen.layers, 1), 127u);
  const double once = seen.Share([](uint32_t n) { return n == 1; });
  EXPECT_TRUE(once >= 0.65 && once <= 0.90) << once;
  const double often = seen.Share([](uint32_t n) { return n > 25; });
  EXPECT_TRUE(often >= 0.003 && often <= 0.01) << often;
  EXPECT_GE(seen.most_references(), counts.manifests / 10);
  EXPECT_LT(Quantile(seen.sizes, 0.5), 4'000'000u);
  const auto large = Quantile(seen.sizes, 0.9);
  EXPECT_TRUE(large > 50'000'000 && large < 75'000'000) << large;
}

TEST(RegistryPopulationTest, TheSameOptionsGiveTheSamePopulation) {
  PopulationOptions options;
  options.object_count = 5'000;
  Statistics first;
  Statistics second;
  const PopulationCounts counts = Populate(options, &first);
  EXPECT_EQ(Populate(options, &second).edges, counts.edges);
  EXPECT_EQ(first.sizes, second.sizes);
  options.seed = 2;
  Statistics third;
  Populate(options, &third);
  EXPECT_NE(first.sizes, third.sizes);
}

TEST(RegistryPopulationTest, ATallRepositoryHasTheTagsThatWereAskedFor) {
  PopulationOptions options;
  options.object_count = 60'000;
  options.tags_per_repository = 1'000;
  options.deleted_repository_share = 0;
  Statistics seen;
  const PopulationCounts counts = Populate(options, &seen);
  EXPECT_GE(counts.tags, 1'000u);
  EXPECT_LE(counts.repositories, 12u);
}

}  // namespace
}  // namespace reclaim::benchmark
