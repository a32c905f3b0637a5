// store/containerd_quarantine.h — private to the containerd driver: quarantine
// by lease.
//
// What is quarantined in containerd keeps its bytes because a lease of ours
// names it.  Leases are durable and listed by their labels, so that the
// quarantine outlives our database.
//
//   content, snapshots   one flat lease a run and namespace names them all:
//   each
//                        is held alone, so that each can be purged alone
//   an image's name      a lease that holds all that the image reaches is there
//                        before the name is deleted; its labels hold the record
//   a container          likewise; the lease holds the container's snapshot
//
// Restoring makes names anew from the labels.  Content that is restored and
// that no name reaches would go with containerd's next collection: a lease that
// ends after a day holds it until its name is back.
//
// Purging ends leases, asks containerd to collect, and looks: only what is not
// there any more was freed.
//
// Thread-safe.

#ifndef RECLAIM_STORE_CONTAINERD_QUARANTINE_H_
#define RECLAIM_STORE_CONTAINERD_QUARANTINE_H_

#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/clock.h"
#include "store/containerd_client.h"
#include "store/deletion_permit.h"
#include "store/types.h"

namespace reclaim::store {

class ContainerdUse;

class ContainerdQuarantine {
 public:
  // Neither is owned.  `collects_kubelet`: images of a kubelet may go.
  ContainerdQuarantine(const ContainerdClient* client, const base::Clock* clock,
                       bool collects_kubelet)
      : client_(client), clock_(clock), collects_kubelet_(collects_kubelet) {}

  // ABORTED: containerd says, when it is asked once more, that it is in use, or
  // that it is not what the plan judged (store/containerd_use.h).
  std::vector<RemovalOutcome> Take(const DeletionPermit& permit,
                                   const RunId& run_id,
                                   absl::Span<const Removal> removals);
  std::vector<RemovalOutcome> GiveBack(const RunId& run_id,
                                       absl::Span<const Removal> removals);
  absl::StatusOr<std::vector<RemovalOutcome>> Free(
      const RunId& run_id, absl::Span<const Removal> removals);

  // What our leases in `space` say; remembers it for Holds().
  absl::StatusOr<std::vector<QuarantinedItem>> List(const std::string& space,
                                                    bool with_bytes);
  // As of the last List(), Take(), GiveBack() and Free().
  bool Holds(const Removal& removal) const;

  // Whether a lease is one of ours that holds quarantined things.
  static bool IsOurs(const ctrd::leases::v1::Lease& lease);

 private:
  absl::Status Take(const RunId& run_id, const Removal& removal,
                    ContainerdUse* use);
  absl::Status TakeImage(const RunId& run_id, const Removal& removal,
                         ContainerdUse* use);
  absl::Status TakeContainer(const RunId& run_id, const Removal& removal,
                             const ContainerdUse& use);
  absl::Status TakeResource(const RunId& run_id, const Removal& removal,
                            ContainerdUse* use);
  absl::Status GiveBack(const RunId& run_id, const Removal& removal);
  absl::Status GiveBackImage(const RunId& run_id, const Removal& removal);
  absl::Status GiveBackContainer(const RunId& run_id, const Removal& removal);
  absl::Status GiveBackResource(const RunId& run_id, const Removal& removal);
  absl::Status LetGo(const RunId& run_id, const Removal& removal);
  absl::Status CheckGone(const Removal& removal) const;
  absl::Status EndIfEmpty(const std::string& space, const RunId& run_id) const;
  absl::StatusOr<std::string> FindRecord(const std::string& space,
                                         const std::string& lease) const;
  absl::StatusOr<std::vector<QuarantinedItem>> ItemsOf(
      const std::string& space, const ctrd::leases::v1::Lease& lease) const;
  RemovalBytes BytesOf(const Removal& removal) const;

  const ContainerdClient* client_;
  const base::Clock* clock_;
  const bool collects_kubelet_;
  mutable std::mutex mutex_;  // guards held_
  std::set<Removal> held_;
};

}  // namespace reclaim::store

#endif  // RECLAIM_STORE_CONTAINERD_QUARANTINE_H_
