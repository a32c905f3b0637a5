#include "tests/benchmark/registry_population.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"

namespace reclaim::benchmark {
namespace {

constexpr uint32_t kTagsMax = 10'000;
// With a base of at most 13 and the empty layer no more than overlayfs takes.
constexpr uint32_t kOwnLayersMax = 113;
constexpr double kImagesPerBase = 200;

// SplitMix64 (Steele, Lea & Flood, "Fast splittable pseudorandom number
// generators", 2014): the same on every machine, unlike <random>'s
// distributions.
class Draws {
 public:
  explicit Draws(uint64_t seed) : state_(seed) {}

  uint64_t Next() {
    uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  // In [0, 1).
  double Unit() { return static_cast<double>(Next() >> 11) * 0x1p-53; }
  bool Chance(double share) { return Unit() < share; }
  // In [least, most].
  uint32_t Between(uint32_t least, uint32_t most) {
    return least + static_cast<uint32_t>(Next() % (most - least + 1));
  }
  // Box and Muller, one of the pair.
  double Normal() {
    const double u = 1.0 - Unit();
    return std::sqrt(-2.0 * std::log(u)) * std::cos(2 * M_PI * Unit());
  }
  double LogNormal(double median, double sigma) {
    return median * std::exp(sigma * Normal());
  }

 private:
  uint64_t state_;
};

class Population {
 public:
  Population(const PopulationOptions& options, PopulationSink* sink)
      : options_(options), sink_(*sink), draws_(options.seed) {}

  PopulationCounts Run();

 private:
  using Layers = std::vector<BlobNumber>;

  void MakeBases();
  const Layers& PickBase();
  uint32_t TagCount();
  uint64_t LayerSize();
  BlobNumber NewBlob(uint64_t size, bool is_config);
  void AddLayers(uint32_t count, Layers* layers);
  // A CI build: a prefix of the own layers of the one before, and new ones.
  void Rebuild(Layers* own);
  BlobNumber NewManifest(const Layers& base, const Layers& own);
  BlobNumber NewIndex(const Layers& base, const Layers& own);
  void AddReferrer(BlobNumber subject);
  void AddRepository(uint32_t number);

