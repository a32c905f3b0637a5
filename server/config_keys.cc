// The table of all keys.  A new key is a row here, in the section of its name.

#include <limits>

#include "absl/strings/match.h"
#include "server/config_key.h"

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
      {"listen.insecure", "yes or no", "",
       "TCP without TLS; only on a loopback address.", "false",
       Flag(RECLAIM_FIELD(is_insecure))},
      {"http.address", "text", "HOST:PORT, port 0 for any; \"\" for none",
       "/metrics, /livez and /readyz.", "127.0.0.1:9464",
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
  };
}

std::vector<Key> GraphKeys() {
  return {
      {"graph.request_memory", "duration", "1m to 720h",
       "How long a request id is remembered.", "24h",
       Span(RECLAIM_FIELD(graph.request_memory), absl::Minutes(1),
            absl::Hours(720))},
      {"graph.event_count_max", "number", "1000 or more",
       "Event rows that are kept at the least.", "10000000",
       Number(RECLAIM_FIELD(graph.event_count_max), 1000, kAny)},
  };
}

std::vector<Key> StoreKeys() {
  return {
      {"store.uri", "text",
       "image-layout:PATH, registry:PATH, containerd:SOCKET, docker:SOCKET, "
       "podman:SOCKET, external:NAME",
       "What the store is and where.", "",
       Text(RECLAIM_FIELD(stores.back().uri))},
      {"store.name", "text", "[a-z0-9][a-z0-9._-]{0,62}",
       "Its name; empty: from the path.", "",
       Text(RECLAIM_FIELD(stores.back().name))},
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
         {NotificationKeys(), PolicyKeys(), GraphKeys(), StoreKeys()}) {
      all->insert(all->end(), section.begin(), section.end());
    }
    return all;
  }();
  return *keys;
}

const std::vector<RepeatedTable>& RepeatedTables() {
  static const auto* const tables = new std::vector<RepeatedTable>{
      {"store", "store.uri",
       [](Config* config) { config->stores.emplace_back(); }},
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
