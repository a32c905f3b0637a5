#include "server/listening.h"

#include <grp.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "rpc/grants.h"
#include "rpc/role.h"

namespace reclaim::server {
namespace {

absl::StatusOr<gid_t> GroupId(const std::string& name) {
  if (name.empty()) return static_cast<gid_t>(-1);
  const group* found = getgrnam(name.c_str());
  if (found != nullptr) return found->gr_gid;
  return absl::InvalidArgumentError(
      absl::StrCat("listen.socket_group: there is no group \"", name, "\""));
}

absl::StatusOr<rpc::RoleSet> Roles(const char* key,
                                   const std::vector<std::string>& words) {
  const auto roles = rpc::ParseRoles(words);
  if (roles.ok()) return roles;
  return absl::InvalidArgumentError(
      absl::StrCat(key, ": ", roles.status().message()));
}

absl::Status AddSockets(const Config& config, rpc::ServerOptions* options) {
  RECLAIM_ASSIGN_OR_RETURN(const gid_t group, GroupId(config.socket_group));
  if (!config.socket.empty() || config.socket_fd >= 0) {
    rpc::UnixSocket socket;
    socket.fd = config.socket_fd;
    socket.path = config.socket;
    socket.mode = static_cast<mode_t>(config.socket_mode);
    socket.group = group;
    RECLAIM_ASSIGN_OR_RETURN(socket.roles,
                             Roles("listen.socket_roles", config.socket_roles));
    options->unix_socket = socket;
  }
  if (!config.read_socket.empty()) {
    rpc::UnixSocket socket;
    socket.path = config.read_socket;
    socket.mode = static_cast<mode_t>(config.read_socket_mode);
    socket.group = group;
    socket.roles = rpc::RoleSet(rpc::Role::kRead);
    options->read_socket = socket;
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<rpc::ServerOptions> MakeServerOptions(const Config& config) {
  rpc::ServerOptions options;
  RECLAIM_RETURN_IF_ERROR(AddSockets(config, &options));
  options.tcp_address = config.tcp_address;
  options.tls = {config.tls_certificate, config.tls_key, config.tls_client_ca,
                 config.tls_crl_directory};
  options.is_insecure = config.is_insecure;
  options.has_tcp_reflection = config.has_tcp_reflection;
  options.calls = config.calls;
  options.connection_call_count_max = config.connection_call_count_max;
  options.message_bytes_max = config.message_bytes_max;
  RECLAIM_ASSIGN_OR_RETURN(
      options.insecure_roles,
      Roles("listen.insecure_roles", config.insecure_roles));
  for (const GrantConfig& grant : config.grants) {
    RECLAIM_ASSIGN_OR_RETURN(const rpc::RoleSet roles,
                             Roles("grant.roles", grant.roles));
    options.grants.push_back({grant.who, roles});
  }
  const auto grants = rpc::Grants::Create(options.grants);
  if (!grants.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("grant.who: ", grants.status().message()));
  }
  return options;
}

}  // namespace reclaim::server
