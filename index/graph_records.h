// index/graph_records.h — durable records, their keys, and the rows they give.
//
// docs/FORMAT.md is the page for people.  Pure.

#ifndef RECLAIM_INDEX_GRAPH_RECORDS_H_
#define RECLAIM_INDEX_GRAPH_RECORDS_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "index/event.h"
#include "index/reference_graph.h"
#include "index/resident_graph.h"
#include "reclaim/storage/v1/storage.pb.h"

namespace reclaim::index {

inline constexpr uint32_t kFormatVersion = 1;
inline constexpr char kStateKey[] = "state";
inline constexpr char kStorePrefix[] = "store/";
inline constexpr char kPlacePrefix[] = "place/";

// Keys.  Integers are big-endian, so that keys order as numbers do.
std::string IdKey(uint32_t id);
std::string SequenceKey(uint64_t sequence);
std::string StoreKey(StoreId store);
std::string PlaceKey(PlaceId place);
std::string MembershipKey(NodeId repository, NodeId content,
                          store::MembershipKind kind);
// Requests are ordered by the period in which they came, so that what is too
// old is one range.
inline constexpr absl::Duration kRequestPeriod = absl::Hours(6);
uint32_t RequestPeriod(absl::Time time);
// Ids of mutations, and ids that other modules remember answers under, are
// worlds of their own.  Stored on disk: never renumber.
enum class RequestKind : uint8_t { kMutation = 1, kAnswer = 2 };
std::string RequestKey(uint32_t period, RequestKind kind,
                       absl::string_view request_id);

// Microseconds since the epoch; the infinities stay themselves.
int64_t ToMicros(absl::Time time);
absl::Time FromMicros(int64_t micros);

// DATA_LOSS if a record is damaged.
absl::StatusOr<ContentRow> ToRow(const storage::v1::ContentRecord& record);
NamedRow ToRow(const storage::v1::NamedRecord& record);
MembershipRow ToRow(const storage::v1::MembershipRecord& record);
// The same into a row of before, whose lists and texts keep their room: of
// millions of records one after the other.
absl::Status ToRow(const storage::v1::ContentRecord& record, ContentRow* row);
void ToRow(const storage::v1::NamedRecord& record, NamedRow* row);
absl::StatusOr<NamedRecord> ToNamedRecord(
    const storage::v1::NamedRecord& record);

storage::v1::StoreRecord ToProto(const StoreRecord& record);
StoreRecord FromProto(const storage::v1::StoreRecord& record);
storage::v1::EventRecord ToProto(const Event& event);
Event FromProto(const storage::v1::EventRecord& record);

// Parses a record; DATA_LOSS names the family.
template <typename Record>
absl::Status ParseInto(Family family, absl::string_view value, Record* record) {
  if (record->ParseFromArray(value.data(), static_cast<int>(value.size()))) {
    return absl::OkStatus();
  }
  return absl::DataLossError(
      std::string("a record of the family ") + ToString(family) +
      " is damaged; move the database away, the graph is rebuilt from the "
      "stores");
}
template <typename Record>
absl::StatusOr<Record> ParseRecord(Family family, absl::string_view value) {
  Record record;
  absl::Status status = ParseInto(family, value, &record);
  if (!status.ok()) return status;
  return record;
}

}  // namespace reclaim::index

#endif  // RECLAIM_INDEX_GRAPH_RECORDS_H_
