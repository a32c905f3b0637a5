// store/testing/store_tree.h — real trees in a temporary folder, in a few
// lines.

#ifndef RECLAIM_STORE_TESTING_STORE_TREE_H_
#define RECLAIM_STORE_TESTING_STORE_TREE_H_

#include <string>
#include <vector>

#include "oci/digest.h"

namespace reclaim::store {

// A folder that goes with the test.
class TempFolder {
 public:
  TempFolder();
  ~TempFolder();
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  const std::string& path() const { return path_; }

  void Write(const std::string& path, const std::string& bytes) const;
  std::string Read(const std::string& path) const;
  bool Exists(const std::string& path) const;
  void Remove(const std::string& path) const;
  // Everything below: paths, kinds, modes, times of files, contents.
  std::string Snapshot() const;
  // Allocated bytes of everything below, folders included, as `du` counts.
  uint64_t DiskBytes() const;
  // Returns once the file system's clock has moved on (milliseconds): what
  // changes from now on gets another time than what changed before.
  void WaitForClock() const;

 private:
  std::string path_;
};

// Image manifest text over blobs; the first is the config.  All descriptors of
// these trees say a size of one byte, which counts nowhere (`verify` tells it).
std::string ImageText(const std::vector<oci::Digest>& blobs,
                      const oci::Digest& subject = oci::Digest());
std::string IndexText(const std::vector<oci::Digest>& manifests);

// Writes distribution's tree.
class RegistryTree {
 public:
  explicit RegistryTree(const TempFolder* folder) : folder_(folder) {}

  oci::Digest Blob(const std::string& bytes) const;
  oci::Digest Layer(const std::string& repository,
                    const std::string& bytes) const;
  // Blob and revision link.
  oci::Digest Manifest(const std::string& repository,
                       const std::string& bytes) const;
  void Tag(const std::string& repository, const std::string& tag,
           const oci::Digest& digest) const;
  // An image with one config and these layers; and a tag unless "".
  oci::Digest Image(const std::string& repository, const std::string& tag,
                    const std::vector<std::string>& layers,
                    const oci::Digest& subject = oci::Digest()) const;
  void Upload(const std::string& repository, const std::string& id,
              const std::string& bytes) const;
  // Paths below the root: of a blob's file, of the folder that goes with it, of
  // links.
  std::string BlobPath(const oci::Digest& digest) const;
  std::string BlobFolder(const oci::Digest& digest) const;
  std::string LayerLink(const std::string& repository,
                        const oci::Digest& digest) const;
  std::string RevisionLink(const std::string& repository,
                           const oci::Digest& digest) const;

 private:
  const TempFolder* folder_;
};

// Writes one image layout below `place`.
class LayoutTree {
 public:
  LayoutTree(const TempFolder* folder, std::string place)
      : folder_(folder), place_(std::move(place)) {}

  oci::Digest Blob(const std::string& bytes) const;
  oci::Digest Image(const std::vector<std::string>& layers) const;
  void Entry(const oci::Digest& digest, const std::string& name);
  std::string Path(const std::string& path) const;

 private:
  const TempFolder* folder_;
  std::string place_;
  std::string entries_;
};

}  // namespace reclaim::store

#endif  // RECLAIM_STORE_TESTING_STORE_TREE_H_
