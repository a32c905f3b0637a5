#include "gc/plan_draft.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_matchers.h"
#include "gc/plan.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "index/node.h"
#include "index/resident_graph.h"
#include "oci/digest.h"
#include "store/types.h"
#include "tests/support/graph_text.h"
#include "tests/support/held_reads.h"

namespace reclaim::gc {
namespace {

using index::NodeId;
using index::NodeKind;
using ::reclaim::base::IsOk;
using ::reclaim::base::StatusIs;
using store::MembershipKind;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using tests::TextGraph;

constexpr NodeId kFirst = 1000;
constexpr int kContentCount = 12'000;  // several buckets of a sort
constexpr int kRepositoryCount = 20;

// Every third digest is a SHA-512.
oci::Digest DigestOf(int i) {
  const std::string hash(oci::Digest::Sha256Of(absl::StrCat("x", i)).bytes());
  if (i % 3 != 0) {
    return *oci::Digest::FromBytes(oci::DigestAlgorithm::kSha256, hash);
  }
  return *oci::Digest::FromBytes(oci::DigestAlgorithm::kSha512, hash + hash);
}

std::string TextOf(const PlanItem& item) {
  return absl::StrCat(ToString(*item.removal), " ", item.node, " ", item.scope,
                      " ", item.name, " ", item.detail, " ",
                      item.bytes.logical_bytes, " ", ToString(item.reason));
}

std::vector<std::string> TextsOf(const std::vector<PlanItem>& items) {
  std::vector<std::string> texts;
  for (const PlanItem& item : items) texts.push_back(TextOf(item));
  return texts;
}

// The order that plan.h promises, said of rows.
auto OrderOf(const PlanItem& item) {
  const bool is_blob = item.removal->kind == store::RemovalKind::kBlob;
  const int depth = item.kind == NodeKind::kImageIndex ? 0
                    : item.kind == NodeKind::kManifest ? 1
                                                       : 2;
  return std::make_tuple(store::DeedStage(item.removal->kind),
                         is_blob ? depth : 0, item.removal->place, item.scope,
                         item.name, item.digest);
}

class PlanDraftTest : public ::testing::Test {
 protected:
  // Content in three places, repositories that link it, their tags; put into a
  // draft in an order of chance.
  void Populate(uint64_t seed) {
    std::mt19937_64 random(seed);
    g.graph().PutPlace(1, 0, "b");
    g.graph().PutPlace(2, 0, "a");
    std::vector<int> order;
    for (int i = 0; i < kContentCount; ++i) {
      index::ContentRow row;
      row.id = kFirst + static_cast<NodeId>(i);
      row.key = {static_cast<index::PlaceId>(random() % 3), DigestOf(i)};
      row.kind = KindOf(i);
      row.state = index::NodeState::kPresent;
      row.bytes = {static_cast<uint64_t>(i), static_cast<uint64_t>(i)};
      row.recorded = TextGraph::Recorded();
      g.graph().PutContent(row);
      order.push_back(i);
    }
    for (int i = 0; i < kRepositoryCount; ++i) {
      g.Add(absl::StrCat("r", i, ":v1=T; r", i, ":v0=T; +r", i, "=T"));
    }
    std::shuffle(order.begin(), order.end(), random);
    for (const int i : order) {
      const NodeId id = kFirst + static_cast<NodeId>(i);
      DraftItems::Content content;
      content.node = id;
      content.kind = KindOf(i);
      content.place = g.view().fields(id).place;
      content.is_image = i % 10 == 1;
      items.AddContent(content);
      const auto kind = random() % 2 == 0 ? MembershipKind::kRevision
                                          : MembershipKind::kLayer;
      const std::string name = absl::StrCat("r", random() % kRepositoryCount);
      items.AddLink(Repository(name), id, kind);
      if (i < kRepositoryCount) {
        items.AddTag(g.Id(absl::StrCat("r", i, ":v1")), id,
                     DoomReason::kRetention, absl::StrCat("rule ", i % 2));
        items.AddTag(g.Id(absl::StrCat("r", i, ":v0")), id,
                     DoomReason::kRetention, "rule 0");
      }
    }
    items.Sort(g.view());
  }
  static NodeKind KindOf(int i) {
    return i % 10 == 0   ? NodeKind::kImageIndex
           : i % 10 == 1 ? NodeKind::kManifest
                         : NodeKind::kLayer;
  }
  NodeId Repository(const std::string& name) const {
    return g.view().FindNamed({NodeKind::kRepository, 0, "", name});
  }
  std::vector<PlanItem> Rows(uint64_t offset, uint64_t limit,
                             PlanTotals* totals) {
    auto rows = items.Rows(g.view(), offset, limit, totals);
    EXPECT_THAT(rows, IsOk());
    return rows.ok() ? *std::move(rows) : std::vector<PlanItem>();
  }

