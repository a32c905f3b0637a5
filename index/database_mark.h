// index/database_mark.h — how far the database has come, written down beside
// it.
//
// A copy of the database that is put back (a backup, a snapshot of its folder)
// is whole, and knows nothing of what came since: pins, leases, containers that
// keep content.  So the database has a number that only grows, and a small file
// beside it has the same one: first the database, durably, then the file.  A
// database whose number is lower than the file's is an older copy.
// docs/FORMAT.md has the lines of the file.
//
// The number grows when Advance() is called and something was committed since:
// of a database that was copied and put back between two calls nobody knows.
//
// Not thread-safe.

#ifndef RECLAIM_INDEX_DATABASE_MARK_H_
#define RECLAIM_INDEX_DATABASE_MARK_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/random.h"
#include "index/engine.h"
#include "index/state_file.h"

namespace reclaim::index {

class DatabaseMark {
 public:
  // Reads both, and changes nothing.  Neither `engine` nor `random` is owned.
  // Errors are those of the engine: a file that can't be read is a doubt.
  static absl::StatusOr<std::unique_ptr<DatabaseMark>> Open(
      std::string path, Engine* engine, base::RandomSource* random);

  // Why the database that is there is not the latest, or may not be; "" if
  // nothing says so.  Of the file it has the name alone, for all who may read
  // hear of it.  GraphOptions::later_database records it; Advance() comes after
  // that, for it settles the question.
  const std::string& doubt() const { return doubt_; }

  // `commit_count`: how often was committed since Open(), this class apart.  If
  // that has grown the number does.  After an error the file has an older
  // number, which accuses nobody; the next call tries again.
  absl::Status Advance(uint64_t commit_count);

  // What the file says.
  struct Mark {
    std::string id;
    uint64_t number = 0;
  };
  static std::string ToText(const Mark& mark);
  // False if it is not whole.
  static bool Parse(absl::string_view bytes, Mark* mark);

 private:
  DatabaseMark(std::string path, Engine* engine, base::RandomSource* random);
  absl::Status ReadDatabase();
  absl::Status ReadFile();
  std::string FindDoubt() const;
  absl::Status Write(const Mark& mark);
  absl::Status Raise();

  const StateFile file_;
  Engine* const engine_;
  base::RandomSource* const random_;
  std::string doubt_;
  std::optional<Mark> in_database_;
  std::optional<Mark> in_file_;
  // Whether both say all that was committed up to `seen_`.
  bool is_raised_ = false;
  bool is_written_ = false;
  uint64_t seen_ = 0;
};

}  // namespace reclaim::index

#endif  // RECLAIM_INDEX_DATABASE_MARK_H_
