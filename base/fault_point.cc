#include "base/fault_point.h"

#include <atomic>
#include <map>
#include <utility>

#include "base/mutex.h"

namespace reclaim::base {
namespace {

struct Armed {
  absl::Status status;
  int pass_count = 0;
  int hit_count = 0;
};

std::atomic<int> armed_count{0};

struct ArmedErrno {
  int error = 0;
  int pass_count = 0;
  bool is_lasting = false;
  int call_count = 0;
  std::map<std::string, int> reached;
  std::map<std::string, int> failed;
};

Mutex* Guard() {
  static Mutex* const kMutex = new Mutex;
  return kMutex;
}
std::map<std::string, Armed>& Points() {
  static auto* const kPoints = new std::map<std::string, Armed>;
  return *kPoints;
}
ArmedErrno& Errno() {
  static auto* const kErrno = new ArmedErrno;
  return *kErrno;
}

}  // namespace

namespace internal {

std::atomic<bool> errno_is_armed{false};

int NextErrno(const char* site) {
  MutexLock lock(Guard());
  ArmedErrno& armed = Errno();
  const int call = armed.call_count++;
  ++armed.reached[site];
  const bool fails =
      armed.is_lasting ? call >= armed.pass_count : call == armed.pass_count;
  if (!fails) return 0;
  ++armed.failed[site];
  return armed.error;
}

}  // namespace internal

absl::Status FaultPoint(const char* name) {
  if (armed_count.load(std::memory_order_relaxed) == 0) {
    return absl::OkStatus();
  }
  MutexLock lock(Guard());
  const auto it = Points().find(name);
  if (it == Points().end()) return absl::OkStatus();
  Armed& armed = it->second;
  return armed.hit_count++ < armed.pass_count ? absl::OkStatus() : armed.status;
}

ScopedFault::ScopedFault(std::string name, absl::Status status, int pass_count)
    : name_(std::move(name)) {
  MutexLock lock(Guard());
  Points()[name_] = {std::move(status), pass_count, 0};
  armed_count.fetch_add(1);
}

ScopedFault::~ScopedFault() {
  MutexLock lock(Guard());
  Points().erase(name_);
  armed_count.fetch_sub(1);
}

int ScopedFault::hit_count() const {
  MutexLock lock(Guard());
  return Points()[name_].hit_count;
}

ScopedErrno::ScopedErrno(int error, int pass_count, bool is_lasting) {
  MutexLock lock(Guard());
  Errno() = ArmedErrno{error, pass_count, is_lasting, 0, {}, {}};
  internal::errno_is_armed = true;
}

ScopedErrno::~ScopedErrno() { internal::errno_is_armed = false; }

std::map<std::string, int> ScopedErrno::reached() const {
  MutexLock lock(Guard());
  return Errno().reached;
}

std::map<std::string, int> ScopedErrno::failed() const {
  MutexLock lock(Guard());
  return Errno().failed;
}

}  // namespace reclaim::base
