// server/daemon.h — reclaimd: the parts put together, and nothing else.

#ifndef RECLAIM_SERVER_DAEMON_H_
#define RECLAIM_SERVER_DAEMON_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/config.h"

namespace reclaim::server {

inline constexpr char kVersion[] = "0.1.0";

class Daemon {
 public:
  // Opens the database (a damaged one is moved aside and rebuilt from the
  // stores), recovers what a crash interrupted, opens the stores and serves.
  // `say` takes lines for the log; called from several threads.
  static absl::StatusOr<std::unique_ptr<Daemon>> Start(
      const Config& config, std::function<void(absl::string_view)> say);

  virtual ~Daemon() = default;
  virtual int tcp_port() const = 0;
  virtual int http_port() const = 0;
  // Refuses calls, ends runs at an item boundary, closes.  Idempotent.
  virtual void Stop() = 0;
};

}  // namespace reclaim::server

#endif  // RECLAIM_SERVER_DAEMON_H_
