#include "store/scan.h"

namespace reclaim::store {
namespace {

// FNV-1a: keys are stored, so they must not depend on the process.
constexpr uint64_t kOffset = 0xcbf29ce484222325;
constexpr uint64_t kPrime = 0x100000001b3;

uint64_t Mix(uint64_t hash, unsigned char byte) {
  return (hash ^ byte) * kPrime;
}

}  // namespace

uint64_t SectionKey(SectionKind kind, absl::string_view scope, int shard) {
  uint64_t hash = Mix(kOffset, static_cast<unsigned char>(kind));
  hash = Mix(Mix(hash, shard < 0 ? 1 : 0), static_cast<unsigned char>(shard));
  for (const char c : scope) hash = Mix(hash, static_cast<unsigned char>(c));
  return hash;
}

}  // namespace reclaim::store
