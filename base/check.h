// base/check.h — assertions that stay on in release builds.
//
//   RECLAIM_CHECK(permit != nullptr, "a deletion needs a permit");
//
// Aborts the process with file, line, condition and message.  Used where going
// on would delete the wrong thing; never for what a caller or a disk can cause
// (that is an absl::Status).

#ifndef RECLAIM_BASE_CHECK_H_
#define RECLAIM_BASE_CHECK_H_

namespace reclaim::base {

// Prints and aborts.  Async-signal-safe, allocates nothing.
[[noreturn]] void FailCheck(const char* file, int line, const char* condition,
                            const char* message);

}  // namespace reclaim::base

#define RECLAIM_CHECK(condition, message) \
  (__builtin_expect(!!(condition), 1)     \
       ? static_cast<void>(0)             \
       : ::reclaim::base::FailCheck(__FILE__, __LINE__, #condition, message))

#endif  // RECLAIM_BASE_CHECK_H_
