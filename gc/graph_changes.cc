#include "gc/graph_changes.h"

#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"

namespace reclaim::gc {
namespace {

using index::NodeState;
using store::MembershipKind;
using store::RemovalKind;

void AddState(const QuarantineRecord& record, NodeState to,
              GraphChanges* changes) {
  if (record.item.node == index::kNoNode) return;
  // The event row is the audit: who, when, rule, reason, bytes (I9).
  std::string detail =
      absl::StrCat(ToString(record.item.reason), ": ", record.item.detail);
  if (to == NodeState::kQuarantined) {
    absl::StrAppend(&detail, "; restorable until ",
                    absl::FormatTime(absl::RFC3339_sec, record.restorable_until,
                                     absl::UTCTimeZone()));
  }
  changes->states.push_back({record.item.node, to, record.run_id, detail});
}

// Sizes are kept by the item: a name's own record holds one of the two
// measures.
struct SizeSetter {
  store::Bytes bytes;
  void operator()(index::PutContainer& put) const { Set(&put.writable); }
  void operator()(index::PutSnapshot& put) const { Set(&put.bytes); }
  void operator()(index::PutVolume& put) const { Set(&put.bytes); }
  void operator()(index::PutBuildCache& put) const { Set(&put.bytes); }
  void operator()(index::PutUpload& put) const { put.bytes = bytes; }
  template <typename Other>
  void operator()(Other&) const {}

 private:
  void Set(std::optional<store::Bytes>* size) const {
    if (*size) *size = bytes;
  }
};

MembershipKind LinkKind(const QuarantineRecord& record) {
  return record.item.removal->kind == RemovalKind::kRevisionLink
             ? MembershipKind::kRevision
             : MembershipKind::kLayer;
}

bool IsLink(const QuarantineRecord& record) {
  return record.item.removal &&
         (record.item.removal->kind == RemovalKind::kRevisionLink ||
          record.item.removal->kind == RemovalKind::kLayerLink);
}

}  // namespace

bool IsBlob(const QuarantineRecord& record) {
  return record.item.removal && record.item.removal->kind == RemovalKind::kBlob;
}

void AddLeaving(const QuarantineRecord& record, GraphChanges* changes) {
  if (IsBlob(record)) {
    AddState(record, NodeState::kQuarantined, changes);
  } else if (IsLink(record)) {
    const store::Removal& removal = *record.item.removal;
    changes->operations.push_back(index::RemoveMembership{
        record.store, removal.repository, *removal.digest, LinkKind(record)});
  } else {
    changes->operations.push_back(index::RemoveNamed{
        record.store, record.item.kind, record.item.scope, record.item.name});
  }
}

void AddReturning(const QuarantineRecord& record, GraphChanges* changes) {
  if (IsBlob(record)) {
    AddState(record, NodeState::kPresent, changes);
  } else if (IsLink(record) && record.linked) {
    const store::Removal& removal = *record.item.removal;
    index::PutMembership put;
    put.store = record.store;
    put.repository = removal.repository;
    put.digest = *removal.digest;
    put.kind = LinkKind(record);
    put.linked = record.linked;
    changes->operations.push_back(std::move(put));
  } else if (record.named) {
    // A scan may have dropped the repository with its last tag.
    if (record.item.kind == index::NodeKind::kTag && record.item.removal &&
        !record.item.removal->place.empty()) {
      changes->operations.push_back(
          index::PutRepository{record.store, record.item.removal->repository,
                               record.item.removal->place});
    }
    index::Operation put = ToOperation(*record.named);
    std::visit(SizeSetter{record.item.bytes + record.item.held}, put);
    changes->operations.push_back(std::move(put));
  }
}

void AddRefused(const index::GraphView& view, index::StoreId store,
                const QuarantineRecord& record, GraphChanges* changes) {
  if (!IsNameTaken(view, store, record)) AddReturning(record, changes);
  if (!IsLink(record)) return;
  index::Touch touch;
  touch.name = {record.store, record.item.removal->place,
                *record.item.removal->digest};
  touch.use = index::UseKind::kExists;
  changes->operations.push_back(std::move(touch));
}

void AddPurging(const QuarantineRecord& record, GraphChanges* changes) {
  if (IsBlob(record) && record.state == QuarantineState::kQuarantined) {
    AddState(record, NodeState::kAbsent, changes);
  }
}

bool IsNameTaken(const index::GraphView& view, index::StoreId store,
                 const QuarantineRecord& record) {
  return record.named &&
         view.FindNamed({record.item.kind, store, record.item.scope,
                         record.item.name}) != index::kNoNode;
}

void AddStaying(const index::GraphView& view, index::StoreId store,
                const QuarantineRecord& record, GraphChanges* changes) {
  if (!IsBlob(record)) {
    if (!IsNameTaken(view, store, record)) AddReturning(record, changes);
    return;
  }
  const index::PlaceId place =
      view.FindPlace(store, record.item.removal->place);
  const index::NodeId node = place == index::kNoPlace
                                 ? index::kNoNode
                                 : view.FindContent(place, *record.item.digest);
  if (node != index::kNoNode && view.state(node) == NodeState::kPresent) return;
  if (node != index::kNoNode && view.state(node) == NodeState::kQuarantined) {
    return AddReturning(record, changes);
  }
  index::PutBlob put;
  put.name = {record.store, record.item.removal->place, *record.item.digest};
  put.bytes = record.item.bytes;
  changes->operations.push_back(std::move(put));
}

void AddLoss(const QuarantineRecord& record, GraphChanges* changes) {
  if (!IsBlob(record)) return;
  AddState(record, NodeState::kPresent, changes);
  changes->operations.push_back(index::RemoveBlob{
      {record.store, record.item.removal->place, *record.item.digest}});
}

}  // namespace reclaim::gc
