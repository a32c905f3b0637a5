// gc/run_store_keys.h — private to gc/run_store: parts of keys, and the answer
// to one that is not there.

#ifndef RECLAIM_GC_RUN_STORE_KEYS_H_
#define RECLAIM_GC_RUN_STORE_KEYS_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace reclaim::gc {

// Sorts as the numbers do.
inline std::string BigEndian(uint64_t value) {
  std::string key(8, '\0');
  for (int i = 7; i >= 0; --i, value >>= 8) {
    key[static_cast<size_t>(i)] = static_cast<char>(value & 0xff);
  }
  return key;
}

inline absl::Status NoSuch(const char* what, absl::string_view id) {
  return absl::NotFoundError(absl::StrCat("there is no ", what, " ", id));
}

}  // namespace reclaim::gc

#endif  // RECLAIM_GC_RUN_STORE_KEYS_H_
