// base/fault_point.h — named places where a test makes things go wrong.
//
//   RECLAIM_RETURN_IF_ERROR(base::FaultPoint("sweep.after_intent"));
//
// Returns OK unless a test has armed the name.  Costs one relaxed load when
// nothing is armed.  Thread-safe.

#ifndef RECLAIM_BASE_FAULT_POINT_H_
#define RECLAIM_BASE_FAULT_POINT_H_

#include <atomic>
#include <map>
#include <string>

#include "absl/status/status.h"

namespace reclaim::base {

absl::Status FaultPoint(const char* name);

// Arms a fault point while it lives: calls `pass_count + 1` and later of the
// point return `status`.
class ScopedFault {
 public:
  ScopedFault(std::string name, absl::Status status, int pass_count = 0);
  ~ScopedFault();
  ScopedFault(const ScopedFault&) = delete;
  ScopedFault& operator=(const ScopedFault&) = delete;

  // How often the point was reached since it was armed.
  int hit_count() const;

 private:
  std::string name_;
};

// System calls fail the same way, without a disk that is full or broken:
//
//   if (const int error = base::InjectedErrno("move.renameat2")) ...
//
// Returns 0 unless a test has armed an error; then the one that the call at
// this site shall fail with.  Costs one relaxed load when nothing is armed.
namespace internal {
extern std::atomic<bool> errno_is_armed;
int NextErrno(const char* site);
}  // namespace internal

inline int InjectedErrno(const char* site) {
  if (!internal::errno_is_armed.load(std::memory_order_relaxed)) return 0;
  return internal::NextErrno(site);
}

// While it lives, the system calls after the first `pass_count` fail with
// `error`: the next one alone, or all of them if `is_lasting`.  One at a time.
class ScopedErrno {
 public:
  ScopedErrno(int error, int pass_count, bool is_lasting);
  ~ScopedErrno();
  ScopedErrno(const ScopedErrno&) = delete;
  ScopedErrno& operator=(const ScopedErrno&) = delete;

  // Calls since it was armed, and how many of them failed, by site.
  std::map<std::string, int> reached() const;
  std::map<std::string, int> failed() const;
};

}  // namespace reclaim::base

#endif  // RECLAIM_BASE_FAULT_POINT_H_
