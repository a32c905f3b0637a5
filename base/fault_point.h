// base/fault_point.h — named places where a test makes things go wrong.
//
//   RECLAIM_RETURN_IF_ERROR(base::FaultPoint("sweep.after_intent"));
//
// Returns OK unless a test has armed the name.  Costs one relaxed load when
// nothing is armed.  Thread-safe.

#ifndef RECLAIM_BASE_FAULT_POINT_H_
#define RECLAIM_BASE_FAULT_POINT_H_

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

}  // namespace reclaim::base

#endif  // RECLAIM_BASE_FAULT_POINT_H_
