// index/memberships.h — which content belongs to which repository.

#ifndef RECLAIM_INDEX_MEMBERSHIPS_H_
#define RECLAIM_INDEX_MEMBERSHIPS_H_

#include <optional>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "index/chunked.h"
#include "index/id_lists.h"
#include "index/node.h"
#include "index/packed_members.h"
#include "store/types.h"

namespace reclaim::index {

struct MembershipRow {
  NodeId repository = kNoNode;
  NodeId content = kNoNode;
  store::MembershipKind kind = store::MembershipKind::kRevision;
  absl::Time linked;
  bool is_only_name = false;
};

// 4 to 10 bytes a membership, and a word a node.  Not thread-safe.
class Memberships {
 public:
  // Returns what it replaces.
  std::optional<MembershipRow> Put(const MembershipRow& row);
  // Whether all links of a repository are to contents below `content`.
  bool EndsBefore(NodeId repository, NodeId content) const {
    const auto members = members_.find(repository);
    return members == members_.end() || members->second.EndsBefore(content);
  }
  // Links of one repository, ascending by content, then kind.  REQUIRES:
  // EndsBefore() the first.
  void Fill(NodeId repository, absl::Span<const PackedMembers::Row> rows);
  // Returns what it was.
  std::optional<MembershipRow> Remove(NodeId repository, NodeId content,
                                      store::MembershipKind kind);
  std::optional<MembershipRow> Find(NodeId repository, NodeId content,
                                    store::MembershipKind kind) const;
  // Ascending by content, then kind.
  std::vector<MembershipRow> MembersOf(NodeId repository) const;
  void ForEachMember(NodeId repository,
                     absl::FunctionRef<bool(const MembershipRow&)> visit) const;
  // Ascending.
  absl::Span<const NodeId> RepositoriesOf(NodeId content) const;
  // Nothing from here on is a member.
  NodeId content_end() const {
    return static_cast<NodeId>(repositories_of_.size());
  }
  // Those that have members, in no order, until `visit` returns false.
  void ForEachRepository(absl::FunctionRef<bool(NodeId)> visit) const;

 private:
  struct Repositories {
    IdLists::List list = IdLists::kEmpty;
  };

  absl::flat_hash_map<NodeId, PackedMembers> members_;
  IdLists lists_;
  Chunked<Repositories> repositories_of_;
};

}  // namespace reclaim::index

#endif  // RECLAIM_INDEX_MEMBERSHIPS_H_
