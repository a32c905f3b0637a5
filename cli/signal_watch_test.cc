#include "cli/signal_watch.h"

#include <signal.h>

#include "gtest/gtest.h"

namespace reclaim::cli {
namespace {

TEST(SignalWatchTest, TheFirstOfEachKindIsRemembered) {
  SignalWatch watch;
  EXPECT_EQ(SignalWatch::Caught(), 0);
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
    ASSERT_EQ(raise(number), 0);
    EXPECT_EQ(SignalWatch::Caught(), number);
  }
}

TEST(SignalWatchTest, OnceTheRunIsKnownNoneEndsTheProgram) {
  SignalWatch watch;
  raise(SIGTERM);
  watch.Hold();
  EXPECT_EQ(SignalWatch::Caught(), SIGTERM) << "it is for the run";
  raise(SIGTERM);
  raise(SIGTERM);
  EXPECT_EQ(SignalWatch::Caught(), SIGTERM);
}

// Of a kind that no shell makes its children ignore.
TEST(SignalWatchDeathTest, ASecondOneBeforeThatEndsTheProgram) {
  EXPECT_EXIT(
      {
        SignalWatch watch;
        raise(SIGTERM);
        raise(SIGTERM);
      },
      ::testing::KilledBySignal(SIGTERM), "");
}

TEST(SignalWatchDeathTest, WhatWasBeforeIsAgain) {
  {
    SignalWatch watch;
    watch.Hold();
    raise(SIGTERM);
  }
  EXPECT_EQ(SignalWatch::Caught(), 0);
  EXPECT_EXIT(raise(SIGTERM), ::testing::KilledBySignal(SIGTERM), "");
}

}  // namespace
}  // namespace reclaim::cli
