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

MembershipRow RowOf(NodeId repository, const PackedMembers::Row& member) {
  MembershipRow row;
  row.repository = repository;
  row.content = member.content;
  row.kind = member.kind;
  row.linked = FromPackedMicros(member.micros);
  row.is_only_name = member.is_only_name;
  return row;
}

}  // namespace

std::optional<MembershipRow> Memberships::Find(NodeId repository,
                                               NodeId content,
                                               MembershipKind kind) const {
  const auto members = members_.find(repository);
  if (members == members_.end()) return std::nullopt;
  const auto found = members->second.Find(content, kind);
  if (!found) return std::nullopt;
  return RowOf(repository, *found);
}

std::optional<MembershipRow> Memberships::Put(const MembershipRow& row) {
  const std::optional<MembershipRow> old =
      Find(row.repository, row.content, row.kind);
  const bool is_linked =
      old || Find(row.repository, row.content, OtherKind(row.kind));
  members_[row.repository].Put(
      {row.content, row.kind, row.is_only_name, ToPackedMicros(row.linked)});
  if (!is_linked) {
    if (row.content >= repositories_of_.size()) {
      repositories_of_.Grow(row.content + 1);
    }
    lists_.InsertSorted(&repositories_of_[row.content].list, row.repository);
  }
  return old;
}

void Memberships::Fill(NodeId repository,
                       absl::Span<const PackedMembers::Row> rows) {
  if (rows.empty()) return;
  members_[repository].Fill(rows);
  const NodeId end = rows.back().content + 1;
  if (end > repositories_of_.size()) repositories_of_.Grow(end);
  NodeId last = kNoNode;
  for (const PackedMembers::Row& row : rows) {
    // In two ways it is linked but once.
    if (row.content == last) continue;
    last = row.content;
    lists_.InsertSorted(&repositories_of_[last].list, repository);
  }
}

std::optional<MembershipRow> Memberships::Remove(NodeId repository,
                                                 NodeId content,
                                                 MembershipKind kind) {
  const std::optional<MembershipRow> old = Find(repository, content, kind);
  if (!old) return std::nullopt;
  const auto members = members_.find(repository);
  members->second.Remove(content, kind);
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
  members->second.ForEach([&](const PackedMembers::Row& member) {
    return visit(RowOf(repository, member));
  });
}

void Memberships::ForEachRepository(
    absl::FunctionRef<bool(NodeId)> visit) const {
  for (const auto& [repository, members] : members_) {
    if (!visit(repository)) return;
  }
}

absl::Span<const NodeId> Memberships::RepositoriesOf(NodeId content) const {
  if (content >= repositories_of_.size()) return {};
  return lists_.Get(repositories_of_[content].list);
}

}  // namespace reclaim::index
