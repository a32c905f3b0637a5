#include "rpc/peer_rates.h"

#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/simulated_clock.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace reclaim::rpc {
namespace {

using ::reclaim::base::IsOk;
using ::testing::HasSubstr;

class PeerRatesTest : public ::testing::Test {
 protected:
  // How many of `count` calls at once are heard.
  int Heard(const std::string& actor, int count) {
    int heard = 0;
    for (int i = 0; i < count; ++i) heard += rates_.Admit(actor).ok() ? 1 : 0;
    return heard;
  }

  base::SimulatedClock clock_;
  PeerRates rates_{3, &clock_};
};

TEST_F(PeerRatesTest, TwoSecondsCallsAtOnceAndThenTheRate) {
  EXPECT_EQ(Heard("cn:ci", 100), 6);
  const absl::Status refused = rates_.Admit("cn:ci");
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(refused.message()),
              HasSubstr("cn:ci makes more than 3 calls a second"));
  clock_.Advance(absl::Milliseconds(333));
  EXPECT_EQ(Heard("cn:ci", 100), 0);
  clock_.Advance(absl::Milliseconds(1));
  EXPECT_EQ(Heard("cn:ci", 100), 1) << "what was refused counts for nothing";
  clock_.Advance(absl::Seconds(1));
  EXPECT_EQ(Heard("cn:ci", 100), 3);
  clock_.Advance(absl::Hours(1000));
  EXPECT_EQ(Heard("cn:ci", 100), 6) << "no more is saved than that";
}

TEST_F(PeerRatesTest, TheRateIsHeldForAsLongAsYouLike) {
  Heard("cn:ci", 6);
  int heard = 0;
  for (int i = 0; i < 1000; ++i) {
    clock_.Advance(absl::Milliseconds(100));
    heard += Heard("cn:ci", 5);
  }
  EXPECT_EQ(heard, 300);
}

// The wall clock says nothing of how long a second is.
TEST_F(PeerRatesTest, AClockThatIsSetChangesNothing) {
  Heard("cn:ci", 6);
  for (const absl::Duration step : {absl::Hours(24), -absl::Hours(48)}) {
    clock_.Jump(clock_.Now() + step);
    EXPECT_EQ(Heard("cn:ci", 1), 0);
  }
}

TEST_F(PeerRatesTest, EachPeerHasItsOwn) {
  EXPECT_EQ(Heard("cn:ci", 10), 6);
  EXPECT_EQ(Heard("cn:web", 10), 6);
  EXPECT_EQ(Heard("uid:1000", 10), 6);
}

TEST_F(PeerRatesTest, AnAddressIsOnePeerOnEachOfItsPorts) {
  EXPECT_EQ(Heard("ipv4:127.0.0.1:1000", 4), 4);
  EXPECT_EQ(Heard("ipv4:127.0.0.1:1001", 4), 2);
  EXPECT_EQ(Heard("ipv4:127.0.0.2:1000", 4), 4);
  EXPECT_EQ(Heard("ipv6:%5B::1%5D:1000", 4), 4);
  EXPECT_EQ(Heard("ipv6:%5B::1%5D:1001", 4), 2);
  EXPECT_EQ(Heard("cn:a:1", 6), 6);
  EXPECT_EQ(Heard("cn:a:2", 6), 6) << "a name is no address";
}

TEST_F(PeerRatesTest, RootIsAlwaysHeard) {
  EXPECT_EQ(Heard("uid:0", 1000), 1000);
  EXPECT_EQ(Heard("cn:uid:0", 1000), 6) << "who says that he is root";
}

TEST_F(PeerRatesTest, ThoseWhoAreTooManyShareOne) {
  for (size_t i = 0; i < PeerRates::kPeerMax; ++i) {
    ASSERT_THAT(rates_.Admit(absl::StrCat("cn:", i)), IsOk());
  }
  EXPECT_EQ(Heard("cn:late", 4), 4);
  EXPECT_EQ(Heard("cn:later", 4), 2);
  EXPECT_EQ(Heard("cn:0", 10), 5) << "who was there before";
  // Those whose buckets are full again make room.
  clock_.Advance(absl::Seconds(1));
  EXPECT_EQ(Heard("cn:latest", 10), 6);
}

TEST_F(PeerRatesTest, NoneIsNoLimit) {
  PeerRates none(0, &clock_);
  for (int i = 0; i < 10'000; ++i) ASSERT_THAT(none.Admit("cn:ci"), IsOk());
}

}  // namespace
}  // namespace reclaim::rpc
