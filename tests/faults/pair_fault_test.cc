// Every named fault point alone, and every pair of them: the second waits in
// the recovery from the first and in the collection after it (TRUST D.3).
//
// From the point on everything that passes it fails, as if the process had died
// there.  Beside them, pairs of system calls drawn at random: one fails in the
// step, another in the recovery (RECLAIM_SEED repeats a draw, RECLAIM_PAIRS
// sets how many).

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <limits>
#include <random>
#include <regex>
#include <set>
#include <sstream>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/fault_point.h"
#include "base/status_macros.h"
#include "gtest/gtest.h"
#include "store/types.h"
#include "tests/faults/fault_suite.h"
#include "tests/faults/fault_world.h"

namespace reclaim::gc {
namespace {

using Step = FaultWorld::Step;

struct Point {
  const char* name;
  int pass_count;
};

constexpr Point kPoints[] = {
    {"scan.before_removals", 0}, {"sweep.before_intent", 0},
    {"sweep.after_intent", 0},   {"sweep.after_move", 0},
    {"sweep.after_move", 1},     {"restore.after_move", 0},
    {"purge.after_intent", 0},   {"purge.after_free", 0},
    {"rooted_dir.move", 0},      {"rooted_dir.move", 2},
    {"engine.commit", 0},        {"engine.commit", 1},
    {"engine.commit", 3},        {"engine.sync", 0}};

uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  const char* given = std::getenv(name);
  uint64_t value = otherwise;
  if (given != nullptr && !absl::SimpleAtoi(given, &value)) value = otherwise;
  return value;
}

uint64_t Seed() {
  static const uint64_t kSeed =
      FromEnvironment("RECLAIM_SEED", std::random_device{}());
  return kSeed;
}

struct Figures {
  uint64_t alone_count = 0;
  uint64_t pair_count = 0;
  uint64_t call_pair_count = 0;
  std::set<std::string> met_first;
  std::set<std::string> met_second;
};
Figures& Total() {
  static auto* const kTotal = new Figures;
  return *kTotal;
}

// A new start, and then the whole of a collection.
absl::Status GoOn(FaultWorld* world) {
  for (const Step step :
       {Step::kRecover, Step::kScan, Step::kApply, Step::kPurge}) {
    RECLAIM_RETURN_IF_ERROR(world->Take(step));
  }
  return absl::OkStatus();
}

class PairFaultTest : public ::testing::TestWithParam<FaultCase> {
 protected:
  // Takes the step with the point armed; whether it was met.
  static bool Fail(const Point& point, FaultWorld* world, Step step) {
    base::ScopedFault fault(point.name, absl::UnavailableError("fault"),
                            point.pass_count);
    // Whether it says so or ends well: the oracle decides.
    world->Take(step).IgnoreError();
    return fault.hit_count() > point.pass_count;
  }
  static bool FailGoingOn(const Point& point, FaultWorld* world) {
    base::ScopedFault fault(point.name, absl::UnavailableError("fault"),
                            point.pass_count);
    GoOn(world).IgnoreError();  // as above
    return fault.hit_count() > point.pass_count;
  }

  // False if the step does not come by this point.
  bool RunAlone(const Point& first) {
    const auto [kind, step] = GetParam();
    SCOPED_TRACE(absl::StrCat(ToString(step), ": ", first.name, " after ",
                              first.pass_count));
    FaultWorld world;
    world.Begin(kind, step);
    if (!Fail(first, &world, step)) return false;
    ++Total().alone_count;
    Total().met_first.insert(first.name);
    world.ExpectNothingLost();
    world.ExpectRecovery();
    return true;
  }

