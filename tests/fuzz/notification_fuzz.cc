// oci/notification.h: what whoever reaches the endpoint may post.

#include "base/check.h"
#include "oci/json_reader.h"
#include "oci/name.h"
#include "oci/notification.h"
#include "tests/fuzz/fuzz_target.h"

namespace reclaim::oci {
namespace {

RECLAIM_FUZZ_TARGET(notification) {
  const auto envelope = ParseNotifications(input);
  if (!envelope.ok()) return;
  RECLAIM_CHECK(input.size() <= kJsonBytesMax, "the limit of bytes holds");
  RECLAIM_CHECK(envelope->notifications.size() <= kNotificationEventMax,
                "the limit of events holds");
  for (const Notification& notification : envelope->notifications) {
    RECLAIM_CHECK(IsRepositoryName(notification.repository),
                  "a repository has a name");
    RECLAIM_CHECK(notification.tag.empty() || IsTagName(notification.tag),
                  "a tag is one");
    RECLAIM_CHECK(!notification.digest || !notification.digest->empty(),
                  "a digest names something");
  }
}

}  // namespace
}  // namespace reclaim::oci
