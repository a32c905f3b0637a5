// Containers, snapshots, volumes, networks, build cache and foreign holds.
//
// What a record already says is not put again: a put is a write, and would
// stamp what it references as asked for.

#include <utility>

#include "absl/strings/match.h"
#include "base/status_macros.h"
#include "google/protobuf/util/message_differencer.h"
#include "index/graph_scan.h"
#include "index/put_codec.h"

namespace reclaim::index {
namespace {

PutSnapshot ToPut(const std::string& store, const store::SnapshotFact& fact) {
  PutSnapshot put;
  put.store = store;
  put.key = fact.key;
  put.parent = fact.parent;
  put.bytes = fact.bytes;
  put.labels = fact.labels;
  put.unpacked_from = fact.images;
  put.place = fact.place;
  put.created = fact.created;
  return put;
}

PutVolume ToPut(const std::string& store, const store::VolumeFact& fact) {
  PutVolume put;
  put.store = store;
  put.name = fact.name;
  put.driver = fact.driver;
  put.bytes = fact.bytes;
  put.labels = fact.labels;
  put.is_anonymous = fact.is_anonymous;
  put.created = fact.created;
  return put;
}

PutNetwork ToPut(const std::string& store, const store::NetworkFact& fact) {
  PutNetwork put;
  put.store = store;
  put.name = fact.name;
  put.id = fact.id;
  put.driver = fact.driver;
  put.scope = fact.scope;
  put.labels = fact.labels;
  put.is_predefined = fact.is_predefined;
  put.created = fact.created;
  return put;
}

PutContainer ToPut(const std::string& store, const store::ContainerFact& fact) {
  PutContainer put;
  put.store = store;
  put.id = fact.id;
  put.name = fact.name;
  put.state = fact.state;
  put.image_reference = fact.image_reference;
  put.image = fact.image;
  put.place = fact.place;
  put.command = fact.command;
  put.writable = fact.writable;
  put.labels = fact.labels;
  put.volumes = fact.volumes;
  put.networks = fact.networks;
  put.mounted_images = fact.mounted_images;
  put.snapshot = fact.snapshot;
  put.ports = fact.ports;
  put.created = fact.created;
  put.exited = fact.exited;
  return put;
}

PutBuildCache ToPut(const std::string& store,
                    const store::BuildCacheFact& fact) {
  PutBuildCache put;
  put.store = store;
  put.id = fact.id;
  put.parent = fact.parent;
  put.type = fact.type;
  put.description = fact.description;
  put.bytes = fact.bytes;
  put.is_in_use = fact.is_in_use;
  put.is_shared = fact.is_shared;
  put.usage_count = fact.usage_count;
  put.layers = fact.layers;
  put.created = fact.created;
  put.used = fact.used;
  return put;
}

template <typename Put>
bool IsSame(const NamedRecord& known, const Put& put) {
  const Put* old = std::get_if<Put>(&known);
  return old != nullptr && google::protobuf::util::MessageDifferencer::Equals(
                               ToProto(*old), ToProto(put));
}

std::optional<NodeKind> KindOf(store::SectionKind section) {
  switch (section) {
    case store::SectionKind::kContainers:
      return NodeKind::kContainer;
    case store::SectionKind::kSnapshots:
      return NodeKind::kSnapshot;
    case store::SectionKind::kVolumes:
      return NodeKind::kVolume;
    case store::SectionKind::kNetworks:
      return NodeKind::kNetwork;
    case store::SectionKind::kBuildCache:
      return NodeKind::kBuildCache;
    case store::SectionKind::kHolds:
      return NodeKind::kLease;
    default:
      return std::nullopt;
  }
}

}  // namespace

template <typename Put>
void GraphScan::AddRecord(NodeKind kind, const std::string& name,
                          const std::optional<store::Bytes>& bytes, Put put) {
  record_names_.push_back(name);
  NodeId id = kNoNode;
  store::Bytes known_bytes;
  {
    const std::unique_ptr<GraphReader> reader = graph_->Read();
    id = reader->view().FindNamed({kind, record_.id, "", name});
    if (id != kNoNode) known_bytes = reader->view().fields(id).bytes;
  }
  if (id == kNoNode) {
    ++report_.added_count;
  } else if (known_bytes == bytes.value_or(store::Bytes())) {
    const absl::StatusOr<NamedRecord> known = graph_->GetNamed(id);
    if (known.ok() && IsSame(*known, put)) return;
  }
  Add(std::move(put));
}

// What is not here is not held: a lease on it says nothing.
std::vector<Target> GraphScan::KnownTargets(const store::HoldFact& fact) const {
  const std::unique_ptr<GraphReader> reader = graph_->Read();
  const GraphView& view = reader->view();
  std::vector<Target> targets;
  for (const store::HeldThing& thing : fact.targets) {
    Target target;
    if (thing.digest) {
      target.content = ContentName{record_.name, thing.place, *thing.digest};
      targets.push_back(std::move(target));
      continue;
    }
    target.kind = thing.snapshot.empty() ? NodeKind::kTag : NodeKind::kSnapshot;
    target.scope = thing.repository;
    target.name = thing.snapshot.empty() ? thing.tag : thing.snapshot;
    if (view.FindNamed({target.kind, record_.id, target.scope, target.name}) !=
        kNoNode) {
      targets.push_back(std::move(target));
    }
  }
  return targets;
}

// A put adds targets to those that a lease has; what the engine's lease does
// not hold any more must go, so the record is made anew.
void GraphScan::AddHold(const store::HoldFact& fact) {
  PutLease put;
  put.store = record_.name;
  put.id = fact.id;
  put.owner = fact.owner;
  put.expires = fact.expires;
  put.is_flat = fact.is_flat;
  put.labels = fact.labels;
  put.targets = KnownTargets(fact);
  const size_t before = pending_.size();
  AddRecord(NodeKind::kLease, fact.id, std::nullopt, std::move(put));
  if (pending_.size() == before) return;
  Operation added = std::move(pending_.back());
  pending_.pop_back();
  Add(RemoveNamed{record_.name, NodeKind::kLease, "", fact.id});
  Add(std::move(added));
}

absl::Status GraphScan::FlushRecords(NodeKind kind) {
  RECLAIM_RETURN_IF_ERROR(Flush());
  const std::unique_ptr<GraphReader> reader = graph_->Read();
  for (const std::string& name : record_names_) {
    MarkSeen(reader->view().FindNamed({kind, record_.id, "", name}));
  }
  record_names_.clear();
  return absl::OkStatus();
}

// What is used before what uses it, so that each edge finds its target.
absl::Status GraphScan::AcceptRecords(const store::ScanBatch& batch) {
  const std::string& store = record_.name;
  for (const store::SnapshotFact& fact : batch.snapshots) {
    AddRecord(NodeKind::kSnapshot, fact.key, fact.bytes, ToPut(store, fact));
  }
  RECLAIM_RETURN_IF_ERROR(FlushRecords(NodeKind::kSnapshot));
  for (const store::VolumeFact& fact : batch.volumes) {
    AddRecord(NodeKind::kVolume, fact.name, fact.bytes, ToPut(store, fact));
  }
  RECLAIM_RETURN_IF_ERROR(FlushRecords(NodeKind::kVolume));
  for (const store::NetworkFact& fact : batch.networks) {
    AddRecord(NodeKind::kNetwork, fact.name, {}, ToPut(store, fact));
  }
  RECLAIM_RETURN_IF_ERROR(FlushRecords(NodeKind::kNetwork));
  for (const store::ContainerFact& fact : batch.containers) {
    AddRecord(NodeKind::kContainer, fact.id, fact.writable, ToPut(store, fact));
  }
  RECLAIM_RETURN_IF_ERROR(FlushRecords(NodeKind::kContainer));
  for (const store::BuildCacheFact& fact : batch.build_cache) {
    AddRecord(NodeKind::kBuildCache, fact.id, fact.bytes, ToPut(store, fact));
  }
  RECLAIM_RETURN_IF_ERROR(FlushRecords(NodeKind::kBuildCache));
  for (const store::HoldFact& fact : batch.holds) AddHold(fact);
  return FlushRecords(NodeKind::kLease);
}

void GraphScan::NoteRecordSection(const store::SectionReport& section) {
  const std::optional<NodeKind> kind = KindOf(section.kind);
  if (kind && section.state == store::SectionState::kListed) {
    listed_records_.insert(*kind);
  }
}

void GraphScan::FindGoneRecords() {
  const std::unique_ptr<GraphReader> reader = graph_->Read();
  const GraphView& view = reader->view();
  for (const NodeKind kind : listed_records_) {
    view.ForEachNamed(kind, record_.id, [&](NodeId id) {
      if (WasSeen(id) || view.fields(id).stamp > epoch_) return true;
      const NamedKey key = view.named_key(id);
      // Leases that clients took from us are no business of the engine.
      if (kind == NodeKind::kLease &&
          !absl::StartsWith(key.name, store::kHoldPrefix)) {
        return true;
      }
      ++report_.removed_count;
      Add(RemoveNamed{record_.name, kind, key.scope, key.name});
      return true;
    });
  }
}

}  // namespace reclaim::index
