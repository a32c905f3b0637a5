// tests/support/naive_reach.h — what the roots of a graph reach, worked out the
// slow and obvious way.  FOR TESTS ONLY: what the twins have in common.
//
// It shares no code with index or gc: reachability is a sweep over all nodes
// that is repeated until nothing changes, and each rule is written as the page
// SEMANTICS states it.

#ifndef RECLAIM_TESTS_SUPPORT_NAIVE_REACH_H_
#define RECLAIM_TESTS_SUPPORT_NAIVE_REACH_H_

#include <set>
#include <tuple>
#include <vector>

#include "absl/time/time.h"
#include "index/graph_view.h"
#include "index/node.h"
#include "store/types.h"

namespace reclaim::tests {

struct NaiveTerms {
  index::StoreId store = 0;
  absl::Time now;
  absl::Duration grace_period;
  // From then on only its expiry ends an upload.
  absl::Duration upload_lifetime = absl::InfiniteDuration();
};

struct NaiveLink {
  index::NodeId repository = index::kNoNode;
  index::NodeId content = index::kNoNode;
  store::MembershipKind kind = store::MembershipKind::kRevision;
  friend bool operator<(const NaiveLink& a, const NaiveLink& b) {
    return std::tie(a.repository, a.content, a.kind) <
           std::tie(b.repository, b.content, b.kind);
  }
  friend bool operator==(const NaiveLink& a, const NaiveLink& b) {
    return !(a < b) && !(b < a);
  }
};

class NaiveReach {
 public:
  using Nodes = std::set<index::NodeId>;

  // `view` is not owned, and does not change meanwhile.
  NaiveReach(const index::GraphView& view, const NaiveTerms& terms);

  // The nodes of the store.
  const Nodes& all() const { return all_; }

  // Content, and not a file with several names.
  bool IsBlob(index::NodeId id) const;
  bool IsYoung(absl::Time time) const {
    return time + terms_.grace_period > terms_.now;
  }
  // The repositories that link `content`.
  Nodes LinkedBy(index::NodeId content) const;
  // Of a tag; kNoNode if there is none of the name.
  index::NodeId RepositoryOf(index::NodeId tag) const;
  std::vector<NaiveLink> LinksOf(index::NodeId repository,
                                 bool only_young) const;
  // Who names `id` as what it keeps.
  Nodes KeepersOf(index::NodeId id) const;

  // What an opaque manifest may reference (I5).
  bool IsPlaceInDoubt(index::PlaceId place) const {
    return doubted_places_.count(place) > 0;
  }
  bool IsRepositoryInDoubt(index::NodeId repository) const {
    return doubted_repositories_.count(repository) > 0;
  }
  bool IsInDoubt(index::NodeId id) const;
  // Kept, while what it references is not on its account.
  bool IsUnlinked(index::NodeId id) const;

  // Whether it is a root otherwise than as a tag or a file of several names.
  bool IsRoot(index::NodeId id) const;
  // With the files behind what is reached; if asked, with what no repository
  // links where a repository is in doubt.
  Nodes Reach(const Nodes& roots, bool with_unlinked) const;
  // An index is reached with any platform that it lists.
  bool Touches(const Nodes& reached, index::NodeId image) const;

 private:
  void FindDoubtOf(index::NodeId manifest);

  const index::GraphView& view_;
  const NaiveTerms terms_;
  Nodes all_;
  std::set<index::PlaceId> doubted_places_;
  std::set<index::PlaceId> touched_places_;
  Nodes doubted_repositories_;
};

}  // namespace reclaim::tests

#endif  // RECLAIM_TESTS_SUPPORT_NAIVE_REACH_H_
