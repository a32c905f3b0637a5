// server/run_resumer.h — goes on with what a crash interrupted.
//
// Sweeps:
// Each on the run board, so that it is watched and cancelled like any; those of
// one store one after the other.  The rest of a sweep takes its time: whoever
// has to know the graph, writers first, is served meanwhile.  One that cannot
// go on now (its store cannot be read once more) is tried again until its plan
// expires.  Stores: one that could not be recovered, at the start or when it
// was opened, is tried again, and its sweeps with it.
//
// Thread-safe.

#ifndef RECLAIM_SERVER_RUN_RESUMER_H_
#define RECLAIM_SERVER_RUN_RESUMER_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/mutex.h"
#include "gc/collector.h"
#include "rpc/run_board.h"
#include "server/ticker.h"

namespace reclaim::server {

class RunResumer {
 public:
  // Nothing is owned.  `say` is called from several threads, and not after the
  // board's Shutdown(), which comes before the end of this.
  RunResumer(gc::Collector* collector, rpc::RunBoard* board,
             std::function<void(absl::string_view)> say);
  RunResumer(const RunResumer&) = delete;
  RunResumer& operator=(const RunResumer&) = delete;

  // Goes on with these, and from then on tries again every `interval`.
  void Begin(const std::vector<std::string>& runs, absl::Duration interval);
  // Now, what could not be recovered and those that could not go on.
  void TryAgain();

 private:
  void RecoverStores();
  void ResumeAll(const std::vector<std::string>& runs);
  // The first of these runs of one store, then the others.
  void ResumeFirst(const std::vector<std::string>& runs);
  void NoteEnd(const std::string& id, const absl::Status& status);

  gc::Collector* const collector_;
  rpc::RunBoard* const board_;
  const std::function<void(absl::string_view)> say_;
  base::Mutex mutex_;
  std::vector<std::string> failed_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<Ticker> ticker_;
};

}  // namespace reclaim::server

#endif  // RECLAIM_SERVER_RUN_RESUMER_H_
