#include "index/memberships.h"

#include "index/resident_node.h"

namespace reclaim::index {
namespace {

using store::MembershipKind;

// A repository names the same content at most in these ways.
constexpr MembershipKind OtherKind(MembershipKind kind) {
  return kind == MembershipKind::kRevision ? MembershipKind::kLayer
                                           : MembershipKind::kRevision;
}

MembershipRow KeyOf(NodeId repository, NodeId content, MembershipKind kind) {
  MembershipRow row;
  row.repository = repository;
  row.content = content;
  row.kind = kind;
  return row;
}

}  // namespace

Memberships::Member::Member(const MembershipRow& row) : content_(row.content) {
  const auto micros = static_cast<uint64_t>(ToPackedMicros(row.linked));
  words_[0] = static_cast<uint32_t>(micros >> 32 << 8) |
              (static_cast<uint32_t>(row.kind) & kKindMask) |
              (row.is_only_name ? kOnlyNameBit : 0);
  words_[1] = static_cast<uint32_t>(micros);
}

MembershipRow Memberships::Member::Row(NodeId repository) const {
  MembershipRow row =
      KeyOf(repository, content_, static_cast<MembershipKind>(kind()));
  const uint64_t high = words_[0] >> 8;
  // The sign is that of 56 bits.
  row.linked = FromPackedMicros(
      static_cast<int64_t>((high << 32 | words_[1]) << 8) >> 8);
  row.is_only_name = (words_[0] & kOnlyNameBit) != 0;
  return row;
}

std::optional<MembershipRow> Memberships::Find(NodeId repository,
                                               NodeId content,
                                               MembershipKind kind) const {
  const auto members = members_.find(repository);
  if (members == members_.end()) return std::nullopt;
  const auto it =
      members->second.find(Member(KeyOf(repository, content, kind)));
  if (it == members->second.end()) return std::nullopt;
  return it->Row(repository);
}

std::optional<MembershipRow> Memberships::Put(const MembershipRow& row) {
  const std::optional<MembershipRow> old =
      Find(row.repository, row.content, row.kind);
  const bool is_linked =
      old || Find(row.repository, row.content, OtherKind(row.kind));
  Members& members = members_[row.repository];
  const Member member(row);
  if (old) members.erase(member);
  members.insert(member);
  if (!is_linked) {
    if (row.content >= repositories_of_.size()) {
      repositories_of_.Grow(row.content + 1);
    }
    lists_.InsertSorted(&repositories_of_[row.content].list, row.repository);
  }
  return old;
}

std::optional<MembershipRow> Memberships::Remove(NodeId repository,
                                                 NodeId content,
                                                 MembershipKind kind) {
  const std::optional<MembershipRow> old = Find(repository, content, kind);
  if (!old) return std::nullopt;
  const auto members = members_.find(repository);
  members->second.erase(Member(*old));
  if (members->second.empty()) members_.erase(members);
  if (!Find(repository, content, OtherKind(kind))) {
    lists_.Remove(&repositories_of_[content].list, repository);
  }
  return old;
}

std::vector<MembershipRow> Memberships::MembersOf(NodeId repository) const {
  std::vector<MembershipRow> rows;
  ForEachMember(repository, [&](const MembershipRow& row) {
    rows.push_back(row);
    return true;
  });
  return rows;
}

void Memberships::ForEachMember(
    NodeId repository,
    absl::FunctionRef<bool(const MembershipRow&)> visit) const {
  const auto members = members_.find(repository);
  if (members == members_.end()) return;
  for (const Member& member : members->second) {
    if (!visit(member.Row(repository))) return;
  }
}

absl::Span<const NodeId> Memberships::RepositoriesOf(NodeId content) const {
  if (content >= repositories_of_.size()) return {};
  return lists_.Get(repositories_of_[content].list);
}

}  // namespace reclaim::index
