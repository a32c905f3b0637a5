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

Mutex* Guard() {
  static Mutex* const kMutex = new Mutex;
  return kMutex;
}
std::map<std::string, Armed>& Points() {
  static auto* const kPoints = new std::map<std::string, Armed>;
  return *kPoints;
}

}  // namespace

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

}  // namespace reclaim::base
