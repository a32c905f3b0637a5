// rpc/page_token.h: a token that the server did not make is refused.

#include <cstdint>

#include "base/check.h"
#include "base/random.h"
#include "rpc/page_token.h"
#include "tests/fuzz/fuzz_target.h"

namespace reclaim::rpc {
namespace {

constexpr uint64_t kSeed = 1;

RECLAIM_FUZZ_TARGET(page_token) {
  static const PageTokens* const tokens = [] {
    base::SeededRandom random(kSeed);
    return new PageTokens(&random);
  }();
  if (!input.empty()) {
    RECLAIM_CHECK(!tokens->Read("arguments", input).ok(),
                  "only a signed token is read");
  }
  if (input.empty()) return;
  const std::string token = tokens->Make("arguments", input);
  const auto position = tokens->Read("arguments", token);
  RECLAIM_CHECK(position.ok() && *position == input, "a token of ours is read");
  RECLAIM_CHECK(!tokens->Read("argument", token).ok(),
                "a token is of one list");
}

}  // namespace
}  // namespace reclaim::rpc
