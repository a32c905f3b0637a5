// oci/notification.h — what a registry says has happened.
//
// Distribution posts envelopes of events to webhooks ("Work with notifications"
// of its documentation; the type is kNotificationType).  An envelope comes from
// whoever reaches the endpoint: it is read under the limits of json_reader.h,
// but that of memory, and of kNotificationEventMax.  An event that is not
// understood is counted and passed by, for a registry sends an envelope again
// until it is accepted.
//
// Pure.

#ifndef RECLAIM_OCI_NOTIFICATION_H_
#define RECLAIM_OCI_NOTIFICATION_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "oci/digest.h"

namespace reclaim::oci {

inline constexpr char kNotificationType[] =
    "application/vnd.docker.distribution.events.v1+json";
inline constexpr size_t kNotificationEventMax = 10000;
// Of what has been read.  An event of a registry is many short members: 4 MiB
// of them take more than a document of content may.
inline constexpr size_t kNotificationMemoryMax = size_t{64} << 20;

enum class NotifiedAction : uint8_t {
  kPush = 1,
  kPull = 2,
  kMount = 3,
  kDelete = 4,
};
const char* ToString(NotifiedAction action);

struct Notification {
  NotifiedAction action = NotifiedAction::kPush;
  std::string repository;        // a valid name
  std::string tag;               // a valid name, or "" if none was used
  std::optional<Digest> digest;  // unset: a tag or a repository was deleted
  std::string media_type;        // "" if it was not said
  std::optional<absl::Time> time;
  std::string user_agent;  // of whose request it was; "" if unknown
};

struct NotificationEnvelope {
  std::vector<Notification> notifications;  // in the order of the envelope
  uint64_t passed_by_count = 0;             // events that were not understood
};

// INVALID_ARGUMENT: not an envelope; RESOURCE_EXHAUSTED names the limit.
absl::StatusOr<NotificationEnvelope> ParseNotifications(absl::string_view text);

}  // namespace reclaim::oci

#endif  // RECLAIM_OCI_NOTIFICATION_H_
