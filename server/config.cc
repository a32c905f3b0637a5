#include "server/config.h"

#include <toml++/toml.h>

#include <fstream>
#include <functional>
#include <limits>
#include <sstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace reclaim::server {
namespace {

// One key: how it is written, what it means, and where it goes.
struct Key {
  const char* name;  // "gc.grace_period"; "store.uri" for each [[store]]
  const char* type;  // "text", "number", "yes or no", "duration"
  const char* bounds;
  const char* help;
  std::string fallback;
  // INVALID_ARGUMENT with what is allowed.
  std::function<absl::Status(const toml::node&, Config*)> read;
};

absl::Status Wrong(absl::string_view allowed) {
  return absl::InvalidArgumentError(absl::StrCat("must be ", allowed));
}

template <typename Field>
std::function<absl::Status(const toml::node&, Config*)> Text(Field field) {
  return [field](const toml::node& node, Config* config) {
    const auto value = node.value<std::string>();
    if (!node.is_string() || !value) return Wrong("text in quotes");
    field(*config) = *value;
    return absl::OkStatus();
  };
}

template <typename Field>
std::function<absl::Status(const toml::node&, Config*)> Flag(Field field) {
  return [field](const toml::node& node, Config* config) {
    if (!node.is_boolean()) return Wrong("true or false");
    field(*config) = *node.value<bool>();
    return absl::OkStatus();
  };
}

template <typename Field>
std::function<absl::Status(const toml::node&, Config*)> Number(Field field,
                                                               int64_t least,
                                                               int64_t most) {
  return [=](const toml::node& node, Config* config) {
    const auto value = node.value<int64_t>();
    if (!node.is_integer() || *value < least || *value > most) {
      return Wrong(absl::StrCat("a number from ", least, " to ", most));
    }
    using Target = std::decay_t<decltype(field(*config))>;
    field(*config) = static_cast<Target>(*value);
    return absl::OkStatus();
  };
}

template <typename Field>
std::function<absl::Status(const toml::node&, Config*)> Span(
    Field field, absl::Duration least, absl::Duration most) {
  return [=](const toml::node& node, Config* config) {
    absl::Duration value;
    if (!node.is_string() ||
        !absl::ParseDuration(*node.value<std::string>(), &value) ||
        value < least || value > most) {
      return Wrong(absl::StrCat(
          "a duration such as \"24h\", \"90m\" or "
          "\"30s\", from ",
          absl::FormatDuration(least), " to ", absl::FormatDuration(most)));
    }
    field(*config) = value;
    return absl::OkStatus();
  };
}

constexpr absl::Duration kYears = absl::Hours(24 * 365 * 10);

std::vector<Key> ListenKeys() {
  return {
      {"data_directory", "text", "a folder", "The daemon's database.",
       "/var/lib/reclaim",
       Text([](Config & c) -> auto& { return c.data_directory; })},
      {"time_zone", "text", "a name of the zone database",
       "The zone of instants in filters that name none.", "UTC",
       Text([](Config & c) -> auto& { return c.time_zone; })},
      {"listen.socket", "text", "a path of at most 107 bytes; \"\" for none",
       "The Unix socket of the gRPC API.", "/run/reclaim/reclaim.sock",
       Text([](Config & c) -> auto& { return c.socket; })},
      {"listen.socket_mode", "number", "0 to 0o777", "The socket's file mode.",
       "0o660",
       Number(
           [](Config & c) -> auto& { return c.socket_mode; }, 0, 0777)},
      {"listen.socket_group", "text", "a group's name",
       "The socket's group; empty: the daemon's.", "",
       Text([](Config & c) -> auto& { return c.socket_group; })},
      {"listen.address", "text", "HOST:PORT, port 0 for any; \"\" for none",
       "TCP for the gRPC API, with mutual TLS.", "",
       Text([](Config & c) -> auto& { return c.tcp_address; })},
  };
}

std::vector<Key> NetworkKeys() {
  return {
      {"listen.tls_certificate", "text", "a PEM file", "The server's chain.",
       "", Text([](Config & c) -> auto& { return c.tls_certificate; })},
      {"listen.tls_key", "text", "a PEM file", "The key of the certificate.",
       "", Text([](Config & c) -> auto& { return c.tls_key; })},
      {"listen.tls_client_ca", "text", "a PEM file",
       "Who signs the certificates of clients.", "",
       Text([](Config & c) -> auto& { return c.tls_client_ca; })},
      {"listen.insecure", "yes or no", "",
       "TCP without TLS; only on a loopback address.", "false",
       Flag([](Config & c) -> auto& { return c.is_insecure; })},
      {"http.address", "text", "HOST:PORT, port 0 for any; \"\" for none",
       "/metrics, /livez and /readyz.", "127.0.0.1:9464",
       Text([](Config & c) -> auto& { return c.http_address; })},
  };
}

std::vector<Key> PolicyKeys() {
  return {
      {"gc.grace_period", "duration", "0s to 87600h",
       "Younger content is kept, referenced or not.", "24h",
       [](const toml::node& node, Config* c) {
         const auto read = Span(
             [](Config & config) -> auto& {
               return config.policy.grace_period;
             },
             absl::ZeroDuration(), kYears);
         RECLAIM_RETURN_IF_ERROR(read(node, c));
         // The counters judge as plans do.
         c->graph.grace_period = c->policy.grace_period;
         return absl::OkStatus();
       }},
      {"gc.quarantine_period", "duration", "0s to 87600h",
       "How long what was deleted can be restored.", "24h",
       Span(
           [](Config & c) -> auto& { return c.policy.quarantine_period; },
           absl::ZeroDuration(), kYears)},
      {"gc.plan_lifetime", "duration", "1m to 720h",
       "Older plans are not applied.", "24h",
       Span(
           [](Config & c) -> auto& { return c.policy.plan_lifetime; },
           absl::Minutes(1), absl::Hours(720))},
      {"gc.upload_lifetime", "duration", "0s to 87600h",
       "Uploads whose last write is older are abandoned.", "168h",
       [](const toml::node& node, Config* c) {
         const auto read = Span(
             [](Config & config) -> auto& {
               return config.policy.upload_lifetime;
             },
             absl::ZeroDuration(), kYears);
         RECLAIM_RETURN_IF_ERROR(read(node, c));
         c->graph.upload_lifetime = c->policy.upload_lifetime;
         return absl::OkStatus();
       }},
      {"gc.batch_item_count", "number", "1 to 10000",
       "Items taken away under one guard; a writer waits for at most one "
       "batch.",
       "64",
       Number(
           [](Config & c) -> auto& { return c.policy.batch_item_count; }, 1,
           10000)},
      {"gc.pace_bytes_per_second", "number", "0 or more",
       "Bytes a second that a sweep may move or free; 0: no limit.", "0",
       Number(
           [](Config & c) -> auto& { return c.policy.pace_bytes_per_second; },
           0, std::numeric_limits<int64_t>::max())},
      {"gc.large_plan_percent", "number", "1 to 100",
       "A plan that takes a larger share of a store needs --allow-large.", "50",
       Number(
           [](Config & c) -> auto& { return c.policy.large_plan_percent; }, 1,
           100)},
      {"gc.purge_interval", "duration", "0s to 24h",
       "How often quarantined bytes whose period has ended are freed; 0s: "
       "only when asked.",
       "10m",
       Span(
           [](Config & c) -> auto& { return c.purge_interval; },
           absl::ZeroDuration(), absl::Hours(24))},
  };
}

std::vector<Key> RetentionKeys() {
  return {
      {"gc.run_memory", "duration", "1h to 87600h",
       "Runs that ended longer ago are forgotten, unless something of theirs "
       "is in quarantine.",
       "2160h",
       Span(
           [](Config & c) -> auto& { return c.retention.run_memory; },
           absl::Hours(1), kYears)},
      {"gc.run_count_max", "number", "100 or more",
       "So many runs are remembered at the most, with the same exception.",
       "10000",
       Number(
           [](Config & c) -> auto& { return c.retention.run_count_max; }, 100,
           std::numeric_limits<int64_t>::max())},
      {"gc.plan_memory", "duration", "0s to 87600h",
       "How long after their expiry plans are kept.", "168h",
       Span(
           [](Config & c) -> auto& { return c.retention.plan_memory; },
           absl::ZeroDuration(), kYears)},
  };
}

std::vector<Key> GraphKeys() {
  return {
      {"graph.request_memory", "duration", "1m to 720h",
       "How long a request id is remembered.", "24h",
       Span(
           [](Config & c) -> auto& { return c.graph.request_memory; },
           absl::Minutes(1), absl::Hours(720))},
      {"graph.event_count_max", "number", "1000 or more",
       "Event rows that are kept; older ones are trimmed bit by bit.",
       "10000000",
       Number(
           [](Config & c) -> auto& { return c.graph.event_count_max; }, 1000,
           std::numeric_limits<int64_t>::max())},
  };
}

// Keys of one [[store]]: they fill the last of `stores`.
std::vector<Key> StoreKeys() {
  return {
      {"store.uri", "text", "image-layout:PATH, registry:PATH, external:NAME",
       "What the store is and where.", "",
       Text([](Config & c) -> auto& { return c.stores.back().uri; })},
      {"store.name", "text", "[a-z0-9][a-z0-9._-]{0,62}",
       "Its name; empty: from the path.", "",
       Text([](Config & c) -> auto& { return c.stores.back().name; })},
      {"store.read_only", "yes or no", "", "Nothing is ever deleted there.",
       "false",
       Flag([](Config & c) -> auto& { return c.stores.back().is_read_only; })},
      {"store.knows_containers", "yes or no", "",
       "All containers that use the store are recorded, so that \"unused\" "
       "can be judged.",
       "false", Flag([](Config & c) -> auto& {
         return c.stores.back().knows_containers;
       })},
  };
}

const std::vector<Key>& Keys() {
  static const auto* const keys = [] {
    auto* all = new std::vector<Key>(ListenKeys());
    for (auto part : {NetworkKeys(), PolicyKeys(), RetentionKeys(), GraphKeys(),
                      StoreKeys()}) {
      all->insert(all->end(), part.begin(), part.end());
    }
    return all;
  }();
  return *keys;
}

absl::Status At(const std::string& file, const toml::node& node,
                const std::string& key, absl::string_view what) {
  return absl::InvalidArgumentError(
      absl::StrCat(file, ":", node.source().begin.line, ": ", key, " ", what));
}

absl::Status ReadTable(const toml::table& table, const std::string& prefix,
                       const std::string& file, Config* config);

absl::Status ReadStores(const toml::node& node, const std::string& file,
                        Config* config) {
  const toml::array* stores = node.as_array();
  if (stores == nullptr) {
    return At(file, node, "store", "must be written as [[store]]");
  }
  for (const toml::node& store : *stores) {
    if (!store.is_table()) {
      return At(file, store, "store", "must be written as [[store]]");
    }
    config->stores.emplace_back();
    RECLAIM_RETURN_IF_ERROR(
        ReadTable(*store.as_table(), "store.", file, config));
    if (config->stores.back().uri.empty()) {
      return At(file, store, "store.uri", "is missing");
    }
  }
  return absl::OkStatus();
}

absl::Status ReadKey(const toml::node& node, const std::string& name,
                     const std::string& file, Config* config) {
  for (const Key& key : Keys()) {
    if (name != key.name) continue;
    const absl::Status read = key.read(node, config);
    return read.ok() ? read : At(file, node, name, read.message());
  }
  return At(file, node, name,
            "is not a key; `reclaimd --print-config-reference` lists them");
}

absl::Status ReadTable(const toml::table& table, const std::string& prefix,
                       const std::string& file, Config* config) {
  for (const auto& [key, node] : table) {
    const std::string name =
        absl::StrCat(prefix, std::string(std::string_view(key.str())));
    if (prefix.empty() && name == "store") {
      RECLAIM_RETURN_IF_ERROR(ReadStores(node, file, config));
    } else if (prefix.empty() && node.is_table()) {
      RECLAIM_RETURN_IF_ERROR(
          ReadTable(*node.as_table(), name + ".", file, config));
    } else {
      RECLAIM_RETURN_IF_ERROR(ReadKey(node, name, file, config));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Config> ParseConfig(absl::string_view text,
                                   const std::string& file) {
  Config config;
  try {
    const toml::table table =
        toml::parse(std::string_view(text.data(), text.size()));
    RECLAIM_RETURN_IF_ERROR(ReadTable(table, "", file, &config));
  } catch (const toml::parse_error& error) {
    return absl::InvalidArgumentError(
        absl::StrCat(file, ":", error.source().begin.line, ": ",
                     std::string(error.description())));
  }
  RECLAIM_RETURN_IF_ERROR(CheckConfig(config));
  return config;
}

absl::StatusOr<Config> ReadConfig(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  if (!file.good()) {
    return absl::NotFoundError(absl::StrCat(
        "cannot read the configuration ", path,
        "; name another with --config, or none to run with the defaults"));
  }
  return ParseConfig(text.str(), path);
}

absl::Status CheckConfig(const Config& config) {
  RECLAIM_RETURN_IF_ERROR(config.policy.Validate());
  absl::TimeZone zone;
  if (!absl::LoadTimeZone(config.time_zone, &zone)) {
    return absl::InvalidArgumentError(
        absl::StrCat("time_zone: \"", config.time_zone,
                     "\" is not a zone that this machine knows"));
  }
  if (config.socket.empty() && config.tcp_address.empty()) {
    return absl::InvalidArgumentError(
        "listen.socket and listen.address are both empty: nobody could call");
  }
  if (!config.tcp_address.empty() && !config.is_insecure &&
      (config.tls_certificate.empty() || config.tls_key.empty() ||
       config.tls_client_ca.empty())) {
    return absl::InvalidArgumentError(
        "listen.address needs listen.tls_certificate, tls_key and "
        "tls_client_ca (or listen.insecure on a loopback address)");
  }
  return absl::OkStatus();
}

std::string ConfigReference() {
  std::string page =
      "# Configuration\n\n"
      "`reclaimd --config FILE` reads one TOML file.  Every key is optional "
      "but `uri` in a `[[store]]`; unknown keys are errors.  `reclaimd "
      "--check-config` reads it and says what is wrong.  This page is what "
      "`reclaimd --print-config-reference` prints.\n\n"
      "| key | value | allowed | default | meaning |\n"
      "|---|---|---|---|---|\n";
  for (const Key& key : Keys()) {
    const std::string name = key.name;
    const bool is_store = name.rfind("store.", 0) == 0;
    absl::StrAppend(&page, "| `", is_store ? "[[store]] " : "",
                    is_store ? name.substr(6) : name, "` | ", key.type, " | ",
                    key.bounds, " | ", key.fallback.empty() ? "" : "`",
                    key.fallback, key.fallback.empty() ? "" : "`", " | ",
                    key.help, " |\n");
  }
  return page;
}

}  // namespace reclaim::server
