// server/config.h — what the operator says.
//
// One TOML file with strict keys: an unknown key, a wrong type and a value out
// of bounds are INVALID_ARGUMENT with file, line, key and what is allowed (or
// the nearest key).  The table of keys in config_keys.cc is the only place that
// knows them; it also prints docs/CONFIGURATION.md (`reclaimd
// --print-config-reference`).

#ifndef RECLAIM_SERVER_CONFIG_H_
#define RECLAIM_SERVER_CONFIG_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "gc/policy.h"
#include "gc/retention.h"
#include "gc/schedule.h"
#include "gc/tenants.h"
#include "index/reference_graph.h"
#include "rpc/call_limits.h"
#include "rpc/notification_intake.h"
#include "rpc/server.h"
#include "rpc/store_table.h"

namespace reclaim::server {

// One [[grant]]: rpc/grants.h says who can be named.
struct GrantConfig {
  std::string who;
  std::vector<std::string> roles;
};
// The name that rules of the file have in reasons.
inline gc::RuleSet FileRules() {
  gc::RuleSet rules;
  rules.name = "configuration";
  return rules;
}

struct Config {
  std::string data_directory = "/var/lib/reclaim";
  int64_t ballast_bytes = 64 << 20;  // 0: none
  std::string socket = "/run/reclaim/reclaim.sock";
  int socket_fd = -1;  // no key: what systemd listens on for us
  int64_t socket_mode = 0660;
  std::string socket_group;  // "": the daemon's
  std::vector<std::string> socket_roles = {"admin"};
  std::string read_socket;  // "": none
  int64_t read_socket_mode = 0660;
  std::string tcp_address;  // "": no TCP
  std::string tls_certificate;
  std::string tls_key;
  std::string tls_client_ca;
  std::string tls_crl_directory;  // "": no revocation lists
  bool is_insecure = false;
  bool has_tcp_reflection = false;
  std::string http_address = "127.0.0.1:9464";  // "": no metrics port
  std::string notification_secret_file;  // "": no notifications are taken
  std::string notification_address;      // "": at http_address
  // Without the secret, which lies in the file.
  rpc::NotificationOptions notifications;
  std::vector<std::string> insecure_roles = {"read"};
  std::vector<GrantConfig> grants;
  uint64_t audit_segment_bytes = 64u << 20;
  uint32_t audit_segment_count_max = 0;  // 0: all are kept
  // Whether the kernel holds us to writing in our own folders and the stores'
  // (server/confinement.h), and where else.
  bool is_confined = false;
  std::vector<std::string> confined_folders;
  std::string time_zone = "UTC";                       // of filters' instants
  absl::Duration purge_interval = absl::Minutes(10);   // 0: never by itself
  absl::Duration history_interval = absl::Minutes(5);  // 0: no history
  rpc::CallLimitOptions calls;
  int connection_call_count_max = 100;
  int message_bytes_max = 16 << 20;
  gc::GcPolicy policy;
  gc::RecordRetention record_retention;
  index::GraphOptions graph;
  std::vector<rpc::StoreSettings> stores;
  gc::RuleSet retention = FileRules();
  std::vector<gc::Schedule> schedules;
  gc::TenantSettings tenants;
};

// `file` is named in errors only.
absl::StatusOr<Config> ParseConfig(absl::string_view text,
                                   const std::string& file);
// NOT_FOUND, PERMISSION_DENIED if it can't be read.
absl::StatusOr<Config> ReadConfig(const std::string& path);

// What fits together, and the bounds of gc::GcPolicy.
absl::Status CheckConfig(const Config& config);

// The reference page of all keys, as Markdown.
std::string ConfigReference();

}  // namespace reclaim::server

#endif  // RECLAIM_SERVER_CONFIG_H_
