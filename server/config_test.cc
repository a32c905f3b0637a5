#include "server/config.h"

#include <sys/stat.h>

#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "base/status_matchers.h"
#include "gc/policy_book.h"
#include "gc/retention.h"
#include "gc/schedule.h"
#include "gc/space_target.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "rpc/role.h"
#include "server/listening.h"
#include "server/policy_keys.h"

namespace reclaim::server {
namespace {

using ::testing::HasSubstr;

std::string Error(const std::string& text) {
  const auto config = ParseConfig(text, "reclaim.toml");
  EXPECT_THAT(config, base::StatusIs(absl::StatusCode::kInvalidArgument));
  return std::string(config.status().message());
}

TEST(ConfigTest, NothingGivesTheDefaults) {
  const auto config = ParseConfig("", "f");
  ASSERT_THAT(config, base::IsOk());
  EXPECT_EQ(config->socket, "/run/reclaim/reclaim.sock");
  EXPECT_EQ(config->policy.grace_period, absl::Hours(24));
  EXPECT_EQ(config->calls.peer_calls_per_second, 1000);
  EXPECT_EQ(config->calls.peer_stream_count_max, 64);
}

TEST(ConfigTest, EveryKeyIsRead) {
  const auto config = ParseConfig(R"(
data_directory = "/d"
[listen]
socket = "/s"
socket_mode = 0o600
[gc]
grace_period = "1h30m"
quarantine_period = "0s"
large_plan_percent = 80
[limits]
peer_calls_per_second = 7
peer_stream_count_max = 8
[confine]
writes = true
folders = ["/srv"]
[[store]]
uri = "registry:/r"
read_only = true
[[store]]
uri = "image-layout:/l"
name = "layouts"
knows_containers = true
)",
                                  "f");
  ASSERT_THAT(config, base::IsOk());
  EXPECT_EQ(config->data_directory, "/d");
  EXPECT_EQ(config->socket_mode, 0600);
  EXPECT_EQ(config->policy.grace_period, absl::Minutes(90));
  EXPECT_EQ(config->graph.grace_period, absl::Minutes(90));
  EXPECT_EQ(config->policy.large_plan_percent, 80);
  EXPECT_EQ(config->calls.peer_calls_per_second, 7);
  EXPECT_EQ(config->calls.peer_stream_count_max, 8);
  EXPECT_TRUE(config->is_confined);
  EXPECT_EQ(config->confined_folders, std::vector<std::string>{"/srv"});
  ASSERT_EQ(config->stores.size(), 2u);
  EXPECT_TRUE(config->stores[0].is_read_only);
  EXPECT_EQ(config->stores[1].name, "layouts");
}

TEST(ConfigTest, PoliciesAreRead) {
  const auto config = ParseConfig(R"(
time_zone = "Europe/Berlin"
[policy]
allow_remove_all = true
[[retention]]
name = "releases"
stores = ["hub"]
repositories = ["team/**"]
tags = ["v*", "!v0*"]
keep = "immutable"
[[retention]]
name = "newest"
tags = ["nightly-*"]
keep_newest = 14
newest_by = "created"
keep_used_within = "720h"
keep_pushed_within = "24h"
expire_unused_after = "2400h"
unused_counts_from_push = true
[[retention]]
name = "untagged"
expire_untagged_after = "168h"
[[referrers]]
name = "signatures"
repositories = ["team/**"]
fate = "keep-for"
period = "24h"
cosign_tags = true
[[schedule]]
name = "nightly"
cron = "30 3 * * *"
jitter = "10m"
windows = ["22:00-06:00"]
approve = true
store = "hub"
filters = ["until=24h"]
[[schedule]]
name = "scan"
every = "6h"
action = "scan"
time_zone = "UTC"
)",
                                  "f");
  ASSERT_THAT(config, base::IsOk());
  const gc::FilePolicies policies = PoliciesOf(*config);
  ASSERT_EQ(policies.rule_sets.size(), 1u);
  const gc::RuleSet& set = policies.rule_sets[0];
  EXPECT_EQ(set.name, "configuration");
  EXPECT_TRUE(set.allow_remove_all);
  ASSERT_EQ(set.rules.size(), 3u);
  EXPECT_EQ(set.rules[0].keep, gc::KeepWord::kImmutable);
  EXPECT_EQ(set.rules[0].tags.size(), 2u);
  EXPECT_EQ(set.rules[1].keep_newest, 14u);
  EXPECT_EQ(set.rules[1].newest_by, gc::NewestBy::kCreated);
  EXPECT_EQ(set.rules[1].expire_unused_after, absl::Hours(2400));
  EXPECT_EQ(set.rules[2].expire_untagged_after, absl::Hours(168));
  EXPECT_EQ(set.referrers[0].fate, gc::ReferrerFate::kKeepFor);
  EXPECT_TRUE(set.referrers[0].includes_cosign_tags);
  // The purge of what is due is a schedule as well.
  ASSERT_EQ(policies.schedules.size(), 3u);
  EXPECT_EQ(policies.schedules[0].time_zone, "Europe/Berlin");
  EXPECT_EQ(policies.schedules[0].request.verb, gc::PruneVerb::kRetention);
  EXPECT_TRUE(policies.schedules[0].needs_approval);
  EXPECT_EQ(policies.schedules[1].time_zone, "UTC");
  EXPECT_EQ(policies.schedules[1].action, gc::ScheduleAction::kScan);
  EXPECT_EQ(policies.schedules[2].name, "purge");
  EXPECT_EQ(policies.schedules[2].every, absl::Minutes(10));
}

