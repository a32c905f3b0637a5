#include "store/docker_cache.h"

#include <algorithm>
#include <iterator>
#include <set>
#include <string>
#include <utility>

namespace reclaim::store {
namespace {

using Layers = std::set<oci::Digest>;

class CacheMatcher {
 public:
  CacheMatcher(const DockerLayerTree& tree,
               const std::vector<BuildCacheFact>& records)
      : tree_(tree) {
    for (const BuildCacheFact& record : records) records_[record.id] = &record;
  }

  // By record.
  std::map<std::string, Layers> Run() {
    std::vector<std::pair<size_t, const BuildCacheFact*>> by_height;
    for (const auto& [id, record] : records_) {
      if (!record->is_shared) continue;
      by_height.emplace_back(HeightOf(record), record);
      for (const auto& [layer, unused] : tree_) {
        if (Fits(layer, record)) fits_[id].insert(layer);
      }
    }
    std::stable_sort(
        by_height.begin(), by_height.end(),
        [](const auto& a, const auto& b) { return a.first > b.first; });
    // Down from what stands highest, then up again.
    for (const auto& [height, record] : by_height) {
      Narrow(record->parent, ParentsOf(fits_[record->id]));
    }
    for (auto it = by_height.rbegin(); it != by_height.rend(); ++it) {
      const BuildCacheFact& record = *it->second;
      const auto below = fits_.find(record.parent);
      if (below != fits_.end()) Narrow(record.id, ChildrenOf(below->second));
      if (fits_[record.id].empty()) fits_[record.id] = InDoubt(record);
    }
    return std::move(fits_);
  }

 private:
  const BuildCacheFact* Find(const std::string& id) const {
    const auto it = records_.find(id);
    return it == records_.end() ? nullptr : it->second;
  }

  // 0: unknown.
  static uint64_t BytesOf(const BuildCacheFact& record) {
    return record.bytes ? record.bytes->logical_bytes : 0;
  }

  // A circle, which no engine makes, ends after as many steps as there are
  // records.
  size_t HeightOf(const BuildCacheFact* record) const {
    size_t height = 0;
    while (record != nullptr && height <= records_.size()) {
      ++height;
      record = Find(record->parent);
    }
    return height;
  }

  bool Fits(oci::Digest layer, const BuildCacheFact* record) const {
    for (size_t step = 0; step <= records_.size(); ++step) {
      const DockerLayer& at = tree_.at(layer);
      const uint64_t bytes = BytesOf(*record);
      if (bytes != 0 && bytes != at.bytes) return false;
      const BuildCacheFact* parent = Find(record->parent);
      // A parent that is not listed may be anything.
      if (parent == nullptr) return !record->parent.empty() || !at.parent;
      if (!at.parent) return false;
      layer = *at.parent;
      record = parent;
    }
    return false;
  }

  Layers ParentsOf(const Layers& layers) const {
    Layers parents;
    for (const oci::Digest& layer : layers) {
      const std::optional<oci::Digest>& parent = tree_.at(layer).parent;
      if (parent) parents.insert(*parent);
    }
    return parents;
  }

  Layers ChildrenOf(const Layers& layers) const {
    Layers children;
    for (const auto& [digest, layer] : tree_) {
      if (layer.parent && layers.count(*layer.parent) > 0) {
        children.insert(digest);
      }
    }
    return children;
  }

  // Unless nothing is left: then what we think of the records is wrong.
  void Narrow(const std::string& id, const Layers& to) {
    const auto it = fits_.find(id);
    if (it == fits_.end()) return;
    Layers both;
    std::set_intersection(it->second.begin(), it->second.end(), to.begin(),
                          to.end(), std::inserter(both, both.end()));
    if (!both.empty()) it->second = std::move(both);
  }

  // The engine says that an image has it: any of these bytes, or any at all.
  Layers InDoubt(const BuildCacheFact& record) const {
    const uint64_t bytes = BytesOf(record);
    Layers same;
    Layers all;
    for (const auto& [digest, layer] : tree_) {
      all.insert(digest);
      if (layer.bytes != 0 && layer.bytes == bytes) same.insert(digest);
    }
    return same.empty() ? all : same;
  }

  const DockerLayerTree& tree_;
  std::map<std::string, const BuildCacheFact*> records_;
  std::map<std::string, Layers> fits_;
};

}  // namespace

void FindCachedLayers(const DockerLayerTree& tree,
                      std::vector<BuildCacheFact>* records) {
  const std::map<std::string, Layers> found =
      CacheMatcher(tree, *records).Run();
  for (BuildCacheFact& record : *records) {
    const auto it = found.find(record.id);
    if (it == found.end()) continue;
    Layers with_bases;
    for (oci::Digest layer : it->second) {
      while (with_bases.insert(layer).second && tree.at(layer).parent) {
        layer = *tree.at(layer).parent;
      }
    }
    record.layers.assign(with_bases.begin(), with_bases.end());
  }
}

}  // namespace reclaim::store
