// server/usage_recorder.h — notes again and again how much each store uses.

#ifndef RECLAIM_SERVER_USAGE_RECORDER_H_
#define RECLAIM_SERVER_USAGE_RECORDER_H_

#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "rpc/service_parts.h"
#include "server/ticker.h"

namespace reclaim::server {

class UsageRecorder {
 public:
  // `parts` holds the history; nothing is owned.
  explicit UsageRecorder(const rpc::ServiceParts& parts) : parts_(parts) {}

  // One sample of each store.  The first error, after the others were tried.
  absl::Status NoteAll();

  // Notes every `interval` (zero: never) until it is destroyed.  `say` takes
  // lines for the log, from the ticker's thread; a complaint comes once.
  void Begin(absl::Duration interval,
             std::function<void(absl::string_view)> say);

 private:
  const rpc::ServiceParts parts_;
  std::unique_ptr<Ticker> ticker_;  // stops before the rest goes
};

}  // namespace reclaim::server

#endif  // RECLAIM_SERVER_USAGE_RECORDER_H_
