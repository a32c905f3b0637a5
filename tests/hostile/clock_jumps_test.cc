// The machine's clock leaps, by sixty spans and to dates where others' clocks
// have failed: what a name reaches is there after all of them, and nothing is
// freed or taken before its time.  First by the bare wall clock, which has
// reached the end of each term that it is set beyond; then by the daemon's
// (base/leap_clock.h), by which nothing ends because of a leap.  It leaps
// between two deeds, and in the midst of a sweep and of a purge.
//
// RECLAIM_LEAPS adds so many that are drawn, RECLAIM_SEED repeats them.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/leap_clock.h"
#include "base/simulated_clock.h"
#include "base/status_matchers.h"
#include "gc/audit.h"
#include "gc/collector.h"
#include "gc/collector_fixture.h"
#include "gc/plan.h"
#include "gc/prune_request.h"
#include "gc/run.h"
#include "gtest/gtest.h"
#include "index/memory_engine.h"
#include "index/mutation.h"
#include "oci/digest.h"
#include "store/testing/store_tree.h"
#include "tests/support/seed.h"

namespace reclaim::gc {
namespace {

using ::reclaim::base::IsOk;

constexpr absl::Duration kDay = absl::Hours(24);
constexpr absl::Duration kYear = absl::Hours(365 * 24);

// Sixty instants to which a clock that shows `now` may leap.
std::vector<absl::Time> FixedLeaps(absl::Time now) {
  std::vector<absl::Time> leaps;
  const absl::Duration spans[] = {absl::Seconds(1),  absl::Seconds(59),
                                  absl::Minutes(1),  absl::Minutes(10),
                                  absl::Minutes(59), absl::Hours(1),
                                  absl::Hours(2),    absl::Hours(12),
                                  absl::Hours(23),   kDay,
                                  absl::Hours(25),   2 * kDay,
                                  6 * kDay,          7 * kDay,
                                  8 * kDay,          30 * kDay,
                                  31 * kDay,         90 * kDay,
                                  180 * kDay,        kYear,
                                  2 * kYear,         5 * kYear,
                                  10 * kYear,        15 * kYear,
                                  20 * kYear};
  for (const absl::Duration span : spans) {
    leaps.push_back(now + span);
    leaps.push_back(now - span);
  }
  for (const int64_t seconds :
       {int64_t{0}, int64_t{1}, int64_t{-1},          // 1970
        int64_t{946684800}, int64_t{1230768000},      // 2000, 2009
        (int64_t{1} << 31) - 1, int64_t{1} << 31,     // 2038
        (int64_t{1} << 32) - 1, int64_t{1} << 32}) {  // 2106
    leaps.push_back(absl::FromUnixSeconds(seconds));
  }
  leaps.push_back(now);
  return leaps;
}

// Those, and the drawn ones: spans of each order up to seventeen years, and
// dates from 1970 to 2106.
std::vector<absl::Time> Leaps(absl::Time now) {
  constexpr int kSpanBits = 29;
  std::vector<absl::Time> leaps = FixedLeaps(now);
  const char* const asked = std::getenv("RECLAIM_LEAPS");
  int count = 0;
  if (asked == nullptr || !absl::SimpleAtoi(asked, &count)) return leaps;
  static const uint64_t kSeed = tests::AskSeed();
  std::mt19937_64 random(kSeed);
  const auto draw = [&random](int bits) {
    return static_cast<int64_t>(random() >> (64 - bits));
  };
  for (int i = 0; i < count; ++i) {
    const int64_t span = draw(1 + i % kSpanBits);
    if (i % 4 == 0) {
      leaps.push_back(absl::FromUnixSeconds(draw(32)));
    } else {
      leaps.push_back(now + absl::Seconds(i % 2 == 0 ? span : -span));
    }
  }
  return leaps;
}

// Sets the clock in the midst of a batch: what goes has been judged and
// recorded, and is not yet moved or freed.
class Leaper final : public DeletionAudit {
 public:
  explicit Leaper(base::SimulatedClock* clock) : clock_(*clock) {}

  // After `pass_count` more batches.
  void Arm(absl::Time leap, int pass_count) {
    leap_ = leap;
    pass_count_ = pass_count;
  }
  bool HasLeapt() const { return !leap_.has_value(); }
  absl::Status Record(const DeletionRecord&) override {
    if (leap_ && pass_count_-- == 0) {
      clock_.Jump(*leap_);
      leap_.reset();
    }
    return absl::OkStatus();
  }

