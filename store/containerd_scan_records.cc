// Snapshots, containers, and what other clients hold.

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"
#include "store/containerd_leases.h"
#include "store/containerd_names.h"
#include "store/containerd_scan.h"

namespace reclaim::store {
namespace {

constexpr char kSnapshotReference[] = "containerd.io/gc.ref.snapshot.";
constexpr char kFlatLabel[] = "containerd.io/gc.flat";

LabelMap LabelsOf(
    const google::protobuf::Map<std::string, std::string>& labels) {
  return LabelMap(labels.begin(), labels.end());
}

// "containerd.io/gc.ref.snapshot.overlayfs" or "….overlayfs/NAME".
std::string SnapshotterOf(absl::string_view label) {
  if (!absl::ConsumePrefix(&label, kSnapshotReference)) return "";
  return std::string(label.substr(0, label.find('/')));
}

std::string HoldId(absl::string_view what, const std::string& space,
                   const std::string& name) {
  return absl::StrCat(kHoldPrefix, what, "/", space, "/", name);
}

HeldThing ThatContent(const std::string& space, const oci::Digest& digest) {
  HeldThing thing;
  thing.place = space;
  thing.digest = digest;
  return thing;
}

HeldThing ThatSnapshot(const SnapshotName& name) {
  HeldThing thing;
  thing.place = name.name_space;
  thing.snapshot = QualifiedSnapshot(name);
  return thing;
}

HeldThing ThatName(const std::string& space, const std::string& image) {
  const RepositoryTag name = SplitImageName(space, image);
  HeldThing thing;
  thing.place = space;
  thing.repository = name.repository;
  thing.tag = name.tag;
  return thing;
}

// What labels of an image or container make containerd keep besides.
void AddLabelTargets(
    const std::string& space,
    const google::protobuf::Map<std::string, std::string>& labels,
    std::vector<HeldThing>* targets) {
  for (const auto& [key, value] : labels) {
    const std::string snapshotter = SnapshotterOf(key);
    if (!snapshotter.empty()) {
      targets->push_back(ThatSnapshot({space, snapshotter, value}));
    } else if (absl::StartsWith(key, kContentReference)) {
      const auto digest = oci::Digest::Parse(value);
      if (digest.ok()) targets->push_back(ThatContent(space, *digest));
    }
  }
}

// All names of the image that has this one: a kubelet gives each image several,
// and the container of a pod says one of them.
void AddNamesOfImage(const ContainerdListing& listing, const std::string& named,
                     std::vector<HeldThing>* targets) {
  std::string digest;
  for (const auto& image : listing.images) {
    if (image.name() == named) digest = image.target().digest();
  }
  for (const auto& image : listing.images) {
    if (digest.empty() || image.target().digest() != digest) continue;
    targets->push_back(ThatName(listing.space, image.name()));
  }
}

ContainerState StateOf(const ContainerdListing& listing,
                       const ctrd::containers::v1::Container& container) {
  if (!listing.tasks) return ContainerState::kUnknown;
  const auto task = listing.tasks->find(container.id());
  if (task == listing.tasks->end()) {
    // A kubelet keeps the record of an ended container for its own use.
    return container.labels().contains(kKubeletLabel)
               ? ContainerState::kUnknown
               : ContainerState::kCreated;
  }
  switch (task->second.status()) {
    case ctrd::tasks::v1::CREATED:
      return ContainerState::kRunning;  // its process waits to be started
    case ctrd::tasks::v1::RUNNING:
      return ContainerState::kRunning;
    case ctrd::tasks::v1::PAUSED:
    case ctrd::tasks::v1::PAUSING:
      return ContainerState::kPaused;
    case ctrd::tasks::v1::STOPPED:
      return container.labels().contains(kKubeletLabel)
                 ? ContainerState::kUnknown
                 : ContainerState::kExited;
    default:
      return ContainerState::kUnknown;
  }
}

using SnapshotIndex =
    std::map<std::pair<std::string, std::string>, const ListedSnapshot*>;

SnapshotIndex IndexOf(const ContainerdListing& listing) {
  SnapshotIndex index;
  for (const ListedSnapshot& snapshot : listing.snapshots) {
    index[{snapshot.snapshotter, snapshot.info.name()}] = &snapshot;
  }
  return index;
}

bool IsCommitted(const ListedSnapshot& snapshot) {
  return snapshot.info.kind() == ctrd::snapshots::v1::COMMITTED;
}

}  // namespace

// Snapshots that are the writable layer of a container: its own bytes.
std::set<std::string> ContainerdScan::OwnSnapshots(
    const ContainerdListing& listing) const {
  std::set<std::string> own;
  const SnapshotIndex index = IndexOf(listing);
  for (const auto& container : listing.containers) {
    const auto it =
        index.find({container.snapshotter(), container.snapshot_key()});
    if (it != index.end() && !IsCommitted(*it->second)) {
      own.insert(QualifiedSnapshot(
          {listing.space, container.snapshotter(), container.snapshot_key()}));
    }
  }
  return own;
}

void ContainerdScan::AddSnapshots(const ContainerdListing& listing,
                                  ScanBatch* batch) const {
  const std::string& space = listing.space;
  // A config's label names the topmost snapshot of its layers.
  std::map<std::string, std::vector<oci::Digest>> images;
  for (const auto& info : listing.content) {
    const auto digest = oci::Digest::Parse(info.digest());
    if (!digest.ok()) continue;
    Removal blob;
    blob.kind = RemovalKind::kBlob;
    blob.place = space;
    blob.digest = *digest;
    if (IsQuarantined(blob)) continue;
    for (const auto& [key, value] : info.labels()) {
      const std::string snapshotter = SnapshotterOf(key);
      if (snapshotter.empty()) continue;
      images[QualifiedSnapshot({space, snapshotter, value})].push_back(*digest);
    }
  }
  const std::set<std::string> own = OwnSnapshots(listing);
  std::map<std::string, SnapshotFact> waiting;
  for (const ListedSnapshot& snapshot : listing.snapshots) {
    const ctrd::snapshots::v1::Info& info = snapshot.info;
    SnapshotFact fact;
    fact.key = QualifiedSnapshot({space, snapshot.snapshotter, info.name()});
    Removal removal;
    removal.kind = RemovalKind::kSnapshot;
    removal.place = space;
    removal.name = fact.key;
    if (own.count(fact.key) > 0 || IsQuarantined(removal)) continue;
    fact.place = space;
    if (!info.parent().empty()) {
      fact.parent =
          QualifiedSnapshot({space, snapshot.snapshotter, info.parent()});
    }
    if (snapshot.usage_bytes) {
      fact.bytes = Bytes{*snapshot.usage_bytes, *snapshot.usage_bytes};
    }
    fact.labels = LabelsOf(info.labels());
    fact.images = images[fact.key];
    fact.created = TimeOf(info.created_at());
    waiting.emplace(fact.key, std::move(fact));
  }
  // Parents first.
  while (!waiting.empty()) {
    auto next = waiting.begin();
    while (true) {
      const auto parent = waiting.find(next->second.parent);
      if (parent == waiting.end() || parent == next) break;
      next = parent;
    }
    batch->snapshots.push_back(std::move(next->second));
    waiting.erase(next);
  }
}

void ContainerdScan::AddContainers(const ContainerdListing& listing,
                                   ScanBatch* batch) const {
  const SnapshotIndex index = IndexOf(listing);
  std::map<std::string, std::string> targets;
  for (const auto& image : listing.images) {
    targets[image.name()] = image.target().digest();
  }
  for (const auto& container : listing.containers) {
    ContainerFact fact;
    fact.id = QualifiedName(listing.space, container.id());
    fact.place = listing.space;
    fact.name = container.id();
    fact.state = StateOf(listing, container);
    if (!container.image().empty()) {
      // As images are listed, so that it is known as one of their names.
      fact.image_reference = QualifiedName(listing.space, container.image());
    }
    const auto target = targets.find(container.image());
    if (target != targets.end()) {
      const auto digest = oci::Digest::Parse(target->second);
      if (digest.ok()) fact.image = *digest;
    }
    fact.labels = LabelsOf(container.labels());
    fact.created = TimeOf(container.created_at());
    if (listing.tasks) {
      const auto task = listing.tasks->find(container.id());
      if (task != listing.tasks->end() && task->second.has_exited_at() &&
          fact.state == ContainerState::kExited) {
        fact.exited = TimeOf(task->second.exited_at());
      }
    }
    const auto it =
        index.find({container.snapshotter(), container.snapshot_key()});
    if (it != index.end()) {
      const ListedSnapshot& snapshot = *it->second;
      const bool is_own = !IsCommitted(snapshot);
      const std::string& below =
          is_own ? snapshot.info.parent() : snapshot.info.name();
      if (!below.empty()) {
        fact.snapshot =
            QualifiedSnapshot({listing.space, container.snapshotter(), below});
      }
      if (is_own && snapshot.usage_bytes) {
        fact.writable = Bytes{*snapshot.usage_bytes, *snapshot.usage_bytes};
      }
    } else if (container.snapshot_key().empty()) {
      fact.writable = Bytes();
    }
    batch->containers.push_back(std::move(fact));
  }
}

void ContainerdScan::AddLeases(const ContainerdListing& listing,
                               ScanBatch* batch) const {
  const std::set<std::string> own = OwnSnapshots(listing);
  for (const ForeignLease& foreign : listing.leases) {
    HoldFact fact;
    fact.id = HoldId("lease", listing.space, foreign.lease.id());
    fact.owner = "containerd lease";
    fact.labels = LabelsOf(foreign.lease.labels());
    fact.is_flat = foreign.lease.labels().contains(kFlatLabel);
    fact.expires = containerd_leases::ExpiryOf(foreign.lease);
    for (const auto& resource : foreign.resources) {
      absl::string_view type = resource.type();
      const auto digest = oci::Digest::Parse(resource.id());
      if (type == "content" && digest.ok()) {
        fact.targets.push_back(ThatContent(listing.space, *digest));
      } else if (absl::ConsumePrefix(&type, "snapshots/")) {
        fact.targets.push_back(
            ThatSnapshot({listing.space, std::string(type), resource.id()}));
      }
    }
    batch->holds.push_back(std::move(fact));
  }
}

void ContainerdScan::AddPins(const ContainerdListing& listing,
                             ScanBatch* batch) const {
  for (const auto& image : listing.images) {
    const bool is_pinned = IsPinned(image.labels());
    std::vector<HeldThing> targets;
    AddLabelTargets(listing.space, image.labels(), &targets);
    if (is_pinned) {
      targets.push_back(ThatName(listing.space, image.name()));
    }
    if (targets.empty()) continue;
    HoldFact fact;
    fact.id =
        HoldId(is_pinned ? "pinned" : "image", listing.space, image.name());
    fact.owner = is_pinned ? "pinned (io.cri-containerd.pinned)"
                           : "containerd image label";
    fact.targets = std::move(targets);
    batch->holds.push_back(std::move(fact));
  }
}

absl::Status ContainerdScan::AddLabelHolds(const ContainerdListing& listing,
                                           ScanBatch* batch) const {
  for (const auto& info : listing.content) {
    const auto digest = oci::Digest::Parse(info.digest());
    if (!digest.ok()) continue;
    HoldFact fact;
    fact.id = HoldId("content", listing.space, info.digest());
    fact.owner = "containerd content label";
    if (info.labels().contains(kRootLabel)) {
      fact.targets.push_back(ThatContent(listing.space, *digest));
    }
    const std::set<std::string> targets = LabelledReferences(info);
    RECLAIM_ASSIGN_OR_RETURN(const bool is_explained,
                             IsExplained(listing.space, info, targets));
    for (const std::string& target : targets) {
      const auto held = oci::Digest::Parse(target);
      if (is_explained || !held.ok()) continue;
      fact.targets.push_back(ThatContent(listing.space, *held));
    }
    if (!fact.targets.empty()) batch->holds.push_back(std::move(fact));
  }
  for (const ListedSnapshot& snapshot : listing.snapshots) {
    HoldFact fact;
    fact.id =
        HoldId("snapshot", listing.space,
               absl::StrCat(snapshot.snapshotter, "/", snapshot.info.name()));
    fact.owner = "containerd snapshot label";
    AddLabelTargets(listing.space, snapshot.info.labels(), &fact.targets);
    if (snapshot.info.labels().contains(kRootLabel)) {
      fact.targets.push_back(ThatSnapshot(
          {listing.space, snapshot.snapshotter, snapshot.info.name()}));
    }
    if (!fact.targets.empty()) batch->holds.push_back(std::move(fact));
  }
  for (const auto& container : listing.containers) {
    HoldFact fact;
    fact.id = HoldId("container", listing.space, container.id());
    fact.owner = "containerd container label";
    AddLabelTargets(listing.space, container.labels(), &fact.targets);
    if (container.labels().contains(kKubeletLabel)) {
      fact.owner = "a container of a pod";
      AddNamesOfImage(listing, container.image(), &fact.targets);
    }
    if (!fact.targets.empty()) batch->holds.push_back(std::move(fact));
  }
  return absl::OkStatus();
}

absl::Status ContainerdScan::ReportRecords() {
  ScanBatch batch;
  for (const ContainerdListing& listing : listings_) {
    AddSnapshots(listing, &batch);
    AddContainers(listing, &batch);
    AddLeases(listing, &batch);
    AddPins(listing, &batch);
    RECLAIM_RETURN_IF_ERROR(AddLabelHolds(listing, &batch));
  }
  for (const SectionKind kind :
       {SectionKind::kSnapshots, SectionKind::kContainers,
        SectionKind::kHolds}) {
    SectionReport section;
    section.kind = kind;
    batch.sections.push_back(std::move(section));
  }
  return sink_->Accept(std::move(batch));
}

}  // namespace reclaim::store
