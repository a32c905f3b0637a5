// rpc/store_path.h — private: where a store's tree is, by whatever path.

#ifndef RECLAIM_RPC_STORE_PATH_H_
#define RECLAIM_RPC_STORE_PATH_H_

#include <string>

#include "absl/strings/string_view.h"
#include "store/open_store.h"

namespace reclaim::rpc {

// The same for every path to one tree: without links on the way and slashes at
// the end.  What is not there (a disk that is away) is resolved as far as its
// path leads, so that a store has one URI whether it is there or not.
store::StoreUri Resolved(store::StoreUri uri);

// The folder that a store is; "" for one that is none.
std::string FolderOf(absl::string_view uri);

// Whether one of two such folders lies in the other, or is it.
bool AreNested(const std::string& a, const std::string& b);

// Whether there is something to open.
bool IsThere(const store::StoreUri& uri);

}  // namespace reclaim::rpc

#endif  // RECLAIM_RPC_STORE_PATH_H_
