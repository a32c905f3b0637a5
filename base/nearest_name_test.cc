#include "base/nearest_name.h"

#include "gtest/gtest.h"

namespace reclaim::base {
namespace {

TEST(NearestNameTest, DistancesAreLevenshteins) {
  EXPECT_EQ(EditDistance("", ""), 0u);
  EXPECT_EQ(EditDistance("", "abc"), 3u);
  EXPECT_EQ(EditDistance("kitten", "sitting"), 3u);
  EXPECT_EQ(EditDistance("sitting", "kitten"), 3u);
  EXPECT_EQ(EditDistance("same", "same"), 0u);
}

TEST(NearestNameTest, FindsWhatWasMeant) {
  const std::vector<std::string> names = {"listen.socket", "gc.grace_period",
                                          "gc.purge_interval", "store.uri"};
  EXPECT_EQ(NearestName("gc.grace_perod", names), "gc.grace_period");
  EXPECT_EQ(NearestName("gc.grace", names), "gc.grace_period");
  EXPECT_EQ(NearestName("socket", names), "listen.socket");
  EXPECT_EQ(NearestName("http.socket", names), "listen.socket");
  EXPECT_EQ(NearestName("store.url", names), "store.uri");
  EXPECT_EQ(NearestName("x", {}), "");
}

TEST(NearestNameTest, WhatIsFarIsNotMeant) {
  const std::vector<std::string> names = {"image", "scan", "df", "store"};
  EXPECT_EQ(NearestName("frobnicate", names), "");
  EXPECT_EQ(NearestName("xy", names), "");
  EXPECT_EQ(NearestName("", names), "");
  EXPECT_EQ(NearestName("imgae", names), "image");
  EXPECT_EQ(NearestName("scann", names), "scan");
  EXPECT_EQ(NearestName("dff", names), "df");
  EXPECT_EQ(NearestName("sto", names), "store");
}

}  // namespace
}  // namespace reclaim::base
