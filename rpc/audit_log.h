// rpc/audit_log.h — the append-only, hash-chained record of every mutation.
//
// One JSON object a line, in segments "audit-00000001.log", "audit-…2.log" of a
// folder of mode 0700.  Each line ends with the hash of the line before it and
// its own:
//
//   {"seq":7,"time":"…", …,"prev":"<64 hex>","hash":"<64 hex>"}
//
// where hash is SHA-256 of the line up to the comma before "hash".  A changed,
// dropped or moved line breaks the chain at its number.  The chain is
// tamper-evident only against somebody who cannot also rewrite the head where
// it was exported to: the daemon's log says it at every start.
//
// Nothing secret is recorded: no tokens, no environment, no manifests' bytes.
//
// A crash can tear the last line; the next Open() cuts it off and records that
// it did.  A chain that is broken elsewhere is never mended: a new segment
// begins, its first record says so, and Verify() goes on to report the place.
//
// Thread-safe.

#ifndef RECLAIM_RPC_AUDIT_LOG_H_
#define RECLAIM_RPC_AUDIT_LOG_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "gc/audit.h"
#include "rpc/audit_chain.h"

namespace reclaim::rpc {

// Between the items of one line.
inline constexpr char kItemSeparator[] = "; ";

// What others wrote, as it stands in an item: it must not read as another field
// or item, so what could is quoted.  `also_plain`: what is no sign of that
// here.
std::string QuotedInItem(absl::string_view text,
                         absl::string_view also_plain = "");

struct AuditOptions {
  std::string folder;
  // A segment that has reached this is followed by another.
  uint64_t segment_bytes = 64u << 20;
  // Older segments are removed; 0 keeps all.
  uint32_t segment_count_max = 0;
};

class AuditLog final : public gc::DeletionAudit {
 public:
  // Makes the folder by need.  Errors name the path.
  static absl::StatusOr<std::unique_ptr<AuditLog>> Open(
      const AuditOptions& options, const base::Clock* clock);
  ~AuditLog() override;

  // `is_durable` waits for the disk.  On an error nothing of it counts, and
  // later calls try anew.
  absl::Status Append(const AuditFields& fields, bool is_durable);
  // gc::DeletionAudit.
  absl::Status Record(const gc::DeletionRecord& record) override;

  AuditHead head() const;
  // The last `limit` lines, newest first.
  absl::StatusOr<std::vector<std::string>> Tail(size_t limit) const;

  const std::string& folder() const { return options_.folder; }

 private:
  AuditLog(const AuditOptions& options, const base::Clock* clock)
      : options_(options), clock_(clock) {}

  absl::Status Begin() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status TakeUp(const std::string& segment)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status OpenSegment(uint32_t number, bool is_new)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status Write(const AuditFields& fields, bool is_durable)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status RemoveOldSegments() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const AuditOptions options_;
  const base::Clock* const clock_;
  mutable base::Mutex mutex_;
  int fd_ ABSL_GUARDED_BY(mutex_) = -1;
  uint32_t segment_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t segment_size_ ABSL_GUARDED_BY(mutex_) = 0;
  AuditHead head_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace reclaim::rpc

#endif  // RECLAIM_RPC_AUDIT_LOG_H_
