// index/doubts.h — how far the doubt goes that opaque manifests cast (I5).
//
// An opaque manifest references what nobody knows.  In most places that may be
// anything beside it.  A registry accepts a manifest in a repository, and
// serves what it names from there, only with what that repository links: so
// there the repositories that name the manifest are in doubt and no others
// (docs/decisions/0009-doubt.md).
//
// Not thread-safe.

#ifndef RECLAIM_INDEX_DOUBTS_H_
#define RECLAIM_INDEX_DOUBTS_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "index/graph_view.h"
#include "index/node.h"

namespace reclaim::index {

// Of one opaque manifest.  Empty for one that no repository names and nothing
// lists: nobody can ask for what it references.
struct DoubtScope {
  bool is_whole = false;             // its place
  std::vector<NodeId> repositories;  // ascending
  bool empty() const { return !is_whole && repositories.empty(); }
};

// What links, tags and lists `manifest` in `view` decides.
DoubtScope ScopeOfDoubt(const GraphView& view, NodeId manifest);

// The scopes of all opaque manifests, and their unions.
class Doubts {
 public:
  // What a change of one scope begins or ends to concern.
  struct Change {
    bool is_place = false;             // everything there
    std::vector<NodeId> repositories;  // their members
  };

  bool empty() const { return scopes_.empty(); }
  bool Knows(NodeId manifest) const { return scopes_.contains(manifest); }
  // Unset: it is not opaque any more.
  Change Set(NodeId manifest, PlaceId place, std::optional<DoubtScope> scope);

  bool Has(PlaceId place) const { return Count(places_, place) > 0; }
  bool IsWhole(PlaceId place) const { return Count(wholes_, place) > 0; }
  bool Concerns(NodeId repository) const {
    return Count(repositories_, repository) > 0;
  }
  // Those whose scope is a place or names `repository`: what tags say changes
  // when a repository comes or goes.
  std::vector<NodeId> ManifestsAbout(NodeId repository) const;

 private:
  using Counts = absl::flat_hash_map<uint32_t, uint32_t>;

  static uint32_t Count(const Counts& counts, uint32_t key) {
    const auto it = counts.find(key);
    return it == counts.end() ? 0 : it->second;
  }
  // True if it becomes or ceases to be zero.
  static bool Add(Counts* counts, uint32_t key, int sign);

  absl::flat_hash_map<NodeId, DoubtScope> scopes_;
  Counts places_;        // scopes that are not empty
  Counts wholes_;        // scopes that are the place
  Counts repositories_;  // scopes that name it
};

}  // namespace reclaim::index

#endif  // RECLAIM_INDEX_DOUBTS_H_