TEST(ConfigTest, TargetsAndTenantsAreRead) {
  const auto config = ParseConfig(R"(
[[schedule]]
name = "pressure"
every = "5m"
all_images = true
high_percent = 85
low_percent = 80
reserved = "10GB"
[[schedule]]
name = "size"
every = "1h"
keep_under = "1TiB"
[[schedule]]
name = "room"
every = "1h"
free = "1.5GB"
[[schedule]]
name = "quotas"
every = "1h"
quotas = true
[[tenant]]
name = "red"
repositories = ["red/**"]
labels = ["team=red", "red"]
quota = "5GB"
[[tenant]]
name = "rest"
repositories = ["**", "!red/**"]
[[quota]]
name = "each"
limit = "100MB"
)",
                                  "f");
  ASSERT_THAT(config, base::IsOk());
  const gc::FilePolicies policies = PoliciesOf(*config);
  const auto target = [&](size_t i) {
    return policies.schedules[i].request.target;
  };
  EXPECT_EQ(target(0).kind, gc::TargetKind::kMarks);
  EXPECT_EQ(target(0).high_percent, 85u);
  EXPECT_EQ(target(0).low_percent, 80u);
  EXPECT_EQ(target(0).reserved_bytes, 10'000'000'000u);
  EXPECT_EQ(target(1).kind, gc::TargetKind::kKeepUnder);
  EXPECT_EQ(target(1).bytes, uint64_t{1} << 40);
  EXPECT_EQ(target(2).kind, gc::TargetKind::kFree);
  EXPECT_EQ(target(2).bytes, 1'500'000'000u);
  EXPECT_EQ(target(3).kind, gc::TargetKind::kQuotas);
  ASSERT_EQ(policies.tenants.tenants.size(), 2u);
  EXPECT_EQ(policies.tenants.tenants[0].labels.size(), 2u);
  EXPECT_EQ(policies.tenants.tenants[0].quota_bytes, 5'000'000'000u);
  EXPECT_FALSE(policies.tenants.tenants[1].quota_bytes);
  ASSERT_EQ(policies.tenants.quotas.size(), 1u);
  EXPECT_EQ(policies.tenants.quotas[0].quota_bytes, 100'000'000u);
}

TEST(ConfigTest, TargetsAndTenantsThatCannotBeAreErrors) {
  const std::string schedule = "[[schedule]]\nname = \"s\"\nevery = \"1h\"\n";
  EXPECT_THAT(Error(schedule + "high_percent = 85\n"),
              HasSubstr("schedule s: target: the high mark must be"));
  EXPECT_THAT(Error(schedule + "free = \"1GB\"\nquotas = true\n"),
              HasSubstr("only goal"));
  EXPECT_THAT(Error(schedule + "quotas = false\n"), HasSubstr("true"));
  EXPECT_THAT(Error(schedule + "free = \"0\"\n"), HasSubstr("a size"));
  EXPECT_THAT(Error(schedule + "reserved = \"1GB\"\n"),
              HasSubstr("reserved_bytes goes with a goal"));
  EXPECT_THAT(Error(schedule + "free = \"1GB\"\nverb = \"volumes\"\n"),
              HasSubstr("volume prune takes none"));
  EXPECT_THAT(Error("[[tenant]]\nname = \"t\"\n"),
              HasSubstr("tenant t: give it repositories or labels"));
  EXPECT_THAT(Error("[[quota]]\nname = \"q\"\n"),
              HasSubstr("quota q: say how many"));
}

TEST(ConfigTest, WithoutRulesThereIsNoSet) {
  const auto config = ParseConfig("[gc]\npurge_interval = \"0s\"\n", "f");
  ASSERT_THAT(config, base::IsOk());
  EXPECT_TRUE(PoliciesOf(*config).rule_sets.empty());
  EXPECT_TRUE(PoliciesOf(*config).schedules.empty());
}

TEST(ConfigTest, PoliciesThatDecideNothingAreErrors) {
  EXPECT_THAT(Error("[[retention]]\nname = \"r\"\n"),
              HasSubstr("rule r: says nothing"));
  EXPECT_THAT(Error("[[retention]]\nkeep_newest = 1\n"),
              HasSubstr("retention.name is missing"));
  EXPECT_THAT(Error("[[retention]]\nname = \"r\"\nkeep = \"forever\"\n"),
              HasSubstr("\"always\", \"immutable\", \"pinned\""));
  EXPECT_THAT(Error("[[schedule]]\nname = \"s\"\ncron = \"0 0 31 2 *\"\n"),
              HasSubstr("schedule s: cron: the time never comes"));
  EXPECT_THAT(Error("[[schedule]]\nname = \"s\"\nevery = \"1h\"\n"
                    "[[schedule]]\nname = \"s\"\nevery = \"1h\"\n"),
              HasSubstr("given twice"));
}

TEST(ConfigTest, ErrorsNameFileLineAndKey) {
  EXPECT_THAT(Error("\ncolour = 1\n"),
              HasSubstr("reclaim.toml:2: colour is not a key"));
  EXPECT_THAT(Error("[gc]\ngrace = \"1h\"\n"),
              HasSubstr("gc.grace is not a key; the nearest one is "
                        "gc.grace_period"));
  EXPECT_THAT(Error("[gc]\n\ngrace_perod = \"1h\"\n"),
              HasSubstr("reclaim.toml:3: gc.grace_perod is not a key; the "
                        "nearest one is gc.grace_period"));
  EXPECT_THAT(Error("[[store]]\nurl = \"registry:/r\"\nuri = \"x\"\n"),
              HasSubstr("the nearest one is store.uri"));
  EXPECT_THAT(Error("[lisen]\nsocket = \"/s\"\n"), HasSubstr("lisen is not"));
  EXPECT_THAT(Error("[[store]]\nuri = \"\"\n"),
              HasSubstr("store.uri is missing"));
  EXPECT_THAT(Error("[gc]\ngrace_period = 24\n"),
              HasSubstr("reclaim.toml:2: gc.grace_period must be a duration"));
  EXPECT_THAT(Error("[gc]\ngrace_period = \"-1h\"\n"), HasSubstr("from 0"));
  EXPECT_THAT(Error("[gc]\nlarge_plan_percent = 101\n"), HasSubstr("1 to 100"));
  EXPECT_THAT(Error("[[store]]\nname = \"x\"\n"),
              HasSubstr("store.uri is missing"));
  EXPECT_THAT(Error("store = 3\n"), HasSubstr("[[store]]"));
  EXPECT_THAT(Error("a = [\n"), HasSubstr("reclaim.toml:"));
  EXPECT_THAT(Error("time_zone = \"Mars/Olympus\"\n"),
              HasSubstr("Mars/Olympus"));
  EXPECT_THAT(Error("[listen]\nsocket = \"\"\n"), HasSubstr("nobody"));
  EXPECT_THAT(Error("[listen]\naddress = \"0.0.0.0:1\"\n"),
              HasSubstr("tls_certificate"));
}

TEST(ConfigTest, AFileThatAnybodyMayWriteIsRefused) {
  const std::string path = ::testing::TempDir() + "/reclaim-open.toml";
  std::ofstream(path) << "[gc]\n";
  for (const mode_t mode : {0600, 0644, 0664}) {
    ASSERT_EQ(chmod(path.c_str(), mode), 0);
    EXPECT_THAT(ReadConfig(path), base::IsOk());
  }
  ASSERT_EQ(chmod(path.c_str(), 0666), 0);
  EXPECT_THAT(ReadConfig(path),
              base::StatusIs(absl::StatusCode::kPermissionDenied,
                             HasSubstr("chmod o-w")));
}

TEST(ConfigTest, RolesAndGrantsAreRead) {
  const auto config = ParseConfig(R"(
[listen]
socket_roles = ["record"]
read_socket = "/r"
insecure_roles = []
[[grant]]
who = "uid:1000"
roles = ["prune", "record"]
)",
                                  "f");
  ASSERT_THAT(config, base::IsOk());
  const auto options = MakeServerOptions(*config);
  ASSERT_THAT(options, base::IsOk());
  EXPECT_EQ(options->unix_socket->roles, rpc::RoleSet(rpc::Role::kRecord));
  EXPECT_EQ(options->read_socket->roles, rpc::RoleSet(rpc::Role::kRead));
  EXPECT_TRUE(options->insecure_roles.empty());
  ASSERT_EQ(options->grants.size(), 1u);
  EXPECT_TRUE(options->grants[0].roles.Has(rpc::Role::kPrune));
  EXPECT_FALSE(options->grants[0].roles.Has(rpc::Role::kAdmin));
}

TEST(ConfigTest, WhatIsNoRoleAndNobodyIsRefused) {
  EXPECT_THAT(Error("[listen]\nsocket_roles = [\"root\"]\n"),
              HasSubstr("listen.socket_roles"));
  EXPECT_THAT(Error("[[grant]]\nwho = \"bob\"\nroles = [\"read\"]\n"),
              HasSubstr("grant.who"));
  EXPECT_THAT(Error("[[grant]]\nwho = \"uid:1\"\nroles = [\"write\"]\n"),
              HasSubstr("grant.roles"));
  EXPECT_THAT(Error("[listen]\nsocket_group = \"no-such-group\"\n"),
              HasSubstr("listen.socket_group"));
}

TEST(ConfigTest, TheReferencePageIsTheCodes) {
  std::ifstream file("docs/CONFIGURATION.md");
  std::ostringstream page;
  page << file.rdbuf();
  EXPECT_EQ(page.str(), ConfigReference())
      << "run reclaimd --print-config-reference > docs/CONFIGURATION.md";
}

}  // namespace
}  // namespace reclaim::server
