#include "index/write_set.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "base/check.h"
#include "base/status_macros.h"
#include "google/protobuf/message.h"

namespace reclaim::index {

using storage::v1::ContentRecord;
using storage::v1::MembershipRecord;

WriteSet::WriteSet(const Engine* engine, const ResidentGraph* graph,
                   const storage::v1::GraphState& state, absl::Time now)
    : engine_(engine), graph_(graph), state_(state), now_(now) {}

NodeId WriteSet::NewNodeId() {
  const NodeId id = state_.next_node_id();
  RECLAIM_CHECK(id != kNoNode, "four billion nodes are not reached");
  state_.set_next_node_id(id + 1);
  return id;
}

absl::StatusOr<ContentRecord*> WriteSet::ContentById(NodeId id) {
  const auto known = content_.find(id);
  if (known != content_.end()) return &known->second.record;
  RECLAIM_ASSIGN_OR_RETURN(const std::optional<std::string> value,
                           engine_->Get(Family::kContent, IdKey(id)));
  if (!value) {
    return absl::DataLossError(
        "a content record is missing; move the database away, the graph is "
        "rebuilt from the stores");
  }
  RECLAIM_ASSIGN_OR_RETURN(ContentRecord record, ParseRecord<ContentRecord>(
                                                     Family::kContent, *value));
  ContentEntry& entry = content_[id];
  entry.record = std::move(record);
  entry.original = CanonicalBytes(entry.record);
  return &entry.record;
}

absl::StatusOr<ContentRecord*> WriteSet::FindContent(
    PlaceId place, const oci::Digest& digest) {
  const auto fresh = new_content_.find(ContentKey{place, digest});
  if (fresh != new_content_.end()) return ContentById(fresh->second);
  const NodeId id = graph_->FindContent(place, digest);
  if (id == kNoNode) return nullptr;
  return ContentById(id);
}

absl::StatusOr<ContentRecord*> WriteSet::Content(StoreId store, PlaceId place,
                                                 const oci::Digest& digest) {
  RECLAIM_ASSIGN_OR_RETURN(ContentRecord * found, FindContent(place, digest));
  if (found != nullptr) return found;
  const NodeId id = NewNodeId();
  new_content_[ContentKey{place, digest}] = id;
  ContentRecord& record = content_[id].record;
  record.set_id(id);
  record.set_store(store);
  record.set_place(place);
  record.set_digest_algorithm(static_cast<uint32_t>(digest.algorithm()));
  record.set_digest(std::string(digest.bytes()));
  record.set_recorded(ToMicros(now_));
  return &record;
}

absl::StatusOr<ContentRecord*> WriteSet::Extent(StoreId store,
                                                const store::Extent& extent) {
  const auto fresh = new_extents_.find({store, extent});
  if (fresh != new_extents_.end()) return ContentById(fresh->second);
  // Which file an extent is, its key in the meta family says.
  const std::string key = "extent/" + IdKey(store) +
                          SequenceKey(extent.device) +
                          SequenceKey(extent.inode);
  RECLAIM_ASSIGN_OR_RETURN(const std::optional<std::string> known,
                           engine_->Get(Family::kMeta, key));
  if (known && known->size() == 4) {
    NodeId id = 0;
    for (const char c : *known) id = id << 8 | static_cast<uint8_t>(c);
    return ContentById(id);
  }
  const NodeId id = NewNodeId();
  new_extents_[{store, extent}] = id;
  AddRecord(Family::kMeta, key, IdKey(id));
  ContentRecord& record = content_[id].record;
  record.set_id(id);
  record.set_store(store);
  record.set_kind(static_cast<uint32_t>(NodeKind::kExtent));
  record.set_device(extent.device);
  record.set_inode(extent.inode);
  record.set_recorded(ToMicros(now_));
  return &record;
}

absl::StatusOr<storage::v1::NamedRecord*> WriteSet::NamedById(NodeId id) {
  const auto known = named_.find(id);
  if (known != named_.end()) {
    return known->second.is_removed ? nullptr : &known->second.record;
  }
  RECLAIM_ASSIGN_OR_RETURN(const std::optional<std::string> value,
                           engine_->Get(Family::kNamed, IdKey(id)));
  if (!value) {
    return absl::DataLossError(
        "a named record is missing; move the database away, the graph is "
        "rebuilt from the stores");
  }
  RECLAIM_ASSIGN_OR_RETURN(
      storage::v1::NamedRecord record,
      ParseRecord<storage::v1::NamedRecord>(Family::kNamed, *value));
  NamedEntry& entry = named_[id];
  entry.record = std::move(record);
  entry.original = CanonicalBytes(entry.record);
  return &entry.record;
}

absl::StatusOr<storage::v1::NamedRecord*> WriteSet::FindNamed(
    const NamedKey& key) {
  const auto fresh = new_named_.find(key);
  if (fresh != new_named_.end()) return NamedById(fresh->second);
  const NodeId id = graph_->FindNamed(key);
  if (id == kNoNode) return nullptr;
  return NamedById(id);
}

storage::v1::NamedRecord* WriteSet::AddNamed(const NamedKey& key) {
  const NodeId id = NewNodeId();
  new_named_[key] = id;
  storage::v1::NamedRecord& record = named_[id].record;
  record.set_id(id);
  record.set_store(key.store);
  record.set_kind(static_cast<uint32_t>(key.kind));
  record.set_scope(key.scope);
  record.set_name(key.name);
  record.set_place(kNoPlace);
  record.set_recorded(ToMicros(now_));
  return &record;
}

void WriteSet::RemoveNamed(NodeId id) {
  NamedEntry& entry = named_[id];
  entry.is_removed = true;
}

std::vector<NodeId> WriteSet::ListNamed(NodeKind kind, StoreId store) const {
  std::vector<NodeId> ids;
  graph_->ForEachNamed(kind, store, [&](NodeId id) {
    ids.push_back(id);
    return true;
  });
  for (const auto& [key, id] : new_named_) {
    if (key.kind == kind && key.store == store) ids.push_back(id);
  }
  return ids;
}

std::vector<NamedKey> WriteSet::NamesIn(absl::Span<const NodeKind> kinds,
                                        StoreId store,
                                        const std::string& scope) const {
  std::vector<NamedKey> keys;
  for (const NodeKind kind : kinds) {
    graph_->ForEachNamedIn(kind, store, scope, [&](NodeId id) {
      keys.push_back(graph_->named_key(id));
      return true;
    });
  }
  for (const auto& [key, id] : new_named_) {
    if (key.store == store && key.scope == scope &&
        std::find(kinds.begin(), kinds.end(), key.kind) != kinds.end()) {
      keys.push_back(key);
    }
  }
  std::sort(keys.begin(), keys.end(), [](const NamedKey& a, const NamedKey& b) {
    return std::tie(a.kind, a.name) < std::tie(b.kind, b.name);
  });
  return keys;
}

std::vector<NodeId> WriteSet::NamedKeepers(NodeId content) const {
  std::vector<NodeId> keepers;
  if (graph_->Exists(content)) {
    graph_->ForEachKeeper(content, [&](NodeId keeper) {
      if (graph_->Exists(keeper) && !IsContent(graph_->kind(keeper)) &&
          named_.count(keeper) == 0) {
        keepers.push_back(keeper);
      }
      return true;
    });
  }
  for (const auto& [id, entry] : named_) {
    const auto& targets = entry.record.targets();
    if (!entry.is_removed &&
        std::find(targets.begin(), targets.end(), content) != targets.end()) {
      keepers.push_back(id);
    }
  }
  return keepers;
}

std::optional<MembershipRecord> WriteSet::FindMembership(
    NodeId repository, NodeId content, store::MembershipKind kind) const {
  const auto known = memberships_.find({repository, content, kind});
  if (known != memberships_.end()) return known->second;
  const std::optional<MembershipRow> row =
      graph_->FindMembership(repository, content, kind);
  if (!row) return std::nullopt;
  MembershipRecord record;
  record.set_repository(repository);
  record.set_content(content);
  record.set_kind(static_cast<uint32_t>(kind));
  record.set_linked(ToMicros(row->linked));
  record.set_is_only_name(row->is_only_name);
  return record;
}

void WriteSet::PutMembership(const MembershipRecord& record) {
  memberships_[{record.repository(), record.content(),
                static_cast<store::MembershipKind>(record.kind())}] = record;
}

void WriteSet::RemoveMembership(NodeId repository, NodeId content,
                                store::MembershipKind kind) {
  memberships_[{repository, content, kind}] = std::nullopt;
}

void WriteSet::RemoveMembershipsOf(NodeId repository) {
  for (auto it = memberships_.lower_bound(
           {repository, 0, static_cast<store::MembershipKind>(0)});
       it != memberships_.end() && std::get<0>(it->first) == repository; ++it) {
    it->second = std::nullopt;
  }
  if (!graph_->Exists(repository)) return;
  graph_->ForEachMember(
      repository, [&](NodeId content, store::MembershipKind kind, absl::Time) {
        RemoveMembership(repository, content, kind);
        return true;
      });
}

void WriteSet::SetOrphans(StoreId store, const Tally& orphans) {
  orphans_[store] = orphans;
}

PlaceId WriteSet::FindPlace(StoreId store, const store::Place& name) const {
  const auto fresh = new_places_.find({store, name});
  return fresh != new_places_.end() ? fresh->second
                                    : graph_->FindPlace(store, name);
}

PlaceId WriteSet::AddPlace(StoreId store, const store::Place& name) {
  const PlaceId place = state_.next_place_id();
  state_.set_next_place_id(place + 1);
  new_places_[{store, name}] = place;
  return place;
}

void WriteSet::AddEvent(Event event) {
  event.sequence = state_.next_sequence();
  state_.set_next_sequence(event.sequence + 1);
  event.time = now_;
  events_.push_back(std::move(event));
}

void WriteSet::AddRecord(Family family, std::string key,
                         std::optional<std::string> value) {
  records_.push_back({family, std::move(key), std::move(value), ""});
}

void WriteSet::AddTrim(Family family, std::string end) {
  records_.push_back({family, "", std::nullopt, std::move(end)});
}

bool WriteSet::HasChanges() const {
  if (!memberships_.empty() || !new_places_.empty() || !orphans_.empty() ||
      !events_.empty() || !records_.empty()) {
    return true;
  }
  for (const auto& [id, entry] : content_) {
    if (entry.IsChanged()) return true;
  }
  for (const auto& [id, entry] : named_) {
    if (entry.IsChanged()) return true;
  }
  return false;
}

void WriteSet::TrimEvents(uint64_t count_max) {
  constexpr uint64_t kTrimmedAtOnce = 256;
  const uint64_t end = state_.next_sequence();
  trim_begin_ = std::max<uint64_t>(1, state_.oldest_sequence());
  trim_end_ = trim_begin_;
  if (end - trim_begin_ > count_max) {
    trim_end_ = std::min(end - count_max,
                         trim_begin_ + events_.size() + kTrimmedAtOnce);
  }
  state_.set_oldest_sequence(trim_end_);
}

absl::StatusOr<Batch> WriteSet::ToBatch() const {
  Batch batch;
  const auto put = [&batch](Family family, std::string key,
                            const google::protobuf::Message& record) {
    absl::StatusOr<std::string> bytes = EncodeRecord(record);
    if (!bytes.ok()) return bytes.status();
    batch.Put(family, std::move(key), *std::move(bytes));
    return absl::OkStatus();
  };
  for (const auto& [key, place] : new_places_) {
    storage::v1::PlaceRecord record;
    record.set_id(place);
    record.set_store(key.first);
    record.set_name(key.second);
    RECLAIM_RETURN_IF_ERROR(put(Family::kMeta, PlaceKey(place), record));
  }
  for (const auto& [id, entry] : content_) {
    if (entry.IsChanged()) {
      RECLAIM_RETURN_IF_ERROR(put(Family::kContent, IdKey(id), entry.record));
    }
  }
  for (const auto& [id, entry] : named_) {
    if (entry.is_removed) {
      batch.Delete(Family::kNamed, IdKey(id));
    } else if (entry.IsChanged()) {
      RECLAIM_RETURN_IF_ERROR(put(Family::kNamed, IdKey(id), entry.record));
    }
  }
  for (const auto& [key, record] : memberships_) {
    std::string bytes_key = std::apply(MembershipKey, key);
    if (record) {
      RECLAIM_RETURN_IF_ERROR(
          put(Family::kMembership, std::move(bytes_key), *record));
    } else {
      batch.Delete(Family::kMembership, std::move(bytes_key));
    }
  }
  for (const Event& event : events_) {
    RECLAIM_RETURN_IF_ERROR(
        put(Family::kEvent, SequenceKey(event.sequence), ToProto(event)));
  }
  for (uint64_t sequence = trim_begin_; sequence < trim_end_; ++sequence) {
    batch.Delete(Family::kEvent, SequenceKey(sequence));
  }
  for (const Batch::Entry& entry : records_) {
    batch.Add(entry);
  }
  storage::v1::GraphState state = state_;
  state.set_latest_time(ToMicros(now_));
  RECLAIM_RETURN_IF_ERROR(put(Family::kMeta, kStateKey, state));
  return batch;
}

void WriteSet::ApplyTo(ResidentGraph* graph) const {
  for (const auto& [key, place] : new_places_) {
    graph->PutPlace(place, key.first, key.second);
  }
  for (const auto& [key, record] : memberships_) {
    // Links go before their nodes, and come after them (below).
    if (!record)
      std::apply([&](auto... k) { graph->RemoveMembership(k...); }, key);
  }
  for (const auto& [id, entry] : named_) {
    if (entry.is_removed) graph->RemoveNamed(id);
  }
  for (const auto& [id, entry] : content_) {
    if (!entry.IsChanged()) continue;
    absl::StatusOr<ContentRow> row = ToRow(entry.record);
    RECLAIM_CHECK(row.ok(), "a record that was prepared gives a row");
    graph->PutContent(*row);
  }
  for (const auto& [id, entry] : named_) {
    if (!entry.is_removed && entry.IsChanged()) {
      graph->PutNamed(ToRow(entry.record));
    }
  }
  for (const auto& [key, record] : memberships_) {
    if (record) graph->PutMembership(ToRow(*record));
  }
  for (const auto& [store, orphans] : orphans_) {
    graph->SetOrphans(store, orphans);
  }
}

}  // namespace reclaim::index
