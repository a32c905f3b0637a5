// Rules, schedules, tenants and quotas from the command line.

#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "cli/command_fixture.h"

namespace reclaim::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class PoliciesTest : public CommandFixture {
 protected:
  void SetUp() override {
    gc::Tenant tenant;
    tenant.name = "from-file";
    tenant.repositories = {"file/**"};
    file_policies_.tenants.tenants = {tenant};
    CommandFixture::SetUp();
    AddAndScan();
  }
};

TEST_F(PoliciesTest, ARuleSetIsATomlFile) {
  const std::string path = socket_folder_.path() + "/rules.toml";
  std::ofstream(path) << "name = \"team\"\n"
                         "[[retention]]\n"
                         "name = \"newest\"\n"
                         "repositories = [\"app\"]\n"
                         "keep_newest = 2\n";
  ASSERT_EQ(Run({"policy", "test", path}), kDone) << err_;
  EXPECT_THAT(out_, HasSubstr("team/newest"));
  ASSERT_EQ(Run({"policy", "set", path}), kDone) << err_;
  ASSERT_EQ(Run({"policy", "get", "team"}), kDone);
  EXPECT_THAT(out_, HasSubstr("\"keep_newest\": 2"));
  std::ofstream(path) << "name = \"team\"\n[[retention]]\nkept = 1\n";
  EXPECT_EQ(Run({"policy", "set", path}), kUsage);
  EXPECT_THAT(err_, HasSubstr(path + ":3: kept is not a key"));
}

TEST_F(PoliciesTest, AScheduleIsSetWithFlags) {
  ASSERT_EQ(Run({"schedule",
                 "set",
                 "pressure",
                 "--cron",
                 "30 3 * * *",
                 "--time-zone",
                 "Europe/Berlin",
                 "--jitter",
                 "20m",
                 "--window",
                 "22:00-06:00",
                 "--window",
                 "sat 00:00-24:00",
                 "--approve",
                 "--verb",
                 "images",
                 "--all",
                 "--containers-are-complete",
                 "--filter",
                 "until=24h",
                 "--high",
                 "85",
                 "--low",
                 "80",
                 "--store",
                 "hub"}),
            kDone)
      << err_;
  EXPECT_THAT(out_, HasSubstr("pressure runs next at "));
  ASSERT_EQ(Run({"schedule", "get", "pressure"}), kDone) << err_;
  for (const char* part :
       {"\"cron\": \"30 3 * * *\"", "\"time_zone\": \"Europe/Berlin\"",
        "\"jitter\": \"1200s\"", "\"22:00-06:00\"", "\"sat 00:00-24:00\"",
        "\"approve\": true", "\"verb\": \"PRUNE_VERB_IMAGES\"",
        "\"all_images\": true", "\"containers_are_complete\": true",
        "\"until=24h\"", "\"high_percent\": 85", "\"low_percent\": 80",
        "\"store\": \"hub\""}) {
    EXPECT_THAT(out_, HasSubstr(part));
  }
  // What `get` prints, `set` takes.
  const std::string printed = out_;
  ASSERT_EQ(Run({"schedule", "set", "-"}, printed), kDone) << err_;
  ASSERT_EQ(
      Run({"schedule", "set", "often", "--every", "6h", "--action", "scan"}),
      kDone)
      << err_;
  ASSERT_EQ(Run({"schedule", "ls", "--format", "{{.Name}} {{.What}}"}), kDone);
  EXPECT_THAT(out_, HasSubstr("often scan\n"));
  EXPECT_THAT(out_, HasSubstr("pressure plan\n"));
}

TEST_F(PoliciesTest, AScheduleIsATomlFileAsWell) {
  ASSERT_EQ(
      Run({"schedule", "set", "-"},
          "[[schedule]]\nname = \"n\"\nevery = \"1h\"\nfree = \"10GB\"\n"),
      kDone)
      << err_;
  ASSERT_EQ(Run({"schedule", "get", "n"}), kDone);
  EXPECT_THAT(out_, HasSubstr("\"free_bytes\": \"10000000000\""));
}

TEST_F(PoliciesTest, WhatIsNoScheduleIsRefused) {
  EXPECT_EQ(Run({"schedule", "set", "nightly"}), kNotFound);
  EXPECT_THAT(err_, HasSubstr("--cron or --every"));
  EXPECT_EQ(Run({"schedule", "set", "nightly", "--approve"}), kUsage);
  EXPECT_THAT(err_, HasSubstr("--approve: say when it runs"));
  EXPECT_EQ(Run({"schedule", "set", "n", "--cron", "0 0 31 2 *"}), kUsage);
  EXPECT_THAT(err_, HasSubstr("never comes"));
  EXPECT_EQ(Run({"schedule", "set", "n", "--cron", "@daily", "--every", "1h"}),
            kUsage);
  EXPECT_EQ(Run({"schedule", "set", "n", "--every", "soon"}), kUsage);
  EXPECT_EQ(Run({"schedule", "set", "n", "--cron", "@daily", "--time-zone",
                 "Mars/Olympus"}),
            kUsage);
  EXPECT_THAT(err_, HasSubstr("Mars/Olympus"));
  EXPECT_EQ(Run({"schedule", "set", "n", "--cron", "@daily", "--verb", "x"}),
            kUsage);
  EXPECT_EQ(Run({"schedule", "ls", "--format", "{{.Name}}"}), kDone);
  EXPECT_THAT(out_, Not(HasSubstr("n\n")));
}