  TextGraph g{"T"};
  DraftItems items;
};

class PlanDraftOrderTest : public PlanDraftTest,
                           public ::testing::WithParamInterface<uint64_t> {};

TEST_P(PlanDraftOrderTest, RowsComeInTheOrderOfTheDeedEachOnce) {
  Populate(GetParam());
  PlanTotals totals;
  const std::vector<PlanItem> rows = Rows(0, items.size(), &totals);
  ASSERT_EQ(rows.size(), size_t{2 * kContentCount + 2 * kRepositoryCount});
  for (size_t i = 1; i < rows.size(); ++i) {
    ASSERT_LT(OrderOf(rows[i - 1]), OrderOf(rows[i]))
        << TextOf(rows[i - 1]) << " before " << TextOf(rows[i]);
  }
  EXPECT_EQ(totals.item_count, rows.size());
  EXPECT_EQ(totals.blob_count, uint64_t{kContentCount});
  EXPECT_EQ(totals.image_count, uint64_t{kContentCount / 10});
  EXPECT_EQ(totals.bytes.content.logical_bytes,
            uint64_t{kContentCount} * (kContentCount - 1) / 2);
}

INSTANTIATE_TEST_SUITE_P(Seeds, PlanDraftOrderTest, ::testing::Values(1, 2, 3));

TEST_F(PlanDraftTest, PagesAreTheWhole) {
  Populate(4);
  PlanTotals of_whole;
  const auto whole = TextsOf(Rows(0, items.size(), &of_whole));
  for (const uint64_t size : {uint64_t{1000}, uint64_t{7}, uint64_t{24'000}}) {
    PlanTotals totals;
    std::vector<std::string> paged;
    for (uint64_t at = 0; at < items.size(); at += size) {
      for (const PlanItem& row : Rows(at, size, &totals)) {
        paged.push_back(TextOf(row));
      }
    }
    EXPECT_EQ(paged, whole) << size;
    EXPECT_EQ(totals.item_count, of_whole.item_count);
    EXPECT_EQ(totals.bytes.content, of_whole.bytes.content);
  }
  PlanTotals none;
  EXPECT_TRUE(Rows(items.size(), 5, &none).empty());
  EXPECT_TRUE(Rows(0, 0, &none).empty());
  EXPECT_EQ(none.item_count, 0u);
}

// Digests that somebody has made up may all begin the same: then each
// comparison reads two, and writers come in between (I10).
TEST_F(PlanDraftTest, LinksOfLikeDigestsAreSortedWithPauses) {
  g.Add("+app=T");
  for (int i = 0; i < kContentCount; ++i) {
    std::string hash(oci::Digest::Sha256Of(absl::StrCat("y", i)).bytes());
    hash.replace(0, 4, "same");
    index::ContentRow row;
    row.id = kFirst + static_cast<NodeId>(i);
    row.key = {0, *oci::Digest::FromBytes(oci::DigestAlgorithm::kSha256, hash)};
    g.graph().PutContent(row);
    items.AddLink(Repository("app"), row.id, MembershipKind::kLayer);
  }
  tests::HeldReads reads;
  items.Sort(tests::HeldReadsView(&g.view(), &reads));
  EXPECT_GT(reads.count, uint64_t{10 * kContentCount});
  EXPECT_LE(reads.longest, tests::kHeldReadsMax);
  PlanTotals totals;
  const std::vector<PlanItem> rows = Rows(0, items.size(), &totals);
  ASSERT_EQ(rows.size(), size_t{kContentCount});
  for (size_t i = 1; i < rows.size(); ++i) {
    ASSERT_LT(rows[i - 1].digest, rows[i].digest);
  }
}

TEST_F(PlanDraftTest, WhatWasDecidedStandsWhateverWritersDoMeanwhile) {
  g.Add("M1(c1:10 l1:100); M2(c2 l1); app:v1=M1; +app=M1; +app~l1");
  items.AddTag(g.Id("app:v1"), g.Id("M1"), DoomReason::kUnused, "why");
  items.AddLink(Repository("app"), g.Id("M1"), MembershipKind::kRevision);
  items.AddLink(Repository("app"), g.Id("l1"), MembershipKind::kLayer);
  DraftItems::Content layer;
  layer.node = g.Id("l1");
  layer.kind = NodeKind::kLayer;
  layer.place = 0;
  layer.keeper = g.Id("M1");
  layer.keeper_count = 2;
  items.AddContent(layer);
  items.Sort(g.view());
  PlanTotals totals;
  const auto before = TextsOf(Rows(0, 9, &totals));
  EXPECT_THAT(before[3],
              HasSubstr(absl::StrCat("only referenced by ",
                                     TextGraph::DigestOf("M1").ToString(),
                                     " and 1 more, which nothing keeps")));
  // The tag moves and goes, the repository goes, a manifest comes.
  g.Add("app:v1=M2; M3(l1)");
  g.graph().RemoveNamed(g.Id("app:v1"));
  g.graph().RemoveNamed(Repository("app"));
  EXPECT_EQ(TextsOf(Rows(0, 9, &totals)), before);
  const auto tag = Rows(0, 1, &totals)[0];
  EXPECT_EQ(tag.removal->digest, TextGraph::DigestOf("M1"))
      << "the guard compares it with what the tag names at the deed";
  // Its node is another kind by now: the guard sees that it has changed.
  index::ContentRow row = g.content("l1");
  row.kind = NodeKind::kManifest;
  g.graph().PutContent(row);
  EXPECT_EQ(Rows(3, 1, &totals)[0].kind, NodeKind::kLayer);
}

TEST_F(PlanDraftTest, OfAStoreThatWasForgottenThereIsNoPlan) {
  g.Add("M1(c1); +app=M1");
  items.AddLink(Repository("app"), g.Id("M1"), MembershipKind::kRevision);
  items.Sort(g.view());
  g.graph().RemoveStore(0);
  PlanTotals totals;
  EXPECT_THAT(items.Rows(g.view(), 0, 1, &totals),
              StatusIs(absl::StatusCode::kAborted, HasSubstr("forgotten")));
}

TEST_F(PlanDraftTest, ManyKeepersAreSaidAsAtLeast) {
  g.Add("M1(l1)");
  DraftItems::Content content;
  content.node = g.Id("l1");
  content.kind = NodeKind::kLayer;
  content.place = 0;
  content.keeper = g.Id("M1");
  content.keeper_count = 3'000'000;
  items.AddContent(content);
  items.Sort(g.view());
  PlanTotals totals;
  EXPECT_THAT(Rows(0, 1, &totals)[0].detail,
              HasSubstr("and at least 2097150 more"));
}

// Of a row, by its content's letter; of a store that doubts by repository.
std::vector<std::string> LinkedBy(const TextGraph& g,
                                  const std::string& letter) {
  DraftItems items;
  DraftItems::Content content;
  content.node = g.Id(letter);
  content.place = 0;
  items.AddContent(content);
  items.Sort(g.view());
  PlanTotals totals;
  const auto rows = items.Rows(g.view(), 0, 1, &totals);
  EXPECT_THAT(rows, IsOk());
  if (!rows.ok() || rows->empty()) return {"no row"};
  return rows->front().linked_by;
}

TEST(PlanDraftLinksTest, ARowSaysWhichRepositoriesLinkItsContent) {
  TextGraph g("");
  g.DoubtByRepository();
  g.Add("few; many; most; none; +b~few; +a=few; +a~few");
  for (size_t i = 0; i <= kLinkedByMax; ++i) {
    g.Add(absl::StrCat("+r", i, "~many"));
    if (i < kLinkedByMax) g.Add(absl::StrCat("+r", i, "~most"));
  }
  EXPECT_THAT(LinkedBy(g, "few"), ElementsAre("a", "b"));
  EXPECT_THAT(LinkedBy(g, "most"), SizeIs(kLinkedByMax));
  EXPECT_THAT(LinkedBy(g, "many"), IsEmpty()) << "more than an item may name";
  EXPECT_THAT(LinkedBy(g, "none"), IsEmpty());
  // Where doubt is of places nobody asks.
  TextGraph places("few; +a~few");
  EXPECT_THAT(LinkedBy(places, "few"), IsEmpty());
}

TEST_F(PlanDraftTest, ADraftIsMovedWhole) {
  Populate(5);
  PlanTotals totals;
  const auto before = TextsOf(Rows(0, items.size(), &totals));
  DraftItems moved = std::move(items);
  items = std::move(moved);
  EXPECT_EQ(TextsOf(Rows(0, items.size(), &totals)), before);
}

}  // namespace
}  // namespace reclaim::gc
