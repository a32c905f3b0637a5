// store/testing/quarantine_alone.h — a batch of one, for tests of
// store/quarantine_folder.h.

#ifndef RECLAIM_STORE_TESTING_QUARANTINE_ALONE_H_
#define RECLAIM_STORE_TESTING_QUARANTINE_ALONE_H_

#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "store/quarantine_folder.h"
#include "store/types.h"

namespace reclaim::store {

inline absl::Status QuarantineAlone(const RunId& run_id, const Removal& removal,
                                    const RemovalPaths& paths,
                                    QuarantineFolder* quarantine) {
  std::vector<QuarantineFolder::Departure> batch(1);
  batch[0].removal = removal;
  batch[0].paths = paths;
  quarantine->Remember(run_id, absl::MakeSpan(batch));
  quarantine->Move(run_id, &batch[0]);
  quarantine->Finish(run_id, absl::MakeSpan(batch));
  return batch[0].status;
}

}  // namespace reclaim::store

#endif  // RECLAIM_STORE_TESTING_QUARANTINE_ALONE_H_
