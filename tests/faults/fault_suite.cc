#include "tests/faults/fault_suite.h"

#include <unistd.h>

#include <cstdlib>

#include "absl/strings/str_cat.h"

namespace reclaim::gc {

std::vector<FaultCase> FaultCases() {
  using Step = FaultWorld::Step;
  std::vector<FaultCase> cases;
  for (const store::StoreKind kind :
       {store::StoreKind::kRegistry, store::StoreKind::kImageLayout}) {
    for (const Step step : {Step::kScan, Step::kApply, Step::kRestore,
                            Step::kPurge, Step::kRecover}) {
      cases.emplace_back(kind, step);
    }
  }
  return cases;
}

std::string FaultCaseName(const ::testing::TestParamInfo<FaultCase>& info) {
  const auto& [kind, step] = info.param;
  return absl::StrCat(
      kind == store::StoreKind::kRegistry ? "Registry" : "ImageLayout",
      ToString(step));
}

int TellLost() {
  const int count = ::testing::UnitTest::GetInstance()->failed_test_count();
  ::testing::Test::RecordProperty("figure_lost_in_faults", count);
  return count;
}

int RunFaultTests(int argc, char** argv, ::testing::Environment* figures) {
  if (access("/dev/shm", W_OK) == 0) setenv("TEST_TMPDIR", "/dev/shm", 1);
  ::testing::InitGoogleTest(&argc, argv);
  ::testing::AddGlobalTestEnvironment(figures);
  return RUN_ALL_TESTS();
}

}  // namespace reclaim::gc
