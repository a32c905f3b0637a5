// gc/policy_book_entries.h — private to gc/policy_book: what its kinds of
// entries have in common.
//
// An entry has a name, an etag, and may be the file's.

#ifndef RECLAIM_GC_POLICY_BOOK_ENTRIES_H_
#define RECLAIM_GC_POLICY_BOOK_ENTRIES_H_

#include <functional>
#include <map>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/status_macros.h"
#include "index/engine.h"

namespace reclaim::gc {

template <typename Value>
using EntryMap = std::map<std::string, Value, std::less<>>;

inline absl::Status NoSuch(const char* what, absl::string_view name) {
  return absl::NotFoundError(
      absl::StrCat("there is no ", what, " \"", name, "\""));
}

// The entry, or NOT_FOUND.
template <typename Value>
absl::StatusOr<Value> FindEntry(const EntryMap<Value>& map, const char* what,
                                absl::string_view name) {
  const auto it = map.find(name);
  if (it == map.end()) return NoSuch(what, name);
  return it->second;
}

// Whether the entry may be changed by somebody who saw `etag`.
template <typename Value>
absl::Status CheckChange(const EntryMap<Value>& map, const char* what,
                         absl::string_view name, absl::string_view etag) {
  const auto it = map.find(name);
  if (it != map.end() && it->second.is_from_file) {
    return absl::FailedPreconditionError(
        absl::StrCat("the ", what, " \"", name,
                     "\" is the daemon's configuration; change that file"));
  }
  const std::string now = it == map.end() ? "" : it->second.etag;
  if (etag.empty() || etag == now) return absl::OkStatus();
  return absl::AbortedError(
      absl::StrCat("the ", what, " \"", name,
                   "\" was changed by somebody else meanwhile; read it again"));
}

// Reads the records below `prefix`, one after the other.
template <typename Value>
absl::Status LoadAll(const index::Engine& engine, const char* prefix,
                     absl::StatusOr<Value> (*decode)(absl::string_view),
                     const std::function<void(Value)>& take) {
  absl::Status status;
  RECLAIM_RETURN_IF_ERROR(
      engine.Scan(index::Family::kPolicy, prefix, "",
                  [&](absl::string_view, absl::string_view bytes) {
                    auto value = decode(bytes);
                    status = value.status();
                    if (value.ok()) take(*std::move(value));
                    return status.ok();
                  }));
  return status;
}

}  // namespace reclaim::gc

#endif  // RECLAIM_GC_POLICY_BOOK_ENTRIES_H_
