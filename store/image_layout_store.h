// store/image_layout_store.h — OCI image layouts: one folder, or a folder of
// such folders.
//
// Each layout is a place and a repository of the same name: its path below the
// root (for a single layout the place is "" and the repository is the folder's
// own name).  Tags are the ref.name annotations of index.json (where there is
// none, what containerd calls the image); entries without a name are revision
// memberships (OCI image specification, "Image layout").
//
// Taking a tag away leaves an entry without a name; taking a revision away
// removes that entry.  Each edit of index.json is atomic and loses nothing that
// tools write meanwhile (store/layout_index_file.h); it keeps the file's owner,
// mode and attributes, and restoring the last edit gives back its very bytes.
//
// Has a quarantine.  Tools may write while the service runs (foreign writers).

#ifndef RECLAIM_STORE_IMAGE_LAYOUT_STORE_H_
#define RECLAIM_STORE_IMAGE_LAYOUT_STORE_H_

#include <memory>
#include <string>

#include "store/tree_store.h"

namespace reclaim::store {

// NOT_FOUND if `path` is not there, FAILED_PRECONDITION if it holds no layout.
absl::StatusOr<std::unique_ptr<ContentStore>> OpenImageLayoutStore(
    const std::string& path, bool is_read_only);

}  // namespace reclaim::store

#endif  // RECLAIM_STORE_IMAGE_LAYOUT_STORE_H_