 private:
  base::SimulatedClock& clock_;
  std::optional<absl::Time> leap_;
  int pass_count_ = 0;
};

class ClockJumpsTest : public CollectorFixture {
 protected:
  ClockJumpsTest() { WriteTree(); }

  void WriteTree() {
    live_ = tree_.Image("app", "v1", {"base", "new"});
    old_ = tree_.Image("app", "", {"base", "old"});
  }

  // One tree, seen anew for each leap; its files are of `written`.
  void Begin(absl::Time written) {
    collector_.reset();
    graph_.reset();
    engine_ = std::make_unique<index::MemoryEngine>();
    clock_.Jump(start_);
    SetTimes("", written);
    Restart();
    collector_->SetAudit(&leaper_);
    ASSERT_THAT(collector_->Recover(), IsOk());
    Scan();
  }
  void Begin() { Begin(start_ - absl::Hours(1000)); }
  void LeapTo(absl::Time leap) {
    clock_.Jump(leap);
    ASSERT_THAT(collector_->Scan("s", false, "test", {}), IsOk());
    // The graph's own clock doesn't go back, as a recount at `leap` would.
    if (leap >= start_) ExpectExact();
  }
  void ExpectLive() {
    for (const oci::Digest& digest :
         {live_, oci::Digest::Sha256Of("base"), oci::Digest::Sha256Of("new")}) {
      EXPECT_TRUE(folder_.Exists(tree_.BlobPath(digest)));
    }
    EXPECT_TRUE(HasTag("app", "v1"));
  }
  gc::Run PurgeByPeriod(const RunControl& control = {}) {
    PurgeRequest request;
    request.store = "s";
    request.actor = "test";
    const auto run = collector_->Purge(request, control);
    EXPECT_THAT(run, IsOk());
    return run.ok() ? *run : gc::Run();
  }
  // For a day.
  void LeaseOld() {
    index::PutLease lease;
    lease.store = "s";
    lease.id = "mine";
    lease.owner = "test";
    lease.expires = start_ + kDay;
    lease.targets.emplace_back();
    lease.targets.back().content = index::ContentName{"s", "", old_};
    ASSERT_THAT(Record({lease}), IsOk());
  }
  // Of which each item is a batch.
  PruneRequest SlowRequest() const {
    PruneRequest request = Request();
    request.policy.batch_item_count = 1;
    return request;
  }
  void RecordLeaps() {
    RecordProperty("figure_leaps_of_the_clock",
                   static_cast<int>(Leaps(start_).size()));
  }

