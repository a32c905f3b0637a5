// store/system_call.h — private: a system call that a test can make fail.
//
//   const int done = SystemCall("move.renameat2", [&] {
//     return renameat2(from, a, to, b, RENAME_NOREPLACE);
//   });
//
// -1 with errno set, as the call itself.  The site names the operation and the
// call; tests/faults counts which of them it has reached.

#ifndef RECLAIM_STORE_SYSTEM_CALL_H_
#define RECLAIM_STORE_SYSTEM_CALL_H_

#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/fault_point.h"

namespace reclaim::store {

// A call that is interrupted again and again is given up.
inline constexpr int kInterruptedMax = 64;

template <typename Call>
auto SystemCall(const char* site, Call call) -> decltype(call()) {
  if (const int error = base::InjectedErrno(site); error != 0) {
    errno = error;
    return -1;
  }
  return call();
}

// The same, again when a signal came between (EINTR).
template <typename Call>
auto RepeatedCall(const char* site, Call call) -> decltype(call()) {
  for (int attempt = 1;; ++attempt) {
    const auto result = SystemCall(site, call);
    if (result >= 0 || errno != EINTR || attempt == kInterruptedMax) {
      return result;
    }
  }
}

// Closes with its scope.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

}  // namespace reclaim::store

#endif  // RECLAIM_STORE_SYSTEM_CALL_H_
