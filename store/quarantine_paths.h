// store/quarantine_paths.h — private: where things lie below ".reclaim".

#ifndef RECLAIM_STORE_QUARANTINE_PATHS_H_
#define RECLAIM_STORE_QUARANTINE_PATHS_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "store/rooted_dir.h"
#include "store/types.h"

namespace reclaim::store {

// The folder of all runs.
std::string QuarantineTop();
std::string QuarantineRunPath(const RunId& run_id,
                              absl::string_view below = "");
// Where a path lies that a run has moved; "" is the folder of all of them.
std::string QuarantineTreePath(const RunId& run_id, absl::string_view path);
// Where the note of a removal lies: beside the moved files, in a file of its
// own.
std::string QuarantineNotePath(const RunId& run_id, const Removal& removal);
// Where older versions put it: one path for all removals of the same text.
std::string OldQuarantineNotePath(const RunId& run_id, const Removal& removal);

// Removes a file; whether there was one.
absl::StatusOr<bool> RemoveIfThere(const RootedDir& root,
                                   const std::string& path);

}  // namespace reclaim::store

#endif  // RECLAIM_STORE_QUARANTINE_PATHS_H_
