// The table of all keys.  A new key is a row here, in the section of its name.

#include <limits>

#include "absl/strings/match.h"
#include "server/config_key.h"
#include "server/policy_keys.h"

namespace reclaim::server {
namespace {

constexpr absl::Duration kYears = absl::Hours(24 * 365 * 10);
constexpr int64_t kAny = std::numeric_limits<int64_t>::max();

// One value that both the policy and the graph's counters judge by.
KeyReader Both(KeyReader first, KeyReader second) {
  return [=](const toml::node& node, Config* config) {
    const absl::Status read = first(node, config);
    return read.ok() ? second(node, config) : read;
  };
}

std::vector<Key> ListenKeys() {
  return {
      {"data_directory", "text", "a folder", "The daemon's database.",
       "/var/lib/reclaim", Text(RECLAIM_FIELD(data_directory))},
      {"ballast_bytes", "number", "0 to 4294967296",
       "Space held in the data directory and let go when the disk is full, so "
       "that a collection can begin there; 0: none.",
       "67108864", Number(RECLAIM_FIELD(ballast_bytes), 0, int64_t{4} << 30)},
      {"time_zone", "text", "a name of the zone database",
       "The zone of instants in filters that name none.", "UTC",
       Text(RECLAIM_FIELD(time_zone))},
      {"listen.socket", "text", "a path of at most 107 bytes; \"\" for none",
       "The Unix socket of the gRPC API.", "/run/reclaim/reclaim.sock",
       Text(RECLAIM_FIELD(socket))},
      {"listen.socket_mode", "number", "0 to 0o777", "The socket's file mode.",
       "0o660", Number(RECLAIM_FIELD(socket_mode), 0, 0777)},
      {"listen.socket_group", "text", "a group's name",
       "The socket's group; empty: the daemon's.", "",
       Text(RECLAIM_FIELD(socket_group))},
      {"listen.socket_roles", "texts", "read, record, prune, admin",
       "What peers of the socket may do whom no [[grant]] names.",
       "[\"admin\"]", Texts(RECLAIM_FIELD(socket_roles))},
      {"listen.read_socket", "text",
       "a path of at most 107 bytes; \"\" for none",
       "A second Unix socket, for those who may only look.", "",
       Text(RECLAIM_FIELD(read_socket))},
      {"listen.read_socket_mode", "number", "0 to 0o777",
       "The second socket's file mode.", "0o660",
       Number(RECLAIM_FIELD(read_socket_mode), 0, 0777)},
  };
}

std::vector<Key> NetworkKeys() {
  return {
      {"listen.address", "text", "HOST:PORT, port 0 for any; \"\" for none",
       "TCP for the gRPC API, with mutual TLS.", "",
       Text(RECLAIM_FIELD(tcp_address))},
      {"listen.tls_certificate", "text", "a PEM file", "The server's chain.",
       "", Text(RECLAIM_FIELD(tls_certificate))},
      {"listen.tls_key", "text", "a PEM file", "The key of the certificate.",
       "", Text(RECLAIM_FIELD(tls_key))},
      {"listen.tls_client_ca", "text", "a PEM file",
       "Who signs the certificates of clients.", "",
       Text(RECLAIM_FIELD(tls_client_ca))},
      {"listen.tls_crl_directory", "text", "a folder; \"\" for none",
       "Revocation lists under OpenSSL's hashed names.", "",
       Text(RECLAIM_FIELD(tls_crl_directory))},
      {"listen.insecure", "yes or no", "",
       "TCP without TLS; only on a loopback address.", "false",
       Flag(RECLAIM_FIELD(is_insecure))},
      {"listen.insecure_roles", "texts", "read, record, prune, admin",
       "What anybody may do over TCP without TLS.", "[\"read\"]",
       Texts(RECLAIM_FIELD(insecure_roles))},
      {"listen.tcp_reflection", "yes or no", "",
       "gRPC's reflection over TCP; over the Unix sockets it is on.", "false",
       Flag(RECLAIM_FIELD(has_tcp_reflection))},
      {"http.address", "text", "HOST:PORT, port 0 for any; \"\" for none",
       "/metrics, /livez, /readyz and /healthz.", "127.0.0.1:9464",
       Text(RECLAIM_FIELD(http_address))},
  };
}

std::vector<Key> NotificationKeys() {
  return {
      {"notifications.secret_file", "text", "a file of mode 0600",
       "Holds the secret, 16 bytes or more, that registries show as "
       "`Authorization: Bearer SECRET` when they post to "
       "/v1/notifications/STORE; empty: none are taken.",
       "", Text(RECLAIM_FIELD(notification_secret_file))},
      {"notifications.address", "text", "HOST:PORT, port 0 for any",
       "Where notifications are taken; empty: at http.address.", "",
       Text(RECLAIM_FIELD(notification_address))},
      {"notifications.waiting_max", "number", "1 to 10000",
       "Envelopes at a time; what is beyond is answered 503 and sent again.",
       "64", Number(RECLAIM_FIELD(notifications.waiting_max), 1, 10000)},
      {"notifications.events_per_second", "number", "1 to 1000000",
       "Mean rate of events; what is beyond is answered 429 and sent again.",
       "1000",
       Number(RECLAIM_FIELD(notifications.events_per_second), 1, 1000000)},
  };
}

std::vector<Key> PolicyKeys() {
  const absl::Duration zero = absl::ZeroDuration();
  return {
      {"gc.grace_period", "duration", "0s to 87600h",
       "Younger content is kept, referenced or not.", "24h",
       Both(Span(RECLAIM_FIELD(policy.grace_period), zero, kYears),
            Span(RECLAIM_FIELD(graph.grace_period), zero, kYears))},
      {"gc.quarantine_period", "duration", "0s to 87600h",
       "How long what was deleted can be restored.", "24h",
       Span(RECLAIM_FIELD(policy.quarantine_period), zero, kYears)},
      {"gc.plan_lifetime", "duration", "1m to 720h",
       "Older plans are not applied.", "24h",
       Span(RECLAIM_FIELD(policy.plan_lifetime), absl::Minutes(1),
            absl::Hours(720))},
      {"gc.upload_lifetime", "duration", "0s to 87600h",
       "Uploads whose last write is older are abandoned.", "168h",
       Both(Span(RECLAIM_FIELD(policy.upload_lifetime), zero, kYears),
            Span(RECLAIM_FIELD(graph.upload_lifetime), zero, kYears))},
      {"gc.batch_item_count", "number", "1 to 10000",
       "Items taken away under one guard; a writer waits for at most one "
       "batch.",
       "64", Number(RECLAIM_FIELD(policy.batch_item_count), 1, 10000)},
      {"gc.pace_bytes_per_second", "number", "0 or more",
       "Bytes a second that a sweep may move or free; 0: no limit.", "0",
       Number(RECLAIM_FIELD(policy.pace_bytes_per_second), 0, kAny)},
      {"gc.large_plan_percent", "number", "1 to 100",
       "A plan that takes a larger share of a store needs --allow-large.", "50",
       Number(RECLAIM_FIELD(policy.large_plan_percent), 1, 100)},
      {"gc.purge_interval", "duration", "0s to 24h",
       "How often quarantined bytes whose period has ended are freed; 0s: "
       "only when asked.",
       "10m", Span(RECLAIM_FIELD(purge_interval), zero, absl::Hours(24))},
      {"gc.history_interval", "duration", "0s to 24h",
       "How often the usage of each store is noted for `df --history`; 0s: "
       "never.",
       "5m", Span(RECLAIM_FIELD(history_interval), zero, absl::Hours(24))},
  };
}

std::vector<Key> RecordKeys() {
  return {
      {"gc.run_memory", "duration", "1h to 87600h",
       "Runs that ended longer ago are forgotten, unless something of theirs "
       "is in quarantine.",
       "2160h",
       Span(RECLAIM_FIELD(record_retention.run_memory), absl::Hours(1),
            kYears)},
      {"gc.run_count_max", "number", "100 or more",
       "So many runs are remembered at the most, with the same exception.",
       "10000",
       Number(RECLAIM_FIELD(record_retention.run_count_max), 100, kAny)},
      {"gc.plan_memory", "duration", "0s to 87600h",
       "How long after their expiry plans are kept.", "168h",
       Span(RECLAIM_FIELD(record_retention.plan_memory), absl::ZeroDuration(),
            kYears)},
      {"gc.plan_count_max", "number", "1 to 1000000",
       "So many plans that nobody has applied are kept at the most: the oldest "
       "go, those of schedules last.",
       "1000",
       Number(RECLAIM_FIELD(record_retention.plan_count_max), 1, 1'000'000)},
  };
}

std::vector<Key> LimitKeys() {
  return {
      {"limits.stream_count_max", "number", "1 to 1000",
       "Watches and streams at a time, of all callers together; each holds a "
       "thread.",
       "128", Number(RECLAIM_FIELD(calls.stream_count_max), 1, 1000)},
      {"limits.peer_stream_count_max", "number", "0 to 1000",
       "The same of one peer, over all of its connections; 0: any. Root on a "
       "Unix socket has no limit.",
       "64", Number(RECLAIM_FIELD(calls.peer_stream_count_max), 0, 1000)},
      {"limits.unary_deadline", "duration", "1s to 24h",
       "Of calls that end by themselves, where the caller gives no deadline.",
       "30s",
       Span(RECLAIM_FIELD(calls.unary_deadline), absl::Seconds(1),
            absl::Hours(24))},
      {"limits.connection_call_count_max", "number", "1 to 10000",
       "Calls at a time on one connection; more of them wait.", "100",
       Number(RECLAIM_FIELD(connection_call_count_max), 1, 10000)},
      {"limits.peer_calls_per_second", "number", "0 to 1000000",
       "Calls of one peer a second, over all of its connections, and twice as "
       "many at once; 0: any. Root on a Unix socket has no limit.",
       "1000", Number(RECLAIM_FIELD(calls.peer_calls_per_second), 0, 1000000)},
      {"limits.message_bytes_max", "number", "65536 to 67108864",
       "Bytes of one gRPC message.", "16777216",
       Number(RECLAIM_FIELD(message_bytes_max), 65536, 64 << 20)},
  };
}

std::vector<Key> GraphKeys() {
  return {
      {"graph.request_memory", "duration", "1m to 720h",
       "How long a request id is remembered.", "24h",
       Span(RECLAIM_FIELD(graph.request_memory), absl::Minutes(1),
            absl::Hours(720))},
      {"graph.event_count_max", "number", "1000 or more",
       "Event rows that are kept; older ones are trimmed bit by bit.",
       "10000000", Number(RECLAIM_FIELD(graph.event_count_max), 1000, kAny)},
  };
}

std::vector<Key> ConfineKeys() {
  return {
      {"confine.writes", "yes or no", "",
       "The kernel (Landlock) lets the daemon write below the data directory, "
       "the folders of its sockets and the stores of this file alone, and "
       "start no other program; without Landlock it does not start.",
       "false", Flag(RECLAIM_FIELD(is_confined))},
      {"confine.folders", "texts", "folders",
       "Where else it may write: where stores lie that are added later.", "[]",
       Texts(RECLAIM_FIELD(confined_folders))},
  };
}

std::vector<Key> GrantKeys() {
  return {
      {"audit.segment_bytes", "number", "4096 or more",
       "A file of the audit log that has reached this is followed by another.",
       "67108864", Number(RECLAIM_FIELD(audit_segment_bytes), 4096, kAny)},
      {"audit.segment_count_max", "number", "0 to 1000000",
       "Older files of the audit log are removed; 0: all are kept.", "0",
       Number(RECLAIM_FIELD(audit_segment_count_max), 0, 1'000'000)},
      {"grant.who", "text", "uid:N, gid:N, cn:NAME, dns:NAME, uri:URI",
       "Who: a user or group of a Unix socket, or a name of a certificate.", "",
       Text(RECLAIM_FIELD(grants.back().who))},
      {"grant.roles", "texts", "read, record, prune, admin",
       "What it may do; a certificate without a grant may do nothing.", "[]",
       Texts(RECLAIM_FIELD(grants.back().roles))},
  };
}

KeyReader DescriptorCacheOf() {
  return [](const toml::node& node, Config* config) {
    const auto word = node.value<std::string>();
    index::DescriptorCache* cache =
        &config->stores.back().writers.descriptor_cache;
    if (node.is_string() && *word == "unknown") {
      *cache = index::DescriptorCache::kUnknown;
    } else if (node.is_string() && *word == "none") {
      *cache = index::DescriptorCache::kNone;
    } else if (node.is_string() && *word == "memory") {
      *cache = index::DescriptorCache::kMemory;
    } else {
      return MustBe("unknown, none or memory");
    }
    return absl::OkStatus();
  };
}

std::vector<Key> StoreKeys() {
  return {
      {"store.uri", "text",
       "image-layout:PATH, registry:PATH, containerd:SOCKET, docker:SOCKET, "
       "podman:SOCKET, external:NAME, memory:NAME",
       "What the store is and where.", "",
       Text(RECLAIM_FIELD(stores.back().uri))},
      {"store.name", "text", "[a-z0-9][a-z0-9._-]{0,62}",
       "Its name; empty: from the path.", "",
       Text(RECLAIM_FIELD(stores.back().name))},
      {"store.write_duration_max", "duration", "0s to 87600h",
       "The longest time from a writer's last look at content to the name that "
       "he gives it; only a scan that began so long after the quarantine lets "
       "bytes be freed.",
       "1m",
       Span(RECLAIM_FIELD(stores.back().writers.write_duration_max),
            absl::ZeroDuration(), kYears)},
      {"store.descriptor_cache", "text", "unknown, none or memory",
       "Of a registry: whether it answers from a memory of descriptors "
       "(`cache: blobdescriptor`).",
       "unknown", DescriptorCacheOf()},
      {"store.registry_url", "text", "http://HOST:PORT",
       "Of a registry: where it listens itself, to ask it what it remembers.",
       "", Text(RECLAIM_FIELD(stores.back().writers.registry_url))},
      {"store.read_only", "yes or no", "", "Nothing is ever deleted there.",
       "false", Flag(RECLAIM_FIELD(stores.back().is_read_only))},
      {"store.knows_containers", "yes or no", "",
       "All containers that use the store are recorded, so that \"unused\" "
       "can be judged.",
       "false", Flag(RECLAIM_FIELD(stores.back().knows_containers))},
  };
}

}  // namespace

const std::vector<Key>& Keys() {
  static const auto* const keys = [] {
    auto* all = new std::vector<Key>(ListenKeys());
    for (const auto& section :
         {NetworkKeys(), NotificationKeys(), PolicyKeys(), RecordKeys(),
          LimitKeys(), GraphKeys(), ConfineKeys(), GrantKeys(), StoreKeys(),
          RetentionKeys(), ReferrerKeys(), ScheduleKeys(), ScheduleTargetKeys(),
          TenantKeys()}) {
      all->insert(all->end(), section.begin(), section.end());
    }
    return all;
  }();
  return *keys;
}

const std::vector<RepeatedTable>& RepeatedTables() {
  static const auto* const tables = new std::vector<RepeatedTable>{
      {"grant", "grant.who",
       [](Config* config) { config->grants.emplace_back(); }},
      {"store", "store.uri",
       [](Config* config) { config->stores.emplace_back(); }},
      {"retention", "retention.name",
       [](Config* config) { config->retention.rules.emplace_back(); }},
      {"referrers", "referrers.name",
       [](Config* config) { config->retention.referrers.emplace_back(); }},
      {"schedule", "schedule.name",
       [](Config* config) {
         config->schedules.emplace_back();
         config->schedules.back().request.verb = gc::PruneVerb::kRetention;
       }},
      {"tenant", "tenant.name",
       [](Config* config) { config->tenants.tenants.emplace_back(); }},
      {"quota", "quota.name",
       [](Config* config) { config->tenants.quotas.emplace_back(); }},
  };
  return *tables;
}

const RepeatedTable* RepeatedTableOf(const Key& key) {
  for (const RepeatedTable& table : RepeatedTables()) {
    if (absl::StartsWith(key.name, absl::StrCat(table.name, "."))) {
      return &table;
    }
  }
  return nullptr;
}

}  // namespace reclaim::server
