// base/status_matchers.h — GoogleTest matchers for absl::Status and StatusOr.
//
//   EXPECT_THAT(store.Sync(), IsOk());
//   EXPECT_THAT(Digest::Parse("x"), StatusIs(kInvalidArgument,
//   HasSubstr("x"))); EXPECT_THAT(graph.Count(), IsOkAndHolds(3));

#ifndef RECLAIM_BASE_STATUS_MATCHERS_H_
#define RECLAIM_BASE_STATUS_MATCHERS_H_

#include <string>
#include <type_traits>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gmock/gmock.h"

namespace reclaim::base {

inline absl::Status ToStatus(const absl::Status& status) { return status; }
template <typename T>
absl::Status ToStatus(const absl::StatusOr<T>& value) {
  return value.status();
}

MATCHER(IsOk, "is OK") {
  const absl::Status status = ToStatus(arg);
  *result_listener << status.ToString();
  return status.ok();
}

MATCHER_P(StatusIs, code, "has the code " + absl::StatusCodeToString(code)) {
  const absl::Status status = ToStatus(arg);
  *result_listener << status.ToString();
  return status.code() == code;
}

MATCHER_P2(StatusIs, code, message,
           "has the code " + absl::StatusCodeToString(code) +
               " and the expected message") {
  const absl::Status status = ToStatus(arg);
  *result_listener << status.ToString();
  return status.code() == code &&
         ::testing::ExplainMatchResult(message, std::string(status.message()),
                                       result_listener);
}

MATCHER_P(IsOkAndHolds, matcher, "is OK and holds the expected value") {
  if (!arg.ok()) {
    *result_listener << arg.status().ToString();
    return false;
  }
  return ::testing::ExplainMatchResult(matcher, *arg, result_listener);
}

}  // namespace reclaim::base

#endif  // RECLAIM_BASE_STATUS_MATCHERS_H_
