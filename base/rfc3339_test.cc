#include "base/rfc3339.h"

#include <string>

#include "absl/time/time.h"
#include "gtest/gtest.h"

namespace reclaim::base {
namespace {

TEST(Rfc3339Test, ReadsInstants) {
  const absl::Time second = absl::FromUnixSeconds(1767323045);
  EXPECT_EQ(ParseRfc3339("2026-01-02T03:04:05Z"), second);
  EXPECT_EQ(ParseRfc3339("2026-01-02T04:04:05+01:00"), second);
  EXPECT_EQ(ParseRfc3339("2026-01-01T22:34:05-04:30"), second);
  EXPECT_EQ(ParseRfc3339("2026-01-02T03:04:05.5Z"),
            second + absl::Milliseconds(500));
  EXPECT_EQ(ParseRfc3339("2026-01-02T04:04:05.123456789+01:00"),
            second + absl::Nanoseconds(123456789));
  EXPECT_TRUE(ParseRfc3339("0001-01-01T00:00:00Z").has_value());
  EXPECT_TRUE(ParseRfc3339("9999-12-31T23:59:59Z").has_value());
}

TEST(Rfc3339Test, WhatNobodyElseReadsIsNone) {
  for (const char* text : {"",
                           "infinite-past",
                           "infinite-future",
                           "yesterday",
                           "2026-01-02",
                           "2026-01-02T03:04:05",
                           "2026-01-02 03:04:05Z",
                           "2026-01-02T03:04Z",
                           " 2026-01-02T03:04:05Z",
                           "2026-01-02T03:04:05Z ",
                           "2026-01-02T03:04:05.Z",
                           "2026-01-02T03:04:05.5",
                           "1-1-1T0:0:0Z",
                           "+2026-01-02T03:04:05Z",
                           "-026-01-02T03:04:05Z",
                           "12026-01-02T03:04:05Z",
                           "2026-01-02T03:04:05+0100",
                           "2026-01-02T03:04:05+01",
                           "2026-13-02T03:04:05Z",
                           "2026-02-30T03:04:05Z",
                           "2026-01-02T24:00:00Z",
                           "2026-01-02t03:04:05z"}) {
    EXPECT_FALSE(ParseRfc3339(text).has_value()) << text;
  }
  EXPECT_FALSE(
      ParseRfc3339(std::string("2026-01-02T03:04:05Z\0", 21)).has_value());
}

}  // namespace
}  // namespace reclaim::base
