// gc/name_pattern.h — patterns of repositories, tags and stores, as people
// write them.
//
// A pattern is a glob (gc/glob.h) or, after "re:", a regular expression in the
// syntax of RE2 that has to match the whole name.  A list of patterns matches
// what one of them matches; a pattern that begins with '!' takes names out of
// what those before it matched.
//
// Immutable and cheap to copy; thread-safe.

#ifndef RECLAIM_GC_NAME_PATTERN_H_
#define RECLAIM_GC_NAME_PATTERN_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace reclaim::gc {

// What the names are; decides which of them exist at all.
enum class NameKind : uint8_t { kStore = 1, kRepository = 2, kTag = 3 };

class NamePatterns {
 public:
  // An empty list matches every name.  INVALID_ARGUMENT: a pattern that can't
  // be read (the message names it), that no name of this kind can match, or a
  // list that begins with '!'.  At most 100 patterns.
  static absl::StatusOr<NamePatterns> Parse(absl::Span<const std::string> texts,
                                            NameKind kind);

  bool Match(absl::string_view name) const;

  // Whether every name is matched, as far as can be decided.
  bool IsUniversal() const;
  // Whether each name that `other` matches is matched here, as far as can be
  // decided: exact for globs, by their text for regular expressions.
  bool Covers(const NamePatterns& other) const;

 private:
  struct Pattern;
  bool IsTakenOutBy(const Pattern& last) const;

  std::vector<std::shared_ptr<const Pattern>> patterns_;
};

}  // namespace reclaim::gc

#endif  // RECLAIM_GC_NAME_PATTERN_H_
