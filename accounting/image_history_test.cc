#include "accounting/image_history.h"

#include <string>
#include <vector>

#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace reclaim::accounting {
namespace {

oci::Descriptor Layer(const std::string& name) {
  oci::Descriptor layer;
  layer.digest = oci::Digest::Sha256Of(name);
  return layer;
}

oci::ImageHistory Step(const std::string& by, bool is_empty = false) {
  oci::ImageHistory step;
  step.created = absl::FromUnixSeconds(1700000000);
  step.created_by = by;
  step.comment = by + "!";
  step.is_empty_layer = is_empty;
  return step;
}

TEST(ImageHistoryTest, StepsMeetTheirLayersNewestFirst) {
  oci::Manifest manifest;
  manifest.children = {Layer("base"), Layer("app")};
  oci::ImageConfig config;
  config.history = {Step("ADD"), Step("ENV", true), Step("COPY"),
                    Step("CMD", true)};
  const auto history = MakeHistory(manifest, config);
  ASSERT_THAT(history, base::IsOk());
  ASSERT_EQ(history->size(), 4u);
  EXPECT_EQ((*history)[0].created_by, "CMD");
  EXPECT_TRUE((*history)[0].is_empty_layer);
  EXPECT_FALSE((*history)[0].layer.has_value());
  EXPECT_EQ((*history)[1].created_by, "COPY");
  EXPECT_EQ((*history)[1].layer, oci::Digest::Sha256Of("app"));
  EXPECT_FALSE((*history)[2].layer.has_value());
  EXPECT_EQ((*history)[3].layer, oci::Digest::Sha256Of("base"));
  EXPECT_EQ((*history)[3].comment, "ADD!");
  EXPECT_EQ((*history)[3].created, absl::FromUnixSeconds(1700000000));
}

TEST(ImageHistoryTest, WithoutAHistoryThereAreTheLayers) {
  oci::Manifest manifest;
  manifest.children = {Layer("base"), Layer("app")};
  const auto history = MakeHistory(manifest, oci::ImageConfig());
  ASSERT_THAT(history, base::IsOk());
  ASSERT_EQ(history->size(), 2u);
  EXPECT_EQ((*history)[0].layer, oci::Digest::Sha256Of("app"));
  EXPECT_EQ((*history)[1].created_by, "");
  EXPECT_FALSE((*history)[1].created.has_value());
}

TEST(ImageHistoryTest, MoreStepsThanLayersIsALie) {
  oci::Manifest manifest;
  manifest.children = {Layer("base")};
  oci::ImageConfig config;
  config.history = {Step("ADD"), Step("COPY")};
  EXPECT_THAT(MakeHistory(manifest, config),
              base::StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(ImageHistoryTest, NothingAtAllIsAnEmptyHistory) {
  const auto history = MakeHistory(oci::Manifest(), oci::ImageConfig());
  ASSERT_THAT(history, base::IsOk());
  EXPECT_TRUE(history->empty());
}

}  // namespace
}  // namespace reclaim::accounting
