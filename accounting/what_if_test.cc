// What would go, on graphs in one line of text.

#include "accounting/what_if.h"

#include <string>
#include <vector>

#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "index/node.h"
#include "index/resident_graph.h"
#include "tests/support/graph_text.h"
#include "tests/support/text_details.h"

namespace reclaim::accounting {
namespace {

class WhatIfTest : public ::testing::Test {
 protected:
  WhatIfReport Ask(const std::string& text,
                   const std::vector<std::string>& removed) {
    graph_.Add(text);
    const tests::TextDetails details(&graph_);
    gc::PlanInputs inputs;
    inputs.view = &graph_.view();
    inputs.details = &details;
    inputs.store = 0;
    inputs.now = tests::TextGraph::Now();
    auto report = WhatIf(inputs, gc::NoGrace(), removed);
    EXPECT_THAT(report, base::IsOk());
    return report.ok() ? *std::move(report) : WhatIfReport();
  }
  std::vector<std::string> Keepers(const WhatIfReport& report) const {
    std::vector<std::string> names;
    for (const RootShare& share : report.keepers) {
      names.push_back(graph_.Name(share.root.node));
    }
    return names;
  }

  tests::TextGraph graph_{""};
};

TEST_F(WhatIfTest, ATagThatAloneKeepsItsImage) {
  const auto report = Ask("M1:5(c1:1 l1:10); app:v1=M1", {"app:v1"});
  EXPECT_EQ(report.freed.count, 3u);
  EXPECT_EQ(report.freed.bytes.logical_bytes, 16u);
  EXPECT_EQ(report.kept.count, 0u);
  EXPECT_TRUE(report.keepers.empty());
}

TEST_F(WhatIfTest, WhatIsSharedStaysAndNamesItsKeeper) {
  const auto report =
      Ask("M1:5(c1:1 base:100); M2:5(c2:1 base:100); app:v1=M1; web:v1=M2",
          {"app:v1"});
  EXPECT_EQ(report.freed.bytes.logical_bytes, 6u);
  EXPECT_EQ(report.kept.count, 1u);
  EXPECT_EQ(report.kept.bytes.logical_bytes, 100u);
  EXPECT_THAT(Keepers(report), ::testing::ElementsAre("web:v1"));
  EXPECT_EQ(report.keepers[0].bytes.logical_bytes, 100u);
}

// A removal is refused; a question is not.
TEST_F(WhatIfTest, WhatAContainerUsesStaysBecauseOfIt) {
  const auto report =
      Ask("M1:5(c1:1 l1:10); app:v1=M1; running/w=M1", {"app:v1"});
  EXPECT_EQ(report.freed.count, 0u);
  EXPECT_EQ(report.kept.bytes.logical_bytes, 16u);
  EXPECT_THAT(Keepers(report), ::testing::ElementsAre("running/w"));
}

TEST_F(WhatIfTest, TwoTogetherFreeWhatTheyShare) {
  const auto report =
      Ask("M1:5(c1:1 base:100); M2:5(c2:1 base:100); app:v1=M1; web:v1=M2",
          {"app:v1", "web:v1"});
  EXPECT_EQ(report.freed.bytes.logical_bytes, 112u);
  EXPECT_EQ(report.kept.count, 0u);
}

// Its file has two names, and the second is none of this store's.
TEST_F(WhatIfTest, WhatHasANameElsewhereIsNotFreed) {
  graph_.Add("M1:5(c1:1 l1); app:v1=M1");
  index::ContentRow file;
  file.id = graph_.view().node_count();
  file.kind = index::NodeKind::kExtent;
  file.bytes = {100, 512};
  file.link_count = 2;
  graph_.PutContent(file);
  index::ContentRow& layer = graph_.content("l1");
  layer.bytes = {};
  layer.extent = file.id;
  graph_.PutContent(layer);
  const auto report = Ask("", {"app:v1"});
  EXPECT_EQ(report.freed.bytes.logical_bytes, 6u);
  EXPECT_EQ(report.kept.bytes.logical_bytes, 100u);
}

TEST_F(WhatIfTest, EachByteIsChargedToOneKeeperLargestFirst) {
  const auto report = Ask(
      "M1:5(c1:1 a:100 b:7); pin/p=b; M2:5(c2:1 a:100); web:v1=M2; app:v1=M1",
      {"app:v1"});
  EXPECT_EQ(report.kept.bytes.logical_bytes, 107u);
  EXPECT_THAT(Keepers(report), ::testing::ElementsAre("web:v1", "pin/p"));
  EXPECT_EQ(report.keepers[0].bytes.logical_bytes +
                report.keepers[1].bytes.logical_bytes,
            107u);
}

TEST_F(WhatIfTest, OnlyTheLargestTwentyKeepersAreNamed) {
  std::string text = "M0:5(c0:1";
  for (int i = 1; i <= 25; ++i) {
    text += " l" + std::to_string(i) + ":" + std::to_string(i);
  }
  text += "); app:v1=M0";
  for (int i = 1; i <= 25; ++i) {
    const std::string number = std::to_string(i);
    text += "; pin/p" + number + "=l" + number;
  }
  const auto report = Ask(text, {"app:v1"});
  ASSERT_EQ(report.keepers.size(), 20u);
  EXPECT_EQ(report.keepers[0].bytes.logical_bytes, 25u);
  EXPECT_EQ(report.keepers[19].bytes.logical_bytes, 6u);
}

TEST_F(WhatIfTest, WhatIsNotHereCountsNothing) {
  const auto report = Ask("M1:5(c1:1 l1:10); !l1; app:v1=M1", {"app:v1"});
  EXPECT_EQ(report.freed.count, 2u);
  EXPECT_EQ(report.freed.bytes.logical_bytes, 6u);
}

}  // namespace
}  // namespace reclaim::accounting
