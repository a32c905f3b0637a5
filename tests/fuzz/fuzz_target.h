// tests/fuzz/fuzz_target.h — one input, one parser, one oracle.
//
// A target is a function of bytes that takes them through one parser and checks
// what must hold whatever they are (RECLAIM_CHECK: also in release builds).
//
//   RECLAIM_FUZZ_TARGET(name) {   // `input` is the bytes
//     const auto parsed = Parse(input);
//     if (!parsed.ok()) return;
//     RECLAIM_CHECK(Parse(parsed->ToString()) == parsed, "it round-trips");
//   }
//
// The same function is run by libFuzzer (fuzzer_main.cc, one program a target;
// tools/fuzz) and by corpus_test, which replays tests/fuzz/corpus/NAME under
// every compiler and sanitizer, whole and cut short.

#ifndef RECLAIM_TESTS_FUZZ_FUZZ_TARGET_H_
#define RECLAIM_TESTS_FUZZ_FUZZ_TARGET_H_

#include <map>
#include <string>

#include "absl/strings/string_view.h"

namespace reclaim::fuzz {

using Target = void (*)(absl::string_view input);

// All targets that are linked in, by name.
std::map<std::string, Target>& Targets();

struct Registration {
  Registration(const char* name, Target target);
};

}  // namespace reclaim::fuzz

#define RECLAIM_FUZZ_TARGET(name)                                             \
  static void Fuzz_##name(absl::string_view input);                           \
  static const ::reclaim::fuzz::Registration registered_##name(#name,         \
                                                               &Fuzz_##name); \
  static void Fuzz_##name(absl::string_view input)

#endif  // RECLAIM_TESTS_FUZZ_FUZZ_TARGET_H_
