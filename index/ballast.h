// index/ballast.h — bytes that are held so that they can be given back.
//
// To free space, the collector has to write: the intent of each batch, the
// journal of the quarantine.  On a disk without a free byte it could not begin.
// So a file of some megabytes lies ready beside the database; when the disk
// runs full it is let go, and when there is space again it is made again.
//
// Thread-safe.

#ifndef RECLAIM_INDEX_BALLAST_H_
#define RECLAIM_INDEX_BALLAST_H_

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "index/engine.h"

namespace reclaim::index {

class Ballast {
 public:
  // Takes up what lies at `path`; `bytes` of 0 removes it and holds nothing.
  Ballast(std::string path, uint64_t bytes);

  // Makes the file, if it is not there and so much would be left free
  // afterwards as it takes.  RESOURCE_EXHAUSTED: too little space, try later;
  // other errors name the path.
  absl::Status Refill();
  // Lets the space go.  False if there was none to let go.
  bool Release();
  // Releases when less than a quarter of the ballast is free.
  void ReleaseIfLow();

  bool is_held() const;

 private:
  // Bytes that are free for us on the file system; unset if it can't be said.
  absl::StatusOr<uint64_t> FreeBytes() const;

  const std::string path_;
  const uint64_t bytes_;
  mutable std::mutex mutex_;
  bool is_held_ = false;
};

// An engine that lets the ballast go before the disk is full, or when a commit
// found it full, and then commits again.  Neither is owned.
std::unique_ptr<Engine> MakeBallastedEngine(Engine* engine, Ballast* ballast);

}  // namespace reclaim::index

#endif  // RECLAIM_INDEX_BALLAST_H_
