#include "index/graph_records.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "index/put_codec.h"

namespace reclaim::index {
namespace {

std::string BigEndian(uint64_t value, int byte_count) {
  std::string key(byte_count, '\0');
  for (int i = byte_count - 1; i >= 0; --i) {
    key[i] = static_cast<char>(value & 0xff);
    value >>= 8;
  }
  return key;
}

template <typename Proto>
absl::StatusOr<NamedRecord> Wrap(const Proto& proto) {
  RECLAIM_ASSIGN_OR_RETURN(auto put, FromProto(proto));
  return NamedRecord(std::move(put));
}

}  // namespace

std::string IdKey(uint32_t id) { return BigEndian(id, 4); }
std::string SequenceKey(uint64_t sequence) { return BigEndian(sequence, 8); }
std::string StoreKey(StoreId store) {
  return absl::StrCat(kStorePrefix, BigEndian(store, 2));
}
std::string PlaceKey(PlaceId place) {
  return absl::StrCat(kPlacePrefix, BigEndian(place, 4));
}
std::string MembershipKey(NodeId repository, NodeId content,
                          store::MembershipKind kind) {
  return absl::StrCat(BigEndian(repository, 4), BigEndian(content, 4),
                      BigEndian(static_cast<uint64_t>(kind), 1));
}

uint32_t RequestPeriod(absl::Time time) {
  const int64_t hours = absl::ToUnixSeconds(time) / 3600;
  const int64_t period = hours / absl::ToInt64Hours(kRequestPeriod);
  return static_cast<uint32_t>(
      std::clamp<int64_t>(period, 0, std::numeric_limits<uint32_t>::max()));
}

std::string RequestKey(uint32_t period, RequestKind kind,
                       absl::string_view request_id) {
  return absl::StrCat(BigEndian(period, 4),
                      BigEndian(static_cast<uint64_t>(kind), 1), request_id);
}

int64_t ToMicros(absl::Time time) { return absl::ToUnixMicros(time); }

absl::Time FromMicros(int64_t micros) {
  if (micros == std::numeric_limits<int64_t>::max()) {
    return absl::InfiniteFuture();
  }
  if (micros == std::numeric_limits<int64_t>::min()) {
    return absl::InfinitePast();
  }
  return absl::FromUnixMicros(micros);
}

absl::Status ToRow(const storage::v1::ContentRecord& record, ContentRow* row) {
  row->id = record.id();
  row->kind = static_cast<NodeKind>(record.kind());
  row->state = static_cast<NodeState>(record.state());
  row->flags = static_cast<uint16_t>(record.flags());
  row->store = static_cast<StoreId>(record.store());
  row->key = {record.place(), oci::Digest()};
  row->bytes = {record.logical_bytes(), record.allocated_bytes()};
  row->extent = kNoNode;
  row->link_count = record.link_count();
  if (record.has_extent()) {
    row->extent = record.extent();
    row->bytes = {};  // the extent has them
  }
  row->stamp = record.stamp();
  row->recorded = FromMicros(record.recorded());
  row->used =
      record.has_used() ? FromMicros(record.used()) : absl::InfinitePast();
  row->children.assign(record.children().begin(), record.children().end());
  row->subject = record.has_subject() ? record.subject() : kNoNode;
  if (row->kind == NodeKind::kExtent) return absl::OkStatus();
  const absl::StatusOr<oci::Digest> digest = oci::Digest::FromBytes(
      static_cast<oci::DigestAlgorithm>(record.digest_algorithm()),
      record.digest());
  if (!digest.ok()) {
    return absl::DataLossError(
        absl::StrCat("content record ", record.id(),
                     " has an impossible digest; move the database away, the "
                     "graph is rebuilt from the stores"));
  }
  row->key.digest = *digest;
  return absl::OkStatus();
}

absl::StatusOr<ContentRow> ToRow(const storage::v1::ContentRecord& record) {
  ContentRow row;
  RECLAIM_RETURN_IF_ERROR(ToRow(record, &row));
  return row;
}

void ToRow(const storage::v1::NamedRecord& record, NamedRow* row) {
  row->id = record.id();
  row->key.kind = static_cast<NodeKind>(record.kind());
  row->key.store = static_cast<StoreId>(record.store());
  row->key.scope = record.scope();
  row->key.name = record.name();
  row->flags = static_cast<uint16_t>(record.flags());
  row->place = record.place();
  row->bytes = {record.logical_bytes(), record.allocated_bytes()};
  row->stamp = record.stamp();
  row->recorded = FromMicros(record.recorded());
  row->used =
      record.has_used() ? FromMicros(record.used()) : absl::InfinitePast();
  row->expires = record.has_expires() ? FromMicros(record.expires())
                                      : absl::InfiniteFuture();
  row->targets.assign(record.targets().begin(), record.targets().end());
}

NamedRow ToRow(const storage::v1::NamedRecord& record) {
  NamedRow row;
  ToRow(record, &row);
  return row;
}

MembershipRow ToRow(const storage::v1::MembershipRecord& record) {
  MembershipRow row;
  row.repository = record.repository();
  row.content = record.content();
  row.kind = static_cast<store::MembershipKind>(record.kind());
  row.linked = FromMicros(record.linked());
  row.is_only_name = record.is_only_name();
  return row;
}

absl::StatusOr<NamedRecord> ToNamedRecord(
    const storage::v1::NamedRecord& record) {
  using storage::v1::NamedRecord;
  switch (record.put_case()) {
    case NamedRecord::kRepository:
      return index::NamedRecord(FromProto(record.repository()));
    case NamedRecord::kTag:
      return Wrap(record.tag());
    case NamedRecord::kContainer:
      return Wrap(record.container());
    case NamedRecord::kSnapshot:
      return Wrap(record.snapshot());
    case NamedRecord::kVolume:
      return index::NamedRecord(FromProto(record.volume()));
    case NamedRecord::kNetwork:
      return index::NamedRecord(FromProto(record.network()));
    case NamedRecord::kBuildCache:
      return Wrap(record.build_cache());
    case NamedRecord::kUpload:
      return index::NamedRecord(FromProto(record.upload()));
    case NamedRecord::kLease:
      return Wrap(record.lease());
    case NamedRecord::kPin:
      return Wrap(record.pin());
    case NamedRecord::PUT_NOT_SET:
      break;
  }
  return absl::DataLossError("a named record without what was put");
}

storage::v1::StoreRecord ToProto(const StoreRecord& record) {
  storage::v1::StoreRecord out;
  out.set_id(record.id);
  out.set_name(record.name);
  out.set_kind(static_cast<uint32_t>(record.kind));
  out.set_uri(record.uri);
  out.set_knows_containers(record.knows_containers);
  out.set_is_read_only(record.is_read_only);
  if (record.scan_memo != nullptr) out.set_scan_memo(*record.scan_memo);
  if (record.last_scan_begin != absl::InfinitePast()) {
    out.set_last_scan_begin(ToMicros(record.last_scan_begin));
    out.set_last_scan_end(ToMicros(record.last_scan_end));
  }
  out.set_last_scan_epoch(record.last_scan_epoch);
  out.set_write_duration_max_micros(
      absl::ToInt64Microseconds(record.writers.write_duration_max));
  out.set_descriptor_cache(
      static_cast<uint32_t>(record.writers.descriptor_cache));
  out.set_registry_url(record.writers.registry_url);
  for (const UnreadableScope& scope : record.unreadable_scopes) {
    storage::v1::KeptScope* kept = out.add_unreadable_scopes();
    kept->set_scope(scope.scope);
    kept->set_why(scope.why);
  }
  return out;
}

StoreRecord FromProto(const storage::v1::StoreRecord& record) {
  StoreRecord out;
  out.id = static_cast<StoreId>(record.id());
  out.name = record.name();
  out.kind = static_cast<store::StoreKind>(record.kind());
  out.uri = record.uri();
  out.knows_containers = record.knows_containers();
  out.is_read_only = record.is_read_only();
  if (!record.scan_memo().empty()) {
    out.scan_memo = std::make_shared<const std::string>(record.scan_memo());
  }
  if (record.has_write_duration_max_micros()) {
    out.writers.write_duration_max =
        absl::Microseconds(record.write_duration_max_micros());
  }
  out.writers.descriptor_cache =
      static_cast<DescriptorCache>(record.descriptor_cache());
  out.writers.registry_url = record.registry_url();
  if (record.has_last_scan_begin()) {
    out.last_scan_begin = FromMicros(record.last_scan_begin());
    out.last_scan_end = FromMicros(record.last_scan_end());
  }
  out.last_scan_epoch = record.last_scan_epoch();
  for (const storage::v1::KeptScope& scope : record.unreadable_scopes()) {
    out.unreadable_scopes.push_back({scope.scope(), scope.why()});
  }
  return out;
}

storage::v1::EventRecord ToProto(const Event& event) {
  storage::v1::EventRecord out;
  out.set_sequence(event.sequence);
  out.set_time(ToMicros(event.time));
  out.set_kind(static_cast<uint32_t>(event.kind));
  out.set_node_kind(static_cast<uint32_t>(event.node_kind));
  out.set_store(event.store);
  out.set_place(event.place);
  if (event.digest) out.set_digest(event.digest->ToString());
  out.set_scope(event.scope);
  out.set_name(event.name);
  out.set_logical_bytes(event.bytes.logical_bytes);
  out.set_allocated_bytes(event.bytes.allocated_bytes);
  out.set_actor(event.actor);
  out.set_run_id(event.run_id);
  out.set_detail(event.detail);
  return out;
}

Event FromProto(const storage::v1::EventRecord& record) {
  Event out;
  out.sequence = record.sequence();
  out.time = FromMicros(record.time());
  out.kind = static_cast<EventKind>(record.kind());
  out.node_kind = static_cast<NodeKind>(record.node_kind());
  out.store = record.store();
  out.place = record.place();
  if (const auto digest = oci::Digest::Parse(record.digest()); digest.ok()) {
    out.digest = *digest;
  }
  out.scope = record.scope();
  out.name = record.name();
  out.bytes = {record.logical_bytes(), record.allocated_bytes()};
  out.actor = record.actor();
  out.run_id = record.run_id();
  out.detail = record.detail();
  return out;
}

}  // namespace reclaim::index
