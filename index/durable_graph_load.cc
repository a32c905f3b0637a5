// Opening the graph, its stores, and the details that the arrays do not hold.

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/mutex.h"
#include "base/status_macros.h"
#include "index/durable_graph.h"
#include "index/put_codec.h"
#include "index/record_encoding.h"

namespace reclaim::index {
namespace {

DoubtUnit UnitOf(store::StoreKind kind) {
  return kind == store::StoreKind::kRegistry ? DoubtUnit::kRepository
                                             : DoubtUnit::kPlace;
}

}  // namespace

absl::Status DurableGraph::Load() {
  base::MutexLock order(&write_mutex_);
  base::MutexLock lock(&graph_mutex_);
  RECLAIM_RETURN_IF_ERROR(LoadMeta());
  LoadLoss();
  // Everything is old by the time it is loaded; AdvanceTo() first, so that each
  // node is settled once.
  graph_.AdvanceTo(Now());
  graph_.SetDigestSource([this](NodeId id) { return RecordedDigest(id); });
  RECLAIM_RETURN_IF_ERROR(LoadNodes());
  RECLAIM_RETURN_IF_ERROR(LoadTimes());
  epoch_ = state_.epoch();
  sequence_ = state_.next_sequence() - 1;
  oldest_sequence_ = std::max<uint64_t>(1, state_.oldest_sequence());
  return absl::OkStatus();
}

absl::Status DurableGraph::LoadMeta() {
  RECLAIM_ASSIGN_OR_RETURN(const std::optional<std::string> state,
                           engine_->Get(Family::kMeta, kStateKey));
  if (!state) return BeginState();
  RECLAIM_ASSIGN_OR_RETURN(
      state_, ParseRecord<storage::v1::GraphState>(Family::kMeta, *state));
  if (state_.format_version() > kFormatVersion) {
    // Nothing is damaged: it is not moved aside on a start by mistake.
    return absl::FailedPreconditionError(absl::StrCat(
        "the database has format ", state_.format_version(),
        ", this program reads ", kFormatVersion,
        "; start the version that wrote it, or move the folder \"graph\" of "
        "the "
        "data directory away: the stores are read again, and what was recorded "
        "over the API alone is lost"));
  }
  if (state_.format_version() != kFormatVersion) {
    return absl::DataLossError(
        absl::StrCat("the database has format ", state_.format_version(),
                     ", this program reads ", kFormatVersion,
                     "; move it away, the graph is rebuilt from the stores"));
  }
  RECLAIM_RETURN_IF_ERROR(RecordLaterDatabase());
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
        graph_.PutStore(store.id, store.name, UnitOf(store.kind));
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

absl::StatusOr<StoreId> DurableGraph::RegisterStore(const StoreRecord& store) {
  StoreRecord record = store;
  RECLAIM_ASSIGN_OR_RETURN(const CommitNumber commit, PutStoreInOrder(&record));
  RECLAIM_RETURN_IF_ERROR(sync_.Wait(commit));
  return record.id;
}

absl::StatusOr<DurableGraph::CommitNumber> DurableGraph::PutStoreInOrder(
    StoreRecord* store) {
  base::MutexLock order(&write_mutex_);
  RECLAIM_RETURN_IF_ERROR(CheckWritable());
  StoreRecord& record = *store;
  for (const auto& [id, known] : stores_) {
    if (known.name != record.name) continue;
    if (known.kind != record.kind) {
      return absl::AlreadyExistsError(absl::StrCat(
          "store \"", record.name, "\" is a ", store::ToString(known.kind),
          " store already; choose another name"));
    }
    const StoreRecord wanted = record;
    record = known;
    record.uri = wanted.uri;
    record.knows_containers = wanted.knows_containers;
    record.is_read_only = wanted.is_read_only;
    record.writers = wanted.writers;
  }
  storage::v1::GraphState next = state_;
  if (record.id == kNoStore) {
    record.id = static_cast<StoreId>(next.next_store_id());
    next.set_next_store_id(next.next_store_id() + 1);
  }
  RECLAIM_ASSIGN_OR_RETURN(std::string bytes, EncodeRecord(ToProto(record)));
  Batch batch;
  batch.Put(Family::kMeta, kStateKey, next.SerializeAsString());
  batch.Put(Family::kMeta, StoreKey(record.id), std::move(bytes));
  RECLAIM_ASSIGN_OR_RETURN(const CommitNumber commit, CommitBatch(batch));
  state_ = next;
  base::MutexLock lock(&graph_mutex_);
  stores_[record.id] = record;
  graph_.PutStore(record.id, record.name, UnitOf(record.kind));
  return commit;
}

std::vector<StoreRecord> DurableGraph::Stores() const {
  base::ReaderMutexLock lock(&graph_mutex_);
  std::vector<StoreRecord> stores;
  for (const auto& [id, store] : stores_) stores.push_back(store);
  return stores;
}

absl::Status DurableGraph::RecordScan(StoreId store, const StoreRecord& seen) {
  RECLAIM_ASSIGN_OR_RETURN(const CommitNumber commit,
                           RecordScanInOrder(store, seen));
  return sync_.Wait(commit);
}

absl::StatusOr<DurableGraph::CommitNumber> DurableGraph::RecordScanInOrder(
    StoreId store, const StoreRecord& seen) {
  base::MutexLock order(&write_mutex_);
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
  RECLAIM_ASSIGN_OR_RETURN(std::string bytes, EncodeRecord(ToProto(record)));
  Batch batch;
  batch.Put(Family::kMeta, StoreKey(store), std::move(bytes));
  RECLAIM_ASSIGN_OR_RETURN(const CommitNumber commit, CommitBatch(batch));
  base::MutexLock lock(&graph_mutex_);
  it->second = record;
  return commit;
}

absl::Status DurableGraph::ForgetStore(absl::string_view name) {
  RECLAIM_ASSIGN_OR_RETURN(const CommitNumber commit, ForgetInOrder(name));
  return sync_.Wait(commit);
}

void DurableGraph::SetAdopted(absl::string_view store,
                              const AdoptedTally& adopted) {
  base::MutexLock lock(&graph_mutex_);
  const StoreId id = graph_.FindStore(store);
  if (id != kNoStore) graph_.SetAdopted(id, adopted);
}

absl::StatusOr<Batch> DurableGraph::ForgetBatch(StoreId store) const {
  base::ReaderMutexLock lock(&graph_mutex_);
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
  return batch;
}

absl::StatusOr<DurableGraph::CommitNumber> DurableGraph::ForgetInOrder(
    absl::string_view name) {
  base::MutexLock order(&write_mutex_);
  RECLAIM_RETURN_IF_ERROR(CheckWritable());
  StoreId store = kNoStore;
  bool has_quarantine = false;
  {
    base::ReaderMutexLock lock(&graph_mutex_);
    store = graph_.FindStore(name);
    has_quarantine =
        store != kNoStore && graph_.totals(store).quarantined.count > 0;
  }
  if (store == kNoStore) {
    return absl::NotFoundError(
        absl::StrCat("store \"", name, "\" is not registered"));
  }
  if (has_quarantine) {
    return absl::FailedPreconditionError(
        absl::StrCat("store \"", name,
                     "\" has quarantined bytes; run `reclaim restore` or "
                     "`reclaim purge --now` first"));
  }
  RECLAIM_ASSIGN_OR_RETURN(const Batch batch, ForgetBatch(store));
  RECLAIM_ASSIGN_OR_RETURN(const CommitNumber commit, CommitBatch(batch));
  base::MutexLock lock(&graph_mutex_);
  stores_.erase(store);
  graph_.RemoveStore(store);
  return commit;
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

absl::StatusOr<EventPage> DurableGraph::ListEvents(uint64_t after,
                                                   size_t limit) const {
  // A row that is told never comes back as another one after a crash: only what
  // is on the disk is told.
  const uint64_t newest = sequence_;
  EventPage page;
  page.newest_sequence = newest;
  page.oldest_sequence = oldest_sequence_;
  if (newest <= after) return page;
  RECLAIM_RETURN_IF_ERROR(sync_.Wait(sync_.last()));
  absl::Status status;
  RECLAIM_RETURN_IF_ERROR(engine_->Scan(
      Family::kEvent, "",
      SequenceKey(std::max(after + 1, page.oldest_sequence)),
      [&](absl::string_view, absl::string_view value) {
        const auto record =
            ParseRecord<storage::v1::EventRecord>(Family::kEvent, value);
        if (!record.ok()) {
          status = record.status();
          return false;
        }
        if (record->sequence() > newest) return false;
        page.events.push_back(FromProto(*record));
        return page.events.size() < limit;
      }));
  RECLAIM_RETURN_IF_ERROR(status);
  // A trimming may have come between.
  page.oldest_sequence = oldest_sequence_;
  return page;
}

absl::StatusOr<std::unique_ptr<ReferenceGraph>> ReferenceGraph::Open(
    Engine* engine, const base::Clock* clock, const GraphOptions& options) {
  auto graph = std::make_unique<DurableGraph>(engine, clock, options);
  RECLAIM_RETURN_IF_ERROR(graph->Load());
  RECLAIM_RETURN_IF_ERROR(graph->HoldKnownCopies());
  return std::unique_ptr<ReferenceGraph>(std::move(graph));
}

}  // namespace reclaim::index
