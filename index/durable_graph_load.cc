// Opening the graph, its stores, and the details that the arrays do not hold.

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "index/durable_graph.h"
#include "index/put_codec.h"

namespace reclaim::index {

absl::Status DurableGraph::Load() {
  std::lock_guard<std::mutex> order(write_mutex_);
  absl::MutexLock lock(&graph_mutex_);
  RECLAIM_RETURN_IF_ERROR(LoadMeta());
  // Everything is old by the time it is loaded; AdvanceTo() first, so that each
  // node is settled once.
  graph_.AdvanceTo(Now());
  RECLAIM_RETURN_IF_ERROR(LoadNodes());
  epoch_ = state_.epoch();
  sequence_ = state_.next_sequence() - 1;
  return absl::OkStatus();
}

absl::Status DurableGraph::LoadMeta() {
  RECLAIM_ASSIGN_OR_RETURN(const std::optional<std::string> state,
                           engine_->Get(Family::kMeta, kStateKey));
  if (!state) {
    state_.set_format_version(kFormatVersion);
    state_.set_next_sequence(1);
    state_.set_epoch(1);
    Batch batch;
    batch.Put(Family::kMeta, kStateKey, state_.SerializeAsString());
    return engine_->Commit(batch, Durability::kDurable);
  }
  RECLAIM_ASSIGN_OR_RETURN(
      state_, ParseRecord<storage::v1::GraphState>(Family::kMeta, *state));
  if (state_.format_version() != kFormatVersion) {
    return absl::DataLossError(
        absl::StrCat("the database has format ", state_.format_version(),
                     ", this program reads ", kFormatVersion,
                     "; move it away, the graph is rebuilt from the stores"));
  }
  absl::Status status;
  RECLAIM_RETURN_IF_ERROR(engine_->Scan(
      Family::kMeta, kStorePrefix, "",
      [&](absl::string_view, absl::string_view value) {
        const auto record =
            ParseRecord<storage::v1::StoreRecord>(Family::kMeta, value);
        if (!record.ok()) {
          status = record.status();
          return false;
        }
        const StoreRecord store = FromProto(*record);
        stores_[store.id] = store;
        graph_.PutStore(store.id, store.name);
        return true;
      }));
  RECLAIM_RETURN_IF_ERROR(status);
  RECLAIM_RETURN_IF_ERROR(engine_->Scan(
      Family::kMeta, kPlacePrefix, "",
      [&](absl::string_view, absl::string_view value) {
        const auto record =
            ParseRecord<storage::v1::PlaceRecord>(Family::kMeta, value);
        if (!record.ok()) {
          status = record.status();
          return false;
        }
        graph_.PutPlace(record->id(), static_cast<StoreId>(record->store()),
                        record->name());
        return true;
      }));
  RECLAIM_RETURN_IF_ERROR(status);
  for (const auto& [id, store] : stores_) {
    RECLAIM_ASSIGN_OR_RETURN(
        const std::optional<std::string> value,
        engine_->Get(Family::kMeta, "orphans/" + IdKey(id)));
    if (!value) continue;
    RECLAIM_ASSIGN_OR_RETURN(
        const storage::v1::StoreRecord record,
        ParseRecord<storage::v1::StoreRecord>(Family::kMeta, *value));
    graph_.SetOrphans(
        id, {record.orphan_count(),
             {record.orphan_logical_bytes(), record.orphan_allocated_bytes()}});
  }
  return absl::OkStatus();
}

absl::Status DurableGraph::LoadNodes() {
  absl::Status status;
  const auto load = [&](Family family, auto put) {
    if (!status.ok()) return;
    const absl::Status scanned = engine_->Scan(
        family, "", "", [&](absl::string_view, absl::string_view value) {
          status = put(value);
          return status.ok();
        });
    if (status.ok()) status = scanned;
  };
  load(Family::kContent, [&](absl::string_view value) -> absl::Status {
    RECLAIM_ASSIGN_OR_RETURN(
        const auto record,
        ParseRecord<storage::v1::ContentRecord>(Family::kContent, value));
    RECLAIM_ASSIGN_OR_RETURN(const ContentRow row, ToRow(record));
    graph_.PutContent(row);
    return absl::OkStatus();
  });
  load(Family::kNamed, [&](absl::string_view value) -> absl::Status {
    RECLAIM_ASSIGN_OR_RETURN(
        const auto record,
        ParseRecord<storage::v1::NamedRecord>(Family::kNamed, value));
    graph_.PutNamed(ToRow(record));
    return absl::OkStatus();
  });
  load(Family::kMembership, [&](absl::string_view value) -> absl::Status {
    RECLAIM_ASSIGN_OR_RETURN(
        const auto record,
        ParseRecord<storage::v1::MembershipRecord>(Family::kMembership, value));
    graph_.PutMembership(ToRow(record));
    return absl::OkStatus();
  });
  return status;
}

absl::StatusOr<StoreId> DurableGraph::RegisterStore(const StoreRecord& store) {
  std::lock_guard<std::mutex> order(write_mutex_);
  RECLAIM_RETURN_IF_ERROR(CheckWritable());
  StoreRecord record = store;
  for (const auto& [id, known] : stores_) {
    if (known.name != store.name) continue;
    if (known.kind != store.kind) {
      return absl::AlreadyExistsError(absl::StrCat(
          "store \"", store.name, "\" is a ", store::ToString(known.kind),
          " store already; choose another name"));
    }
    record = known;
    record.uri = store.uri;
    record.knows_containers = store.knows_containers;
    record.is_read_only = store.is_read_only;
    record.writers = store.writers;
  }
  storage::v1::GraphState next = state_;
  if (record.id == kNoStore) {
    record.id = static_cast<StoreId>(next.next_store_id());
    next.set_next_store_id(next.next_store_id() + 1);
  }
  Batch batch;
  batch.Put(Family::kMeta, kStateKey, next.SerializeAsString());
  batch.Put(Family::kMeta, StoreKey(record.id),
            ToProto(record).SerializeAsString());
  RECLAIM_RETURN_IF_ERROR(engine_->Commit(batch, Durability::kDurable));
  state_ = next;
  absl::MutexLock lock(&graph_mutex_);
  stores_[record.id] = record;
  graph_.PutStore(record.id, record.name);
  return record.id;
}

std::vector<StoreRecord> DurableGraph::Stores() const {
  absl::ReaderMutexLock lock(&graph_mutex_);
  std::vector<StoreRecord> stores;
  for (const auto& [id, store] : stores_) stores.push_back(store);
  return stores;
}

absl::Status DurableGraph::RecordScan(StoreId store, const StoreRecord& seen) {
  std::lock_guard<std::mutex> order(write_mutex_);
  RECLAIM_RETURN_IF_ERROR(CheckWritable());
  const auto it = stores_.find(store);
  if (it == stores_.end()) {
    return absl::NotFoundError("the store was forgotten while it was scanned");
  }
  StoreRecord record = it->second;
  record.scan_memo = seen.scan_memo;
  record.last_scan_begin = seen.last_scan_begin;
  record.last_scan_end = seen.last_scan_end;
  record.last_scan_epoch = seen.last_scan_epoch;
  record.unreadable_scopes = seen.unreadable_scopes;
  Batch batch;
  batch.Put(Family::kMeta, StoreKey(store),
            ToProto(record).SerializeAsString());
  RECLAIM_RETURN_IF_ERROR(engine_->Commit(batch, Durability::kDurable));
  absl::MutexLock lock(&graph_mutex_);
  it->second = record;
  return absl::OkStatus();
}

absl::Status DurableGraph::ForgetStore(absl::string_view name) {
  std::lock_guard<std::mutex> order(write_mutex_);
  RECLAIM_RETURN_IF_ERROR(CheckWritable());
  const StoreId store = graph_.FindStore(name);
  if (store == kNoStore) {
    return absl::NotFoundError(
        absl::StrCat("store \"", name, "\" is not registered"));
  }
  if (graph_.totals(store).quarantined.count > 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("store \"", name,
                     "\" has quarantined bytes; run `reclaim restore` or "
                     "`reclaim purge --now` first"));
  }
  Batch batch;
  for (NodeId id = 0; id < graph_.node_count(); ++id) {
    if (!graph_.Exists(id) || graph_.fields(id).store != store) continue;
    batch.Delete(IsContent(graph_.kind(id)) ? Family::kContent : Family::kNamed,
                 IdKey(id));
    graph_.ForEachMember(
        id, [&](NodeId content, store::MembershipKind kind, absl::Time) {
          batch.Delete(Family::kMembership, MembershipKey(id, content, kind));
          return true;
        });
  }
  RECLAIM_RETURN_IF_ERROR(
      engine_->Scan(Family::kMeta, "extent/" + IdKey(store), "",
                    [&](absl::string_view key, absl::string_view) {
                      batch.Delete(Family::kMeta, std::string(key));
                      return true;
                    }));
  batch.Delete(Family::kMeta, StoreKey(store));
  batch.Delete(Family::kMeta, "orphans/" + IdKey(store));
  RECLAIM_RETURN_IF_ERROR(engine_->Scan(
      Family::kMeta, kPlacePrefix, "",
      [&](absl::string_view key, absl::string_view value) {
        const auto record =
            ParseRecord<storage::v1::PlaceRecord>(Family::kMeta, value);
        if (record.ok() && record->store() == store) {
          batch.Delete(Family::kMeta, std::string(key));
        }
        return true;
      }));
  RECLAIM_RETURN_IF_ERROR(engine_->Commit(batch, Durability::kDurable));
  absl::MutexLock lock(&graph_mutex_);
  stores_.erase(store);
  graph_.RemoveStore(store);
  return absl::OkStatus();
}

