// store/open_store.h — a store by its URI.
//
//   image-layout:PATH   an OCI image layout, or a folder of them
//   registry:PATH       the root directory of a distribution registry
//   external:NAME       content that somebody else deletes: the deletion feed
//   memory:NAME         nothing but memory, gone with the process: for tests
//   PATH                whichever of the first two lies there

#ifndef RECLAIM_STORE_OPEN_STORE_H_
#define RECLAIM_STORE_OPEN_STORE_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "store/content_store.h"

namespace reclaim::store {

struct StoreUri {
  StoreKind kind = StoreKind::kImageLayout;
  std::string path;  // absolute for folders
};

// INVALID_ARGUMENT says which forms are understood.
absl::StatusOr<StoreUri> ParseStoreUri(absl::string_view uri);

// Errors as the layouts' own Open functions.
absl::StatusOr<std::unique_ptr<ContentStore>> OpenStore(const StoreUri& uri,
                                                        bool is_read_only);

// A name for a store that was given none: the last component of its path, as
// far as the grammar of names allows.
std::string DefaultStoreName(const StoreUri& uri);

}  // namespace reclaim::store

#endif  // RECLAIM_STORE_OPEN_STORE_H_
