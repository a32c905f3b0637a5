#include "index/doubts.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace reclaim::index {

DoubtScope ScopeOfDoubt(const GraphView& view, NodeId manifest) {
  DoubtScope scope;
  const StoreId store = view.fields(manifest).store;
  if (view.UnitOfDoubt(store) == DoubtUnit::kPlace) {
    scope.is_whole = true;
    return scope;
  }
  std::vector<NodeId>& repositories = scope.repositories;
  view.ForEachRepositoryOf(manifest, [&](NodeId repository) {
    repositories.push_back(repository);
    return true;
  });
  bool is_listed = false;
  view.ForEachKeeper(manifest, [&](NodeId keeper) {
    if (!view.Exists(keeper)) return true;
    const auto kept = view.Kept(keeper);
    // To be somebody's referrer is no name.
    if (std::find(kept.begin(), kept.end(), manifest) == kept.end()) {
      return true;
    }
    is_listed = true;
    if (view.kind(keeper) != NodeKind::kTag) return true;
    const NodeId repository = view.FindNamed(
        {NodeKind::kRepository, store, "", view.named_key(keeper).scope});
    if (repository == kNoNode) {
      scope.is_whole = true;
    } else {
      repositories.push_back(repository);
    }
    return true;
  });
  std::sort(repositories.begin(), repositories.end());
  repositories.erase(std::unique(repositories.begin(), repositories.end()),
                     repositories.end());
  // It is kept on account of something that is in no repository.
  if (repositories.empty() && is_listed) scope.is_whole = true;
  return scope;
}

bool Doubts::Add(Counts* counts, uint32_t key, int sign) {
  uint32_t& count = (*counts)[key];
  RECLAIM_CHECK(sign > 0 || count > 0, "a doubt ends once for each beginning");
  if (sign > 0) return ++count == 1;
  if (--count > 0) return false;
  counts->erase(key);
  return true;
}

Doubts::Change Doubts::Set(NodeId manifest, PlaceId place,
                           std::optional<DoubtScope> scope) {
  DoubtScope old;
  if (const auto it = scopes_.find(manifest); it != scopes_.end()) {
    old = std::move(it->second);
    scopes_.erase(it);
  }
  const DoubtScope next = scope.value_or(DoubtScope());
  if (scope) scopes_[manifest] = *std::move(scope);
  Change change;
  if (old.empty() != next.empty()) {
    change.is_place |= Add(&places_, place, next.empty() ? -1 : +1);
  }
  if (old.is_whole != next.is_whole) {
    change.is_place |= Add(&wholes_, place, next.is_whole ? +1 : -1);
  }
  const auto count = [&](const DoubtScope& from, const DoubtScope& without,
                         int sign) {
    for (const NodeId repository : from.repositories) {
      const bool is_in_both = std::binary_search(
          without.repositories.begin(), without.repositories.end(), repository);
      if (!is_in_both && Add(&repositories_, repository, sign)) {
        change.repositories.push_back(repository);
      }
    }
  };
  count(next, old, +1);
  count(old, next, -1);
  return change;
}

std::vector<NodeId> Doubts::ManifestsAbout(NodeId repository) const {
  std::vector<NodeId> manifests;
  for (const auto& [manifest, scope] : scopes_) {
    if (scope.is_whole ||
        std::binary_search(scope.repositories.begin(), scope.repositories.end(),
                           repository)) {
      manifests.push_back(manifest);
    }
  }
  return manifests;
}

}  // namespace reclaim::index
