// rpc/notification_intake.h — registries tell what has happened.
//
// Takes the envelopes that distribution posts (oci/notification.h), one store a
// URL.  An envelope is accepted when all that it hints at has been looked at in
// the store and what was found is durable in the graph; until then the registry
// keeps it and sends it again.  So events may come twice, late and in any
// order, and those that never come are made up for by the next scan
// (index/hints.h).
//
// A registry sends what is refused again and again, and nothing else meanwhile.
// So an event about a name that can't be read (a torn link) is accepted after
// ten seconds: scans tell of such a name, and keep what it may name.
//
// Bounds: kNotificationBytesMax an envelope, `waiting_max` envelopes at a time,
// `events_per_second`.  What is beyond is refused, to be sent again later.
//
// Thread-safe.

#ifndef RECLAIM_RPC_NOTIFICATION_INTAKE_H_
#define RECLAIM_RPC_NOTIFICATION_INTAKE_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "rpc/service_parts.h"

namespace reclaim::rpc {

inline constexpr size_t kNotificationBytesMax = size_t{4} << 20;

struct NotificationOptions {
  // What registries show as "Authorization: Bearer SECRET"; at least 16 bytes.
  std::string secret;
  // Envelopes that are followed up or wait for it; 1 to 10,000.
  int waiting_max = 64;
  // Mean number of events a second, with bursts of ten seconds' worth; 1 to
  // 1,000,000.
  int events_per_second = 1000;
  // Pulls with this user agent are the daemon's own questions
  // (rpc/registry_client.h), and no use of what they asked for; "" for none.
  std::string own_user_agent;
};

class NotificationIntake {
 public:
  // None of the pointers is owned.  INVALID_ARGUMENT: an option out of bounds.
  static absl::StatusOr<std::unique_ptr<NotificationIntake>> Create(
      const NotificationOptions& options, const ServiceParts& parts);

  virtual ~NotificationIntake() = default;

  // Who may post, and for what: before the body is read.  `authorization` is
  // the header's value.  Errors as of Take().
  virtual absl::Status Admit(const std::string& store,
                             absl::string_view authorization) const = 0;

  // `authorization` is the header's value.  OK: durable, or of names that have
  // been unreadable for so long that they are a scan's.  UNAUTHENTICATED;
  // NOT_FOUND (store); INVALID_ARGUMENT (not an envelope);
  // FAILED_PRECONDITION (a store that takes no notifications);
  // RESOURCE_EXHAUSTED: too many a second; UNAVAILABLE: later.
  virtual absl::Status Take(const std::string& store,
                            absl::string_view authorization,
                            absl::string_view body) = 0;

  // Looks again at what the store did not bear out, if it is time: a registry
  // tells of a push before it has written the tag.  Three times, within ten
  // seconds; what is not there by then was overtaken, or is for the next scan.
  virtual void LookAgain() = 0;
};

// Reads a secret that lies in a file of its own: one line, which only its owner
// may read.  INVALID_ARGUMENT: too short; PERMISSION_DENIED: others may read
// it; NOT_FOUND.
absl::StatusOr<std::string> ReadSecret(const std::string& path);

}  // namespace reclaim::rpc

#endif  // RECLAIM_RPC_NOTIFICATION_INTAKE_H_
