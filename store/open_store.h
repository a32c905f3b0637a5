// store/open_store.h — a store by its URI.
//
//   image-layout:PATH   an OCI image layout, or a folder of them
//   registry:PATH       the root directory of a distribution registry
//   external:NAME       content that somebody else deletes: the deletion feed
//   memory:NAME         nothing but memory, gone with the process: for tests
//   containerd:SOCKET   a containerd; "?namespace=a,b" for only these,
//                       "?kubelet=collect" to collect where a kubelet does
//   docker:SOCKET       a Docker engine
//   podman:SOCKET       podman's service, which speaks Docker's API
//   PATH                whichever of the first two lies there

#ifndef RECLAIM_STORE_OPEN_STORE_H_
#define RECLAIM_STORE_OPEN_STORE_H_

#include <map>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "store/content_store.h"

namespace reclaim::store {

struct StoreUri {
  StoreKind kind = StoreKind::kImageLayout;
  std::string path;  // absolute for folders and sockets
  // What stands behind a '?', of engines only.
  std::map<std::string, std::string> options;
};

// The text that parses to `uri`.
std::string ToString(const StoreUri& uri);

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
