// What libFuzzer calls: the one target of this program.

#include <cstddef>
#include <cstdint>

#include "absl/strings/string_view.h"
#include "base/check.h"
#include "tests/fuzz/fuzz_target.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const reclaim::fuzz::Target target = [] {
    RECLAIM_CHECK(reclaim::fuzz::Targets().size() == 1,
                  "a fuzzer has one target");
    return reclaim::fuzz::Targets().begin()->second;
  }();
  target(absl::string_view(reinterpret_cast<const char*>(data), size));
  return 0;
}
