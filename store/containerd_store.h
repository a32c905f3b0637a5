// store/containerd_store.h — a containerd as a content store.
//
// Everything goes through its API; its own collector frees the bytes.  What is
// quarantined is held by leases of ours (store/containerd_quarantine.h). Places
// are namespaces.  Its folders, where they can be read, tell blocks and orphans
// and are never written to.
//
// An engine that is away makes every call UNAVAILABLE with what to do; nothing
// is remembered of it that could be wrong when it is back.

#ifndef RECLAIM_STORE_CONTAINERD_STORE_H_
#define RECLAIM_STORE_CONTAINERD_STORE_H_

#include <map>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "base/clock.h"
#include "store/content_store.h"

namespace reclaim::store {

// Options: "namespace" (names with commas between; default all), "kubelet"
// ("collect": images of a kubelet's namespace may be taken away).  The engine
// need not be up.  INVALID_ARGUMENT for other options.
absl::StatusOr<std::unique_ptr<ContentStore>> OpenContainerdStore(
    const std::string& socket,
    const std::map<std::string, std::string>& options, bool is_read_only,
    const base::Clock* clock);

}  // namespace reclaim::store

#endif  // RECLAIM_STORE_CONTAINERD_STORE_H_