  const PopulationOptions& options_;
  PopulationSink& sink_;
  Draws draws_;
  PopulationCounts counts_;
  BlobNumber next_ = 0;
  BlobNumber empty_layer_ = 0;
  std::vector<Layers> bases_;
};

BlobNumber Population::NewBlob(uint64_t size, bool is_config) {
  const BlobNumber number = next_++;
  ++counts_.blobs;
  sink_.OnBlob(number, std::max<uint64_t>(1, size / options_.size_divisor),
               is_config);
  return number;
}

uint64_t Population::LayerSize() {
  if (draws_.Chance(0.35)) {
    return static_cast<uint64_t>(32 * std::pow(100'000.0 / 32, draws_.Unit()));
  }
  return static_cast<uint64_t>(std::min(draws_.LogNormal(6.7e6, 2.2), 10e9));
}

void Population::AddLayers(uint32_t count, Layers* layers) {
  for (uint32_t i = 0; i < count && layers->size() < kOwnLayersMax; ++i) {
    layers->push_back(NewBlob(LayerSize(), false));
  }
}

void Population::MakeBases() {
  empty_layer_ = NewBlob(32, false);
  const double images = static_cast<double>(options_.object_count) / 10;
  const auto count =
      static_cast<uint32_t>(std::max(2.0, images / kImagesPerBase));
  for (uint32_t i = 0; i < count; ++i) {
    Layers layers;
    if (i > 0 && draws_.Chance(0.6)) {
      layers = bases_[draws_.Next() % i];
      if (layers.size() > 5) layers.resize(5);
    }
    AddLayers(draws_.Between(2, 8), &layers);
    bases_.push_back(std::move(layers));
  }
}

// Zipf with exponent 1, by inversion of its continuous form.
const Population::Layers& Population::PickBase() {
  const double n = static_cast<double>(bases_.size());
  const auto rank = static_cast<size_t>(std::pow(n + 1, draws_.Unit())) - 1;
  return bases_[std::min(rank, bases_.size() - 1)];
}

uint32_t Population::TagCount() {
  if (options_.tags_per_repository > 0) return options_.tags_per_repository;
  const double drawn = draws_.LogNormal(12, 1.9);
  return static_cast<uint32_t>(
      std::min<double>(std::max(1.0, drawn), kTagsMax));
}

void Population::Rebuild(Layers* own) {
  if (!own->empty()) own->resize(draws_.Next() % (own->size() + 1));
  // A few are built without care: a layer for each command.
  AddLayers(draws_.Chance(0.0005) ? draws_.Between(40, kOwnLayersMax)
                                  : draws_.Between(1, 6),
            own);
}

BlobNumber Population::NewManifest(const Layers& base, const Layers& own) {
  Layers children = {NewBlob(draws_.Between(1'000, 15'000), true)};
  children.insert(children.end(), base.begin(), base.end());
  children.insert(children.end(), own.begin(), own.end());
  if (draws_.Chance(0.5)) children.push_back(empty_layer_);
  const BlobNumber manifest = next_++;
  ++counts_.manifests;
  counts_.edges += children.size();
  sink_.OnManifest(manifest, children);
  return manifest;
}

BlobNumber Population::NewIndex(const Layers& base, const Layers& own) {
  Layers manifests;
  const uint32_t platforms = draws_.Between(2, 6);
  for (uint32_t i = 0; i < platforms; ++i) {
    Layers layers = own;
    if (i > 0) Rebuild(&layers);
    manifests.push_back(NewManifest(base, layers));
  }
  const BlobNumber index = next_++;
  ++counts_.indexes;
  counts_.edges += manifests.size();
  sink_.OnIndex(index, manifests);
  return index;
}

void Population::AddReferrer(BlobNumber subject) {
  const Layers children = {NewBlob(2, true),
                           NewBlob(draws_.Between(200, 20'000), false)};
  const BlobNumber manifest = next_++;
  ++counts_.referrers;
  counts_.edges += children.size() + 1;
  sink_.OnReferrer(manifest, subject, children);
}

void Population::AddRepository(uint32_t number) {
  sink_.OnRepository(absl::StrCat("team", number % 97, "/app", number));
  ++counts_.repositories;
  const bool is_deleted = draws_.Chance(options_.deleted_repository_share);
  const Layers base = PickBase();
  Layers own;
  const uint32_t tags = TagCount();
  for (uint32_t tag = 0;
       tag < tags && counts_.objects() < options_.object_count;) {
    Rebuild(&own);
    const bool is_index = draws_.Chance(0.2);
    const BlobNumber image =
        is_index ? NewIndex(base, own) : NewManifest(base, own);
    if (draws_.Chance(0.1)) AddReferrer(image);
    // A tag that has moved on leaves its image without a name.
    if (draws_.Chance(options_.untagged_share)) continue;
    if (!is_deleted) {
      ++counts_.tags;
      ++counts_.edges;
      sink_.OnTag(absl::StrCat("v", tag), image);
    }
    ++tag;
  }
}

PopulationCounts Population::Run() {
  // The bases are images of a repository of their own.
  sink_.OnRepository("library/base");
  ++counts_.repositories;
  MakeBases();
  for (size_t i = 0; i < bases_.size(); ++i) {
    const BlobNumber image = NewManifest(bases_[i], {});
    ++counts_.tags;
    ++counts_.edges;
    sink_.OnTag(absl::StrCat("b", i), image);
  }
  for (uint32_t i = 0; counts_.objects() < options_.object_count; ++i) {
    AddRepository(i);
  }
  return counts_;
}

}  // namespace

PopulationCounts Populate(const PopulationOptions& options,
                          PopulationSink* sink) {
  return Population(options, sink).Run();
}

}  // namespace reclaim::benchmark
