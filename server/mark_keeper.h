// server/mark_keeper.h — keeps the mark of the database current while the
// daemon runs.

#ifndef RECLAIM_SERVER_MARK_KEEPER_H_
#define RECLAIM_SERVER_MARK_KEEPER_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/random.h"
#include "index/database_mark.h"
#include "index/engine.h"
#include "index/watched_engine.h"
#include "server/ticker.h"

namespace reclaim::server {

class MarkKeeper {
 public:
  // The mark lies in the data directory.  Neither engine is owned: `database`
  // is the one below `commits`, for a mark is not worth the ballast.
  static absl::StatusOr<std::unique_ptr<MarkKeeper>> Open(
      std::string data_directory, index::Engine* database,
      const index::WatchedEngine* commits, base::RandomSource* random);
  // Writes the mark down once more, if it has begun to.
  ~MarkKeeper();
  MarkKeeper(const MarkKeeper&) = delete;
  MarkKeeper& operator=(const MarkKeeper&) = delete;

  // See DatabaseMark::doubt().
  const std::string& doubt() const { return mark_->doubt(); }

  // From now on, each second in which something was committed.  `say` hears
  // when the mark cannot be written, once until it can again.
  void Begin(std::function<void(absl::string_view)> say);

 private:
  MarkKeeper(std::string data_directory, const index::WatchedEngine* commits,
             std::unique_ptr<index::DatabaseMark> mark);
  void Advance();

  const std::string data_directory_;
  const index::WatchedEngine* const commits_;
  const std::unique_ptr<index::DatabaseMark> mark_;
  std::function<void(absl::string_view)> say_;
  bool has_failed_ = false;
  std::unique_ptr<Ticker> ticker_;
};

}  // namespace reclaim::server

#endif  // RECLAIM_SERVER_MARK_KEEPER_H_
