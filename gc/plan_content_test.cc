// What an image prune takes besides links, and why (gc/plan_content.cc).

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/status_matchers.h"
#include "gc/plan.h"
#include "gc/plan_fixture.h"
#include "gc/prune_request.h"
#include "gc/space_target.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "index/node.h"
#include "index/resident_graph.h"
#include "store/types.h"
#include "tests/support/graph_text.h"

namespace reclaim::gc {
namespace {

using ::reclaim::base::IsOk;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;
using tests::TextGraph;

class PlanContentTest : public PlanFixture {
 protected:
  WholePlan Planned(const PruneRequest& request) {
    auto plan = Make(request);
    EXPECT_THAT(plan, IsOk());
    return plan.ok() ? *std::move(plan) : WholePlan();
  }
  uint64_t ImageCount(const PruneRequest& request) {
    return Planned(request).totals.image_count;
  }
  std::map<std::string, DoomReason> Reasons(const PruneRequest& request) {
    std::map<std::string, DoomReason> reasons;
    for (const PlanItem& item : Planned(request).items) {
      reasons[NameOf(item)] = item.reason;
    }
    return reasons;
  }
  std::string DetailOf(const PruneRequest& request, const std::string& name) {
    for (const PlanItem& item : Planned(request).items) {
      if (NameOf(item) == name) return item.detail;
    }
    return "no such item";
  }
  void SetFlag(const std::string& letter, uint16_t flag) {
    index::ContentRow& row = g.content(letter);
    row.flags |= flag;
    g.PutContent(row);
  }
  void SetRecorded(const std::string& letter, absl::Time recorded) {
    index::ContentRow& row = g.content(letter);
    row.recorded = recorded;
    g.PutContent(row);
  }
  static std::string OnlyBy(const std::string& letter) {
    return absl::StrCat("only referenced by ", DigestText(letter),
                        ", which nothing keeps");
  }
};

// What counts as an image.

TEST_F(PlanContentTest, AnImageThatAnIndexListsIsNoneOfItsOwn) {
  // A name before and one after the index that lists it.
  g.Add("M1(c1); x:v1=M1; I1[M1]; M2(c2); I2[M2]; y:v1=M2; M3(c3)");
  EXPECT_EQ(ImageCount(AllImages()), 3u) << "I1, I2 and M3";
}

TEST_F(PlanContentTest, AnIndexThatIsNotThereListsNothing) {
  g.Add("M1(c1); I1[M1]; !I1");
  EXPECT_EQ(ImageCount(Images()), 1u);
}

TEST_F(PlanContentTest, AReferrerIsNoImage) {
  g.Add("M1(c1); S1(s1 s2)^M1; S2(s3 s4)^M9; !M9");
  EXPECT_EQ(ImageCount(Images()), 1u) << "with its subject or without one";
}

// Why it goes.

TEST_F(PlanContentTest, EachItemSaysWhyItGoes) {
  g.Add("M1(c1); app:v1=M1; M2(c2 l2); S1(s1)^M2; loose");
  EXPECT_THAT(Reasons(AllImages()),
              UnorderedElementsAre(Pair("app:v1", DoomReason::kUnused),
                                   Pair("M1", DoomReason::kUnused),
                                   Pair("c1", DoomReason::kUnreferenced),
                                   Pair("M2", DoomReason::kDangling),
                                   Pair("c2", DoomReason::kUnreferenced),
                                   Pair("l2", DoomReason::kUnreferenced),
                                   Pair("S1", DoomReason::kSubjectGone),
                                   Pair("s1", DoomReason::kUnreferenced),
                                   Pair("loose", DoomReason::kUnreferenced)));
}

TEST_F(PlanContentTest, WhatTheCallerNamedSaysSo) {
  g.Add("M1(c1); S1(s1)^M1; +app=M1; +app~c1");
  const auto reasons = Reasons(Remove(absl::StrCat("app@", DigestText("M1"))));
  EXPECT_THAT(reasons, Contains(Pair("M1", DoomReason::kNamed)));
  EXPECT_THAT(reasons, Contains(Pair("c1", DoomReason::kUnreferenced)));
  EXPECT_THAT(reasons, Contains(Pair("S1", DoomReason::kSubjectGone)));
}

TEST_F(PlanContentTest, TheFirstThatReferencesItIsNamedAndTheOthersCounted) {
  g.Add("M1(c1 l1); M2(c2 l1); M3(c3 l1)");
  EXPECT_EQ(DetailOf(Images(), "l1"),
            absl::StrCat("only referenced by ", DigestText("M1"),
                         " and 2 more, which nothing keeps"));
}

TEST_F(PlanContentTest, OnlyContentReferencesContent) {
  // A name before and one after the index that lists it.
  g.Add("M1(c1); x:v1=M1; I1[M1]; M2(c2); I2[M2]; y:v1=M2");
  EXPECT_EQ(DetailOf(AllImages(), "M1"), OnlyBy("I1"));
  EXPECT_EQ(DetailOf(AllImages(), "M2"), OnlyBy("I2"));
}

// What stays.

TEST_F(PlanContentTest, ANameByDigestFallsWhereItIsAskedFor) {
  g.Add("M1(c1); M2(c2); +app=M1; +app=M2");
  SetFlag("M1", index::kOnlyName);
  SetFlag("M2", index::kOnlyName);
  EXPECT_THAT(Doomed(Images()), IsEmpty());
  EXPECT_THAT(Doomed(Remove(absl::StrCat("app@", DigestText("M1")))),
              ElementsAre("app@M1", "M1", "c1"));
}

// That its name falls is no word against what else keeps it.
TEST_F(PlanContentTest, YoungContentStaysWhenItsNameByDigestFalls) {
  g.Add("M1(c1); +app=M1");
  SetFlag("M1", index::kOnlyName);
  SetRecorded("M1", TextGraph::Now());
  grace = absl::Hours(1);
  EXPECT_THAT(Doomed(Remove(absl::StrCat("app@", DigestText("M1")))),
              Not(Contains("M1")));
}

TEST_F(PlanContentTest, WhatIsNotThereIsNoItem) {
  g.Add("M1(c1 l1); !l1");
  EXPECT_THAT(Doomed(Images()), UnorderedElementsAre("M1", "c1"));
}

TEST_F(PlanContentTest, AKeptPlaceIsKeptAlone) {
  constexpr index::NodeId kElsewhere = 1000;
  g.graph().PutPlace(1, 0, "other");
  g.Add("loose");
  index::ContentRow row = g.content("loose");
  row.id = kElsewhere;
  row.key.place = 1;
  g.graph().PutContent(row);
  EXPECT_THAT(Doomed(Images()), UnorderedElementsAre("loose", "#1000"));
  inputs.unreadable_scopes = {{"other", "permission denied"}};
  EXPECT_THAT(Doomed(Images()), ElementsAre("loose"));
}

// The scan of a registry goes on beside a plan: what comes after its last mark
// is judged by the next one.
class NewcomerTest : public PlanContentTest,
                     public ::testing::WithParamInterface<const char*> {};

TEST_P(NewcomerTest, WhatComesAfterTheMarkIsNotJudged) {
  constexpr int kTagCount = 5000;  // a mark looks up every 4096 steps
  g.Add("M1(c1); cache/a=l1; dead");
  for (int i = 0; i < kTagCount; ++i) g.Add(absl::StrCat("app:v", i, "=M1"));
  std::vector<index::NodeId> sizes;
  inputs.is_cancelled = [&] {
    sizes.push_back(g.view().node_count());
    // After the two marks by which content is judged.
    if (sizes.size() == 3) g.Add(GetParam());
    return false;
  };
  EXPECT_THAT(Doomed(Images()), ElementsAre("dead"));
  ASSERT_GE(sizes.size(), 3u);
  EXPECT_EQ(sizes[2], sizes[0]);
  inputs.is_cancelled = nullptr;
  EXPECT_EQ(Doomed(Images()).size(), 2u) << "the next plan takes it";
}

INSTANTIATE_TEST_SUITE_P(Newcomers, NewcomerTest,
                         ::testing::Values("late:5", "upload/app/late:5"));

// What the build cache holds as well.

TEST_F(PlanContentTest, WhatOnlyTheBuildCacheKeepsIsCounted) {
  g.Add("M1(c1:10 l1:100); app:v1=M1; dead:7");
  g.Add("cache/a:3=l1 l2 l3 l4; cache/b:3; !l4");
  g.content("l2").bytes = {20, 4116};
  g.PutContent(g.content("l2"));
  g.content("l3").bytes = {30, 4126};
  g.PutContent(g.content("l3"));
  const WholePlan plan = Planned(Images());
  EXPECT_THAT(NamesOf(plan), ElementsAre("dead"));
  EXPECT_EQ(plan.cached.blob_count, 2u) << "l2 and l3";
  EXPECT_EQ(plan.cached.bytes.logical_bytes, 50u);
  EXPECT_EQ(plan.cached.bytes.allocated_bytes, 8242u);
}

TEST_F(PlanContentTest, AQuestionAboutOneImageCountsOnlyWhatItReaches) {
  g.Add("M1(c1 l1); app:v1=M1; cache/a=l1 l2 l3; M2(c2); web:v1=M2");
  const WholePlan plan = Planned(Remove("app:v1"));
  EXPECT_THAT(NamesOf(plan), ElementsAre("app:v1", "M1", "c1"));
  EXPECT_EQ(plan.cached.blob_count, 1u) << "l1";
}

// It would not go with the cache either.
TEST_F(PlanContentTest, WhatLiesInAKeptPlaceIsNotCounted) {
  g.Add("M1(c1 l1); app:v1=M1; cache/a=l2");
  EXPECT_EQ(Planned(Images()).cached.blob_count, 1u);
  inputs.unreadable_scopes = {{"app", "permission denied"}};
  EXPECT_EQ(Planned(Images()).cached.blob_count, 0u);
}

TEST_F(PlanContentTest, WithoutABuildCacheNothingIsCounted) {
  g.Add("M1(c1 l1); app:v1=M1; cache/empty:9");
  EXPECT_EQ(Planned(Images()).cached.blob_count, 0u);
}

// Uploads.

TEST_F(PlanContentTest, AnAbandonedUploadGoes) {
  g.Add("upload/app/u1:10");
  const WholePlan plan = Planned(Images());
  ASSERT_EQ(plan.items.size(), 1u);
  const PlanItem& item = plan.items[0];
  EXPECT_EQ(item.node, g.Id("upload/app/u1"));
  EXPECT_EQ(item.reason, DoomReason::kAbandonedUpload);
  store::Removal removal;
  removal.kind = store::RemovalKind::kUpload;
  removal.repository = "app";
  removal.upload_id = "u1";
  ASSERT_TRUE(item.removal.has_value());
  EXPECT_EQ(*item.removal, removal) << store::ToString(*item.removal);
}

TEST_F(PlanContentTest, AnUploadSaysInWhichPlaceItLies) {
  g.graph().PutPlace(1, 0, "sub");
  g.Add("upload/app/u1:10");
  index::NamedRow row = g.named("upload/app/u1");
  row.place = 1;
  g.PutNamed(row);
  const WholePlan plan = Planned(Images());
  ASSERT_EQ(plan.items.size(), 1u);
  EXPECT_EQ(plan.items[0].removal->place, "sub");
}

TEST_F(PlanContentTest, AnUploadStaysWhereSomethingSpeaksForIt) {
  g.Add("upload/app/going-on:1; upload/app/leased:1; upload/app/dead:1");
  g.Add("lease/l=upload/app/leased; upload/torn/u:1");
  index::NamedRow row = g.named("upload/app/going-on");
  row.recorded = TextGraph::Now();
  g.PutNamed(row);
  EXPECT_THAT(Doomed(Images()),
              UnorderedElementsAre("upload/app/dead", "upload/torn/u"));
  inputs.unreadable_scopes = {{"torn", "permission denied"}};
  EXPECT_THAT(Doomed(Images()), ElementsAre("upload/app/dead"));
}

TEST_F(PlanContentTest, AFilterIsAskedAboutUploads) {
  g.Add("upload/app/u1:10");
  PruneRequest request = Images();
  request.filter.labels.push_back({"kept", std::nullopt, false});
  EXPECT_THAT(Doomed(request), IsEmpty());
}

TEST_F(PlanContentTest, ANameThatGoesTakesNoUploads) {
  g.Add("M1(c1); app:v1=M1; upload/app/u1:10");
  EXPECT_THAT(Doomed(Remove("app:v1")), ElementsAre("app:v1", "M1", "c1"));
}

TEST_F(PlanContentTest, ATargetTakesNoMoreUploadsThanItNeeds) {
  g.Add("upload/app/u1:10; upload/app/u2:20000");
  inputs.space.stored_bytes = 1'000'000;
  PruneRequest request = Images();
  request.target.kind = TargetKind::kFree;
  request.target.bytes = 1;
  EXPECT_EQ(Doomed(request).size(), 1u);
}

}  // namespace
}  // namespace reclaim::gc
