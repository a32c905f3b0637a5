#include "tests/benchmark/image_population.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <utility>

namespace reclaim::tests {
namespace {

constexpr size_t kLayerCountMax = 127;

class Maker {
 public:
  explicit Maker(uint64_t seed) : random_(seed) {}

  ImagePopulation Run(uint32_t image_count) {
    empty_layer_ = NewLayer(32);
    const uint32_t base_count = std::max(4u, image_count / 200);
    for (uint32_t i = 0; i < base_count; ++i) AddBase();
    while (population_.images.size() < image_count) AddRepository(image_count);
    std::shuffle(population_.images.begin(), population_.images.end(), random_);
    return std::move(population_);
  }

 private:
  double Uniform() {
    return std::uniform_real_distribution<double>(0, 1)(random_);
  }
  uint32_t Between(uint32_t low, uint32_t high) {
    return std::uniform_int_distribution<uint32_t>(low, high)(random_);
  }
  double LogNormal(double median, double sigma) {
    return std::lognormal_distribution<double>(std::log(median),
                                               sigma)(random_);
  }

  uint32_t NewLayer(uint64_t bytes) {
    population_.layer_bytes.push_back(bytes);
    return static_cast<uint32_t>(population_.layer_bytes.size() - 1);
  }
  uint32_t NewLayer() {
    if (Uniform() < 0.35) {
      return NewLayer(static_cast<uint64_t>(32 * std::pow(3000, Uniform())));
    }
    return NewLayer(static_cast<uint64_t>(std::min(LogNormal(3e6, 2.1), 1e10)));
  }

  void AddBase() {
    std::vector<uint32_t> layers;
    if (!bases_.empty() && Uniform() < 0.6) {
      layers = bases_[Between(0, static_cast<uint32_t>(bases_.size()) - 1)];
    }
    for (uint32_t i = Between(2, 8); i > 0; --i) layers.push_back(NewLayer());
    bases_.push_back(std::move(layers));
  }

  // Zipf-like with exponent 1: rank = count^uniform.
  const std::vector<uint32_t>& ChooseBase() {
    const double rank =
        std::pow(static_cast<double>(bases_.size()), Uniform()) - 1;
    return bases_[std::min(bases_.size() - 1, static_cast<size_t>(rank))];
  }

  void AddRepository(uint32_t image_count) {
    const uint32_t tag_count =
        static_cast<uint32_t>(std::clamp(LogNormal(12, 1.9), 1.0, 10000.0));
    const std::vector<uint32_t> base = ChooseBase();
    const bool has_empty = Uniform() < 0.5;
    std::vector<uint32_t> own;
    for (uint32_t tag = 0; tag < tag_count; ++tag) {
      if (population_.images.size() == image_count) return;
      own.resize(Between(0, static_cast<uint32_t>(own.size())));
      for (uint32_t i = Between(1, 6); i > 0; --i) own.push_back(NewLayer());
      std::vector<uint32_t> layers = base;
      if (has_empty) layers.push_back(empty_layer_);
      layers.insert(layers.end(), own.begin(), own.end());
      if (layers.size() > kLayerCountMax) layers.resize(kLayerCountMax);
      population_.images.push_back(std::move(layers));
    }
  }

  std::mt19937_64 random_;
  ImagePopulation population_;
  uint32_t empty_layer_ = 0;
  std::vector<std::vector<uint32_t>> bases_;
};

}  // namespace

uint64_t ImagePopulation::edge_count() const {
  uint64_t count = 0;
  for (const auto& layers : images) count += layers.size();
  return count;
}

ImagePopulation MakePopulation(uint32_t image_count, uint64_t seed) {
  return Maker(seed).Run(image_count);
}

}  // namespace reclaim::tests
