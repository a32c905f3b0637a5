#include "accounting/history.h"

#include <algorithm>

namespace reclaim::accounting {
namespace {

// Pairs grow with the square: more samples are thinned out evenly.
constexpr size_t kSlopeSampleMax = 400;
constexpr absl::Duration kSpanMin = absl::Hours(1);
// Beyond this nobody plans, and durations overflow.
constexpr double kDaysMax = 365.0 * 1000;

std::vector<const UsageBucket*> Thinned(absl::Span<const UsageBucket> buckets) {
  std::vector<const UsageBucket*> thinned;
  const size_t step = 1 + (buckets.size() - 1) / kSlopeSampleMax;
  // From the end: the last one counts in any case.
  for (size_t i = 0; i < buckets.size(); i += step) {
    thinned.push_back(&buckets[buckets.size() - 1 - i]);
  }
  std::reverse(thinned.begin(), thinned.end());
  return thinned;
}

double DaysBetween(const UsageSample& from, const UsageSample& to) {
  return absl::ToDoubleHours(to.time - from.time) / 24;
}

double MedianOf(std::vector<double> values) {
  const size_t middle = values.size() / 2;
  const auto at = values.begin() + static_cast<ptrdiff_t>(middle);
  std::nth_element(values.begin(), at, values.end());
  if (values.size() % 2 == 1) return *at;
  return (*at + *std::max_element(values.begin(), at)) / 2;
}

}  // namespace

UsageSample MakeSample(const index::StoreTotals& totals,
                       const std::optional<store::Capacity>& capacity,
                       absl::Time now) {
  UsageSample sample;
  sample.time = now;
  sample.live = totals.live.bytes;
  sample.candidate = totals.candidate.bytes;
  sample.quarantined = totals.quarantined.bytes;
  sample.orphan = totals.orphan.bytes;
  sample.image_count = totals.image_count;
  sample.tag_count =
      totals.by_kind[static_cast<size_t>(index::NodeKind::kTag)].count;
  sample.capacity = capacity;
  return sample;
}

absl::Duration WidthOf(Resolution resolution) {
  switch (resolution) {
    case Resolution::kFiveMinutes:
      return absl::Minutes(5);
    case Resolution::kHour:
      return absl::Hours(1);
    case Resolution::kDay:
      break;
  }
  return absl::Hours(24);
}

absl::Duration MemoryOf(Resolution resolution) {
  switch (resolution) {
    case Resolution::kFiveMinutes:
      return absl::Hours(24);
    case Resolution::kHour:
      return absl::Hours(24 * 31);
    case Resolution::kDay:
      break;
  }
  return absl::Hours(24 * 1096);
}

absl::Time BucketOf(Resolution resolution, absl::Time time) {
  const absl::Duration since = time - absl::UnixEpoch();
  return absl::UnixEpoch() + absl::Floor(since, WidthOf(resolution));
}

Resolution ResolutionFor(absl::Duration back) {
  for (const Resolution resolution : kResolutions) {
    if (back <= MemoryOf(resolution)) return resolution;
  }
  return Resolution::kDay;
}

UsageBucket AddSample(const std::optional<UsageBucket>& bucket,
                      Resolution resolution, const UsageSample& sample) {
  const absl::Time begin = BucketOf(resolution, sample.time);
  const uint64_t bytes = sample.stored_bytes();
  UsageBucket sum;
  if (bucket && bucket->begin == begin) {
    sum = *bucket;
  } else {
    sum.least_stored_bytes = bytes;
    sum.most_stored_bytes = bytes;
  }
  sum.begin = begin;
  sum.last = sample;
  sum.least_stored_bytes = std::min(sum.least_stored_bytes, bytes);
  sum.most_stored_bytes = std::max(sum.most_stored_bytes, bytes);
  ++sum.sample_count;
  return sum;
}

Outlook MakeOutlook(absl::Span<const UsageBucket> buckets) {
  Outlook outlook;
  if (buckets.size() < 3) return outlook;
  const std::vector<const UsageBucket*> samples = Thinned(buckets);
  const UsageSample& last = samples.back()->last;
  if (last.time - samples.front()->last.time < kSpanMin) return outlook;
  std::vector<double> slopes;
  for (size_t i = 0; i < samples.size(); ++i) {
    for (size_t k = i + 1; k < samples.size(); ++k) {
      const double days = DaysBetween(samples[i]->last, samples[k]->last);
      if (days <= 0) continue;
      const double grown =
          static_cast<double>(samples[k]->last.stored_bytes()) -
          static_cast<double>(samples[i]->last.stored_bytes());
      slopes.push_back(grown / days);
    }
  }
  if (slopes.empty()) return outlook;
  const double slope = MedianOf(std::move(slopes));
  outlook.growth_bytes_per_day = slope;
  if (slope <= 0 || !last.capacity || last.capacity->capacity_bytes == 0) {
    return outlook;
  }
  const double days =
      static_cast<double>(last.capacity->available_bytes) / slope;
  if (days < kDaysMax) outlook.time_until_full = absl::Hours(24) * days;
  return outlook;
}

}  // namespace reclaim::accounting
