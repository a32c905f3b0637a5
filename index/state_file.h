// index/state_file.h — small files beside the database, whole at any moment.
//
// What the database alone must not know lies in such files: which stores there
// are (rpc/store_list.h), how far it had come (index/database_mark.h).  One is
// written anew beside itself, synced and renamed, so that a crash leaves the
// old one or the new one.

#ifndef RECLAIM_INDEX_STATE_FILE_H_
#define RECLAIM_INDEX_STATE_FILE_H_

#include <cstddef>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace reclaim::index {

struct StateFile {
  std::string path;
  std::string what;  // "the list of stores", for errors, which name the path
};

// nullopt if it is not there.  Of a file that is longer than `bytes_max` more
// than that is returned, and not all.
absl::StatusOr<std::optional<std::string>> ReadStateFile(const StateFile& file,
                                                         size_t bytes_max);

// Durable when it returns OK; on an error the file is what it was, or the new
// one that a power cut may undo.  Not to be called twice at a time for a path.
absl::Status ReplaceStateFile(const StateFile& file, absl::string_view bytes);

// The last line of such a file: the digest of all lines before it.
inline constexpr absl::string_view kSumMark = "sum ";
std::string SumLine(absl::string_view bytes);

}  // namespace reclaim::index

#endif  // RECLAIM_INDEX_STATE_FILE_H_
