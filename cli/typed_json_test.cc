#include "cli/typed_json.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "reclaim/v1/collection.pb.h"
#include "reclaim/v1/usage.pb.h"

namespace reclaim::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(TypedJsonTest, NumbersTimesWordsAndMaps) {
  v1::Image image;
  image.set_store("hub");
  image.mutable_size()->set_logical_bytes(18446744073709551615u);
  image.mutable_create_time()->set_seconds(1700000000);
  image.add_references("app:v1");
  (*image.mutable_labels())["a\"b"] = "c\n";
  const std::string line = JsonLine("image", image);
  EXPECT_THAT(line, HasSubstr("\"message_type\":\"image\""));
  EXPECT_THAT(line, HasSubstr("\"schema_version\":1"));
  EXPECT_THAT(line, HasSubstr("\"logical_bytes\":18446744073709551615"));
  EXPECT_THAT(line, HasSubstr("\"create_time\":\"2023-11-14T22:13:20Z\""));
  EXPECT_THAT(line, HasSubstr("\"references\":[\"app:v1\"]"));
  EXPECT_THAT(line, HasSubstr("\"labels\":{\"a\\\"b\":\"c\\n\"}"));
  EXPECT_THAT(line, HasSubstr("\"is_dangling\":false"));
  EXPECT_THAT(line, HasSubstr("\"platforms\":[]"));
  EXPECT_THAT(line, Not(HasSubstr("last_used_time"))) << "nobody knows it";
}

TEST(TypedJsonTest, EnumerationsAreWordsAndFractionsStay) {
  v1::Run run;
  run.set_phase(v1::RUN_PHASE_SUCCEEDED);
  run.set_kind(v1::RUN_KIND_APPLY);
  run.mutable_end_time()->set_seconds(1);
  run.mutable_end_time()->set_nanos(500000000);
  const std::string line = JsonLine("status", run, {{"skipped_now_live", 3}});
  EXPECT_THAT(line, HasSubstr("\"phase\":\"succeeded\""));
  EXPECT_THAT(line, HasSubstr("\"kind\":\"apply\""));
  EXPECT_THAT(line, HasSubstr("\"end_time\":\"1970-01-01T00:00:01.5Z\""));
  EXPECT_THAT(line, HasSubstr("\"skipped_now_live\":3"));
}

TEST(TypedJsonTest, ErrorsAreLinesAsWell) {
  EXPECT_EQ(JsonError(10, "no \xff store"),
            "{\"code\":10,\"message\":\"no \xef\xbf\xbd store\","
            "\"message_type\":\"exit_error\",\"schema_version\":1}");
}

}  // namespace
}  // namespace reclaim::cli
