// server/readiness.h — whether the daemon is to be sent calls.
//
// What /readyz, grpc.health.v1 and the metric reclaim_ready say.  Not ready
// while the graph is being loaded, while it cannot be written (a full disk, a
// database that failed), and from the first moment of the end.
//
// Thread-safe.

#ifndef RECLAIM_SERVER_READINESS_H_
#define RECLAIM_SERVER_READINESS_H_

#include <cstdint>
#include <functional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "base/mutex.h"

namespace reclaim::server {

class Readiness {
 public:
  // `writable` tells how the last write of the graph went, `free_bytes` what is
  // free on the database's disk.  Calls nothing before Serve().
  Readiness(std::function<absl::Status()> writable,
            std::function<uint64_t()> free_bytes)
      : writable_(std::move(writable)), free_bytes_(std::move(free_bytes)) {}

  void Serve();  // the graph is loaded
  void End();    // for good

  // UNAVAILABLE with the reason in words.
  absl::Status Check() const;

 private:
  enum class Phase { kLoading, kServing, kEnding };

  const std::function<absl::Status()> writable_;
  const std::function<uint64_t()> free_bytes_;
  mutable base::Mutex mutex_;
  Phase phase_ ABSL_GUARDED_BY(mutex_) = Phase::kLoading;
};

// Of the file system below a folder; 0 if nobody can say.
uint64_t FreeBytes(const std::string& folder);

}  // namespace reclaim::server

#endif  // RECLAIM_SERVER_READINESS_H_