TEST_F(PoliciesTest, TenantsAreSetListedAndRemoved) {
  ASSERT_EQ(Run({"tenant", "set", "--repository", "app", "red", "--label",
                 "team=red", "--quota", "1kB"}),
            kDone)
      << err_;
  EXPECT_EQ(out_, "red\n");
  ASSERT_EQ(Run({"tenant", "ls"}), kDone);
  EXPECT_THAT(out_, HasSubstr("NAME"));
  ASSERT_EQ(Run({"tenant", "ls", "--format",
                 "{{.Name}} {{.Repositories}} {{.Labels}} {{.Quota}} "
                 "{{.Actor}}"}),
            kDone);
  EXPECT_THAT(out_, HasSubstr("from-file file/**   configuration\n"));
  EXPECT_THAT(out_, HasSubstr("red app team=red 1kB uid:"));
  ASSERT_EQ(Run({"tenant", "get", "red"}), kDone);
  EXPECT_THAT(out_, HasSubstr("\"quota_bytes\": \"1000\""));
  // Usage and plans know it at once.
  ASSERT_EQ(Run({"df", "--by", "tenant", "--format",
                 "{{.Name}} {{.Tags}} {{.Quota}}"}),
            kDone);
  EXPECT_THAT(out_, HasSubstr("red 1 1kB\n"));
  ASSERT_EQ(
      Run({"tenant", "set", "red", "--repository", "app", "--quota", "1"}),
      kDone);
  EXPECT_EQ(Run({"plan", "--rules", "--quotas"}), kShort) << err_;
  EXPECT_EQ(Run({"tenant", "rm", "red", "--etag", "no"}), kBusy);
  ASSERT_EQ(Run({"tenant", "rm", "red"}), kDone) << err_;
  EXPECT_EQ(Run({"tenant", "get", "red"}), kNotFound);
  EXPECT_EQ(Run({"plan", "--rules", "--quotas"}), kDone) << err_;
  EXPECT_EQ(Run({"tenant", "rm", "from-file"}), kFailed);
  EXPECT_THAT(err_, HasSubstr("change that file"));
}

TEST_F(PoliciesTest, AWrongTenantChangesNothing) {
  EXPECT_EQ(Run({"tenant", "set", "red"}), kUsage);
  EXPECT_THAT(err_, HasSubstr("tenant red: give it repositories or labels"));
  EXPECT_EQ(Run({"tenant", "set", "red", "--repository", "["}), kUsage);
  EXPECT_EQ(Run({"tenant", "set", "Red", "--repository", "a"}), kUsage);
  EXPECT_EQ(Run({"tenant", "set", "red", "--repository", "a", "--quota", "x"}),
            kUsage);
  EXPECT_THAT(err_, HasSubstr("--quota"));
  EXPECT_EQ(Run({"tenant", "set", "from-file", "--repository", "a"}), kFailed);
  EXPECT_EQ(Run({"tenant", "get", "red"}), kNotFound);
}

TEST_F(PoliciesTest, QuotasAreSetListedAndRemoved) {
  ASSERT_EQ(
      Run({"quota", "set", "all", "--repository", "**", "--limit", "20GB"}),
      kDone)
      << err_;
  ASSERT_EQ(Run({"quota", "ls", "--format",
                 "{{.Name}} {{.Repositories}} {{.Limit}}"}),
            kDone);
  EXPECT_EQ(out_, "all ** 20GB\n");
  ASSERT_EQ(
      Run({"df", "--by", "repository", "--format", "{{.Name}} {{.Quota}}"}),
      kDone);
  EXPECT_THAT(out_, HasSubstr("app 20GB\n"));
  ASSERT_EQ(Run({"quota", "get", "all", "--json"}), kDone);
  EXPECT_THAT(out_, HasSubstr("20000000000"));
  EXPECT_EQ(Run({"quota", "set", "all"}), kUsage) << "no limit";
  EXPECT_EQ(Run({"quota", "set", "all", "--limit", "0"}), kUsage);
  ASSERT_EQ(Run({"quota", "rm", "all"}), kDone) << err_;
  EXPECT_EQ(Run({"quota", "rm", "all"}), kNotFound);
  ASSERT_EQ(Run({"quota", "ls", "--format", "{{.Name}}"}), kDone);
  EXPECT_EQ(out_, "");
}

}  // namespace
}  // namespace reclaim::cli
