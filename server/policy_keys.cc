#include "server/policy_keys.h"

#include <set>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/byte_size.h"
#include "base/status_macros.h"
#include "gc/retention.h"
#include "gc/schedule.h"
#include "gc/space_target.h"
#include "gc/tenants.h"
#include "server/config_key.h"

namespace reclaim::server {
namespace {

constexpr absl::Duration kMinute = absl::Minutes(1);
constexpr absl::Duration kYears = absl::Hours(24 * 365 * 10);

// One of a few words, each with what it means.
template <typename Field, typename Value>
KeyReader Word(Field field,
               std::vector<std::pair<std::string, Value>> meanings) {
  return [=](const toml::node& node, Config* config) {
    std::vector<std::string> words;
    for (const auto& [word, value] : meanings) {
      if (node.is_string() && *node.value<std::string>() == word) {
        field(*config) = value;
        return absl::OkStatus();
      }
      words.push_back(absl::StrCat("\"", word, "\""));
    }
    return MustBe(absl::StrJoin(words, ", "));
  };
}

using gc::KeepWord;
using gc::NewestBy;
using gc::PruneVerb;
using gc::ReferrerFate;
using gc::ScheduleAction;

// A size, with or without a unit, of 1 byte or more.
template <typename Field>
KeyReader Size(Field field) {
  return [=](const toml::node& node, Config* config) {
    const auto bytes = node.is_string()
                           ? base::ParseBytes(*node.value<std::string>())
                           : absl::StatusOr<uint64_t>(uint64_t{0});
    if (!bytes.ok() || *bytes == 0) {
      return MustBe("a size such as \"10GB\", \"512MiB\" or \"1.5TB\"");
    }
    field(*config) = *bytes;
    return absl::OkStatus();
  };
}

// A key that says how far a schedule goes: of one kind only.
KeyReader Goal(gc::TargetKind kind, KeyReader read) {
  return [=](const toml::node& node, Config* config) {
    gc::SpaceTarget& target = config->schedules.back().request.target;
    if (target.is_set() && target.kind != kind) {
      return MustBe(
          "the schedule's only goal: marks, free, keep_under or quotas");
    }
    target.kind = kind;
    return read(node, config);
  };
}

absl::Status WantsTrue(const toml::node& node, Config*) {
  if (node.is_boolean() && *node.value<bool>()) return absl::OkStatus();
  return MustBe("true, or left out");
}

#define RECLAIM_RULE(field) RECLAIM_FIELD(retention.rules.back().field)
#define RECLAIM_REFERRER(field) RECLAIM_FIELD(retention.referrers.back().field)
#define RECLAIM_SCHEDULE(field) RECLAIM_FIELD(schedules.back().field)
#define RECLAIM_TARGET(field) RECLAIM_SCHEDULE(request.target.field)
#define RECLAIM_TENANT(field) RECLAIM_FIELD(tenants.tenants.back().field)
#define RECLAIM_QUOTA(field) RECLAIM_FIELD(tenants.quotas.back().field)

}  // namespace

std::vector<Key> RetentionKeys() {
  const char* const patterns = "globs, or RE2 after \"re:\"; empty: all";
  return {
      {"policy.allow_remove_all", "yes or no", "",
       "The rules of this file may take the last tag of a repository.", "false",
       Flag(RECLAIM_FIELD(retention.allow_remove_all))},
      {"retention.name", "text", "[a-z0-9][a-z0-9._-]{0,62}",
       "The rule's name; reasons show it as configuration/NAME.", "",
       Text(RECLAIM_RULE(name))},
      {"retention.stores", "texts", patterns, "Stores that it is about.", "",
       Texts(RECLAIM_RULE(stores))},
      {"retention.repositories", "texts", patterns,
       "Repositories that it is about.", "", Texts(RECLAIM_RULE(repositories))},
      {"retention.tags", "texts", patterns, "Tags that it names.", "",
       Texts(RECLAIM_RULE(tags))},
      {"retention.keep", "text", "always, immutable, pinned",
       "All that it names stays.", "",
       Word(RECLAIM_RULE(keep),
            std::vector<std::pair<std::string, KeepWord>>{
                {"always", KeepWord::kKeep},
                {"immutable", KeepWord::kImmutable},
                {"pinned", KeepWord::kPinned}})},
      {"retention.keep_newest", "number", "1 to 1000000",
       "So many of the newest images that it names stay in each repository.",
       "", Number(RECLAIM_RULE(keep_newest), 1, 1000000)},
      {"retention.newest_by", "text", "pushed, created",
       "What \"newest\" goes by.", "pushed",
       Word(RECLAIM_RULE(newest_by),
            std::vector<std::pair<std::string, NewestBy>>{
                {"pushed", NewestBy::kPushed},
                {"created", NewestBy::kCreated}})},
      {"retention.keep_used_within", "duration", "1m to 87600h",
       "Tags that were used since stay.", "",
       Span(RECLAIM_RULE(keep_used_within), kMinute, kYears)},
      {"retention.keep_pushed_within", "duration", "1m to 87600h",
       "Tags that were pushed since stay.", "",
       Span(RECLAIM_RULE(keep_pushed_within), kMinute, kYears)},
      {"retention.expire_unused_after", "duration", "1m to 87600h",
       "Tags whose last use is longer ago go.", "",
       Span(RECLAIM_RULE(expire_unused_after), kMinute, kYears)},
      {"retention.unused_counts_from_push", "yes or no", "",
       "No use on record counts as one at the push; else such tags stay.",
       "false", Flag(RECLAIM_RULE(unused_counts_from_push))},
      {"retention.expire_untagged_after", "duration", "1m to 87600h",
       "Images without a tag stay so long; such a rule names no tags.", "",
       Span(RECLAIM_RULE(expire_untagged_after), kMinute, kYears)},
  };
}

std::vector<Key> ReferrerKeys() {
  const char* const patterns = "globs, or RE2 after \"re:\"; empty: all";
  return {
      {"referrers.name", "text", "[a-z0-9][a-z0-9._-]{0,62}",
       "The rule's name.", "", Text(RECLAIM_REFERRER(name))},
      {"referrers.stores", "texts", patterns, "Stores that it is about.", "",
       Texts(RECLAIM_REFERRER(stores))},
      {"referrers.repositories", "texts", patterns,
       "Repositories that it is about.", "",
       Texts(RECLAIM_REFERRER(repositories))},
      {"referrers.fate", "text", "cascade, keep, keep-for",
       "What becomes of referrers whose subject has gone.", "cascade",
       Word(RECLAIM_REFERRER(fate),
            std::vector<std::pair<std::string, ReferrerFate>>{
                {"cascade", ReferrerFate::kCascade},
                {"keep", ReferrerFate::kKeep},
                {"keep-for", ReferrerFate::kKeepFor}})},
      {"referrers.period", "duration", "1m to 87600h", "Of keep-for.", "",
       Span(RECLAIM_REFERRER(period), kMinute, kYears)},
      {"referrers.cosign_tags", "yes or no", "",
       "Tags like sha256-<hex>.sig follow the image with that digest.", "false",
       Flag(RECLAIM_REFERRER(includes_cosign_tags))},
  };
}

std::vector<Key> ScheduleKeys() {
  const absl::Duration zero = absl::ZeroDuration();
  return {
      {"schedule.name", "text", "[a-z0-9][a-z0-9._-]{0,62}",
       "The schedule's name.", "", Text(RECLAIM_SCHEDULE(name))},
      {"schedule.cron", "text", "five fields as in crontab(5)",
       "When it runs; or every.", "", Text(RECLAIM_SCHEDULE(cron))},
      {"schedule.every", "duration", "1s to 8784h", "How often it runs.", "",
       Span(RECLAIM_SCHEDULE(every), absl::Seconds(1), absl::Hours(8784))},
      {"schedule.time_zone", "text", "a name of the zone database",
       "Of cron and windows; empty: time_zone.", "",
       Text(RECLAIM_SCHEDULE(time_zone))},
      {"schedule.jitter", "duration", "0s to 24h",
       "Each run is late by a part of this, the same each time.", "0s",
       Span(RECLAIM_SCHEDULE(jitter), zero, absl::Hours(24))},
      {"schedule.windows", "texts", "\"22:00-06:00\", \"sat,sun 00:00-24:00\"",
       "When deletion is allowed; empty: always.", "",
       Texts(RECLAIM_SCHEDULE(windows))},
      {"schedule.approve", "yes or no", "",
       "Plans wait for `reclaim plans approve` by somebody else.", "false",
       Flag(RECLAIM_SCHEDULE(needs_approval))},
      {"schedule.action", "text", "prune, purge, scan", "What is done.",
       "prune",
       Word(RECLAIM_SCHEDULE(action),
            std::vector<std::pair<std::string, ScheduleAction>>{
                {"prune", ScheduleAction::kPrune},
                {"purge", ScheduleAction::kPurge},
                {"scan", ScheduleAction::kScan}})},
      {"schedule.store", "text", "a store's name", "Where; empty: everywhere.",
       "", Text(RECLAIM_SCHEDULE(request.store))},
      {"schedule.verb", "text",
       "retention, system, images, containers, volumes, networks, build-cache",
       "What a prune takes; retention: tags by the rules, then system.",
       "retention",
       Word(RECLAIM_SCHEDULE(request.verb),
            std::vector<std::pair<std::string, PruneVerb>>{
                {"retention", PruneVerb::kRetention},
                {"system", PruneVerb::kSystem},
                {"images", PruneVerb::kImages},
                {"containers", PruneVerb::kContainers},
                {"volumes", PruneVerb::kVolumes},
                {"networks", PruneVerb::kNetworks},
                {"build-cache", PruneVerb::kBuildCache}})},
      {"schedule.all_images", "yes or no", "",
       "Images that no container uses as well.", "false",
       Flag(RECLAIM_SCHEDULE(request.all_images))},
      {"schedule.volumes", "yes or no", "", "Anonymous volumes as well.",
       "false", Flag(RECLAIM_SCHEDULE(request.with_volumes))},
      {"schedule.containers_are_complete", "yes or no", "",
       "The recorded containers are all that use the store.", "false",
       Flag(RECLAIM_SCHEDULE(request.containers_are_complete))},
      {"schedule.filters", "texts", "as --filter takes them",
       "Only what matches; \"24h\" counts from the run.", "",
       Texts(RECLAIM_SCHEDULE(filters))},
  };
}

std::vector<Key> ScheduleTargetKeys() {
  using gc::TargetKind;
  return {
      {"schedule.high_percent", "number", "1 to 100",
       "A prune begins if the disk below the store is so full, or fuller; "
       "with low_percent.",
       "",
       Goal(TargetKind::kMarks, Number(RECLAIM_TARGET(high_percent), 1, 100))},
      {"schedule.low_percent", "number", "1 to high_percent",
       "It takes no more than it needs to bring the disk down to this.", "",
       Goal(TargetKind::kMarks, Number(RECLAIM_TARGET(low_percent), 1, 100))},
      {"schedule.free", "size", "1 or more",
       "A prune takes no more than it needs to free so much.", "",
       Goal(TargetKind::kFree, Size(RECLAIM_TARGET(bytes)))},
      {"schedule.keep_under", "size", "1 or more",
       "A prune takes no more than it needs to leave so much in the store.", "",
       Goal(TargetKind::kKeepUnder, Size(RECLAIM_TARGET(bytes)))},
      {"schedule.quotas", "yes or no", "true",
       "A prune takes no more than it needs to bring each [[tenant]] and each "
       "repository of a [[quota]] under its own.",
       "false", Goal(TargetKind::kQuotas, WantsTrue)},
      {"schedule.reserved", "size", "1 or more",
       "No goal asks for less than so much in the store.", "",
       Size(RECLAIM_TARGET(reserved_bytes))},
  };
}

std::vector<Key> TenantKeys() {
  const char* const patterns = "globs, or RE2 after \"re:\"";
  return {
      {"tenant.name", "text", "[a-z0-9][a-z0-9._-]{0,62}",
       "The tenant's name, for `df --by tenant`.", "",
       Text(RECLAIM_TENANT(name))},
      {"tenant.repositories", "texts", patterns,
       "Repositories whose tags are the tenant's.", "",
       Texts(RECLAIM_TENANT(repositories))},
      {"tenant.labels", "texts", "\"key\" or \"key=value\"",
       "Tags of images that carry one of these are the tenant's as well.", "",
       Texts(RECLAIM_TENANT(labels))},
      {"tenant.quota", "size", "1 or more",
       "What its tags reach is to be no more; a plan with the target quotas "
       "brings it there.",
       "", Size(RECLAIM_TENANT(quota_bytes))},
      {"quota.name", "text", "[a-z0-9][a-z0-9._-]{0,62}", "The quota's name.",
       "", Text(RECLAIM_QUOTA(name))},
      {"quota.repositories", "texts", "globs, or RE2 after \"re:\"; empty: all",
       "Repositories that it is about; of several the first that matches.", "",
       Texts(RECLAIM_QUOTA(repositories))},
      {"quota.limit", "size", "1 or more",
       "What the tags of each such repository reach is to be no more.", "",
       Size(RECLAIM_QUOTA(quota_bytes))},
  };
}

gc::FilePolicies PoliciesOf(const Config& config) {
  gc::FilePolicies policies;
  if (!config.retention.rules.empty() || !config.retention.referrers.empty()) {
    policies.rule_sets.push_back(config.retention);
  }
  bool has_purge = config.purge_interval == absl::ZeroDuration();
  for (gc::Schedule schedule : config.schedules) {
    if (schedule.time_zone.empty()) schedule.time_zone = config.time_zone;
    has_purge |= schedule.name == "purge";
    policies.schedules.push_back(std::move(schedule));
  }
  if (!has_purge) {
    gc::Schedule purge;
    purge.name = "purge";
    purge.every = config.purge_interval;
    purge.action = ScheduleAction::kPurge;
    policies.schedules.push_back(std::move(purge));
  }
  policies.tenants = config.tenants;
  return policies;
}

absl::Status CheckPolicies(const Config& config) {
  RECLAIM_RETURN_IF_ERROR(gc::CheckRuleSet(config.retention));
  std::set<std::string> names;
  for (const gc::Schedule& schedule : config.schedules) {
    RECLAIM_RETURN_IF_ERROR(gc::CheckSchedule(schedule));
    if (!names.insert(schedule.name).second) {
      return absl::InvalidArgumentError(absl::StrCat(
          "schedule ", schedule.name, ": the name is given twice"));
    }
  }
  return gc::TenantBook::Create(config.tenants).status();
}

}  // namespace reclaim::server
