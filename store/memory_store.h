// store/memory_store.h — a content store without a disk, for tests, simulation
// and trying things out.
//
// What it holds is a MemoryContent (store/memory_content.h).  Sizes: a file
// takes whole blocks of 4,096 bytes; links are files, folders take nothing. Has
// a quarantine; others may write.
//
// Thread-safe.

#ifndef RECLAIM_STORE_MEMORY_STORE_H_
#define RECLAIM_STORE_MEMORY_STORE_H_

#include <memory>

#include "store/content_store.h"
#include "store/memory_content.h"

namespace reclaim::store {

std::unique_ptr<ContentStore> OpenMemoryStore(
    std::shared_ptr<MemoryContent> content, bool is_read_only);

}  // namespace reclaim::store

#endif  // RECLAIM_STORE_MEMORY_STORE_H_