absl::StatusOr<NamedRecord> DurableGraph::GetNamed(NodeId id) const {
  RECLAIM_ASSIGN_OR_RETURN(const std::optional<std::string> value,
                           engine_->Get(Family::kNamed, IdKey(id)));
  if (!value) return absl::NotFoundError("the record is gone meanwhile");
  RECLAIM_ASSIGN_OR_RETURN(
      const storage::v1::NamedRecord record,
      ParseRecord<storage::v1::NamedRecord>(Family::kNamed, *value));
  return ToNamedRecord(record);
}

absl::StatusOr<std::optional<PutImageConfig>> DurableGraph::GetImageConfig(
    NodeId config) const {
  RECLAIM_ASSIGN_OR_RETURN(const std::optional<std::string> value,
                           engine_->Get(Family::kContent, IdKey(config)));
  if (!value) return std::optional<PutImageConfig>();
  RECLAIM_ASSIGN_OR_RETURN(
      const storage::v1::ContentRecord record,
      ParseRecord<storage::v1::ContentRecord>(Family::kContent, *value));
  if (!record.has_config()) return std::optional<PutImageConfig>();
  PutImageConfig out;
  if (record.config().has_created()) {
    out.created = FromMicros(record.config().created());
  }
  out.os = record.config().os();
  out.architecture = record.config().architecture();
  out.variant = record.config().variant();
  out.labels.insert(record.config().labels().begin(),
                    record.config().labels().end());
  return std::optional<PutImageConfig>(std::move(out));
}

