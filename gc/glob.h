// gc/glob.h — names by pattern, and what one pattern says of another.
//
//   *      any run of characters but '/'        **  any run of characters
//   ?      one character but '/'                [a-z] [!a-z]  one of a class
//   \x     the character x                      {a,b}  either (not nested)
//
// A glob matches a whole name.  Beyond matching, two questions can be decided
// exactly, because a glob is a small automaton: whether one glob covers another
// (retention rules are refused when another hides them), and whether it can
// match a name of some alphabet at all.  The method is the textbook's product
// of an automaton with the subset construction of another; patterns are short,
// and both length and steps are bounded.
//
// Immutable; thread-safe.

#ifndef RECLAIM_GC_GLOB_H_
#define RECLAIM_GC_GLOB_H_

#include <bitset>
#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace reclaim::gc {

// Characters as a set of bytes.
using CharSet = std::bitset<256>;

class Glob {
 public:
  // INVALID_ARGUMENT says which part is wrong: an open bracket or brace, an
  // empty pattern, more than 256 characters or 64 alternatives.
  static absl::StatusOr<Glob> Parse(absl::string_view text);

  bool Matches(absl::string_view name) const;

  // True if every name that `other` matches is matched by this glob as well.
  // False where the question would take more than a million steps (then a rule
  // counts as not hidden, which is only a warning less).
  bool Covers(const Glob& other) const;

  // Whether it matches "*" names of any kind: "**", or what covers it.
  bool IsUniversal() const;

  // Whether some name of `least` to `most` characters of `alphabet` matches.
  bool CanMatch(const CharSet& alphabet, size_t least, size_t most) const;

 private:
  // One character of `set`, or any number of them.
  struct Step {
    CharSet set;
    bool repeats = false;
  };
  // Positions before the steps of one alternative; the last one accepts.
  using Alternative = std::vector<Step>;
  using States = std::vector<bool>;

  static absl::StatusOr<Alternative> ParseSteps(absl::string_view text);
  static absl::StatusOr<CharSet> ParseClass(absl::string_view text, size_t* at);
  static absl::StatusOr<std::vector<std::string>> Expand(
      absl::string_view text);

  // All alternatives in one row of states.
  size_t StateCount() const;
  States Begin() const;
  States Move(const States& from, unsigned char c) const;
  bool Accepts(const States& states) const;
  void Close(States* states) const;

  std::vector<Alternative> alternatives_;
};

}  // namespace reclaim::gc

#endif  // RECLAIM_GC_GLOB_H_
