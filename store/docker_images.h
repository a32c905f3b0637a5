// store/docker_images.h — private to the Docker driver: images without
// manifests.
//
// Docker and podman keep an image as its config and unpacked layers; the
// manifest that it was pulled by is not there (containers are created from the
// config's digest).  So that an image is to the graph what it is everywhere,
// the driver writes a manifest for each, always the same for the same image:
//
//   config   the image's id, which is the digest of its config
//   layers   chain ids: a layer on another parent is another layer
//            (image-spec config.md, "Layer ChainID")
//   parent   the manifest of the untagged image that this one was built from:
//            one more thing that it references, so that a parent stands while a
//            child of it does
//
// These manifests have no bytes of their own.  Pure.

#ifndef RECLAIM_STORE_DOCKER_IMAGES_H_
#define RECLAIM_STORE_DOCKER_IMAGES_H_

#include <map>
#include <string>
#include <vector>

#include "oci/digest.h"
#include "store/docker_api.h"
#include "store/types.h"

namespace reclaim::store {

struct DockerImage {
  DockerListedImage listed;
  DockerImageDetails details;
  std::vector<oci::Digest> layers;  // chain ids, base first
  std::string manifest;             // the bytes that the driver writes
  oci::Digest digest;               // of `manifest`
  std::string config;               // what filters ask of the config, as JSON
  absl::Time recorded;              // when it came here, as far as is known
};

std::vector<oci::Digest> ChainsOf(const std::vector<oci::Digest>& diffs);

// By config digest.  Fills in what follows from `listed` and `details`.
using DockerImageMap = std::map<oci::Digest, DockerImage>;
void WriteManifests(DockerImageMap* images);

// "repo:tag" and "repo@digest" as repository and tag, and together again.
struct DockerName {
  std::string repository;
  std::string tag;  // with "@" before a digest
};
DockerName SplitDockerName(const std::string& name);
std::string JoinDockerName(const std::string& repository,
                           const std::string& tag);

// The names of an image: its tags, and the digests of repositories that no tag
// of it is in (SEMANTICS.md, cases 4 and 5).
std::vector<DockerName> NamesOf(const DockerListedImage& image);

}  // namespace reclaim::store

#endif  // RECLAIM_STORE_DOCKER_IMAGES_H_
