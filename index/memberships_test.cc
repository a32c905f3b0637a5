#include "index/memberships.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <random>
#include <set>
#include <vector>

#include "absl/time/time.h"
#include "absl/types/span.h"
#include "gtest/gtest.h"
#include "index/node.h"
#include "index/packed_members.h"
#include "store/types.h"

namespace reclaim::index {
namespace {

using store::MembershipKind;

constexpr NodeId kContentCount = 300;
constexpr NodeId kRepositoryCount = 40;

MembershipRow RowOf(NodeId repository, const PackedMembers::Row& packed) {
  MembershipRow row;
  row.repository = repository;
  row.content = packed.content;
  row.kind = packed.kind;
  row.is_only_name = packed.is_only_name;
  row.linked = absl::FromUnixMicros(packed.micros);
  return row;
}

// Ascending by content, then kind.
std::vector<PackedMembers::Row> RandomMembers(std::mt19937_64* random) {
  std::vector<PackedMembers::Row> rows;
  for (NodeId content = 0; content < kContentCount; ++content) {
    for (const MembershipKind kind :
         {MembershipKind::kRevision, MembershipKind::kLayer}) {
      if ((*random)() % 3 != 0) continue;
      rows.push_back({content, kind, (*random)() % 4 == 0,
                      static_cast<int64_t>((*random)() % 1'000'000)});
    }
  }
  return rows;
}

// In two parts, of which either may be empty; no content is in both.
void FillInParts(NodeId repository, const std::vector<PackedMembers::Row>& rows,
                 NodeId first_of_second, Memberships* memberships) {
  const auto second = std::find_if(rows.begin(), rows.end(),
                                   [&](const PackedMembers::Row& row) {
                                     return row.content >= first_of_second;
                                   });
  const auto count = static_cast<size_t>(second - rows.begin());
  const absl::Span<const PackedMembers::Row> all = rows;
  memberships->Fill(repository, all.first(count));
  EXPECT_TRUE(memberships->EndsBefore(repository, first_of_second));
  memberships->Fill(repository, all.subspan(count));
}

void ExpectSame(const Memberships& one, const Memberships& other) {
  for (NodeId repository = 0; repository < kRepositoryCount; ++repository) {
    for (NodeId content = 0; content <= kContentCount; ++content) {
      ASSERT_EQ(one.EndsBefore(repository, content),
                other.EndsBefore(repository, content))
          << repository << " " << content;
    }
    const std::vector<MembershipRow> members = one.MembersOf(repository);
    const std::vector<MembershipRow> expected = other.MembersOf(repository);
    ASSERT_EQ(members.size(), expected.size()) << repository;
    for (size_t i = 0; i < members.size(); ++i) {
      ASSERT_EQ(members[i].content, expected[i].content);
      ASSERT_EQ(members[i].kind, expected[i].kind);
      ASSERT_EQ(members[i].linked, expected[i].linked);
      ASSERT_EQ(members[i].is_only_name, expected[i].is_only_name);
    }
  }
  ASSERT_EQ(one.content_end(), other.content_end());
  for (NodeId content = 0; content < kContentCount; ++content) {
    ASSERT_EQ(one.RepositoriesOf(content), other.RepositoriesOf(content))
        << content;
  }
}

TEST(MembershipsTest, ARepositoryFilledAtOnceIsOneThatGrew) {
  for (const uint64_t seed : {1, 2, 3, 4, 5}) {
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    Memberships filled;
    Memberships grown;
    std::set<NodeId> known;
    // Some have none; the order is anybody's.
    for (NodeId i = 0; i < kRepositoryCount; ++i) {
      const NodeId repository = (i * 7 + 3) % kRepositoryCount;
      std::vector<PackedMembers::Row> rows;
      if (random() % 5 != 0) rows = RandomMembers(&random);
      FillInParts(repository, rows,
                  static_cast<NodeId>(random() % kContentCount), &filled);
      for (const PackedMembers::Row& row : rows) {
        grown.Put(RowOf(repository, row));
      }
      if (!rows.empty()) known.insert(repository);
    }
    ExpectSame(filled, grown);
    std::set<NodeId> told;
    filled.ForEachRepository([&](NodeId repository) {
      told.insert(repository);
      return true;
    });
    EXPECT_EQ(told, known);
    for (int step = 0; step < 2000; ++step) {
      const auto repository = static_cast<NodeId>(random() % kRepositoryCount);
      const auto content = static_cast<NodeId>(random() % kContentCount);
      const MembershipKind kind = random() % 2 == 0 ? MembershipKind::kRevision
                                                    : MembershipKind::kLayer;
      for (Memberships* memberships : {&filled, &grown}) {
        if (step % 3 == 0) {
          memberships->Put(RowOf(repository, {content, kind, false, step}));
        } else {
          memberships->Remove(repository, content, kind);
        }
      }
    }
    ExpectSame(filled, grown);
    if (HasFatalFailure()) return;
  }
}

TEST(MembershipsTest, AVisitOfRepositoriesEndsWhenItIsTold) {
  Memberships memberships;
  for (NodeId repository = 0; repository < 10; ++repository) {
    memberships.Put(RowOf(repository, {1, MembershipKind::kLayer, false, 0}));
  }
  int count = 0;
  memberships.ForEachRepository([&](NodeId) { return ++count < 3; });
  EXPECT_EQ(count, 3);
}

}  // namespace
}  // namespace reclaim::index
