#include "oci/notification.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace reclaim::oci {
namespace {

using ::reclaim::base::StatusIs;

constexpr char kDigest[] =
    "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

// As docker-registry 2.8.2 sends it, shortened.
std::string Event(const std::string& action, const std::string& target) {
  return absl::StrCat(
      R"({"id":"320678d8-ca14","timestamp":"2026-03-09T14:44:26.402973972-08:00",)",
      R"("action":")", action, R"(","target":{)", target,
      R"(},"request":{"id":"x","method":"PUT","useragent":"skopeo/1.9"},)",
      R"("actor":{},"source":{}})");
}
std::string Envelope(const std::string& events) {
  return absl::StrCat(R"({"events":[)", events, "]}");
}

TEST(NotificationTest, APush) {
  const auto read = ParseNotifications(Envelope(Event(
      "push",
      absl::StrCat(
          R"("mediaType":"application/vnd.oci.image.manifest.v1+json","size":5,)",
          R"("digest":")", kDigest,
          R"(","length":5,"repository":"team/app","url":"http://x","tag":"v1")"))));
  ASSERT_THAT(read, base::IsOk());
  ASSERT_EQ(read->notifications.size(), 1u);
  const Notification& push = read->notifications[0];
  EXPECT_EQ(push.action, NotifiedAction::kPush);
  EXPECT_EQ(push.repository, "team/app");
  EXPECT_EQ(push.tag, "v1");
  EXPECT_EQ(push.digest->ToString(), kDigest);
  EXPECT_EQ(push.media_type, "application/vnd.oci.image.manifest.v1+json");
  EXPECT_EQ(push.user_agent, "skopeo/1.9");
  EXPECT_EQ(*push.time,
            absl::FromCivil(absl::CivilSecond(2026, 3, 9, 22, 44, 26),
                            absl::UTCTimeZone()) +
                absl::Nanoseconds(402973972));
}

// As many members as a registry's event has, and more, in 4 MiB.
TEST(NotificationTest, ADenseEnvelopeIsReadUpToTheLimitOfBytes) {
  constexpr size_t kBytesMax = size_t{4} << 20;
  std::string members;
  for (int i = 0; i < 34; ++i) absl::StrAppend(&members, "\"", i, "\":{},");
  std::string events;
  size_t count = 0;
  while (count < kNotificationEventMax) {
    const std::string event =
        absl::StrCat("{", members, R"("action":"pull","target":{"digest":")",
                     kDigest, R"(","repository":"app","tag":""}},)");
    if (events.size() + event.size() + 20 > kBytesMax) break;
    events += event;
    ++count;
  }
  events.pop_back();
  const auto read = ParseNotifications(Envelope(events));
  ASSERT_THAT(read, base::IsOk());
  EXPECT_EQ(read->notifications.size(), count);
  EXPECT_GT(Envelope(events).size(), kBytesMax * 7 / 8);
}

TEST(NotificationTest, WhoAskedNeedNotBeSaid) {
  for (const char* request : {"", R"("request":{},)", R"("request":7,)",
                              R"("request":{"useragent":7},)"}) {
    const auto read = ParseNotifications(Envelope(absl::StrCat(
        "{", request, R"("action":"pull","target":{"repository":"app"}})")));
    ASSERT_THAT(read, base::IsOk()) << request;
    ASSERT_EQ(read->notifications.size(), 1u) << request;
    EXPECT_EQ(read->notifications[0].user_agent, "") << request;
  }
}

TEST(NotificationTest, ADeletionNamesADigestOrATagOrNeither) {
  const auto read = ParseNotifications(Envelope(absl::StrCat(
      Event("delete",
            absl::StrCat(R"("digest":")", kDigest, R"(","repository":"app")")),
      ",", Event("delete", R"("repository":"app","tag":"old")"), ",",
      Event("delete", R"("repository":"app")"))));
  ASSERT_THAT(read, base::IsOk());
  ASSERT_EQ(read->notifications.size(), 3u);
  EXPECT_TRUE(read->notifications[0].digest.has_value());
  EXPECT_EQ(read->notifications[1].tag, "old");
  EXPECT_FALSE(read->notifications[2].digest.has_value());
}

TEST(NotificationTest, WhatIsNotUnderstoodIsPassedByNotRefused) {
  const std::string repository = R"("repository":"app")";
  const auto read = ParseNotifications(Envelope(absl::StrCat(
      Event("frobnicate", repository), ",", Event("push", R"("tag":"v1")"), ",",
      Event("push", R"("repository":"../../etc")"), ",",
      Event("push", R"("repository":"app","tag":"a/b")"), ",",
      Event("push", R"("repository":"app","digest":"sha256:../../x")"), ",",
      Event("push", R"("repository":7)"), ",7,null,[],",
      R"({"action":"push"},{"action":"push","target":"app"},)",
      Event("mount", repository))));
  ASSERT_THAT(read, base::IsOk());
  EXPECT_EQ(read->passed_by_count, 11u);
  ASSERT_EQ(read->notifications.size(), 1u);
  EXPECT_EQ(read->notifications[0].action, NotifiedAction::kMount);
}

TEST(NotificationTest, ATimeThatIsNoneIsNone) {
  for (const char* time : {"yesterday", "infinite-future", "infinite-past"}) {
    const auto read = ParseNotifications(
        absl::StrCat(R"({"events":[{"action":"pull","timestamp":")", time,
                     R"(","target":{"repository":"app"}}]})"));
    ASSERT_THAT(read, base::IsOk());
    ASSERT_EQ(read->notifications.size(), 1u);
    EXPECT_FALSE(read->notifications[0].time.has_value()) << time;
  }
}

TEST(NotificationTest, WhatIsNoEnvelopeIsRefused) {
  for (const char* text :
       {"", "nonsense", "[]", "{}", R"({"events":{}})", R"({"events":7})",
        R"({"events":[],"events":[]})", "{\"events\":[\"\xff\"]}"}) {
    EXPECT_THAT(ParseNotifications(text),
                StatusIs(absl::StatusCode::kInvalidArgument))
        << text;
  }
}

TEST(NotificationTest, Limits) {
  std::string many = "0";
  for (size_t i = 0; i < kNotificationEventMax; ++i) many += ",0";
  EXPECT_THAT(ParseNotifications(Envelope(many)),
              StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_THAT(ParseNotifications(Envelope(std::string(5 << 20, ' '))),
              StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_THAT(ParseNotifications(Envelope(std::string(100000, '['))),
              StatusIs(absl::StatusCode::kResourceExhausted));
}

}  // namespace
}  // namespace reclaim::oci
