// store/containerd_leases.h — private to the containerd driver: how our leases
// are named and labelled, and what they say.  Pure.

#ifndef RECLAIM_STORE_CONTAINERD_LEASES_H_
#define RECLAIM_STORE_CONTAINERD_LEASES_H_

#include <map>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "containerd/leases.pb.h"
#include "store/types.h"

namespace reclaim::store::containerd_leases {

using ::containerd::services::leases::v1::Lease;
using ::containerd::services::leases::v1::Resource;
using LabelsOfLease = std::map<std::string, std::string>;

// Labels are durable in containerd: never rename.
inline constexpr char kRunLabel[] = "dev.reclaim/run";
inline constexpr char kKindLabel[] = "dev.reclaim/kind";
inline constexpr char kRecordLabel[] = "dev.reclaim/record.";
inline constexpr char kFlatLabel[] = "containerd.io/gc.flat";
inline constexpr char kExpireLabel[] = "containerd.io/gc.expire";
// Values of kKindLabel.
inline constexpr char kThings[] = "things";
inline constexpr char kImage[] = "image";
inline constexpr char kContainer[] = "container";

// Of all content and snapshots that a run took in one namespace.
std::string ThingsLease(const RunId& run_id);
// Of what came back and waits for its name.
std::string RestoredLease(const RunId& run_id);
// Of one name or container.
std::string RecordLease(const RunId& run_id, const Removal& removal);

// `record`: the serialized image or container.
LabelsOfLease RecordLabels(const RunId& run_id, const char* kind,
                           const std::string& record);
// DATA_LOSS if the lease holds none.
absl::StatusOr<std::string> RecordOf(const Lease& lease);

// What a lease calls a blob or a snapshot.
struct Thing {
  std::string space;
  std::string type;
  std::string id;
};
absl::StatusOr<Thing> ThingOf(const Removal& removal);
inline bool IsThing(const Removal& removal) {
  return removal.kind == RemovalKind::kBlob ||
         removal.kind == RemovalKind::kSnapshot;
}

// When a lease ends; unset if never.  An end that can't be read is none
// (SEMANTICS.md, rule 9).
std::optional<absl::Time> ExpiryOf(const Lease& lease);

// The namespace that a removal is about.
std::string SpaceOf(const Removal& removal);

// What a lease of one name or container, in `space`, holds.
absl::StatusOr<Removal> RecordRemoval(const std::string& space,
                                      const Lease& lease);
// What one resource of a lease is; UNIMPLEMENTED for other kinds (ingests).
absl::StatusOr<Removal> ResourceRemoval(const std::string& space,
                                        const Resource& resource);

}  // namespace reclaim::store::containerd_leases

#endif  // RECLAIM_STORE_CONTAINERD_LEASES_H_
