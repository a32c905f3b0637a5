// server/state_folder.h — the folders of the daemon's own state.

#ifndef RECLAIM_SERVER_STATE_FOLDER_H_
#define RECLAIM_SERVER_STATE_FOLDER_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "index/ballast.h"

namespace reclaim::server {

// Makes `data_directory` and the folder of the database in it.  What is made is
// for the daemon alone (0700), and the database's folder is so in any case: the
// records hold names, labels and commands.  A data directory that was there
// keeps its mode, for it may not be ours alone.  Errors name the folder.
absl::Status MakeStateFolders(const std::string& data_directory);

// Where the damaged database of `path` is kept from now on.
absl::StatusOr<std::string> MoveAside(const std::string& path, absl::Time now);

// Does that with one that did not open, and says so.
absl::Status MakeRoom(const absl::Status& opened, const std::string& path,
                      absl::Time now,
                      absl::FunctionRef<void(absl::string_view)> say);

// How the data directory shows that a daemon had a database here before: the
// audit, the list of stores and the mark are made after the first one, and a
// damaged one is kept aside.  "" if nothing does.  What can't be listed counts
// as one.
std::string TraceOfDatabase(const std::string& data_directory);

// The ballast of the data directory, let go if the disk is full already: the
// database itself needs some bytes to open.  `say` hears why there is none.
std::unique_ptr<index::Ballast> HoldBallast(
    const std::string& data_directory, uint64_t bytes,
    absl::FunctionRef<void(absl::string_view)> say);

}  // namespace reclaim::server

#endif  // RECLAIM_SERVER_STATE_FOLDER_H_
