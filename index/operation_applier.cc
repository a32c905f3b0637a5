#include "index/operation_applier.h"

#include <algorithm>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/utf8.h"
#include "index/record_encoding.h"
#include "oci/media_type.h"

namespace reclaim::index {

absl::Status OperationApplier::Apply(const Operation& operation) {
  return std::visit(*this, operation);
}

absl::StatusOr<const StoreRecord*> OperationApplier::Store(
    const std::string& name) const {
  const StoreRecord* store = find_store_(name);
  if (store != nullptr) return store;
  return absl::NotFoundError(
      absl::StrCat("store \"", name,
                   "\" is not registered; `reclaim store ls` lists those that "
                   "are"));
}

absl::StatusOr<PlaceId> OperationApplier::PlaceOf(const StoreRecord& store,
                                                  const store::Place& place) {
  const PlaceId found = set_->FindPlace(store.id, place);
  if (found != kNoPlace) return found;
  return set_->AddPlace(store.id, place);
}

absl::StatusOr<storage::v1::ContentRecord*> OperationApplier::ContentOf(
    const ContentName& name) {
  if (name.digest.empty()) {
    return absl::InvalidArgumentError("digest: must be given");
  }
  RECLAIM_ASSIGN_OR_RETURN(const StoreRecord* store, Store(name.store));
  RECLAIM_ASSIGN_OR_RETURN(const PlaceId place, PlaceOf(*store, name.place));
  return set_->Content(store->id, place, name.digest);
}

Event OperationApplier::ContentEvent(EventKind kind,
                                     const ContentRecord& record) const {
  Event event;
  event.kind = kind;
  event.node_kind = static_cast<NodeKind>(record.kind());
  event.store = set_->graph().StoreName(static_cast<StoreId>(record.store()));
  event.place = set_->graph().PlaceName(record.place());
  const auto digest = oci::Digest::FromBytes(
      static_cast<oci::DigestAlgorithm>(record.digest_algorithm()),
      record.digest());
  if (digest.ok()) event.digest = *digest;
  event.actor = actor_;
  return event;
}

void OperationApplier::AddContentEvent(EventKind kind,
                                       const ContentRecord& record,
                                       std::string detail) {
  Event event = ContentEvent(kind, record);
  event.bytes = {record.logical_bytes(), record.allocated_bytes()};
  event.detail = std::move(detail);
  set_->AddEvent(std::move(event));
}

void OperationApplier::FinishContent(const ContentRecord& record,
                                     const std::string& before,
                                     EventKind kind) {
  if (CanonicalBytes(record) == before) return;
  ++changed_count_;
  AddContentEvent(kind, record, "");
}

// Walks the closure of a node that is named anew; what lies in quarantine there
// must come back before the name stands.
void OperationApplier::NoteQuarantined(NodeId top) {
  const ResidentGraph& graph = set_->graph();
  if (!graph.Exists(top)) return;
  if (graph.totals(graph.fields(top).store).quarantined.count == 0) return;
  absl::flat_hash_set<NodeId> seen = {top};
  std::vector<NodeId> stack = {top};
  while (!stack.empty()) {
    const NodeId id = stack.back();
    stack.pop_back();
    if (IsContent(graph.kind(id)) && graph.kind(id) != NodeKind::kExtent &&
        graph.state(id) == NodeState::kQuarantined) {
      quarantined_.insert(id);
    }
    for (const NodeId child : graph.Kept(id)) {
      if (seen.insert(child).second) stack.push_back(child);
    }
    for (const NodeId referrer : graph.Referrers(id)) {
      if (seen.insert(referrer).second) stack.push_back(referrer);
    }
  }
}

absl::StatusOr<NodeId> OperationApplier::Reference(const StoreRecord& store,
                                                   PlaceId place,
                                                   const oci::Digest& digest,
                                                   NodeKind role) {
  RECLAIM_ASSIGN_OR_RETURN(ContentRecord * record,
                           set_->Content(store.id, place, digest));
  if (static_cast<NodeKind>(record->kind()) == NodeKind::kBlob) {
    record->set_kind(static_cast<uint32_t>(role));
  }
  // The write barrier: a plan that is older than this spares the node.
  record->set_stamp(set_->epoch());
  NoteQuarantined(record->id());
  return record->id();
}

absl::Status OperationApplier::SetBytes(ContentRecord* record,
                                        const PutBlob& op) {
  record->set_logical_bytes(op.bytes.logical_bytes);
  record->set_allocated_bytes(op.bytes.allocated_bytes);
  record->clear_extent();
  if (op.extent) {
    RECLAIM_ASSIGN_OR_RETURN(
        ContentRecord * extent,
        set_->Extent(static_cast<StoreId>(record->store()), *op.extent));
    extent->set_logical_bytes(op.bytes.logical_bytes);
    extent->set_allocated_bytes(op.bytes.allocated_bytes);
    extent->set_link_count(op.link_count);
    record->set_extent(extent->id());
  }
  if (!op.media_type.empty()) record->set_media_type(op.media_type);
  record->set_recorded(ToMicros(op.modified.value_or(set_->now())));
  if (!op.modified) record->set_stamp(set_->epoch());
  record->set_state(static_cast<uint32_t>(NodeState::kPresent));
  return absl::OkStatus();
}

absl::Status OperationApplier::operator()(const PutBlob& op) {
  RECLAIM_ASSIGN_OR_RETURN(ContentRecord * record, ContentOf(op.name));
  if (static_cast<NodeState>(record->state()) == NodeState::kQuarantined) {
    quarantined_.insert(record->id());
    return absl::OkStatus();
  }
  const bool was_present =
      static_cast<NodeState>(record->state()) == NodeState::kPresent;
  const std::string before = CanonicalBytes(*record);
  // What an existence check promised since stays promised.
  const int64_t recorded = record->recorded();
  RECLAIM_RETURN_IF_ERROR(SetBytes(record, op));
  if (was_present && recorded > record->recorded()) {
    record->set_recorded(recorded);
  }
  if (!was_present) arrived_.push_back(record->id());
  FinishContent(*record, was_present ? before : "",
                was_present ? EventKind::kChanged : EventKind::kAdded);
  return absl::OkStatus();
}

absl::Status OperationApplier::operator()(const RemoveBlob& op) {
  RECLAIM_ASSIGN_OR_RETURN(const StoreRecord* store, Store(op.name.store));
  const PlaceId place = set_->FindPlace(store->id, op.name.place);
  if (place == kNoPlace) return absl::OkStatus();
  RECLAIM_ASSIGN_OR_RETURN(ContentRecord * record,
                           set_->FindContent(place, op.name.digest));
  // What lies in quarantine is gone from view already.
  if (record == nullptr ||
      static_cast<NodeState>(record->state()) != NodeState::kPresent) {
    return absl::OkStatus();
  }
  const std::string before = CanonicalBytes(*record);
  record->set_state(static_cast<uint32_t>(NodeState::kAbsent));
  record->set_flags(record->flags() & ~uint32_t{kOpaque});
  FinishContent(*record, before, EventKind::kRemoved);
  record->set_logical_bytes(0);
  record->set_allocated_bytes(0);
  record->clear_extent();
  return absl::OkStatus();
}

// What the manifest references, in order, each once.
absl::StatusOr<std::vector<OperationApplier::Edge>> OperationApplier::EdgesOf(
    const StoreRecord& store, const oci::Manifest& manifest,
    const ContentRecord& record) {
  std::vector<Edge> edges;
  absl::flat_hash_set<NodeId> seen = {record.id()};
  const auto add = [&](const oci::Digest& digest,
                       NodeKind role) -> absl::Status {
    RECLAIM_ASSIGN_OR_RETURN(const ContentRecord* child,
                             set_->Content(store.id, record.place(), digest));
    if (seen.insert(child->id()).second) {
      edges.push_back({child->id(), digest, role});
    }
    return absl::OkStatus();
  };
  // What is listed by the type of a manifest may be one, wherever that is: its
  // bytes have to tell.
  const auto add_part = [&](const oci::Descriptor& part, NodeKind role) {
    const bool may_lead_on =
        oci::ClassifyMediaType(part.media_type) != oci::ManifestKind::kUnknown;
    return add(part.digest, may_lead_on ? NodeKind::kBlob : role);
  };
  if (manifest.config) {
    RECLAIM_RETURN_IF_ERROR(add_part(*manifest.config, NodeKind::kConfig));
  }
  const bool is_index = manifest.kind == oci::ManifestKind::kIndex;
  for (const oci::Descriptor& child : manifest.children) {
    RECLAIM_RETURN_IF_ERROR(
        add_part(child, is_index ? NodeKind::kBlob : NodeKind::kLayer));
  }
  return edges;
}

// The edges are what the bytes say: one that a record has otherwise was
// derived wrongly, and is replaced.
absl::Status OperationApplier::SetEdges(const StoreRecord& store,
                                        const oci::Manifest& manifest,
                                        ContentRecord* record) {
  const bool is_index = manifest.kind == oci::ManifestKind::kIndex;
  record->set_kind(static_cast<uint32_t>(is_index ? NodeKind::kImageIndex
                                                  : NodeKind::kManifest));
  RECLAIM_ASSIGN_OR_RETURN(const std::vector<Edge> edges,
                           EdgesOf(store, manifest, *record));
  const bool is_same =
      std::equal(edges.begin(), edges.end(), record->children().begin(),
                 record->children().end(),
                 [](const Edge& edge, NodeId id) { return edge.node == id; });
  if (!is_same) {
    record->clear_children();
    for (const Edge& edge : edges) {
      RECLAIM_RETURN_IF_ERROR(
          Reference(store, record->place(), edge.digest, edge.role).status());
      record->add_children(edge.node);
    }
  }
  if (manifest.config && !edges.empty()) {
    configured_.emplace_back(record->id(), edges.front().node);
  }
  record->clear_subject();
  record->set_flags(record->flags() & ~uint32_t{kReferrer});
  if (!manifest.subject) return absl::OkStatus();
  record->set_flags(record->flags() | kReferrer);
  RECLAIM_ASSIGN_OR_RETURN(
      const ContentRecord* subject,
      set_->Content(store.id, record->place(), manifest.subject->digest));
  if (subject->id() != record->id()) record->set_subject(subject->id());
  return absl::OkStatus();
}

absl::Status OperationApplier::operator()(const PutManifest& op) {
  PutManifest put = op;
  if (put.name.digest.empty()) {
    put.name.digest = oci::Digest::Sha256Of(op.bytes);
  }
  oci::Hasher hasher(put.name.digest.algorithm());
  hasher.Update(op.bytes);
  if (hasher.Finish() != put.name.digest) {
    return absl::InvalidArgumentError(
        absl::StrCat("digest: the manifest's bytes are not those of ",
                     put.name.digest.ToString()));
  }
  RECLAIM_ASSIGN_OR_RETURN(const StoreRecord* store, Store(put.name.store));
  RECLAIM_ASSIGN_OR_RETURN(ContentRecord * record, ContentOf(put.name));
  if (static_cast<NodeState>(record->state()) == NodeState::kQuarantined) {
    quarantined_.insert(record->id());
    return absl::OkStatus();
  }
  const bool was_present =
      static_cast<NodeState>(record->state()) == NodeState::kPresent;
  const std::string before = CanonicalBytes(*record);
  PutBlob blob = put.stat.value_or(PutBlob());
  if (!put.stat) {
    blob.bytes = {op.bytes.size(), op.bytes.size()};
    if (was_present) {
      blob.bytes = {record->logical_bytes(), record->allocated_bytes()};
    }
  }
  // What an existence check promised since stays promised.
  const int64_t recorded = record->recorded();
  RECLAIM_RETURN_IF_ERROR(SetBytes(record, blob));
  if (!was_present) arrived_.push_back(record->id());
  if (was_present && recorded > record->recorded()) {
    record->set_recorded(recorded);
  }
  const absl::StatusOr<oci::Manifest> manifest =
      oci::ParseManifest(op.bytes, put.media_type);
  if (!manifest.ok()) {
    record->set_flags(record->flags() | kOpaque);
    problems_.push_back(
        absl::StrCat(put.name.digest.ToString(), ": ",
                     base::EscapeUnlessUtf8(manifest.status().message())));
  } else {
    record->set_flags(record->flags() & ~uint32_t{kOpaque});
    if (!manifest->media_type.empty()) {
      record->set_media_type(manifest->media_type);
    }
    RECLAIM_RETURN_IF_ERROR(SetEdges(*store, *manifest, record));
  }
  FinishContent(*record, before,
                was_present ? EventKind::kChanged : EventKind::kAdded);
  return absl::OkStatus();
}

absl::Status OperationApplier::operator()(const MarkUnreadable& op) {
  RECLAIM_ASSIGN_OR_RETURN(ContentRecord * record, ContentOf(op.name));
  const std::string before = CanonicalBytes(*record);
  if (op.is_mistaken) {
    record->set_flags(record->flags() & ~uint32_t{kOpaque});
    FinishContent(*record, before, EventKind::kChanged);
    return absl::OkStatus();
  }
  record->set_flags(record->flags() | kOpaque);
  const std::string why = base::EscapeUnlessUtf8(op.why);
  problems_.push_back(absl::StrCat(op.name.digest.ToString(), ": ", why));
  if (CanonicalBytes(*record) == before) return absl::OkStatus();
  ++changed_count_;
  AddContentEvent(EventKind::kProblem, *record, why);
  return absl::OkStatus();
}

absl::Status OperationApplier::operator()(const PutImageConfig& op) {
  RECLAIM_ASSIGN_OR_RETURN(ContentRecord * record, ContentOf(op.name));
  const std::string before = CanonicalBytes(*record);
  storage::v1::ImageConfigRecord* config = record->mutable_config();
  config->Clear();
  if (op.created) config->set_created(ToMicros(*op.created));
  config->set_os(op.os);
  config->set_architecture(op.architecture);
  config->set_variant(op.variant);
  config->mutable_labels()->insert(op.labels.begin(), op.labels.end());
  if (static_cast<NodeKind>(record->kind()) == NodeKind::kBlob) {
    record->set_kind(static_cast<uint32_t>(NodeKind::kConfig));
  }
  FinishContent(*record, before, EventKind::kChanged);
  return absl::OkStatus();
}

// Registries tell of pulls when they can, maybe late.  A look at what has lost
// its last name since, and longer ago than a writer takes, asks for nothing: he
// has put his name by now, or never will.
bool OperationApplier::IsHistory(const Touch& op, const StoreRecord& store,
                                 NodeId content) const {
  if (op.use != UseKind::kPulled || !op.time) return false;
  const ResidentGraph& graph = set_->graph();
  return graph.Exists(content) && !graph.IsLive(content) &&
         *op.time < graph.fields(content).unreferenced_since &&
         *op.time + store.writers.write_duration_max < set_->now();
}

absl::Status OperationApplier::operator()(const Touch& op) {
  RECLAIM_ASSIGN_OR_RETURN(const StoreRecord* store, Store(op.name.store));
  if (!op.repository.empty()) {
    RECLAIM_ASSIGN_OR_RETURN(
        NamedProto * tag,
        set_->FindNamed({NodeKind::kTag, store->id, op.repository, op.tag}));
    if (tag == nullptr) {
      return absl::NotFoundError(
          absl::StrCat("tag ", op.repository, ":", op.tag, " is not known"));
    }
    tag->set_stamp(set_->epoch());
    const int64_t time = ToMicros(op.time.value_or(set_->now()));
    if (!tag->has_used() || tag->used() < time) tag->set_used(time);
    if (tag->targets_size() == 0) return absl::OkStatus();
    RECLAIM_ASSIGN_OR_RETURN(ContentRecord * content,
                             set_->ContentById(tag->targets(0)));
    TouchContent(op, *store, content);
    return absl::OkStatus();
  }
  RECLAIM_ASSIGN_OR_RETURN(const std::vector<ContentRecord*> copies,
                           CopiesOf(*store, op.name));
  if (copies.empty()) {
    return absl::NotFoundError(
        absl::StrCat(op.name.digest.ToString(), " is not known"));
  }
  for (ContentRecord* copy : copies) TouchContent(op, *store, copy);
  return absl::OkStatus();
}

void OperationApplier::TouchContent(const Touch& op, const StoreRecord& store,
                                    ContentRecord* content) {
  const std::string before = CanonicalBytes(*content);
  if (!IsHistory(op, store, content->id())) {
    NoteQuarantined(content->id());
    content->set_stamp(set_->epoch());
  }
  const int64_t time = ToMicros(op.time.value_or(set_->now()));
  if (op.use == UseKind::kExists) {
    content->set_recorded(std::max(content->recorded(), ToMicros(set_->now())));
  } else if (!content->has_used() || content->used() < time) {
    content->set_used(time);
  }
  FinishContent(*content, before, EventKind::kUsed);
}

}  // namespace reclaim::index
