// store/docker_deletion.h — private to the Docker driver: the deletion of what
// a run has chosen.
//
// Names go by name, after a look at what they name now; images without a name
// go by id, children before parents; layers go with the last image that has
// them. Nothing is forced: what the engine refuses is ABORTED with its reason.

#ifndef RECLAIM_STORE_DOCKER_DELETION_H_
#define RECLAIM_STORE_DOCKER_DELETION_H_

#include <functional>
#include <map>
#include <set>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "oci/digest.h"
#include "store/docker_api.h"
#include "store/types.h"

namespace reclaim::store {

class DockerDeletion {
 public:
  // `manifests`: config digests by the manifests that the driver wrote.
  // Neither is owned.
  DockerDeletion(const DockerApi* api,
                 const std::map<oci::Digest, oci::Digest>* manifests)
      : api_(*api), manifests_(*manifests) {}

  // One outcome a removal, in order.  `still_there` is asked once afterwards
  // for all content that the engine still has (configs, layers, manifests).
  absl::StatusOr<std::vector<RemovalOutcome>> Run(
      absl::Span<const Removal> removals,
      const std::function<absl::StatusOr<std::set<oci::Digest>>()>&
          still_there);

 private:
  absl::Status Delete(const Removal& removal) const;
  absl::Status DeleteTag(const Removal& removal) const;
  void DeleteImages(absl::Span<const Removal> removals,
                    std::vector<RemovalOutcome>* outcomes) const;
  absl::Status DeleteUnnamed(const oci::Digest& id) const;

  const DockerApi& api_;
  const std::map<oci::Digest, oci::Digest>& manifests_;
};

}  // namespace reclaim::store

#endif  // RECLAIM_STORE_DOCKER_DELETION_H_
