// store/registry_store.h — the tree of a distribution registry.
//
//   docker/registry/v2/blobs/ALGORITHM/HH/HEX/data
//   docker/registry/v2/repositories/NAME/_manifests/revisions/ALGORITHM/HEX/link
//   docker/registry/v2/repositories/NAME/_manifests/tags/TAG/current/link
//   docker/registry/v2/repositories/NAME/_manifests/tags/TAG/index/ALGORITHM/HEX/link
//   docker/registry/v2/repositories/NAME/_layers/ALGORITHM/HEX/link
//   docker/registry/v2/repositories/NAME/_uploads/ID/{data,startedat,...}
//
// Source: distribution's storage driver paths (ECOSYSTEM.md C.2).  Has foreign
// writers (the registry itself) and a quarantine.  Every scan lists every
// section: a link file is rewritten in place, so folder times tell too little.

#ifndef RECLAIM_STORE_REGISTRY_STORE_H_
#define RECLAIM_STORE_REGISTRY_STORE_H_

#include <memory>
#include <string>

#include "store/tree_store.h"

namespace reclaim::store {

// `path` is the registry's root directory (that which holds "docker").
// NOT_FOUND if it is not there, FAILED_PRECONDITION if it holds no registry.
absl::StatusOr<std::unique_ptr<ContentStore>> OpenRegistryStore(
    const std::string& path, bool is_read_only);

}  // namespace reclaim::store

#endif  // RECLAIM_STORE_REGISTRY_STORE_H_
