// Every system call of the store layer fails, once and for good.
//
// For each step of a collection (scan, apply, restore, purge, recovery) the
// n-th call fails, n = 0, 1, 2, ... until the step ends without having met the
// fault (TRUST D.3, "I/O faults").  The short form takes one errno for each n,
// in turn; RECLAIM_FAULTS=all takes every one of them for every n.

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/fault_point.h"
#include "gtest/gtest.h"
#include "tests/faults/fault_suite.h"
#include "tests/faults/fault_world.h"

namespace reclaim::gc {
namespace {

using Step = FaultWorld::Step;

constexpr int kCallMax = 5000;

struct Figures {
  uint64_t run_count = 0;
  std::map<std::string, int> failed;  // by site
};
Figures& Total() {
  static auto* const kTotal = new Figures;
  return *kTotal;
}

bool TakesAll() {
  const char* all = std::getenv("RECLAIM_FAULTS");
  return all != nullptr && std::strcmp(all, "all") == 0;
}

class IoFaultTest : public ::testing::TestWithParam<FaultCase> {
 protected:
  // False once the step ends before the fault.
  bool RunOnce(int error, int pass_count, bool is_lasting) {
    const auto [kind, step] = GetParam();
    SCOPED_TRACE(absl::StrCat(ToString(step), ": call ", pass_count, " fails ",
                              is_lasting ? "for good" : "once", " with ",
                              std::strerror(error)));
    FaultWorld world;
    world.Begin(kind, step);
    std::map<std::string, int> failed;
    {
      base::ScopedErrno fault(error, pass_count, is_lasting);
      // Whether it says so or ends well: the oracle decides.
      world.Take(step).IgnoreError();
      failed = fault.failed();
    }
    ++Total().run_count;
    for (const auto& [site, count] : failed) Total().failed[site] += count;
    world.ExpectNothingLost();
    if (!failed.empty()) world.ExpectRecovery();
    return !failed.empty();
  }

  void RunAll(bool is_lasting) {
    for (int n = 0; n < kCallMax; ++n) {
      bool has_met = false;
      if (TakesAll()) {
        for (const int error : kFaultErrors) {
          has_met |= RunOnce(error, n, is_lasting);
        }
      } else {
        has_met = RunOnce(kFaultErrors[n % kFaultErrorCount], n, is_lasting);
      }
      if (HasFailure()) return;
      if (!has_met) return;
    }
    FAIL() << "the step makes more calls than can be tried";
  }
};

TEST_P(IoFaultTest, EachCallFailsOnce) { RunAll(false); }
TEST_P(IoFaultTest, EachCallFailsForGood) { RunAll(true); }

INSTANTIATE_TEST_SUITE_P(Steps, IoFaultTest, ::testing::ValuesIn(FaultCases()),
                         FaultCaseName);

// The sites that the sources have.
std::set<std::string> Sites() {
  std::set<std::string> sites;
  const std::regex site("(?:SystemCall|RepeatedCall)\\(\\s*\"([a-z0-9.]+)\"");
  for (const char* source :
       {"store/rooted_dir.cc", "store/rooted_dir_write.cc"}) {
    std::ifstream file(source);
    std::ostringstream text;
    text << file.rdbuf();
    const std::string all = text.str();
    EXPECT_FALSE(all.empty()) << source;
    for (std::sregex_iterator it(all.begin(), all.end(), site), end; it != end;
         ++it) {
      sites.insert((*it)[1].str());
    }
  }
  return sites;
}

// After all tests: prints the figures, and that no site was left out.
class FiguresEnvironment final : public ::testing::Environment {
 public:
  void TearDown() override {
    std::set<std::string> sites = Sites();
    // Only where a file system does not tell types in its listings.
    sites.erase("list.fstatat");
    EXPECT_GT(sites.size(), 15u);
    size_t covered = 0;
    for (const std::string& site : sites) covered += Total().failed.count(site);
    std::printf(
        "I/O faults: %llu runs, %zu of %zu call sites, %d errors, lost in: "
        "%d\n",
        static_cast<unsigned long long>(Total().run_count), covered,
        sites.size(), kFaultErrorCount, TellLost());
    ::testing::Test::RecordProperty("figure_runs_with_a_failing_system_call",
                                    std::to_string(Total().run_count));
    if (!::testing::GTEST_FLAG(filter).compare("*")) {
      for (const std::string& site : sites) {
        EXPECT_EQ(Total().failed.count(site), 1u)
            << site << " has never failed";
      }
    }
  }
};

}  // namespace

::testing::Environment* NewFiguresEnvironment() {
  return new FiguresEnvironment;
}

}  // namespace reclaim::gc

int main(int argc, char** argv) {
  return reclaim::gc::RunFaultTests(argc, argv,
                                    reclaim::gc::NewFiguresEnvironment());
}
