// store/run_id.h — private: what every store checks before it deletes.

#ifndef RECLAIM_STORE_RUN_ID_H_
#define RECLAIM_STORE_RUN_ID_H_

#include "absl/status/status.h"
#include "store/types.h"

namespace reclaim::store {

// INVALID_ARGUMENT for an id that could be taken for a path.
absl::Status CheckRunId(const RunId& run_id);
// FAILED_PRECONDITION for a read-only store; otherwise as CheckRunId().
absl::Status CheckDeletion(bool is_read_only, const RunId& run_id);

}  // namespace reclaim::store

#endif  // RECLAIM_STORE_RUN_ID_H_
