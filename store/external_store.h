// store/external_store.h — content that its owner deletes.
//
// The service knows such content from what was recorded over the API.  It never
// touches a byte: applying a plan marks content as quarantined, the owner reads
// the deletion feed (event rows of the kinds quarantined, restored and purged)
// and acts.  There is no disk to scan, measure or read.

#ifndef RECLAIM_STORE_EXTERNAL_STORE_H_
#define RECLAIM_STORE_EXTERNAL_STORE_H_

#include <memory>

#include "store/content_store.h"

namespace reclaim::store {

std::unique_ptr<ContentStore> MakeExternalStore();

}  // namespace reclaim::store

#endif  // RECLAIM_STORE_EXTERNAL_STORE_H_
