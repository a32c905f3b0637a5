// The long form of protocol_test: other pairs of writers, the collector and a
// crash in every interleaving.  Minutes; tools/race runs it.

#include "gtest/gtest.h"
#include "tests/simulation/expect.h"

namespace reclaim::simulation {
namespace {

TEST(LongProtocolTest, AnUploadAPutAndACrash) {
  Scenario scenario;
  scenario.writers = {WriterKind::kUploads, WriterKind::kPuts};
  ExpectSafe("upload, put and a crash", scenario);
}

TEST(LongProtocolTest, TwoOrchestratorsAndACrash) {
  ExpectSafe("two records and a crash", Records(true));
}

}  // namespace
}  // namespace reclaim::simulation