  store::RegistryTree tree_{&folder_};
  Leaper leaper_{&clock_};
  oci::Digest live_, old_;
  const absl::Time start_ = absl::FromUnixSeconds(1767225600);  // 2026
};

TEST_F(ClockJumpsTest, ThereAreSixty) {
  EXPECT_EQ(FixedLeaps(start_).size(), 60u);
}

// What the period keeps can be given back, whatever the clock does in between.
TEST_F(ClockJumpsTest, QuarantineIsNotFreedBeforeItsPeriodEnds) {
  for (const absl::Time leap : Leaps(start_)) {
    SCOPED_TRACE(absl::StrCat("to ", absl::FormatTime(leap)));
    Begin();
    const std::string before = folder_.Snapshot();
    const gc::Run pruned = Prune();
    ASSERT_GT(pruned.blob_count, 0u);
    LeapTo(leap);
    const gc::Run purged = PurgeByPeriod();
    ExpectLive();
    if (leap - start_ < kDay) {
      EXPECT_EQ(purged.blob_count, 0u);
      EXPECT_THAT(RestoreRun(pruned.id), IsOk());
      EXPECT_EQ(folder_.Snapshot(), before);
    } else {
      EXPECT_EQ(purged.blob_count, pruned.blob_count);
      tree_.Image("app", "", {"base", "old"});
    }
  }
  RecordLeaps();
}

// A file whose time is to come is young, and a leap makes nothing young old
// but by the span that it is.
TEST_F(ClockJumpsTest, GraceIsKept) {
  PruneRequest request = Request();
  request.policy.grace_period = kDay;
  for (const absl::Time leap : Leaps(start_)) {
    SCOPED_TRACE(absl::StrCat("to ", absl::FormatTime(leap)));
    Begin(start_);
    LeapTo(leap);
    const WholePlan plan = MakePlan(request);
    if (leap - start_ < kDay) {
      EXPECT_TRUE(plan.items.empty()) << "young content is planned";
    }
    for (const PlanItem& item : plan.items) {
      EXPECT_TRUE(!item.digest || *item.digest != live_);
    }
    ExpectLive();
  }
  RecordLeaps();
}

TEST_F(ClockJumpsTest, ALeaseHoldsUntilItEnds) {
  for (const absl::Time leap : Leaps(start_)) {
    SCOPED_TRACE(absl::StrCat("to ", absl::FormatTime(leap)));
    Begin();
    const WholePlan plan = MakePlan(Request());
    EXPECT_FALSE(plan.items.empty());
    LeaseOld();
    LeapTo(leap);
    for (const PlanItem& item : MakePlan(Request()).items) {
      EXPECT_TRUE(!item.digest || *item.digest != old_ || leap - start_ > kDay);
    }
    // A plan of before the leap is judged anew at the deed, or has expired.
    const auto run = Apply(plan);
    EXPECT_TRUE(!run.ok() || run->blob_count == 0);
    ExpectLive();
    EXPECT_TRUE(folder_.Exists(tree_.BlobPath(old_)));
  }
  RecordLeaps();
}

// What was taken before the leap and after it is one run, which can be given
// back for as long as was promised when it began.
TEST_F(ClockJumpsTest, ALeapWithinASweepEndsNoPeriodEarly) {
  for (const absl::Time leap : Leaps(start_)) {
    SCOPED_TRACE(absl::StrCat("to ", absl::FormatTime(leap)));
    Begin();
    const std::string before = folder_.Snapshot();
    const WholePlan plan = MakePlan(SlowRequest());
    leaper_.Arm(leap, 1);
    const auto swept = Apply(plan);
    ASSERT_THAT(swept, IsOk());
    EXPECT_TRUE(leaper_.HasLeapt());
    EXPECT_EQ(swept->item_count, plan.items.size());
    const gc::Run purged = PurgeByPeriod();
    ExpectLive();
    if (leap - start_ < kDay) {
      EXPECT_EQ(purged.blob_count, 0u);
      EXPECT_THAT(RestoreRun(swept->id), IsOk());
      EXPECT_EQ(folder_.Snapshot(), before);
    } else {
      EXPECT_EQ(purged.blob_count, swept->blob_count);
      tree_.Image("app", "", {"base", "old"});
    }
  }
  RecordLeaps();
}

// A sweep judges by the moment at which it began.
TEST_F(ClockJumpsTest, ALeaseThatALeapEndsWithinASweepHoldsToItsEnd) {
  for (const absl::Time leap : Leaps(start_)) {
    SCOPED_TRACE(absl::StrCat("to ", absl::FormatTime(leap)));
    Begin();
    const WholePlan plan = MakePlan(SlowRequest());
    ASSERT_GT(plan.items.size(), 1u);
    LeaseOld();
    RunControl control;
    control.on_progress = [&](const gc::Run& run) {
      if (run.progress.done_count == 1) clock_.Jump(leap);
    };
    const auto run = Apply(plan, control);
    ASSERT_THAT(run, IsOk());
    EXPECT_EQ(run->blob_count, 0u);
    EXPECT_EQ(clock_.Now(), leap);
    ExpectLive();
    EXPECT_TRUE(folder_.Exists(tree_.BlobPath(old_)));
    EXPECT_TRUE(folder_.Exists(tree_.BlobPath(oci::Digest::Sha256Of("old"))));
  }
  RecordLeaps();
}

// The daemon's clock, on a machine that has been up for an hour.
class HeldClockTest : public ClockJumpsTest {
 protected:
  HeldClockTest() { clock_.Advance(absl::Hours(1)); }
  ~HeldClockTest() override {
    collector_.reset();
    graph_.reset();
  }

