// The defaults that the reference page shows are those that hold: what a key
// says by default changes nothing.

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/config.h"

namespace reclaim::server {
namespace {

// Of the page's table.
struct Row {
  std::string key;  // "gc.grace_period", "[[store]] uri"
  std::string type;
  std::string allowed;
  std::string fallback;  // "" for none
};

std::vector<Row> Rows() {
  const std::string page = ConfigReference();
  std::vector<Row> rows;
  const std::vector<std::string> lines = absl::StrSplit(page, '\n');
  for (const std::string& line : lines) {
    if (!absl::StartsWith(line, "| `")) continue;
    const std::vector<std::string> cells = absl::StrSplit(line, " | ");
    if (cells.size() != 5) {
      ADD_FAILURE() << line;
      continue;
    }
    Row row;
    row.key =
        std::string(absl::StripSuffix(absl::StripPrefix(cells[0], "| `"), "`"));
    row.type = cells[1];
    row.allowed = cells[2];
    row.fallback =
        std::string(absl::StripSuffix(absl::StripPrefix(cells[3], "`"), "`"));
    rows.push_back(row);
  }
  return rows;
}

// What such a table needs to be one.
const std::map<std::string, std::string>& Needed() {
  static const auto* const needed = new std::map<std::string, std::string>{
      {"grant", "who = \"uid:1\"\n"},
      {"store", "uri = \"memory:m\"\n"},
      {"retention",
       "name = \"r\"\nkeep_newest = 1\nkeep_used_within = \"24h\"\n"},
      {"referrers", "name = \"s\"\n"},
      {"schedule", "name = \"n\"\nevery = \"24h\"\n"}};
  return *needed;
}

// A file that gives the key this value, or leaves it out for "".
std::string FileWith(const std::string& key, const std::string& value) {
  std::string head;
  std::string name = key;
  if (absl::StartsWith(key, "[[")) {
    const std::vector<std::string> parts = absl::StrSplit(key, "]] ");
    const std::string table(absl::StripPrefix(parts[0], "[["));
    const auto needed = Needed().find(table);
    head = absl::StrCat("[[", table, "]]\n",
                        needed == Needed().end() ? "" : needed->second);
    name = parts.back();
  } else if (const size_t dot = key.find('.'); dot != std::string::npos) {
    head = absl::StrCat("[", key.substr(0, dot), "]\n");
    name = key.substr(dot + 1);
  }
  return value.empty() ? head : absl::StrCat(head, name, " = ", value, "\n");
}

std::string TextOf(absl::Duration span) { return absl::FormatDuration(span); }

std::vector<std::string> SaidOfTables(const Config& config) {
  std::vector<std::string> said;
  for (const GrantConfig& grant : config.grants) {
    said.push_back(absl::StrCat("grant ", absl::StrJoin(grant.roles, ",")));
  }
  for (const rpc::StoreSettings& store : config.stores) {
    said.push_back(
        absl::StrCat("store ", store.is_read_only, " ", store.knows_containers,
                     " ", TextOf(store.writers.write_duration_max), " ",
                     static_cast<int>(store.writers.descriptor_cache)));
  }
  said.push_back(absl::StrCat("rules ", config.retention.allow_remove_all));
  for (const gc::RetentionRule& rule : config.retention.rules) {
    said.push_back(absl::StrCat("rule ", static_cast<int>(rule.newest_by), " ",
                                rule.unused_counts_from_push));
  }
  for (const gc::ReferrerRule& rule : config.retention.referrers) {
    said.push_back(absl::StrCat("referrers ", static_cast<int>(rule.fate), " ",
                                rule.includes_cosign_tags));
  }
  for (const gc::Schedule& schedule : config.schedules) {
    said.push_back(absl::StrCat(
        "schedule ", TextOf(schedule.jitter), " ", schedule.needs_approval, " ",
        static_cast<int>(schedule.action), " ",
        static_cast<int>(schedule.request.verb), " ",
        schedule.request.all_images, " ", schedule.request.with_volumes, " ",
        schedule.request.containers_are_complete));
  }
  return said;
}

// All that has a default, a line for some of it.
std::string Said(const Config& config) {
  const gc::GcPolicy& policy = config.policy;
  const gc::RecordRetention& records = config.record_retention;
  const index::GraphOptions& graph = config.graph;
  std::vector<std::string> said = {
      absl::StrCat("data ", config.data_directory, " ", config.ballast_bytes,
                   " ", config.time_zone),
      absl::StrCat("sockets ", config.socket, " ", config.socket_mode, " ",
                   absl::StrJoin(config.socket_roles, ","), " ",
                   config.read_socket_mode),
      absl::StrCat("tcp ", config.is_insecure, " ",
                   absl::StrJoin(config.insecure_roles, ","), " ",
                   config.has_tcp_reflection, " ", config.http_address),
      absl::StrCat("notifications ", config.notifications.waiting_max, " ",
                   config.notifications.events_per_second),
      absl::StrCat("policy ", TextOf(policy.grace_period), " ",
                   TextOf(policy.quarantine_period), " ",
                   TextOf(policy.plan_lifetime), " ",
                   TextOf(policy.upload_lifetime)),
      absl::StrCat("sweep ", policy.batch_item_count, " ",
                   policy.pace_bytes_per_second, " ",
                   policy.large_plan_percent),
      absl::StrCat("intervals ", TextOf(config.purge_interval), " ",
                   TextOf(config.history_interval)),
      absl::StrCat("records ", TextOf(records.run_memory), " ",
                   records.run_count_max, " ", TextOf(records.plan_memory), " ",
                   records.plan_count_max),
      absl::StrCat("limits ", config.calls.stream_count_max, " ",
                   config.calls.peer_stream_count_max, " ",
                   TextOf(config.calls.unary_deadline), " ",
                   config.connection_call_count_max, " ",
                   config.calls.peer_calls_per_second, " ",
                   config.message_bytes_max),
      absl::StrCat("graph ", TextOf(graph.grace_period), " ",
                   TextOf(graph.upload_lifetime), " ",
                   TextOf(graph.request_memory), " ", graph.event_count_max),
      absl::StrCat("confine ", config.is_confined, " ",
                   absl::StrJoin(config.confined_folders, ",")),
      absl::StrCat("audit ", config.audit_segment_bytes, " ",
                   config.audit_segment_count_max)};
  for (std::string& line : SaidOfTables(config)) {
    said.push_back(std::move(line));
  }
  return absl::StrJoin(said, "\n");
}

std::string ValueOf(const Row& row) {
  const bool is_text = row.type == "text" || row.type == "duration";
  return is_text ? absl::StrCat("\"", row.fallback, "\"") : row.fallback;
}

// Whether some value of the key makes a difference to Said(): else nobody would
// see a default that is not the page's.
bool MakesADifference(const std::string& key, const std::string& said) {
  for (const char* value :
       {"true", "false", "1", "100", "4096", "65537", R"("1h")", R"("30m")",
        R"("x")", R"("Europe/Berlin")", R"("none")", R"("created")",
        R"("keep")", R"("scan")", R"("system")", R"(["read"])",
        R"(["admin"])"}) {
    const absl::StatusOr<Config> config =
        ParseConfig(FileWith(key, value), "f");
    if (config.ok() && Said(*config) != said) return true;
  }
  return false;
}

TEST(ConfigDefaultsTest, ThePageShowsWhatHoldsWithoutTheKey) {
  int default_count = 0;
  for (const Row& row : Rows()) {
    // What can only be said, and not denied, has nothing to compare.
    if (row.fallback.empty() || row.allowed == "true") continue;
    SCOPED_TRACE(row.key);
    ++default_count;
    const absl::StatusOr<Config> without =
        ParseConfig(FileWith(row.key, ""), "f");
    ASSERT_THAT(without, base::IsOk());
    const absl::StatusOr<Config> with =
        ParseConfig(FileWith(row.key, ValueOf(row)), "f");
    ASSERT_THAT(with, base::IsOk());
    EXPECT_EQ(Said(*with), Said(*without));
    EXPECT_TRUE(MakesADifference(row.key, Said(*without)))
        << "a new key with a default: tell of it in Said()";
  }
  EXPECT_GT(default_count, 50);
}

}  // namespace
}  // namespace reclaim::server
