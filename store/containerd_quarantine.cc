#include "store/containerd_quarantine.h"

#include <iterator>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "store/containerd_leases.h"
#include "store/containerd_names.h"
#include "store/containerd_use.h"

namespace reclaim::store {
namespace {

using ctrd::containers::v1::Container;
using ctrd::images::v1::Image;
using namespace containerd_leases;  // NOLINT: the driver's own words

constexpr absl::Duration kRestoredPeriod = absl::Hours(24);

absl::Status NoSuchKind(const Removal& removal) {
  return absl::InvalidArgumentError(absl::StrCat(
      "containerd has no such thing to take away: ", ToString(removal)));
}

}  // namespace

bool ContainerdQuarantine::IsOurs(const Lease& lease) {
  return lease.labels().contains(kRunLabel);
}

bool ContainerdQuarantine::Holds(const Removal& removal) const {
  std::lock_guard<std::mutex> lock(mutex_);
  return held_.count(removal) > 0;
}

// The lease that holds all that the image reaches comes first: containerd may
// collect at any time.
absl::Status ContainerdQuarantine::TakeImage(const RunId& run_id,
                                             const Removal& removal,
                                             ContainerdUse* use) {
  const NameInSpace name = JoinImageName(removal.repository, removal.tag);
  RECLAIM_ASSIGN_OR_RETURN(const Image image,
                           client_->GetImage(name.name_space, name.name));
  if (image.target().digest() != removal.digest->ToString()) {
    return absl::AbortedError(
        absl::StrCat(name.name, " names ", image.target().digest(), " now"));
  }
  RECLAIM_RETURN_IF_ERROR(use->CheckImage(name.name_space, image));
  const std::string lease = RecordLease(run_id, removal);
  RECLAIM_RETURN_IF_ERROR(client_->CreateLease(
      name.name_space, lease,
      RecordLabels(run_id, kImage, image.SerializeAsString())));
  RECLAIM_RETURN_IF_ERROR(client_->AddResource(
      name.name_space, lease, "content", image.target().digest()));
  return client_->DeleteImage(name.name_space, name.name);
}

absl::Status ContainerdQuarantine::TakeContainer(const RunId& run_id,
                                                 const Removal& removal,
                                                 const ContainerdUse& use) {
  const NameInSpace name = SplitQualifiedName(removal.name);
  RECLAIM_ASSIGN_OR_RETURN(const Container container,
                           client_->GetContainer(name.name_space, name.name));
  bool has_task = false;
  RECLAIM_RETURN_IF_ERROR(
      use.CheckContainer(name.name_space, container, &has_task));
  const std::string lease = RecordLease(run_id, removal);
  RECLAIM_RETURN_IF_ERROR(client_->CreateLease(
      name.name_space, lease,
      RecordLabels(run_id, kContainer, container.SerializeAsString())));
  if (!container.snapshot_key().empty()) {
    RECLAIM_RETURN_IF_ERROR(client_->AddResource(
        name.name_space, lease,
        absl::StrCat("snapshots/", container.snapshotter()),
        container.snapshot_key()));
  }
  // A stopped task is no more than an exit status, and must go first.
  if (has_task) {
    RECLAIM_RETURN_IF_ERROR(client_->DeleteTask(name.name_space, name.name));
  }
  return client_->DeleteContainer(name.name_space, name.name);
}

absl::Status ContainerdQuarantine::TakeResource(const RunId& run_id,
                                                const Removal& removal,
                                                ContainerdUse* use) {
  RECLAIM_ASSIGN_OR_RETURN(const Thing thing, ThingOf(removal));
  const absl::Status gone = CheckGone(removal);
  if (gone.ok()) {
    return absl::NotFoundError(absl::StrCat(thing.id, " is not there"));
  }
  if (!absl::IsAborted(gone)) return gone;
  RECLAIM_RETURN_IF_ERROR(use->CheckThing(thing));
  const std::string lease = ThingsLease(run_id);
  const absl::Status added =
      client_->AddResource(thing.space, lease, thing.type, thing.id);
  if (!absl::IsNotFound(added)) return added;
  RECLAIM_RETURN_IF_ERROR(client_->CreateLease(
      thing.space, lease,
      {{kRunLabel, run_id}, {kKindLabel, kThings}, {kFlatLabel, "true"}}));
  return client_->AddResource(thing.space, lease, thing.type, thing.id);
}

absl::Status ContainerdQuarantine::Take(const RunId& run_id,
                                        const Removal& removal,
                                        ContainerdUse* use) {
  switch (removal.kind) {
    case RemovalKind::kTag:
      return TakeImage(run_id, removal, use);
    case RemovalKind::kContainer:
      return TakeContainer(run_id, removal, *use);
    case RemovalKind::kBlob:
    case RemovalKind::kSnapshot:
      return TakeResource(run_id, removal, use);
    default:
      return NoSuchKind(removal);
  }
}

std::vector<RemovalOutcome> ContainerdQuarantine::Take(
    const DeletionPermit& permit, const RunId& run_id,
    absl::Span<const Removal> removals) {
  ContainerdUse use(client_, &permit, collects_kubelet_, clock_->Now());
  std::vector<RemovalOutcome> outcomes;
  for (const Removal& removal : removals) {
    RemovalOutcome outcome;
    outcome.status = Take(run_id, removal, &use);
    if (outcome.status.ok()) {
      std::lock_guard<std::mutex> lock(mutex_);
      held_.insert(removal);
    }
    outcomes.push_back(std::move(outcome));
  }
  return outcomes;
}

absl::StatusOr<std::string> ContainerdQuarantine::FindRecord(
    const std::string& space, const std::string& id) const {
  RECLAIM_ASSIGN_OR_RETURN(const std::vector<Lease> leases,
                           client_->ListLeases(space));
  for (const Lease& lease : leases) {
    if (lease.id() == id) return RecordOf(lease);
  }
  return absl::NotFoundError(
      absl::StrCat("the lease ", id, " is not there any more"));
}

absl::Status ContainerdQuarantine::GiveBackImage(const RunId& run_id,
                                                 const Removal& removal) {
  const std::string space = SpaceOf(removal);
  const std::string lease = RecordLease(run_id, removal);
  RECLAIM_ASSIGN_OR_RETURN(const std::string record, FindRecord(space, lease));
  Image image;
  if (!image.ParseFromString(record)) {
    return absl::DataLossError(
        absl::StrCat("the record in the lease ", lease, " can't be read"));
  }
  const absl::Status created = client_->CreateImage(space, image);
  if (absl::IsAlreadyExists(created)) {
    RECLAIM_ASSIGN_OR_RETURN(const Image now,
                             client_->GetImage(space, image.name()));
    if (now.target().digest() != image.target().digest()) return created;
  } else {
    RECLAIM_RETURN_IF_ERROR(created);
  }
  RECLAIM_RETURN_IF_ERROR(client_->DeleteLease(space, lease, false));
  // Its name holds it again.
  return client_->DeleteLease(space, RestoredLease(run_id), false);
}

absl::Status ContainerdQuarantine::GiveBackContainer(const RunId& run_id,
                                                     const Removal& removal) {
  const std::string space = SpaceOf(removal);
  const std::string lease = RecordLease(run_id, removal);
  RECLAIM_ASSIGN_OR_RETURN(const std::string record, FindRecord(space, lease));
  Container container;
  if (!container.ParseFromString(record)) {
    return absl::DataLossError(
        absl::StrCat("the record in the lease ", lease, " can't be read"));
  }
  RECLAIM_RETURN_IF_ERROR(client_->CreateContainer(space, container));
  return client_->DeleteLease(space, lease, false);
}

absl::Status ContainerdQuarantine::GiveBackResource(const RunId& run_id,
                                                    const Removal& removal) {
  RECLAIM_ASSIGN_OR_RETURN(const Thing thing, ThingOf(removal));
  const absl::Status gone = CheckGone(removal);
  if (gone.ok()) {
    return absl::NotFoundError(absl::StrCat(thing.id, " is not there"));
  }
  if (!absl::IsAborted(gone)) return gone;
  RECLAIM_RETURN_IF_ERROR(client_->CreateLease(
      thing.space, RestoredLease(run_id),
      {{kExpireLabel,
        absl::FormatTime(absl::RFC3339_sec, clock_->Now() + kRestoredPeriod,
                         absl::UTCTimeZone())},
       {kFlatLabel, "true"}}));
  RECLAIM_RETURN_IF_ERROR(client_->AddResource(
      thing.space, RestoredLease(run_id), thing.type, thing.id));
  const absl::Status removed = client_->DeleteResource(
      thing.space, ThingsLease(run_id), thing.type, thing.id);
  return absl::IsNotFound(removed) ? absl::OkStatus() : removed;
}

absl::Status ContainerdQuarantine::GiveBack(const RunId& run_id,
                                            const Removal& removal) {
  switch (removal.kind) {
    case RemovalKind::kTag:
      return GiveBackImage(run_id, removal);
    case RemovalKind::kContainer:
      return GiveBackContainer(run_id, removal);
    case RemovalKind::kBlob:
    case RemovalKind::kSnapshot:
      return GiveBackResource(run_id, removal);
    default:
      return NoSuchKind(removal);
  }
}

std::vector<RemovalOutcome> ContainerdQuarantine::GiveBack(
    const RunId& run_id, absl::Span<const Removal> removals) {
  std::vector<RemovalOutcome> outcomes(removals.size());
  std::set<std::string> spaces;
  // The other way round: what was taken last comes back first.
  for (size_t i = removals.size(); i-- > 0;) {
    outcomes[i].status = GiveBack(run_id, removals[i]);
    if (!outcomes[i].status.ok()) continue;
    if (IsThing(removals[i])) spaces.insert(SpaceOf(removals[i]));
    std::lock_guard<std::mutex> lock(mutex_);
    held_.erase(removals[i]);
  }
  for (const std::string& space : spaces) {
    // An empty lease holds nothing; if it stays, the next restore ends it.
    EndIfEmpty(space, run_id).IgnoreError();
  }
  return outcomes;
}

absl::Status ContainerdQuarantine::EndIfEmpty(const std::string& space,
                                              const RunId& run_id) const {
  const std::string lease = ThingsLease(run_id);
  const auto left = client_->ListResources(space, lease);
  if (absl::IsNotFound(left.status())) return absl::OkStatus();
  RECLAIM_RETURN_IF_ERROR(left.status());
  if (!left->empty()) return absl::OkStatus();
  return client_->DeleteLease(space, lease, false);
}

absl::Status ContainerdQuarantine::LetGo(const RunId& run_id,
                                         const Removal& removal) {
  if (!IsThing(removal)) {
    return client_->DeleteLease(SpaceOf(removal), RecordLease(run_id, removal),
                                false);
  }
  RECLAIM_ASSIGN_OR_RETURN(const Thing thing, ThingOf(removal));
  const absl::Status removed = client_->DeleteResource(
      thing.space, ThingsLease(run_id), thing.type, thing.id);
  return absl::IsNotFound(removed) ? absl::OkStatus() : removed;
}

// OK if containerd does not have it; ABORTED if it does.
absl::Status ContainerdQuarantine::CheckGone(const Removal& removal) const {
  if (!IsThing(removal)) return absl::OkStatus();  // the name went long ago
  RECLAIM_ASSIGN_OR_RETURN(const Thing thing, ThingOf(removal));
  absl::Status status;
  if (removal.kind == RemovalKind::kBlob) {
    status = client_->GetContent(thing.space, thing.id).status();
  } else {
    RECLAIM_ASSIGN_OR_RETURN(const SnapshotName name,
                             SplitSnapshot(removal.name));
    status =
        client_->StatSnapshot(thing.space, name.snapshotter, name.key).status();
  }
  if (absl::IsNotFound(status)) return absl::OkStatus();
  RECLAIM_RETURN_IF_ERROR(status);
  return absl::AbortedError(absl::StrCat("containerd keeps ", thing.id,
                                         ": a lease, label or image of another "
                                         "client still references it"));
}

absl::StatusOr<std::vector<RemovalOutcome>> ContainerdQuarantine::Free(
    const RunId& run_id, absl::Span<const Removal> removals) {
  std::vector<RemovalOutcome> outcomes(removals.size());
  std::set<std::string> spaces;
  for (size_t i = 0; i < removals.size(); ++i) {
    outcomes[i].status = LetGo(run_id, removals[i]);
    spaces.insert(SpaceOf(removals[i]));
  }
  for (const std::string& space : spaces) {
    RECLAIM_RETURN_IF_ERROR(EndIfEmpty(space, run_id));
  }
  // The end of a lease is what containerd collects for; one that holds nothing
  // will do.
  if (!spaces.empty()) {
    const std::string lease = absl::StrCat("reclaim-collect-", run_id);
    RECLAIM_RETURN_IF_ERROR(client_->CreateLease(*spaces.begin(), lease, {}));
    RECLAIM_RETURN_IF_ERROR(client_->DeleteLease(*spaces.begin(), lease, true));
  }
  for (size_t i = 0; i < removals.size(); ++i) {
    if (outcomes[i].status.ok()) outcomes[i].status = CheckGone(removals[i]);
    if (!outcomes[i].status.ok() && !absl::IsAborted(outcomes[i].status)) {
      continue;
    }
    std::lock_guard<std::mutex> lock(mutex_);
    held_.erase(removals[i]);
  }
  return outcomes;
}

absl::StatusOr<std::vector<QuarantinedItem>> ContainerdQuarantine::ItemsOf(
    const std::string& space, const Lease& lease) const {
  std::vector<QuarantinedItem> items;
  const std::string run_id = lease.labels().at(kRunLabel);
  const auto kind = lease.labels().find(kKindLabel);
  if (kind != lease.labels().end() && kind->second != kThings) {
    RECLAIM_ASSIGN_OR_RETURN(Removal removal, RecordRemoval(space, lease));
    items.push_back({run_id, std::move(removal), {}});
    return items;
  }
  RECLAIM_ASSIGN_OR_RETURN(const std::vector<Resource> resources,
                           client_->ListResources(space, lease.id()));
  for (const Resource& resource : resources) {
    absl::StatusOr<Removal> removal = ResourceRemoval(space, resource);
    if (absl::IsUnimplemented(removal.status())) continue;
    RECLAIM_RETURN_IF_ERROR(removal.status());
    items.push_back({run_id, *std::move(removal), {}});
  }
  return items;
}

// What is not known counts nothing: this is shown, not decided by.
RemovalBytes ContainerdQuarantine::BytesOf(const Removal& removal) const {
  RemovalBytes bytes;
  const absl::StatusOr<Thing> thing = ThingOf(removal);
  if (!IsThing(removal) || !thing.ok()) return bytes;
  if (removal.kind == RemovalKind::kBlob) {
    const auto info = client_->GetContent(thing->space, thing->id);
    if (!info.ok()) return bytes;
    const auto size = static_cast<uint64_t>(info->size());
    bytes.content = {size, size};
    return bytes;
  }
  const auto name = SplitSnapshot(removal.name);
  const auto usage =
      client_->GetUsage(name->name_space, name->snapshotter, name->key);
  if (usage.ok()) bytes.content = {*usage, *usage};
  return bytes;
}

absl::StatusOr<std::vector<QuarantinedItem>> ContainerdQuarantine::List(
    const std::string& space, bool with_bytes) {
  RECLAIM_ASSIGN_OR_RETURN(const std::vector<Lease> leases,
                           client_->ListLeases(space));
  std::vector<QuarantinedItem> all;
  for (const Lease& lease : leases) {
    if (!IsOurs(lease)) continue;
    RECLAIM_ASSIGN_OR_RETURN(std::vector<QuarantinedItem> items,
                             ItemsOf(space, lease));
    for (QuarantinedItem& item : items) {
      if (with_bytes) item.bytes = BytesOf(item.removal);
      all.push_back(std::move(item));
    }
  }
  std::lock_guard<std::mutex> lock(mutex_);
  for (auto it = held_.begin(); it != held_.end();) {
    it = SpaceOf(*it) == space ? held_.erase(it) : std::next(it);
  }
  for (const QuarantinedItem& item : all) held_.insert(item.removal);
  return all;
}

}  // namespace reclaim::store
