#include "server/mark_keeper.h"

#include <cstdint>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/status_macros.h"
#include "server/readiness.h"

namespace reclaim::server {
namespace {

constexpr absl::Duration kInterval = absl::Seconds(1);
// Where less is free it belongs to others: a collection that frees some.
constexpr uint64_t kFreeBytesMin = uint64_t{4} << 20;

}  // namespace

absl::StatusOr<std::unique_ptr<MarkKeeper>> MarkKeeper::Open(
    std::string data_directory, index::Engine* database,
    const index::WatchedEngine* commits, base::RandomSource* random) {
  RECLAIM_ASSIGN_OR_RETURN(
      std::unique_ptr<index::DatabaseMark> mark,
      index::DatabaseMark::Open(data_directory + "/graph-mark", database,
                                random));
  return std::unique_ptr<MarkKeeper>(
      new MarkKeeper(std::move(data_directory), commits, std::move(mark)));
}

MarkKeeper::MarkKeeper(std::string data_directory,
                       const index::WatchedEngine* commits,
                       std::unique_ptr<index::DatabaseMark> mark)
    : data_directory_(std::move(data_directory)),
      commits_(commits),
      mark_(std::move(mark)) {}

MarkKeeper::~MarkKeeper() {
  if (ticker_ == nullptr) return;
  ticker_.reset();
  Advance();
}

void MarkKeeper::Begin(std::function<void(absl::string_view)> say) {
  say_ = std::move(say);
  Advance();
  ticker_ = std::make_unique<Ticker>(kInterval, [this] { Advance(); });
}

void MarkKeeper::Advance() {
  const absl::Status status =
      FreeBytes(data_directory_) < kFreeBytesMin
          ? absl::ResourceExhaustedError(absl::StrCat(
                "the mark of the database is not written: fewer than ",
                kFreeBytesMin >> 20, " MiB are free in ", data_directory_,
                ", or its file system cannot be asked"))
          : mark_->Advance(commits_->commit_count());
  if (!status.ok() && !has_failed_) {
    say_(absl::StrCat(status.message(),
                      "; until it can be written, an older copy of the "
                      "database in the place of this one is not noticed"));
  }
  has_failed_ = !status.ok();
}

}  // namespace reclaim::server
