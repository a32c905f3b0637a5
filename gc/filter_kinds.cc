#include "gc/filter_kinds.h"

#include <algorithm>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace reclaim::gc {
namespace {

constexpr TimeClock kAllClocks[] = {TimeClock::kRecorded, TimeClock::kCreated,
                                    TimeClock::kPushed,   TimeClock::kPulled,
                                    TimeClock::kUsed,     TimeClock::kUntagged,
                                    TimeClock::kExited};

}  // namespace

const char* ToString(FilterTarget target) {
  switch (target) {
    case FilterTarget::kImages:
      return "images";
    case FilterTarget::kContainers:
      return "containers";
    case FilterTarget::kVolumes:
      return "volumes";
    case FilterTarget::kNetworks:
      return "networks";
    case FilterTarget::kBuildCache:
      return "build cache";
    case FilterTarget::kSystem:
      return "a system prune";
  }
  return "unknown";
}

const std::set<std::string>& KeysOf(FilterTarget target) {
  static const auto* const kKeys =
      new std::map<FilterTarget, std::set<std::string>>{
          {FilterTarget::kImages,
           {"until", "label", "label!", "reference", "dangling"}},
          {FilterTarget::kContainers, {"until", "label", "label!"}},
          {FilterTarget::kVolumes, {"label", "label!", "all"}},
          {FilterTarget::kNetworks, {"until", "label", "label!"}},
          {FilterTarget::kBuildCache, {"until"}},
          {FilterTarget::kSystem, {"until", "label", "label!"}},
      };
  return kKeys->at(target);
}

absl::Span<const TimeClock> AllClocks() { return kAllClocks; }

const std::vector<TimeClock>& ClocksOf(FilterTarget target) {
  static const auto* const kClocks =
      new std::map<FilterTarget, std::vector<TimeClock>>{
          {FilterTarget::kImages,
           {TimeClock::kRecorded, TimeClock::kCreated, TimeClock::kPushed,
            TimeClock::kPulled, TimeClock::kUsed, TimeClock::kUntagged}},
          {FilterTarget::kContainers,
           {TimeClock::kRecorded, TimeClock::kCreated, TimeClock::kExited}},
          {FilterTarget::kVolumes, {}},
          {FilterTarget::kNetworks,
           {TimeClock::kRecorded, TimeClock::kCreated}},
          {FilterTarget::kBuildCache, {TimeClock::kRecorded, TimeClock::kUsed}},
          {FilterTarget::kSystem,
           {std::begin(kAllClocks), std::end(kAllClocks)}},
      };
  return kClocks->at(target);
}

absl::Status CheckClock(TimeClock clock, FilterTarget target) {
  const std::vector<TimeClock>& clocks = ClocksOf(target);
  if (std::find(clocks.begin(), clocks.end(), clock) != clocks.end()) {
    return absl::OkStatus();
  }
  const std::string these =
      absl::StrJoin(clocks, ", ", [](std::string* out, TimeClock one) {
        absl::StrAppend(out, ToString(one));
      });
  return absl::InvalidArgumentError(absl::StrCat(
      "the clock \"", ToString(clock), "\" does not fit ", ToString(target),
      these.empty() ? ": no filter there may name a time"
                    : absl::StrCat("; these do: ", these)));
}

}  // namespace reclaim::gc
