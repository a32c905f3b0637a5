#include "tests/fuzz/fuzz_target.h"

#include "base/check.h"

namespace reclaim::fuzz {

std::map<std::string, Target>& Targets() {
  static auto* targets = new std::map<std::string, Target>;
  return *targets;
}

Registration::Registration(const char* name, Target target) {
  RECLAIM_CHECK(Targets().emplace(name, target).second,
                "a fuzz target has a name of its own");
}

}  // namespace reclaim::fuzz
