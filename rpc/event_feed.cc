#include "rpc/event_feed.h"

#include <algorithm>
#include <chrono>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "rpc/convert.h"

namespace reclaim::rpc {
namespace {

constexpr int kLimitDefault = 1000;
constexpr size_t kRowsAtOnce = 500;
// How long a follower may lag behind the graph.
constexpr std::chrono::milliseconds kPause{100};

bool IsWanted(const v1::WatchEventsRequest& request,
              const index::Event& event) {
  if (!request.store().empty() && event.store != request.store()) return false;
  return request.kinds_size() == 0 ||
         std::find(request.kinds().begin(), request.kinds().end(),
                   static_cast<int>(ToProto(event.kind))) !=
             request.kinds().end();
}

// A follower must not miss rows without hearing of it.
absl::Status CheckRange(uint64_t after, const index::EventPage& page) {
  if (after > 0 && after + 1 < page.oldest_sequence) {
    return absl::OutOfRangeError(absl::StrCat(
        "after_sequence: rows after ", after,
        " were trimmed; the oldest that is left is ", page.oldest_sequence,
        "; read the lists anew and go on from there"));
  }
  if (after > page.newest_sequence) {
    return absl::OutOfRangeError(absl::StrCat(
        "after_sequence: ", after, " is past the newest row, ",
        page.newest_sequence,
        ": the graph was rebuilt; read the lists anew and go on from there"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status SendEvents(
    const ServiceParts& parts, const v1::WatchEventsRequest& request,
    const Caller& caller,
    absl::FunctionRef<bool(const v1::WatchEventsResponse&)> send) {
  if (request.limit() < 0) {
    return absl::InvalidArgumentError("limit: is negative");
  }
  int left = request.limit() == 0 ? kLimitDefault : request.limit();
  uint64_t after = request.after_sequence();
  while (!caller.is_cancelled()) {
    RECLAIM_ASSIGN_OR_RETURN(const index::EventPage page,
                             parts.graph->ListEvents(after, kRowsAtOnce));
    RECLAIM_RETURN_IF_ERROR(CheckRange(after, page));
    const std::vector<index::Event>& rows = page.events;
    v1::WatchEventsResponse batch;
    for (const index::Event& row : rows) {
      after = row.sequence;
      if (!IsWanted(request, row)) continue;
      *batch.add_events() = ToProto(row);
      if (!request.follow() && --left == 0) break;
    }
    if (batch.events_size() > 0 && !send(batch)) return absl::OkStatus();
    if (!request.follow() && (left == 0 || rows.empty())) {
      return absl::OkStatus();
    }
    if (rows.empty()) std::this_thread::sleep_for(kPause);
  }
  return absl::CancelledError("the caller went away");
}

}  // namespace reclaim::rpc
