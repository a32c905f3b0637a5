#include "store/containerd_leases.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/rfc3339.h"
#include "base/status_macros.h"
#include "containerd/containers.pb.h"
#include "containerd/images.pb.h"
#include "store/containerd_names.h"

namespace reclaim::store::containerd_leases {
namespace {

// containerd allows 4,096 bytes for key and value together.
constexpr size_t kLabelBytes = 3800;

}  // namespace

std::string ThingsLease(const RunId& run_id) {
  return absl::StrCat("reclaim-", run_id);
}

std::string RestoredLease(const RunId& run_id) {
  return absl::StrCat("reclaim-restored-", run_id);
}

std::string RecordLease(const RunId& run_id, const Removal& removal) {
  const std::string what =
      absl::StrCat(static_cast<int>(removal.kind), "\n", removal.repository,
                   "\n", removal.tag, "\n", removal.name);
  return absl::StrCat("reclaim-", run_id, "-",
                      oci::Digest::Sha256Of(what).hex().substr(0, 16));
}

LabelsOfLease RecordLabels(const RunId& run_id, const char* kind,
                           const std::string& record) {
  LabelsOfLease labels = {{kRunLabel, run_id}, {kKindLabel, kind}};
  const std::string text = absl::Base64Escape(record);
  for (size_t at = 0, n = 0; at < text.size(); at += kLabelBytes, ++n) {
    labels[absl::StrCat(kRecordLabel, n)] = text.substr(at, kLabelBytes);
  }
  return labels;
}

absl::StatusOr<std::string> RecordOf(const Lease& lease) {
  std::string text;
  for (size_t n = 0;; ++n) {
    const auto part = lease.labels().find(absl::StrCat(kRecordLabel, n));
    if (part == lease.labels().end()) break;
    text += part->second;
  }
  std::string record;
  if (!absl::Base64Unescape(text, &record)) {
    return absl::DataLossError(
        absl::StrCat("the lease ", lease.id(), " holds no record"));
  }
  return record;
}

absl::StatusOr<Thing> ThingOf(const Removal& removal) {
  if (removal.kind == RemovalKind::kBlob) {
    return Thing{removal.place, "content", removal.digest->ToString()};
  }
  RECLAIM_ASSIGN_OR_RETURN(const SnapshotName name,
                           SplitSnapshot(removal.name));
  return Thing{name.name_space, absl::StrCat("snapshots/", name.snapshotter),
               name.key};
}

std::optional<absl::Time> ExpiryOf(const Lease& lease) {
  const auto expires = lease.labels().find(kExpireLabel);
  if (expires == lease.labels().end()) return std::nullopt;
  return base::ParseRfc3339(expires->second);
}

std::string SpaceOf(const Removal& removal) {
  switch (removal.kind) {
    case RemovalKind::kTag:
      return SplitQualifiedName(removal.repository).name_space;
    case RemovalKind::kBlob:
      return removal.place;
    default:
      return SplitQualifiedName(removal.name).name_space;
  }
}

absl::StatusOr<Removal> RecordRemoval(const std::string& space,
                                      const Lease& lease) {
  RECLAIM_ASSIGN_OR_RETURN(const std::string record, RecordOf(lease));
  Removal removal;
  removal.place = space;
  const absl::Status unreadable = absl::DataLossError(
      absl::StrCat("the record in the lease ", lease.id(), " can't be read"));
  const auto kind = lease.labels().find(kKindLabel);
  if (kind != lease.labels().end() && kind->second == kContainer) {
    ::containerd::services::containers::v1::Container container;
    if (!container.ParseFromString(record)) return unreadable;
    removal.kind = RemovalKind::kContainer;
    removal.name = QualifiedName(space, container.id());
    return removal;
  }
  ::containerd::services::images::v1::Image image;
  if (!image.ParseFromString(record)) return unreadable;
  const RepositoryTag name = SplitImageName(space, image.name());
  removal.kind = RemovalKind::kTag;
  removal.repository = name.repository;
  removal.tag = name.tag;
  RECLAIM_ASSIGN_OR_RETURN(removal.digest,
                           oci::Digest::Parse(image.target().digest()));
  return removal;
}

absl::StatusOr<Removal> ResourceRemoval(const std::string& space,
                                        const Resource& resource) {
  Removal removal;
  removal.place = space;
  absl::string_view type = resource.type();
  if (type == "content") {
    removal.kind = RemovalKind::kBlob;
    RECLAIM_ASSIGN_OR_RETURN(removal.digest, oci::Digest::Parse(resource.id()));
    return removal;
  }
  if (!absl::ConsumePrefix(&type, "snapshots/")) {
    return absl::UnimplementedError(
        absl::StrCat("a lease on ", resource.type()));
  }
  removal.kind = RemovalKind::kSnapshot;
  removal.name = QualifiedSnapshot({space, std::string(type), resource.id()});
  return removal;
}

}  // namespace reclaim::store::containerd_leases
