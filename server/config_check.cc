#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "server/config.h"
#include "server/listening.h"
#include "server/policy_keys.h"

namespace reclaim::server {

absl::Status CheckConfig(const Config& config) {
  RECLAIM_RETURN_IF_ERROR(config.policy.Validate());
  absl::TimeZone zone;
  if (!absl::LoadTimeZone(config.time_zone, &zone)) {
    return absl::InvalidArgumentError(
        absl::StrCat("time_zone: \"", config.time_zone,
                     "\" is not a zone that this machine knows"));
  }
  RECLAIM_RETURN_IF_ERROR(MakeServerOptions(config).status());
  if (config.socket.empty() && config.socket_fd < 0 &&
      config.tcp_address.empty()) {
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
  return CheckPolicies(config);
}

}  // namespace reclaim::server
