// Every case of SEMANTICS.md has a test here, or is listed as pending with what
// it waits for.  The list is printed.

#include <array>
#include <cstdio>
#include <map>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/string_view.h"
#include "gtest/gtest.h"

namespace reclaim::tests {
namespace {

constexpr int kCaseCount = 150;

struct PendingCase {
  int number;
  const char* waits_for;
};

// None now; a case that is added to the page may wait here.
constexpr std::array<PendingCase, 0> kPendingCases = {};

// "Case042_..." -> 42; 0 for other names.
int CaseNumber(absl::string_view test) {
  constexpr absl::string_view kPrefix = "Case";
  int number = 0;
  if (test.substr(0, kPrefix.size()) != kPrefix) return 0;
  if (!absl::SimpleAtoi(test.substr(kPrefix.size(), 3), &number)) return 0;
  return number;
}

std::map<int, int> TestCountByCase() {
  std::map<int, int> counts;
  const ::testing::UnitTest* unit = ::testing::UnitTest::GetInstance();
  for (int i = 0; i < unit->total_test_suite_count(); ++i) {
    const ::testing::TestSuite* suite = unit->GetTestSuite(i);
    for (int k = 0; k < suite->total_test_count(); ++k) {
      const int number = CaseNumber(suite->GetTestInfo(k)->name());
      if (number > 0) ++counts[number];
    }
  }
  return counts;
}

TEST(CoverageTest, EveryCaseIsTestedOrPending) {
  std::map<int, int> tests = TestCountByCase();
  std::map<int, const char*> pending;
  for (const PendingCase& waiting : kPendingCases) {
    EXPECT_EQ(tests.count(waiting.number), 0u)
        << "case " << waiting.number << " is tested: it is not pending";
    EXPECT_TRUE(pending.emplace(waiting.number, waiting.waits_for).second)
        << "case " << waiting.number << " is listed twice";
  }
  for (int number = 1; number <= kCaseCount; ++number) {
    EXPECT_TRUE(tests.count(number) > 0 || pending.count(number) > 0)
        << "case " << number << " has no test and is not listed as pending";
  }
  std::printf("%zu of %d cases tested, %zu pending:\n", tests.size(),
              kCaseCount, pending.size());
  for (const auto& [number, waits_for] : pending) {
    std::printf("  case %d waits for %s\n", number, waits_for);
  }
}

}  // namespace
}  // namespace reclaim::tests
