#include "base/random.h"

#include <sys/random.h>

#include "absl/strings/str_format.h"
#include "base/check.h"

namespace reclaim::base {
namespace {

class KernelRandom final : public RandomSource {
 public:
  uint64_t Next() override {
    uint64_t value = 0;
    RECLAIM_CHECK(getrandom(&value, sizeof(value), 0) == sizeof(value),
                  "getrandom(2) gives eight bytes on every Linux since 3.17");
    return value;
  }
};

}  // namespace

RandomSource* SystemRandom() {
  static KernelRandom* const kRandom = new KernelRandom;
  return kRandom;
}

std::string RandomId(RandomSource* random) {
  return absl::StrFormat("%016x", random->Next());
}

}  // namespace reclaim::base