  void RunPair(const Point& first, const Point& second) {
    const auto [kind, step] = GetParam();
    SCOPED_TRACE(absl::StrCat(ToString(step), ": ", first.name, " after ",
                              first.pass_count, ", then ", second.name,
                              " after ", second.pass_count));
    FaultWorld world;
    world.Begin(kind, step);
    Fail(first, &world, step);
    if (FailGoingOn(second, &world)) {
      ++Total().pair_count;
      Total().met_second.insert(second.name);
    }
    world.ExpectNothingLost();
    world.ExpectRecovery();
  }
};

TEST_P(PairFaultTest, EachNamedPointAloneAndBeforeEachOther) {
  for (const Point& first : kPoints) {
    const bool is_met = RunAlone(first);
    if (HasFailure()) return;
    if (!is_met) continue;
    for (const Point& second : kPoints) {
      RunPair(first, second);
      if (HasFailure()) return;
    }
  }
}

// How many system calls a step makes.
int CallCount(store::StoreKind kind, Step step, bool goes_on) {
  FaultWorld world;
  world.Begin(kind, step);
  if (goes_on) world.Take(step).IgnoreError();  // as if it had not failed
  base::ScopedErrno counter(EIO, std::numeric_limits<int>::max(), false);
  const absl::Status done = goes_on ? GoOn(&world) : world.Take(step);
  EXPECT_TRUE(done.ok()) << done;
  int count = 0;
  for (const auto& [site, reached] : counter.reached()) count += reached;
  return count;
}

TEST_P(PairFaultTest, CallsDrawnAtRandom) {
  const auto [kind, step] = GetParam();
  std::mt19937_64 random(Seed());
  const auto draw = [&random](int count) {
    return static_cast<int>(random() % static_cast<uint64_t>(count));
  };
  const auto draw_error = [&] { return kFaultErrors[draw(kFaultErrorCount)]; };
  const int first_count = CallCount(kind, step, false);
  const int second_count = CallCount(kind, step, true);
  const uint64_t pair_count = FromEnvironment("RECLAIM_PAIRS", 60);
  for (uint64_t i = 0; i < pair_count && !HasFailure(); ++i) {
    const int first = draw(first_count);
    const int second = draw(second_count);
    const int first_error = draw_error();
    const int second_error = draw_error();
    SCOPED_TRACE(absl::StrCat("RECLAIM_SEED=", Seed(), " ", ToString(step),
                              ": call ", first, " fails with ",
                              std::strerror(first_error), ", then call ",
                              second, " with ", std::strerror(second_error)));
    FaultWorld world;
    world.Begin(kind, step);
    {
      base::ScopedErrno fault(first_error, first, draw(2) == 0);
      world.Take(step).IgnoreError();  // the oracle decides
    }
    {
      base::ScopedErrno fault(second_error, second, draw(2) == 0);
      GoOn(&world).IgnoreError();  // as above
    }
    ++Total().call_pair_count;
    world.ExpectNothingLost();
    world.ExpectRecovery();
  }
}

INSTANTIATE_TEST_SUITE_P(Steps, PairFaultTest,
                         ::testing::ValuesIn(FaultCases()), FaultCaseName);

// The points that the sources of a collection have.
std::set<std::string> NamedPoints() {
  std::set<std::string> points;
  const std::regex point("FaultPoint\\(\\s*\"([a-z_.]+)\"");
  for (const char* source :
       {"gc/purge.cc", "gc/restore.cc", "gc/sweep.cc", "index/memory_engine.cc",
        "index/store_scanner.cc", "store/rooted_dir_write.cc"}) {
    std::ifstream file(source);
    std::ostringstream text;
    text << file.rdbuf();
    const std::string all = text.str();
    EXPECT_FALSE(all.empty()) << source;
    for (std::sregex_iterator it(all.begin(), all.end(), point), end; it != end;
         ++it) {
      points.insert((*it)[1].str());
    }
  }
  return points;
}

// After all tests: prints the figures, and that no point was left out.
class FiguresEnvironment final : public ::testing::Environment {
 public:
  void TearDown() override {
    std::printf(
        "fault points: %llu runs with one, %llu with two; %llu pairs of system "
        "calls (seed %llu); lost in: %d\n",
        static_cast<unsigned long long>(Total().alone_count),
        static_cast<unsigned long long>(Total().pair_count),
        static_cast<unsigned long long>(Total().call_pair_count),
        static_cast<unsigned long long>(Seed()), TellLost());
    ::testing::Test::RecordProperty("figure_runs_with_one_fault_point",
                                    std::to_string(Total().alone_count));
    ::testing::Test::RecordProperty("figure_runs_with_two_fault_points",
                                    std::to_string(Total().pair_count));
    ::testing::Test::RecordProperty("figure_runs_with_two_failing_system_calls",
                                    std::to_string(Total().call_pair_count));
    if (::testing::GTEST_FLAG(filter).compare("*") != 0) return;
    const std::set<std::string> points = NamedPoints();
    EXPECT_GT(points.size(), 8u);
    for (const std::string& point : points) {
      EXPECT_EQ(Total().met_first.count(point), 1u) << point << " first";
      EXPECT_EQ(Total().met_second.count(point), 1u) << point << " second";
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
