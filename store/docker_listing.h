// store/docker_listing.h — private to the Docker driver: an engine as it lists
// itself, at one moment or nearly.

#ifndef RECLAIM_STORE_DOCKER_LISTING_H_
#define RECLAIM_STORE_DOCKER_LISTING_H_

#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "store/docker_api.h"
#include "store/docker_images.h"
#include "store/folder_size.h"
#include "store/types.h"

namespace reclaim::store {

struct DockerListing {
  std::string root;       // the engine's folder; "" if unknown
  DockerImageMap images;  // by config digest
  std::vector<DockerContainerDetails> containers;
  std::vector<VolumeFact> volumes;
  std::vector<NetworkFact> networks;
  std::vector<BuildCacheFact> build_cache;
  absl::flat_hash_map<oci::Digest, Bytes> layers;  // by chain id
  std::vector<std::string> stray_folders;          // absolute
};

// Lists an engine, and remembers what cannot change while it is there: details
// of images and sizes of their layers.  Thread-safe.
//
// Where the engine's folders can be read, layers are measured there once each:
// the bytes of their files, and blocks.  Else the image's history tells.
class DockerLister {
 public:
  // Not owned.
  explicit DockerLister(const DockerApi* api) : api_(*api) {}

  absl::StatusOr<DockerListing> List();

 private:
  // With the tags that the image had when it was asked for.
  using KnownDetails = std::pair<std::vector<std::string>, DockerImageDetails>;

  absl::StatusOr<DockerImageDetails> DetailsOf(const DockerListedImage& listed);
  absl::StatusOr<DockerImageMap> ListImages(const DockerApi::Place& place);
  void MeasureLayers(DockerListing* listing);
  void MeasureContainers(DockerListing* listing) const;
  void MeasureCache(const std::string& top, DockerListing* listing);
  absl::Status FindCached(DockerListing* listing);
  absl::StatusOr<std::vector<uint64_t>> SizesOf(const oci::Digest& id,
                                                const DockerImage& image);
  static std::optional<std::set<std::string>> NamedFolders(
      const DockerListing& listing);
  void FindStrays(const std::string& top, const std::vector<std::string>& names,
                  DockerListing* listing) const;
  absl::Status AddRecords(DockerListing* listing) const;

  const DockerApi& api_;
  std::mutex mutex_;  // guards all below
  std::map<oci::Digest, KnownDetails> details_;
  std::map<std::string, Bytes> measured_;  // by folder
  // Of folders of committed build cache, which does not change; by name.
  std::map<std::string, Bytes> cache_sizes_;
  std::string top_;  // the folder of layers
};

}  // namespace reclaim::store

#endif  // RECLAIM_STORE_DOCKER_LISTING_H_
