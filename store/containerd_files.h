// store/containerd_files.h — private to the containerd driver: its folders,
// read only.
//
// containerd tells logical sizes; how much of the disk a blob takes, and what
// lies there that containerd does not know, only the folders tell.  Where they
// can't be read (another host's socket, no permission), sizes are rounded up to
// blocks of 4 KiB and orphans are not looked for.

#ifndef RECLAIM_STORE_CONTAINERD_FILES_H_
#define RECLAIM_STORE_CONTAINERD_FILES_H_

#include <set>
#include <string>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "oci/digest.h"
#include "store/scan.h"
#include "store/types.h"

namespace reclaim::store {

// The measures of a blob of `size` bytes below `content_root` ("" if unknown).
Bytes ContentBytes(const std::string& content_root, const oci::Digest& digest,
                   uint64_t size);

// The blobs that lie below `content_root`, as ALGORITHM/HEX.  Read before
// containerd is asked what it knows, so that what comes meanwhile is no stray.
std::vector<std::string> ListContentFiles(const std::string& content_root);

// Those of `files` that are not in `known`.
std::vector<StrayFact> StrayContent(
    const std::string& content_root, const std::vector<std::string>& files,
    const absl::flat_hash_set<oci::Digest>& known);

// Folders of an overlay or native snapshotter beyond those that it knows: it
// does not tell which folder is whose, so count and bytes are differences.
// Nothing if the layout below `root` is another one.
std::vector<StrayFact> StraySnapshots(const std::string& root,
                                      uint64_t known_count,
                                      uint64_t known_bytes);

}  // namespace reclaim::store

#endif  // RECLAIM_STORE_CONTAINERD_FILES_H_
