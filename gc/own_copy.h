// gc/own_copy.h — private to gc: whether the store has of its own what lies in
// quarantine.

#ifndef RECLAIM_GC_OWN_COPY_H_
#define RECLAIM_GC_OWN_COPY_H_

#include "absl/status/status.h"
#include "gc/records.h"
#include "store/content_store.h"
#include "store/types.h"

namespace reclaim::gc {

// What stands in the place of a blob or link that was not given back for it
// (`refused`: ALREADY_EXISTS).  OK if it is a copy; ALREADY_EXISTS if it is
// something else, or nobody can tell: then the one in quarantine may be the
// only one.
//
// A small file is a copy by its digest, a large one by its size, so that a
// writer who waits does not wait for gigabytes to be read; where the sizes
// differ one of the two is torn, and the digest decides as well.  By its size
// alone nothing is freed: see below.
absl::Status CheckOwnCopy(const QuarantineRecord& record,
                          const store::ContentStore& store,
                          const store::RemovalOutcome& refused);

// Before the copy in quarantine is freed: whether the store's own is whole, by
// its digest, however large it is.  NOT_FOUND if it is not there; otherwise
// ALREADY_EXISTS, or what kept it from being read.  As slow as the disk, but
// few things are there twice, and nobody waits for a purge.
absl::Status CheckWholeCopy(const QuarantineRecord& record,
                            const store::ContentStore& store);

}  // namespace reclaim::gc

#endif  // RECLAIM_GC_OWN_COPY_H_
