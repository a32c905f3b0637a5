// store/docker_store.h — a Docker engine or podman as a content store.
//
// Everything goes through Docker's HTTP API on its Unix socket.  An engine of
// this kind gives nothing back: there is no quarantine.  Quarantine() therefore
// only remembers what is on its way out, so that a scan does not take it for
// new; Purge(), after the proof scan, is the deletion.  The engine itself
// refuses what is in use by then, and that stays.
//
// Images have no manifests there; see store/docker_images.h.  The one place is
// "".  Folders, where they can be read, tell sizes and orphans and are never
// written to.

#ifndef RECLAIM_STORE_DOCKER_STORE_H_
#define RECLAIM_STORE_DOCKER_STORE_H_

#include <map>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "store/content_store.h"

namespace reclaim::store {

// `kind`: kDocker or kPodman.  Option: "kubelet" ("collect": images of an
// engine that a kubelet uses may be taken away).  The engine need not be up.
absl::StatusOr<std::unique_ptr<ContentStore>> OpenDockerStore(
    StoreKind kind, const std::string& socket,
    const std::map<std::string, std::string>& options, bool is_read_only);

}  // namespace reclaim::store

#endif  // RECLAIM_STORE_DOCKER_STORE_H_
