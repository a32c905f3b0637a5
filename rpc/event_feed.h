// rpc/event_feed.h — event rows as a stream.
//
// Thread-safe.

#ifndef RECLAIM_RPC_EVENT_FEED_H_
#define RECLAIM_RPC_EVENT_FEED_H_

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "reclaim/v1/collection.pb.h"
#include "rpc/service_parts.h"

namespace reclaim::rpc {

// Sends rows after the request's number in batches, ascending; with `follow`
// until the caller goes away or `send` returns false, which is no error.
// OUT_OF_RANGE if rows that the caller wants were trimmed.
absl::Status SendEvents(
    const ServiceParts& parts, const v1::WatchEventsRequest& request,
    const Caller& caller,
    absl::FunctionRef<bool(const v1::WatchEventsResponse&)> send);

}  // namespace reclaim::rpc

#endif  // RECLAIM_RPC_EVENT_FEED_H_
