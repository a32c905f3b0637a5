// accounting/history.h — how much was used when, and where that leads.
//
// Samples are kept in buckets of three widths: five minutes for a day, an hour
// for 31 days, a day for three years.  A bucket holds its last sample and the
// least and the most that was stored in it, so that a peak outlives the
// downsampling.  Buckets begin at multiples of their width since the epoch, so
// a restart goes on where it was, and a time without samples is a gap, not a
// zero.
//
// A clock that was set back leaves buckets that lie in the future: nobody can
// have measured them, and the next sample drops them.  A clock that was set
// forward leaves a gap.
//
// Pure; index::Family::kHistory is written by rpc/usage_recorder.h.

#ifndef RECLAIM_ACCOUNTING_HISTORY_H_
#define RECLAIM_ACCOUNTING_HISTORY_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/time/time.h"
#include "absl/types/span.h"
#include "index/totals.h"
#include "store/types.h"

namespace reclaim::accounting {

// What one look at a store saw.  Bytes are those on disk.
struct UsageSample {
  absl::Time time;
  store::Bytes live;
  store::Bytes candidate;
  store::Bytes quarantined;
  store::Bytes orphan;
  uint64_t image_count = 0;
  uint64_t tag_count = 0;
  // Of the file system; unset if unknown.
  std::optional<store::Capacity> capacity;

  uint64_t stored_bytes() const {
    return live.allocated_bytes + candidate.allocated_bytes +
           quarantined.allocated_bytes + orphan.allocated_bytes;
  }
};

UsageSample MakeSample(const index::StoreTotals& totals,
                       const std::optional<store::Capacity>& capacity,
                       absl::Time now);

// Values are stored on disk: never renumber.
enum class Resolution : uint8_t { kFiveMinutes = 1, kHour = 2, kDay = 3 };
inline constexpr Resolution kResolutions[] = {
    Resolution::kFiveMinutes, Resolution::kHour, Resolution::kDay};
absl::Duration WidthOf(Resolution resolution);
absl::Duration MemoryOf(Resolution resolution);
// The begin of the bucket that holds `time`.
absl::Time BucketOf(Resolution resolution, absl::Time time);
// The finest resolution whose memory reaches back so far.
Resolution ResolutionFor(absl::Duration back);

struct UsageBucket {
  absl::Time begin;
  UsageSample last;
  uint64_t least_stored_bytes = 0;
  uint64_t most_stored_bytes = 0;
  uint64_t sample_count = 0;
};

// `bucket` with one sample more; a new one if it is unset or another one.
UsageBucket AddSample(const std::optional<UsageBucket>& bucket,
                      Resolution resolution, const UsageSample& sample);

struct Outlook {
  // Stored bytes a day, by the median of the slopes between all pairs of
  // samples (Theil 1950, Sen 1968): up to 29 % of them may be anything, a prune
  // among them.  Unset with fewer than three samples or less than an hour.
  std::optional<double> growth_bytes_per_day;
  // Until the file system is full at that pace, from the last sample on.  Unset
  // if it does not grow or its capacity is not known.
  std::optional<absl::Duration> time_until_full;
};

// `buckets` ascending by time.
Outlook MakeOutlook(absl::Span<const UsageBucket> buckets);

}  // namespace reclaim::accounting

#endif  // RECLAIM_ACCOUNTING_HISTORY_H_
