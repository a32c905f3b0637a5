#include "oci/notification.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/rfc3339.h"
#include "base/status_macros.h"
#include "nlohmann/json.hpp"
#include "oci/json_reader.h"
#include "oci/name.h"

namespace reclaim::oci {
namespace {

std::optional<NotifiedAction> ActionOf(absl::string_view word) {
  for (const NotifiedAction action :
       {NotifiedAction::kPush, NotifiedAction::kPull, NotifiedAction::kMount,
        NotifiedAction::kDelete}) {
    if (word == ToString(action)) return action;
  }
  return std::nullopt;
}

// What is wrong with an event is nobody's concern but the count's.
absl::StatusOr<Notification> ReadEvent(const Json& event) {
  if (!event.is_object()) {
    return absl::InvalidArgumentError("an event is not an object");
  }
  Notification out;
  RECLAIM_ASSIGN_OR_RETURN(const std::string action,
                           StringMember(event, "action"));
  const std::optional<NotifiedAction> known = ActionOf(action);
  if (!known) return absl::InvalidArgumentError("an action that is not known");
  out.action = *known;
  RECLAIM_ASSIGN_OR_RETURN(const Json* target, ObjectMember(event, "target"));
  if (target == nullptr) return absl::InvalidArgumentError("no target");
  RECLAIM_ASSIGN_OR_RETURN(out.repository, StringMember(*target, "repository"));
  if (!IsRepositoryName(out.repository)) {
    return absl::InvalidArgumentError("not the name of a repository");
  }
  RECLAIM_ASSIGN_OR_RETURN(out.tag, StringMember(*target, "tag"));
  if (!out.tag.empty() && !IsTagName(out.tag)) {
    return absl::InvalidArgumentError("not the name of a tag");
  }
  RECLAIM_ASSIGN_OR_RETURN(const std::string digest,
                           StringMember(*target, "digest"));
  if (!digest.empty()) {
    RECLAIM_ASSIGN_OR_RETURN(out.digest, Digest::Parse(digest));
  }
  RECLAIM_ASSIGN_OR_RETURN(out.media_type, StringMember(*target, "mediaType"));
  RECLAIM_ASSIGN_OR_RETURN(const std::string time,
                           StringMember(event, "timestamp"));
  // Who asked is no reason to pass an event by.
  const auto request = ObjectMember(event, "request");
  if (request.ok() && *request != nullptr) {
    out.user_agent = StringMember(**request, "useragent").value_or("");
  }
  out.time = base::ParseRfc3339(time);
  return out;
}

}  // namespace

const char* ToString(NotifiedAction action) {
  switch (action) {
    case NotifiedAction::kPush:
      return "push";
    case NotifiedAction::kPull:
      return "pull";
    case NotifiedAction::kMount:
      return "mount";
    case NotifiedAction::kDelete:
      return "delete";
  }
  return "unknown";
}

absl::StatusOr<NotificationEnvelope> ParseNotifications(
    absl::string_view text) {
  RECLAIM_ASSIGN_OR_RETURN(const Json document,
                           ReadJsonObject(text, kNotificationMemoryMax));
  RECLAIM_ASSIGN_OR_RETURN(const Json* events, ArrayMember(document, "events"));
  if (events == nullptr) {
    return absl::InvalidArgumentError(
        "the JSON document has no \"events\": it is no envelope of a registry");
  }
  if (events->size() > kNotificationEventMax) {
    return absl::ResourceExhaustedError(
        absl::StrCat("an envelope of ", events->size(),
                     " events; the limit is ", kNotificationEventMax));
  }
  NotificationEnvelope envelope;
  for (const Json& event : *events) {
    absl::StatusOr<Notification> read = ReadEvent(event);
    if (read.ok()) {
      envelope.notifications.push_back(*std::move(read));
    } else {
      ++envelope.passed_by_count;
    }
  }
  return envelope;
}

}  // namespace reclaim::oci
