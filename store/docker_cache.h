// store/docker_cache.h — private to the Docker driver: which layers of images
// the build cache has as well.
//
// BuildKit makes a record of each layer that it builds or builds upon; records
// stand on one another as the layers do.  Docker's API tells of a record its
// parent, its bytes and that some image has the layer too (Shared), but not
// which layer it is.  So a layer fits a record if they stand equally high and
// all below them are equally large; a record of what was pulled says 0 bytes,
// which fits any.  What stands on a record narrows it down.
//
// Where several layers fit, the record has all of them: what may stay is not
// promised to go.  Pure.

#ifndef RECLAIM_STORE_DOCKER_CACHE_H_
#define RECLAIM_STORE_DOCKER_CACHE_H_

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "oci/digest.h"
#include "store/engine_facts.h"

namespace reclaim::store {

struct DockerLayer {
  std::optional<oci::Digest> parent;  // unset: a base
  uint64_t bytes = 0;                 // as the engine counts them
};
using DockerLayerTree = std::map<oci::Digest, DockerLayer>;  // by chain id

// Fills in `layers` of all records that are shared, with what these layers
// stand on.  `records` have the engine's own sizes.
void FindCachedLayers(const DockerLayerTree& tree,
                      std::vector<BuildCacheFact>* records);

}  // namespace reclaim::store

#endif  // RECLAIM_STORE_DOCKER_CACHE_H_
