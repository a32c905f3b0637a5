#include "gc/tenants.h"

#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/graph_text.h"
#include "tests/support/text_details.h"

namespace reclaim::gc {
namespace {

using base::IsOk;
using base::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

Tenant Named(const std::string& name, std::vector<std::string> repositories,
             std::vector<std::string> labels = {}) {
  Tenant tenant;
  tenant.name = name;
  tenant.repositories = std::move(repositories);
  tenant.labels = std::move(labels);
  return tenant;
}

std::string Error(const TenantSettings& settings) {
  const auto book = TenantBook::Create(settings);
  EXPECT_THAT(book, StatusIs(absl::StatusCode::kInvalidArgument));
  return std::string(book.status().message());
}

TEST(TenantBookTest, WhatIsWrongIsNamed) {
  EXPECT_THAT(Error({{Named("A", {"**"})}, {}}), HasSubstr("A"));
  EXPECT_THAT(Error({{Named("a", {"**"}), Named("a", {"b"})}, {}}),
              HasSubstr("tenant a: the name is given twice"));
  EXPECT_THAT(Error({{Named("a", {})}, {}}),
              HasSubstr("tenant a: give it repositories or labels"));
  EXPECT_THAT(Error({{Named("a", {"["})}, {}}), HasSubstr("tenant a: "));
  EXPECT_THAT(Error({{Named("a", {}, {"=x"})}, {}}), HasSubstr("label"));
  EXPECT_THAT(Error({{}, {{"q", {}, {}}}}), HasSubstr("quota q: say how many"));
  EXPECT_THAT(Error({{}, {{"q", {"["}, 1}}}), HasSubstr("quota q: "));
}

class TenantTagsTest : public ::testing::Test {
 protected:
  std::set<std::string> TagsOf(const TenantSettings& settings) {
    const auto book = TenantBook::Create(settings);
    EXPECT_THAT(book, IsOk());
    const auto groups = book->Tenants(g.view(), details, 0);
    EXPECT_THAT(groups, IsOk());
    return g.Names(groups->at(0).tags);
  }

  tests::TextGraph g{
      "M1(c1 l1); M2(c2 l2); M3(c3 l3); I1[M3]; a/app:v1=M1; a/app:v2=M2; "
      "b/app:v1=M2; b/app:v2=I1"};
  tests::TextDetails details{&g};
};

TEST_F(TenantTagsTest, RepositoriesAndLabelsAdd) {
  EXPECT_THAT(TagsOf({{Named("t", {"a/**"})}, {}}),
              UnorderedElementsAre("a/app:v1", "a/app:v2"));
  details.labels["c1"] = {{"team", "x"}};
  details.labels["c3"] = {{"team", "y"}};
  EXPECT_THAT(TagsOf({{Named("t", {}, {"team"})}, {}}),
              UnorderedElementsAre("a/app:v1", "b/app:v2"));
  EXPECT_THAT(TagsOf({{Named("t", {}, {"team=x"})}, {}}),
              UnorderedElementsAre("a/app:v1"));
  EXPECT_THAT(TagsOf({{Named("t", {"a/**"}, {"team=y", "other"})}, {}}),
              UnorderedElementsAre("a/app:v1", "a/app:v2", "b/app:v2"));
}

TEST_F(TenantTagsTest, TheFirstQuotaThatMatchesDecides) {
  const auto book = TenantBook::Create(
      {{Named("t", {"**"})}, {{"some", {"a/**"}, 10}, {"all", {}, 20}}});
  ASSERT_THAT(book, IsOk());
  EXPECT_EQ(book->QuotaOf("a/app"), 10u);
  EXPECT_EQ(book->QuotaOf("b/app"), 20u);
  EXPECT_EQ(TenantBook().QuotaOf("a/app"), std::nullopt);
  const auto groups = book->WithQuota(g.view(), details, 0);
  ASSERT_THAT(groups, IsOk());
  std::vector<std::string> names;
  for (const TagGroup& group : *groups) names.push_back(group.name);
  EXPECT_THAT(names, ElementsAre("a/app", "b/app")) << "the tenant has none";
}

}  // namespace
}  // namespace reclaim::gc