absl::StatusOr<std::string> DurableGraph::GetMediaType(NodeId content) const {
  RECLAIM_ASSIGN_OR_RETURN(const std::optional<std::string> value,
                           engine_->Get(Family::kContent, IdKey(content)));
  if (!value) return absl::NotFoundError("no such content");
  RECLAIM_ASSIGN_OR_RETURN(
      const storage::v1::ContentRecord record,
      ParseRecord<storage::v1::ContentRecord>(Family::kContent, *value));
  return record.media_type();
}

absl::StatusOr<std::vector<Event>> DurableGraph::ListEvents(
    uint64_t after, size_t limit) const {
  std::vector<Event> events;
  absl::Status status;
  RECLAIM_RETURN_IF_ERROR(engine_->Scan(
      Family::kEvent, "", SequenceKey(after + 1),
      [&](absl::string_view, absl::string_view value) {
        const auto record =
            ParseRecord<storage::v1::EventRecord>(Family::kEvent, value);
        if (!record.ok()) {
          status = record.status();
          return false;
        }
        events.push_back(FromProto(*record));
        return events.size() < limit;
      }));
  RECLAIM_RETURN_IF_ERROR(status);
  return events;
}

absl::StatusOr<std::unique_ptr<ReferenceGraph>> ReferenceGraph::Open(
    Engine* engine, const base::Clock* clock, const GraphOptions& options) {
  auto graph = std::make_unique<DurableGraph>(engine, clock, options);
  RECLAIM_RETURN_IF_ERROR(graph->Load());
  return std::unique_ptr<ReferenceGraph>(std::move(graph));
}

}  // namespace reclaim::index
