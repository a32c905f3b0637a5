// Opening the graph: the records of nodes and links, into the arrays.

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/status_macros.h"
#include "index/durable_graph.h"
#include "index/id_lists.h"
#include "index/record_check.h"
#include "index/resident_loader.h"

namespace reclaim::index {
namespace {

// Hands each record of a family to `put`, in the order of their keys, until it
// fails.
template <typename Record, typename Put>
absl::Status ReadFamily(const Engine& engine, Family family, Put put) {
  Record record;  // one for all: its texts and lists keep their room
  absl::Status status;
  const absl::Status scanned = engine.Scan(
      family, "", "", [&](absl::string_view, absl::string_view value) {
        status = ParseInto(family, value, &record);
        if (status.ok()) status = put(record);
        return status.ok();
      });
  return status.ok() ? scanned : status;
}

absl::Status ReadLinks(const Engine& engine, const RecordCheck& check,
                       LinkLoader* links) {
  const auto put = [&](const storage::v1::MembershipRecord& record) {
    const MembershipRow row = ToRow(record);
    absl::Status status = check.Check(row);
    if (status.ok()) links->Put(row);
    return status;
  };
  const absl::Status read = ReadFamily<storage::v1::MembershipRecord>(
      engine, Family::kMembership, put);
  links->Finish();
  return read;
}

}  // namespace

absl::Status DurableGraph::LoadNodes() {
  // Ids from there on are no ids, whatever the database says.
  const NodeId node_count =
      std::min<NodeId>(state_.next_node_id(), IdLists::kIdEnd);
  RecordCheck check(&graph_, node_count);
  ResidentLoader loader(&graph_);
  ContentRow content;
  const auto put_content =
      [&](const storage::v1::ContentRecord& record) -> absl::Status {
    RECLAIM_RETURN_IF_ERROR(ToRow(record, &content));
    RECLAIM_RETURN_IF_ERROR(check.Check(content));
    loader.PutContent(content);
    return absl::OkStatus();
  };
  RECLAIM_RETURN_IF_ERROR(ReadFamily<storage::v1::ContentRecord>(
      *engine_, Family::kContent, put_content));
  NamedRow named;
  const auto put_named =
      [&](const storage::v1::NamedRecord& record) -> absl::Status {
    ToRow(record, &named);
    RECLAIM_RETURN_IF_ERROR(check.Check(named));
    loader.PutNamed(named);
    return absl::OkStatus();
  };
  RECLAIM_RETURN_IF_ERROR(ReadFamily<storage::v1::NamedRecord>(
      *engine_, Family::kNamed, put_named));
  LinkLoader links;
  RECLAIM_RETURN_IF_ERROR(ReadLinks(*engine_, check, &links));
  RECLAIM_RETURN_IF_ERROR(check.CheckLinks(links.memberships()));
  const NodeId twin = loader.IndexDigests();
  if (twin != kNoNode) return RecordCheck::DigestTwice(twin);
  loader.LinkKeepers();
  loader.Finish(std::move(links));
  return absl::OkStatus();
}

oci::Digest DurableGraph::RecordedDigest(NodeId id) const {
  const auto value = engine_->Get(Family::kContent, IdKey(id));
  if (!value.ok() || !value->has_value()) return {};
  const auto record =
      ParseRecord<storage::v1::ContentRecord>(Family::kContent, **value);
  if (!record.ok()) return {};
  const absl::StatusOr<ContentRow> row = ToRow(*record);
  return row.ok() ? row->key.digest : oci::Digest();
}

}  // namespace reclaim::index
