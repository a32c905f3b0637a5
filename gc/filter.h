// gc/filter.h — one filter grammar for list, prune and policy.
//
// SEMANTICS.md rules 2 to 4: different keys AND; positive labels AND; each
// `label!` excludes on its own; `reference` patterns OR.  Unknown keys, empty
// or unparsable values, contradictions and filters on a kind that cannot carry
// them are errors before anything is deleted.

#ifndef RECLAIM_GC_FILTER_H_
#define RECLAIM_GC_FILTER_H_

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "index/mutation.h"

namespace reclaim::gc {

// What a filter is applied to; decides which keys it may carry.
enum class FilterTarget : uint8_t {
  kImages = 1,
  kContainers = 2,
  kVolumes = 3,
  kNetworks = 4,
  kBuildCache = 5,
  kSystem = 6,  // all of them in one run: the keys that images accept
};

// Which of an object's times a filter looks at.
enum class TimeClock : uint8_t {
  kRecorded = 0,  // the default: the local record time
  kCreated = 1,
  kPushed = 2,
  kPulled = 3,
  kUsed = 4,
  kUntagged = 5,
  kExited = 6,
};
const char* ToString(TimeClock clock);

struct LabelTest {
  std::string key;
  std::optional<std::string> value;  // unset: the key alone
  bool is_negative = false;
};

struct TimeTest {
  TimeClock clock = TimeClock::kRecorded;
  absl::Time before;  // strictly; echoed to the caller
};

struct Filter {
  std::vector<LabelTest> labels;
  std::vector<TimeTest> times;
  std::vector<std::string> references;  // globs over "repo" and "repo:tag"
  std::optional<bool> dangling;
  std::optional<bool> all;  // volumes: named ones as well

  bool empty() const {
    return labels.empty() && times.empty() && references.empty() && !dangling &&
           !all;
  }
};

// Parses "key=value" terms ("until=24h", "label!=keep", "label=k!=v",
// "until.used=720h" or "used-before=…" names the clock: see the reference
// page). `configured` terms give way to typed ones that contradict them (case
// 35).
absl::StatusOr<Filter> ParseFilter(absl::Span<const std::string> terms,
                                   absl::Span<const std::string> configured,
                                   FilterTarget target, absl::Time now,
                                   absl::TimeZone zone);

// What a filter looks at.  A missing time keeps (never matches).
struct FilterSubject {
  // Unset: the object has no labels at all by nature (an image without a
  // config); then a positive label test fails.  Several maps for an image index
  // (one a platform): a positive test needs one to match, a negative one fails
  // if any carries the label (case 34).
  std::vector<const index::Labels*> labels;
  std::map<TimeClock, absl::Time> times;
  std::vector<std::string> references;  // "repo:tag" and "repo@digest"
};

// True if the object is one that the filter selects.  Pure.
bool Matches(const Filter& filter, const FilterSubject& subject);

}  // namespace reclaim::gc

#endif  // RECLAIM_GC_FILTER_H_