  void BeginHeld(absl::Time written) {
    collector_.reset();
    graph_.reset();
    clock_.Jump(start_);
    leap_ = std::make_unique<base::LeapClock>(
        &clock_, [this] { return clock_.Monotonic(); });
    leap_->Begin("boot", std::nullopt);
    time_ = leap_.get();
    period_time_ = leap_->latest();
    Begin(written);
  }
  void BeginHeld() { BeginHeld(start_ - absl::Hours(1000)); }
  // With a tree that nothing was taken from.
  void BeginAnew() {
    folder_.Remove(".reclaim");
    folder_.Remove("docker");
    WriteTree();
    BeginHeld();
  }
  void Pass(absl::Duration time) {
    for (; time > absl::ZeroDuration(); time -= absl::Hours(1)) {
      clock_.Advance(std::min(time, absl::Hours(1)));
      leap_->Now();
    }
  }

  std::unique_ptr<base::LeapClock> leap_;
};

TEST_F(HeldClockTest, QuarantineOutlivesEveryLeap) {
  for (const absl::Time leap : Leaps(start_)) {
    SCOPED_TRACE(absl::StrCat("to ", absl::FormatTime(leap)));
    BeginHeld();
    const std::string before = folder_.Snapshot();
    const gc::Run pruned = Prune();
    ASSERT_GT(pruned.blob_count, 0u);
    LeapTo(leap);
    EXPECT_EQ(PurgeByPeriod().blob_count, 0u);
    Pass(absl::Hours(23));
    EXPECT_EQ(PurgeByPeriod().blob_count, 0u);
    ExpectLive();
    EXPECT_THAT(RestoreRun(pruned.id), IsOk());
    EXPECT_EQ(folder_.Snapshot(), before);
  }
  RecordLeaps();
}

TEST_F(HeldClockTest, GraceOutlivesEveryLeap) {
  PruneRequest request = Request();
  request.policy.grace_period = kDay;
  for (const absl::Time leap : Leaps(start_)) {
    SCOPED_TRACE(absl::StrCat("to ", absl::FormatTime(leap)));
    BeginHeld(start_);
    LeapTo(leap);
    EXPECT_TRUE(MakePlan(request).items.empty());
    Pass(absl::Hours(23));
    EXPECT_TRUE(MakePlan(request).items.empty());
    // What is written meanwhile is of the future, and so it is young.
    SetTimes("", clock_.Now());
    LeapTo(clock_.Now());
    EXPECT_TRUE(MakePlan(request).items.empty());
    ExpectLive();
  }
  RecordLeaps();
}

TEST_F(HeldClockTest, ALeaseOutlivesEveryLeap) {
  for (const absl::Time leap : Leaps(start_)) {
    SCOPED_TRACE(absl::StrCat("to ", absl::FormatTime(leap)));
    BeginHeld();
    LeaseOld();
    LeapTo(leap);
    for (const absl::Duration time : {absl::ZeroDuration(), absl::Hours(23)}) {
      Pass(time);
      for (const PlanItem& item : MakePlan(Request()).items) {
        EXPECT_TRUE(!item.digest || *item.digest != old_);
      }
    }
    ExpectLive();
  }
  RecordLeaps();
}

TEST_F(HeldClockTest, APlanOutlivesALeapForward) {
  for (const absl::Time leap : Leaps(start_)) {
    if (leap < start_) continue;
    SCOPED_TRACE(absl::StrCat("to ", absl::FormatTime(leap)));
    BeginHeld();
    const WholePlan plan = MakePlan(Request());
    clock_.Jump(leap);
    const auto run = Apply(plan);
    ASSERT_THAT(run, IsOk());
    EXPECT_GT(run->blob_count, 0u);
    ExpectLive();
    EXPECT_THAT(RestoreRun(run->id), IsOk());
  }
}

TEST_F(HeldClockTest, ALeapWithinASweepEndsNoPeriodEarly) {
  for (const absl::Time leap : Leaps(start_)) {
    SCOPED_TRACE(absl::StrCat("to ", absl::FormatTime(leap)));
    BeginHeld();
    const std::string before = folder_.Snapshot();
    const WholePlan plan = MakePlan(SlowRequest());
    leaper_.Arm(leap, 1);
    const auto swept = Apply(plan);
    ASSERT_THAT(swept, IsOk());
    EXPECT_TRUE(leaper_.HasLeapt());
    EXPECT_EQ(swept->item_count, plan.items.size());
    for (const absl::Duration time : {absl::ZeroDuration(), absl::Hours(23)}) {
      Pass(time);
      EXPECT_EQ(PurgeByPeriod().blob_count, 0u);
    }
    ExpectLive();
    EXPECT_THAT(RestoreRun(swept->id), IsOk());
    EXPECT_EQ(folder_.Snapshot(), before);
  }
  RecordLeaps();
}

// Of two runs in quarantine the first is due.
TEST_F(HeldClockTest, ALeapWithinAPurgeFreesNothingEarly) {
  const absl::Time due = start_ + kDay + absl::Hours(1);
  for (const bool is_in_batch : {false, true}) {
    for (const absl::Time leap : Leaps(due)) {
      SCOPED_TRACE(absl::StrCat(is_in_batch ? "in a batch" : "at its begin",
                                ", to ", absl::FormatTime(leap)));
      BeginAnew();
      const gc::Run first = Prune();
      Pass(absl::Hours(12));
      tree_.Image("app", "", {"base", "later"});
      SetTimes("docker", start_ - absl::Hours(1000));
      ASSERT_THAT(collector_->Scan("s", /*from_nothing=*/true, "test", {}),
                  IsOk());
      const gc::Run second = Prune();
      ASSERT_GT(first.blob_count, 0u);
      ASSERT_GT(second.blob_count, 0u);
      Pass(absl::Hours(13));
      RunControl control;
      if (is_in_batch) {
        leaper_.Arm(leap, 0);
      } else {
        control.on_progress = [&](const gc::Run&) { clock_.Jump(leap); };
      }
      const gc::Run purged = PurgeByPeriod(control);
      EXPECT_EQ(clock_.Now(), leap);
      EXPECT_LE(purged.blob_count, first.blob_count);
      if (leap >= due) {
        EXPECT_EQ(purged.blob_count, first.blob_count);
      }
      ExpectLive();
      EXPECT_THAT(RestoreRun(second.id), IsOk());
      EXPECT_TRUE(
          folder_.Exists(tree_.BlobPath(oci::Digest::Sha256Of("later"))));
    }
  }
  RecordLeaps();
}

// Nor does it make the writers done whom the proof has to come after.
TEST_F(HeldClockTest, ALeapBeforeTheProofMakesNoWriterDone) {
  writers_.write_duration_max = absl::Minutes(1);
  for (const absl::Time leap : Leaps(start_)) {
    SCOPED_TRACE(absl::StrCat("to ", absl::FormatTime(leap)));
    BeginHeld();
    const std::string before = folder_.Snapshot();
    const gc::Run pruned = Prune();
    ASSERT_GT(pruned.blob_count, 0u);
    PurgeRequest request;
    request.store = "s";
    request.before_period_ends = true;
    request.actor = "test";
    RunControl control;
    control.on_progress = [&](const gc::Run& run) {
      if (run.progress.step == "proof") clock_.Jump(leap);
    };
    const auto purged = collector_->Purge(request, control);
    ASSERT_THAT(purged, IsOk());
    EXPECT_EQ(clock_.Now(), leap);
    EXPECT_EQ(purged->item_count, 0u);
    ExpectLive();
    EXPECT_THAT(RestoreRun(pruned.id), IsOk());
    EXPECT_EQ(folder_.Snapshot(), before);
  }
  RecordLeaps();
}

// A leap that has stood for a day is taken on, and terms end by it.
TEST_F(HeldClockTest, WhatHasStoodIsTakenOn) {
  BeginHeld();
  const gc::Run pruned = Prune();
  LeapTo(start_ + 20 * kYear);
  Pass(kDay + absl::Hours(1));
  EXPECT_EQ(leap_->Now(), clock_.Now());
  EXPECT_EQ(PurgeByPeriod().blob_count, pruned.blob_count);
  ExpectLive();
}

// What is set aside while a leap is held has its whole period all the same.
TEST_F(HeldClockTest, APeriodThatBeginsWhileALeapIsHeldIsWhole) {
  BeginHeld();
  LeapTo(start_ + 7 * kDay);
  Pass(absl::Hours(23));
  const gc::Run pruned = Prune();
  ASSERT_GT(pruned.blob_count, 0u);
  Pass(absl::Hours(2));
  ASSERT_EQ(leap_->Now(), clock_.Now());
  EXPECT_EQ(PurgeByPeriod().blob_count, 0u);
  Pass(absl::Hours(21));
  EXPECT_EQ(PurgeByPeriod().blob_count, 0u);
  Pass(absl::Hours(2));
  EXPECT_EQ(PurgeByPeriod().blob_count, pruned.blob_count);
}

}  // namespace
}  // namespace reclaim::gc
