// The protocol of docs/decisions/0007-the-race.md: all interleavings of two
// writers, the collector and a crash, for a store of five blobs.
// long_protocol_test has the same with an upload, and with orchestrators.

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/simulation/expect.h"

namespace reclaim::simulation {
namespace {

void ExpectLoss(const char* what, const Scenario& scenario) {
  const Exploration found = ExploreAll(what, scenario);
  EXPECT_NE(found.loss, "")
      << "an exploration that can't see this sees nothing";
}

Scenario Of(WriterKind first, WriterKind second, bool may_crash) {
  Scenario scenario;
  scenario.writers = {first, second};
  scenario.may_crash = may_crash;
  return scenario;
}

TEST(ProtocolTest, TwoPutsOverWhatWasThere) {
  ExpectSafe("two puts", Of(WriterKind::kPuts, WriterKind::kPuts, false));
}

TEST(ProtocolTest, AnUpload) {
  ExpectSafe("an upload", Of(WriterKind::kUploads, WriterKind::kNone, false));
}

TEST(ProtocolTest, APullWhileTheTagMoves) {
  ExpectSafe("a pull and a put that moves the tag",
             Of(WriterKind::kPulls, WriterKind::kPuts, false));
}

TEST(ProtocolTest, APutAndACrash) {
  ExpectSafe("a put and a crash",
             Of(WriterKind::kNone, WriterKind::kPuts, true));
}

TEST(ProtocolTest, TwoOrchestratorsThatAskFirst) {
  ExpectSafe("two records", Records(false));
}

TEST(ProtocolTest, AnOrchestratorAndACrash) {
  Scenario scenario = Records(true);
  scenario.writers[1] = WriterKind::kNone;
  ExpectSafe("a record and a crash", scenario);
}

TEST(ProtocolTest, TwoPutsAndACrash) {
  ExpectSafe("two puts and a crash",
             Of(WriterKind::kPuts, WriterKind::kPuts, true));
}

Scenario LookingInSteps(WriterKind first, bool may_crash) {
  Scenario scenario = Of(first, WriterKind::kPuts, may_crash);
  scenario.registry.looks_in_steps = true;
  return scenario;
}

TEST(ProtocolTest, TwoPutsThatLookInSteps) {
  ExpectSafe("two puts that look in steps",
             LookingInSteps(WriterKind::kPuts, false));
}

TEST(ProtocolTest, APutThatLooksInStepsAndACrash) {
  ExpectSafe("a put that looks in steps and a crash",
             LookingInSteps(WriterKind::kNone, true));
}

// The look says yes to whoever asks, at any time, and nothing else is freed.
TEST(ProtocolTest, ACacheThatWasToldOf) {
  int lost_count = 0;
  for (const bool may_crash : {false, true}) {
    Scenario scenario = Of(WriterKind::kPuts, WriterKind::kPuts, may_crash);
    scenario.registry.remembers = true;
    scenario.told_cache = index::DescriptorCache::kUnknown;
    const Exploration found = ExploreAll("with a cache", scenario);
    EXPECT_TRUE(found.is_complete);
    EXPECT_EQ(found.loss, "");
    lost_count += found.loss.empty() ? 0 : 1;
    EXPECT_GT(found.accepted_count, 0u);
    EXPECT_EQ(found.refused_count, 0u);
    EXPECT_GT(found.restored_count, 0u);
  }
  TellLost(lost_count);
}

// And with a part taken out, each of them alone, in the same forms.

class IncompleteProtocolTest : public ::testing::TestWithParam<bool> {};

TEST_P(IncompleteProtocolTest, WithoutTheProofScanSomethingIsLost) {
  Scenario scenario;
  scenario.may_crash = GetParam();
  scenario.scans_for_proof = false;
  ExpectLoss("without the proof scan", scenario);
}

TEST_P(IncompleteProtocolTest, WithAScanThatComesTooEarlySomethingIsLost) {
  Scenario scenario;
  scenario.may_crash = GetParam();
  scenario.write_duration_max = absl::ZeroDuration();
  ExpectLoss("with a scan at once", scenario);
}

TEST_P(IncompleteProtocolTest, WithoutTheGuardSomethingIsLost) {
  Scenario scenario = Records(GetParam());
  scenario.has_guard = false;
  ExpectLoss("without the guard", scenario);
}

TEST_P(IncompleteProtocolTest, WithACacheThatNobodyWasToldOfSomethingIsLost) {
  Scenario scenario;
  scenario.may_crash = GetParam();
  scenario.registry.remembers = true;
  ExpectLoss("with a cache that was denied", scenario);
}

INSTANTIATE_TEST_SUITE_P(Forms, IncompleteProtocolTest, ::testing::Bool(),
                         [](const auto& info) {
                           return info.param ? "WithACrash" : "WithoutACrash";
                         });

}  // namespace
}  // namespace reclaim::simulation
