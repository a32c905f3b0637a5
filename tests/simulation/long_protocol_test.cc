// The long form of protocol_test: other pairs of writers, the collector and a
// crash in every interleaving.  Minutes; tools/race runs it.

#include "gtest/gtest.h"
#include "tests/simulation/expect.h"

namespace reclaim::simulation {
namespace {

TEST(LongProtocolTest, AnUploadAndAPut) {
  Scenario scenario;
  scenario.writers = {WriterKind::kUploads, WriterKind::kPuts};
  scenario.may_crash = false;
  ExpectSafe("upload and put", scenario);
}

TEST(LongProtocolTest, APullWhileTheTagMovesAndACrash) {
  Scenario scenario;
  scenario.writers = {WriterKind::kPulls, WriterKind::kPuts};
  ExpectSafe("a pull, a put that moves the tag, and a crash", scenario);
}

TEST(LongProtocolTest, AnUploadAndACrash) {
  Scenario scenario;
  scenario.writers = {WriterKind::kUploads, WriterKind::kNone};
  ExpectSafe("upload and a crash", scenario);
}

TEST(LongProtocolTest, AnUploadAPutAndACrash) {
  Scenario scenario;
  scenario.writers = {WriterKind::kUploads, WriterKind::kPuts};
  ExpectSafe("upload, put and a crash", scenario);
}

TEST(LongProtocolTest, TwoPutsThatLookInStepsAndACrash) {
  Scenario scenario;
  scenario.registry.looks_in_steps = true;
  ExpectSafe("two puts that look in steps, and a crash", scenario);
}

TEST(LongProtocolTest, TwoOrchestratorsAndACrash) {
  ExpectSafe("two records and a crash", Records(true));
}

}  // namespace
}  // namespace reclaim::simulation
