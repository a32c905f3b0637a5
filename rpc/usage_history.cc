#include "rpc/usage_history.h"

#include <vector>

#include "accounting/history.h"
#include "accounting/history_store.h"
#include "base/status_macros.h"
#include "rpc/convert.h"

namespace reclaim::rpc {
namespace {

v1::UsagePoint ToPoint(const accounting::UsageBucket& bucket) {
  v1::UsagePoint point;
  SetTime(bucket.begin, [&] { return point.mutable_begin_time(); });
  SetTime(bucket.last.time, [&] { return point.mutable_sample_time(); });
  *point.mutable_live() = ToProto(bucket.last.live);
  *point.mutable_candidate() = ToProto(bucket.last.candidate);
  *point.mutable_quarantined() = ToProto(bucket.last.quarantined);
  *point.mutable_orphan() = ToProto(bucket.last.orphan);
  point.set_image_count(bucket.last.image_count);
  point.set_tag_count(bucket.last.tag_count);
  if (bucket.last.capacity) {
    point.set_capacity_bytes(bucket.last.capacity->capacity_bytes);
    point.set_available_bytes(bucket.last.capacity->available_bytes);
  }
  point.set_least_stored_bytes(bucket.least_stored_bytes);
  point.set_most_stored_bytes(bucket.most_stored_bytes);
  point.set_sample_count(bucket.sample_count);
  return point;
}

}  // namespace

absl::StatusOr<v1::GetUsageHistoryResponse> MakeUsageHistory(
    const ServiceParts& parts, const v1::GetUsageHistoryRequest& request) {
  RECLAIM_ASSIGN_OR_RETURN(const index::StoreRecord store,
                           parts.stores->Find(request.store()));
  const absl::Duration back =
      request.has_back() ? FromProto(request.back()) : absl::Hours(24);
  if (back <= absl::ZeroDuration()) {
    return absl::InvalidArgumentError("back: must be more than nothing");
  }
  if (parts.history == nullptr) {
    return absl::FailedPreconditionError("this daemon keeps no history");
  }
  const accounting::Resolution resolution = accounting::ResolutionFor(back);
  RECLAIM_ASSIGN_OR_RETURN(
      const std::vector<accounting::UsageBucket> buckets,
      parts.history->List(
          store.name, resolution,
          accounting::BucketOf(resolution, parts.clock->Now() - back)));
  v1::GetUsageHistoryResponse response;
  response.set_store(store.name);
  *response.mutable_step() = ToProto(accounting::WidthOf(resolution));
  for (const accounting::UsageBucket& bucket : buckets) {
    *response.add_points() = ToPoint(bucket);
  }
  const accounting::Outlook outlook = accounting::MakeOutlook(buckets);
  if (outlook.growth_bytes_per_day) {
    response.set_growth_bytes_per_day(*outlook.growth_bytes_per_day);
  }
  if (outlook.time_until_full) {
    *response.mutable_time_until_full() = ToProto(*outlook.time_until_full);
  }
  return response;
}

}  // namespace reclaim::rpc
