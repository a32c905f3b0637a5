// rpc/store_list.h — the registered stores, in a small file beside the
// database.
//
// The database is a cache of the stores, but which stores there are is written
// in no store.  So the table (rpc/store_table.h) puts it here as well, before a
// registration is acknowledged; a daemon whose database was lost finds its
// stores again.  docs/FORMAT.md has the lines of the file.
//
// Not thread-safe: the table's lock is held.

#ifndef RECLAIM_RPC_STORE_LIST_H_
#define RECLAIM_RPC_STORE_LIST_H_

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "index/reference_graph.h"
#include "index/state_file.h"

namespace reclaim::rpc {

struct StoreSettings {
  std::string name;  // "": derived from the path
  std::string uri;   // see store/open_store.h
  bool is_read_only = false;
  bool knows_containers = false;
  index::WriterTerms writers;
};

class StoreList {
 public:
  // A file that is not there is an empty list.  DATA_LOSS for one that is not
  // whole, or that a later version wrote: the message names it.
  static absl::StatusOr<std::unique_ptr<StoreList>> Open(std::string path);
  // The list that Open() makes of a file with these bytes.
  static absl::StatusOr<std::unique_ptr<StoreList>> Parse(
      std::string path, absl::string_view bytes);

  // The bytes of the file.
  std::string text() const { return TextOf(lines_); }
  std::vector<StoreSettings> stores() const;  // by name
  std::optional<StoreSettings> Find(absl::string_view name) const;
  const std::string& path() const { return path_; }

  // Durable when they return OK; on an error the list is what it was.
  absl::Status Put(const StoreSettings& settings);
  absl::Status Remove(absl::string_view name);

 private:
  // Each store's lines, by name.
  using Lines = std::map<std::string, std::string, std::less<>>;

  explicit StoreList(std::string path) : path_(std::move(path)) {}
  index::StateFile File() const;
  absl::Status Read(absl::string_view bytes);
  absl::Status Write(Lines lines);
  static std::string TextOf(const Lines& lines);
  absl::Status Damaged(absl::string_view why) const;

  const std::string path_;
  Lines lines_;
  std::map<std::string, StoreSettings, std::less<>> settings_;
};

}  // namespace reclaim::rpc

#endif  // RECLAIM_RPC_STORE_LIST_H_
