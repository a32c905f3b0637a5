#include "oci/image_config.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "base/status_matchers.h"
#include "gtest/gtest.h"

namespace reclaim::oci {
namespace {

using ::reclaim::base::IsOk;
using ::reclaim::base::StatusIs;

TEST(ImageConfigTest, ReadsWhatListingsShow) {
  const auto config = ParseImageConfig(R"({
    "created":"2024-05-06T07:08:09.5Z","os":"linux","architecture":"arm64",
    "variant":"v8","config":{"Labels":{"keep":"yes","n":5}},
    "rootfs":{"type":"layers","diff_ids":["sha256:a","sha256:b"]},
    "history":[{"created_by":"RUN a"},
               {"created_by":"ENV b","empty_layer":true}]})");
  ASSERT_THAT(config, IsOk());
  EXPECT_EQ(config->os, "linux");
  EXPECT_EQ(config->variant, "v8");
  EXPECT_EQ(config->labels.size(), 1u);
  EXPECT_EQ(config->labels.at("keep"), "yes");
  EXPECT_EQ(config->diff_ids.size(), 2u);
  ASSERT_EQ(config->history.size(), 2u);
  EXPECT_TRUE(config->history[1].is_empty_layer);
  EXPECT_EQ(absl::ToUnixMillis(*config->created), 1714979289500);
}

TEST(ImageConfigTest, AbsentMembersAreEmpty) {
  const auto config = ParseImageConfig("{}");
  ASSERT_THAT(config, IsOk());
  EXPECT_FALSE(config->created);
  EXPECT_TRUE(config->labels.empty());
}

TEST(ImageConfigTest, AnUnreadableTimeIsUnset) {
  for (const char* text :
       {"yesterday", "infinite-past", "infinite-future", "1-1-1T0:0:0Z"}) {
    EXPECT_FALSE(
        ParseImageConfig(absl::StrCat(R"({"created":")", text, "\"}"))->created)
        << text;
  }
}

TEST(ImageConfigTest, RefusesWrongShapes) {
  EXPECT_FALSE(ParseImageConfig("[]").ok());
  EXPECT_FALSE(ParseImageConfig(R"({"history":{}})").ok());
  EXPECT_FALSE(ParseImageConfig(R"({"history":[1]})").ok());
  EXPECT_FALSE(ParseImageConfig(R"({"rootfs":{"diff_ids":[1]}})").ok());
}

TEST(ImageConfigTest, NamesItsLimits) {
  std::string labels;
  std::string steps;
  for (int i = 0; i < 65536; ++i) {
    absl::StrAppend(&labels, "\"", i, "\":\"\",");
    steps += "{},";
  }
  const auto labelled = [&](const std::string& last) {
    return ParseImageConfig(
        absl::StrCat(R"({"config":{"Labels":{)", labels, last, "}}}"));
  };
  EXPECT_THAT(labelled("\"x\":\"\",\"y\":\"\""),
              StatusIs(absl::StatusCode::kResourceExhausted));
  labels.pop_back();
  EXPECT_EQ(labelled("")->labels.size(), 65536u);
  EXPECT_THAT(ParseImageConfig(absl::StrCat(R"({"history":[)", steps, "{}]}")),
              StatusIs(absl::StatusCode::kResourceExhausted));
  steps.pop_back();
  EXPECT_EQ(ParseImageConfig(absl::StrCat(R"({"history":[)", steps, "]}"))
                ->history.size(),
            65536u);
}

}  // namespace
}  // namespace reclaim::oci
