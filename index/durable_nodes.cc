// Opening the graph: the records of nodes and links, into the arrays.

#include <algorithm>
#include <functional>
#include <thread>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/status_macros.h"
#include "index/durable_graph.h"
#include "index/id_lists.h"
#include "index/record_check.h"
#include "index/record_decoding.h"
#include "index/resident_loader.h"

namespace reclaim::index {
namespace {

// Below so many nodes a thread takes longer to begin than it saves.
constexpr NodeId kThreadNodeMin = 50'000;

// Does one thing beside what its owner does, until that ends.
class Beside {
 public:
  // On a thread of its own, or at once.
  Beside(bool has_thread, const std::function<void()>& work) {
    if (has_thread) {
      thread_ = std::thread(work);
    } else {
      work();
    }
  }
  ~Beside() {
    if (thread_.joinable()) thread_.join();
  }
  Beside(const Beside&) = delete;
  Beside& operator=(const Beside&) = delete;

 private:
  std::thread thread_;
};

// Into `*row`; `*record` is for what is not read by hand.
absl::Status ReadRow(absl::string_view value,
                     storage::v1::ContentRecord* record, ContentRow* row) {
  if (DecodeRow(value, row)) return absl::OkStatus();
  RECLAIM_RETURN_IF_ERROR(ParseInto(Family::kContent, value, record));
  return ToRow(*record, row);
}
absl::Status ReadRow(absl::string_view value,
                     storage::v1::MembershipRecord* record,
                     MembershipRow* row) {
  if (DecodeRow(value, row)) return absl::OkStatus();
  RECLAIM_RETURN_IF_ERROR(ParseInto(Family::kMembership, value, record));
  *row = ToRow(*record);
  return absl::OkStatus();
}
// Names are few, and of many kinds.
absl::Status ReadRow(absl::string_view value, storage::v1::NamedRecord* record,
                     NamedRow* row) {
  RECLAIM_RETURN_IF_ERROR(ParseInto(Family::kNamed, value, record));
  ToRow(*record, row);
  return absl::OkStatus();
}

// Hands the row of each record of a family to `put`, in the order of their
// keys, until it fails.
template <typename Record, typename Row, typename Put>
absl::Status ReadFamily(const Engine& engine, Family family, Put put) {
  // One for all: their texts and lists keep their room.
  Record record;
  Row row;
  absl::Status status;
  const absl::Status scanned = engine.Scan(
      family, "", "", [&](absl::string_view, absl::string_view value) {
        status = ReadRow(value, &record, &row);
        if (status.ok()) status = put(row);
        return status.ok();
      });
  return status.ok() ? scanned : status;
}

absl::Status ReadContent(const Engine& engine, RecordCheck* check,
                         ResidentLoader* loader) {
  const auto put = [&](const ContentRow& row) -> absl::Status {
    RECLAIM_RETURN_IF_ERROR(check->Check(row));
    loader->PutContent(row);
    return absl::OkStatus();
  };
  return ReadFamily<storage::v1::ContentRecord, ContentRow>(
      engine, Family::kContent, put);
}

absl::Status ReadNames(const Engine& engine, RecordCheck* check,
                       ResidentLoader* loader) {
  const auto put = [&](const NamedRow& row) -> absl::Status {
    RECLAIM_RETURN_IF_ERROR(check->Check(row));
    loader->PutNamed(row);
    return absl::OkStatus();
  };
  return ReadFamily<storage::v1::NamedRecord, NamedRow>(engine, Family::kNamed,
                                                        put);
}

// Looks at no node, so that others may come meanwhile.
absl::Status ReadLinks(const Engine& engine, const RecordCheck& check,
                       LinkLoader* links) {
  const auto put = [&](const MembershipRow& row) -> absl::Status {
    RECLAIM_RETURN_IF_ERROR(check.Check(row));
    links->Put(row);
    return absl::OkStatus();
  };
  const absl::Status read =
      ReadFamily<storage::v1::MembershipRecord, MembershipRow>(
          engine, Family::kMembership, put);
  links->Finish();
  return read;
}

}  // namespace

// The most of it is to read records: links are half of them in a registry, and
// are read by a second thread.
absl::Status DurableGraph::LoadNodes() {
  // Ids from there on are no ids, whatever the database says.
  const NodeId node_count =
      std::min<NodeId>(state_.next_node_id(), IdLists::kIdEnd);
  const bool has_threads = node_count >= kThreadNodeMin;
  RecordCheck check(&graph_, node_count);
  ResidentLoader loader(&graph_);
  LinkLoader links;
  absl::Status links_read;
  {
    const Beside reading(has_threads, [&] {
      links_read =
          ReadLinks(*engine_, RecordCheck(&graph_, node_count), &links);
    });
    RECLAIM_RETURN_IF_ERROR(ReadContent(*engine_, &check, &loader));
    RECLAIM_RETURN_IF_ERROR(ReadNames(*engine_, &check, &loader));
  }
  RECLAIM_RETURN_IF_ERROR(links_read);
  RECLAIM_RETURN_IF_ERROR(check.CheckContentEdges());
  RECLAIM_RETURN_IF_ERROR(check.CheckLinks(links.memberships()));
  NodeId twin = kNoNode;
  {
    const Beside indexing(has_threads, [&] { twin = loader.IndexDigests(); });
    loader.LinkKeepers();
  }
  if (twin != kNoNode) return RecordCheck::DigestTwice(twin);
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
