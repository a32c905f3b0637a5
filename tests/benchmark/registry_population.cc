#include "tests/benchmark/registry_population.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/benchmark/draws.h"

namespace reclaim::benchmark {
namespace {

constexpr uint32_t kTagsMax = 10'000;
// With a base of at most 13 and the empty layer no more than overlayfs takes.
constexpr uint32_t kOwnLayersMax = 113;
constexpr double kImagesPerBase = 200;

class Population {
 public:
  Population(const PopulationOptions& options, PopulationSink* sink)
      : options_(options), sink_(*sink), draws_(options.seed) {}

  PopulationCounts Run();

 private:
  using Layers = std::vector<BlobNumber>;

  void MakeBases();
  uint32_t TagCount();
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

void Population::AddLayers(uint32_t count, Layers* layers) {
  for (uint32_t i = 0; i < count && layers->size() < kOwnLayersMax; ++i) {
    layers->push_back(NewBlob(draws_.LayerBytes(), false));
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
  const Layers base = bases_[draws_.Rank(bases_.size())];
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
