// index/name_words.h — texts that occur often, each kept once.

#ifndef RECLAIM_INDEX_NAME_WORDS_H_
#define RECLAIM_INDEX_NAME_WORDS_H_

#include <cstdint>
#include <deque>
#include <optional>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"

namespace reclaim::index {

// Words are never taken back: a name that went is asked for afterwards.  Not
// thread-safe.
class NameWords {
 public:
  uint32_t Add(absl::string_view text) {
    const auto known = numbers_.find(text);
    if (known != numbers_.end()) return known->second;
    const auto number = static_cast<uint32_t>(texts_.size());
    texts_.emplace_back(text);
    numbers_[texts_.back()] = number;
    return number;
  }
  std::optional<uint32_t> Find(absl::string_view text) const {
    const auto known = numbers_.find(text);
    if (known == numbers_.end()) return std::nullopt;
    return known->second;
  }
  const std::string& operator[](uint32_t number) const {
    return texts_[number];
  }

 private:
  std::deque<std::string> texts_;  // they never move
  absl::flat_hash_map<absl::string_view, uint32_t> numbers_;
};

}  // namespace reclaim::index

#endif  // RECLAIM_INDEX_NAME_WORDS_H_
