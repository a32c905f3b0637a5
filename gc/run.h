// gc/run.h — one execution of something, as a durable value.

#ifndef RECLAIM_GC_RUN_H_
#define RECLAIM_GC_RUN_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "index/node.h"
#include "store/types.h"

namespace reclaim::gc {

// Stored on disk and metric labels: never renumber.
enum class RunKind : uint8_t {
  kScan = 1,
  kApply = 2,
  kRestore = 3,
  kPurge = 4,
  kVerify = 5,
};
enum class RunPhase : uint8_t {
  kRunning = 1,
  kSucceeded = 2,
  kPartial = 3,    // work was left; see `problems` and `skipped`
  kFailed = 4,     // nothing or not all was done; see `problems`
  kCancelled = 5,  // stopped at an item boundary
  kInterrupted =
      6,  // the daemon stopped; resumed or finished at its next start
};
const char* ToString(RunKind kind);
const char* ToString(RunPhase phase);

// Why a planned item was left alone.  Never renumber.
enum class SkipReason : uint8_t {
  kNone = 0,
  kBecameLive = 1,  // a root reaches it now
  kTouched = 2,     // a writer asked for it or referenced it since the plan
  kLeased = 3,
  kInUse = 4,         // a container uses it now
  kGone = 5,          // it was not there any more
  kChanged = 6,       // a tag names something else, a file is another file
  kScopeKept = 7,     // its scope can't be judged now
  kFailed = 8,        // the store refused
  kProofMissing = 9,  // purge: no scan began after the quarantine
};
const char* ToString(SkipReason reason);

struct SkippedItem {
  std::string subject;  // digest, "repo:tag", name
  SkipReason reason = SkipReason::kNone;
  std::string detail;
};

struct RunProgress {
  uint64_t done_count = 0;
  uint64_t total_count = 0;
  store::Bytes done_bytes;
  store::Bytes total_bytes;
  std::string step;  // "tags", "links", "blobs", "reading manifests", ...
};

struct Run {
  std::string id;  // 16 lower-case hex digits
  RunKind kind = RunKind::kApply;
  RunPhase phase = RunPhase::kRunning;
  std::string store;
  std::string plan_id;  // of an apply
  std::string actor;
  index::Epoch epoch = 0;
  absl::Time started;
  absl::Time ended;             // InfiniteFuture() while running
  absl::Time restorable_until;  // of an apply
  RunProgress progress;
  // By kind of thing: what was taken away, given back or freed.
  uint64_t blob_count = 0;
  uint64_t image_count = 0;
  uint64_t item_count = 0;
  store::RemovalBytes bytes;
  uint64_t skipped_count = 0;
  std::vector<SkippedItem> skipped;   // the first 1,000
  std::vector<std::string> problems;  // the first 100, each says what to do
};

}  // namespace reclaim::gc

#endif  // RECLAIM_GC_RUN_H_
