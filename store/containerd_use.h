// store/containerd_use.h — private to the containerd driver: what containerd
// itself says is in use, asked at the moment of the deed.
//
// The graph follows containerd by its events, so it is a moment behind, and
// leases and labels make no event at all.  These checks are the last ones
// before something is taken away.  In doubt the thing stays: each answer is OK
// if it may go, ABORTED with who uses it, or the error of the question.
//
// For one batch of one run.  Not thread-safe.

#ifndef RECLAIM_STORE_CONTAINERD_USE_H_
#define RECLAIM_STORE_CONTAINERD_USE_H_

#include <map>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "store/containerd_client.h"
#include "store/containerd_leases.h"
#include "store/deletion_permit.h"

namespace reclaim::store {

class ContainerdUse {
 public:
  // None is owned.  `collects_kubelet`: images of a kubelet may go.
  ContainerdUse(const ContainerdClient* client, const DeletionPermit* permit,
                bool collects_kubelet, absl::Time now)
      : client_(*client),
        permit_(*permit),
        collects_kubelet_(collects_kubelet),
        now_(now) {}

  // A container names its image by name and by nothing else.  One whose task is
  // not stopped keeps that name always, any other unless the plan forces it.
  absl::Status CheckImage(const std::string& space,
                          const ctrd::images::v1::Image& image);
  // `has_task`: whether a stopped task is there, which must go first.
  absl::Status CheckContainer(const std::string& space,
                              const ctrd::containers::v1::Container& container,
                              bool* has_task) const;
  // Content and snapshots: leases of others, and labels that make a root.
  absl::Status CheckThing(const containerd_leases::Thing& thing);

 private:
  using Held = std::map<std::pair<std::string, std::string>, std::string>;

  absl::Status CheckUsers(const std::string& space,
                          const std::string& name) const;
  absl::Status CheckLeases(const std::string& space, const std::string& type,
                           const std::string& id);
  absl::StatusOr<Held> ListHeld(const std::string& space) const;
  // Whether it was made or written since the plan, and is another than was
  // judged.
  bool IsSincePlan(absl::Time time) const {
    return absl::ToUnixMicros(time) > absl::ToUnixMicros(permit_.planned());
  }

  const ContainerdClient& client_;
  const DeletionPermit& permit_;
  const bool collects_kubelet_;
  const absl::Time now_;
  // What leases of others name, by namespace: (type, id) to the lease.
  std::map<std::string, Held> held_;
};

}  // namespace reclaim::store

#endif  // RECLAIM_STORE_CONTAINERD_USE_H_
