// index/memberships.h — which content belongs to which repository.

#ifndef RECLAIM_INDEX_MEMBERSHIPS_H_
#define RECLAIM_INDEX_MEMBERSHIPS_H_

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "absl/container/btree_set.h"
#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "index/chunked.h"
#include "index/id_lists.h"
#include "index/node.h"
#include "store/types.h"

namespace reclaim::index {

struct MembershipRow {
  NodeId repository = kNoNode;
  NodeId content = kNoNode;
  store::MembershipKind kind = store::MembershipKind::kRevision;
  absl::Time linked;
  bool is_only_name = false;
};

// Twelve bytes a membership, and a word a node.  Not thread-safe.
class Memberships {
 public:
  // Returns what it replaces.
  std::optional<MembershipRow> Put(const MembershipRow& row);
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

 private:
  // In words of 32 bits, so that no padding is needed.
  class Member {
   public:
    explicit Member(const MembershipRow& row);
    MembershipRow Row(NodeId repository) const;
    friend bool operator<(const Member& a, const Member& b) {
      return a.content_ != b.content_ ? a.content_ < b.content_
                                      : a.kind() < b.kind();
    }

   private:
    static constexpr uint32_t kKindMask = 0x7f;
    static constexpr uint32_t kOnlyNameBit = 0x80;
    uint32_t kind() const { return words_[0] & kKindMask; }

    NodeId content_;
    std::array<uint32_t, 2> words_;  // of the time 24 bits and 32, kind, bit
  };
  using Members = absl::btree_set<Member>;
  struct Repositories {
    IdLists::List list = IdLists::kEmpty;
  };

  absl::flat_hash_map<NodeId, Members> members_;
  IdLists lists_;
  Chunked<Repositories> repositories_of_;
};

}  // namespace reclaim::index

#endif  // RECLAIM_INDEX_MEMBERSHIPS_H_
