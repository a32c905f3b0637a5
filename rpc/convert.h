// rpc/convert.h — our values as messages of reclaim.v1.
//
// One way only; what comes in is read by the service that takes it
// (operations.h, prune_terms.h).  Absent times and sizes stay unset.  Pure.

#ifndef RECLAIM_RPC_CONVERT_H_
#define RECLAIM_RPC_CONVERT_H_

#include <string>

#include "absl/time/time.h"
#include "gc/collector.h"
#include "gc/plan.h"
#include "gc/run.h"
#include "google/protobuf/duration.pb.h"
#include "google/protobuf/timestamp.pb.h"
#include "index/event.h"
#include "index/reference_graph.h"
#include "reclaim/v1/collection.pb.h"
#include "reclaim/v1/common.pb.h"
#include "reclaim/v1/graph.pb.h"

namespace reclaim::rpc {

v1::Bytes ToProto(const store::Bytes& bytes);
v1::Tally ToProto(const index::Tally& tally);
v1::RemovalBytes ToProto(const store::RemovalBytes& bytes);
google::protobuf::Duration ToProto(absl::Duration duration);
absl::Duration FromProto(const google::protobuf::Duration& duration);

// Calls `set()` for its message unless `time` is one of the infinities.
template <typename Mutable>
void SetTime(absl::Time time, Mutable set);

v1::NodeState ToProto(index::NodeState state);
v1::RootReason ToProto(index::RootReason reason);
v1::EventKind ToProto(index::EventKind kind);
v1::RunKind ToProto(gc::RunKind kind);
v1::RunPhase ToProto(gc::RunPhase phase);
v1::PruneVerb ToProto(gc::PruneVerb verb);

// A node as the arrays know it; labels and media types are not there.
v1::Node MakeNode(const index::GraphReader& reader, index::NodeId id);

v1::Plan ToProto(const gc::Plan& plan);
v1::PlanItem ToProto(const gc::PlanItem& item, const std::string& store);
v1::Run ToProto(const gc::Run& run);
v1::Event ToProto(const index::Event& event);

// A filter as it was understood: "until=2026-01-02T03:04:05Z", "label!=k=v", …
std::vector<std::string> Terms(const gc::Filter& filter);

void SetTimestamp(absl::Time time, google::protobuf::Timestamp* out);

template <typename Mutable>
void SetTime(absl::Time time, Mutable set) {
  if (time == absl::InfinitePast() || time == absl::InfiniteFuture()) return;
  SetTimestamp(time, set());
}

}  // namespace reclaim::rpc

#endif  // RECLAIM_RPC_CONVERT_H_
