// index/name_words.h — texts that occur often, each kept once: its bytes, and
// some 20 more.

#ifndef RECLAIM_INDEX_NAME_WORDS_H_
#define RECLAIM_INDEX_NAME_WORDS_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <vector>

#include "absl/hash/hash.h"
#include "absl/strings/string_view.h"
#include "index/chunked.h"
#include "index/id_table.h"

namespace reclaim::index {

// Words are never taken back: a name that went is asked for afterwards.  Not
// thread-safe.
class NameWords {
 public:
  uint32_t Add(absl::string_view text) {
    const std::optional<uint32_t> known = Find(text);
    if (known) return *known;
    const auto number = static_cast<uint32_t>(texts_.size());
    texts_.Grow(texts_.size() + 1);
    texts_[number] = Copy(text);
    numbers_.Insert(HashOf(text), number,
                    [this](uint32_t one) { return HashOf((*this)[one]); });
    return number;
  }
  std::optional<uint32_t> Find(absl::string_view text) const {
    const uint32_t number = numbers_.Find(
        HashOf(text), [&](uint32_t one) { return (*this)[one] == text; });
    if (number == IdTable::kNone) return std::nullopt;
    return number;
  }
  // Lives as long as this.
  absl::string_view operator[](uint32_t number) const {
    const char* at = texts_[number];
    uint32_t size = 0;
    std::memcpy(&size, at, sizeof(size));
    return {at + sizeof(size), size};
  }

 private:
  static constexpr size_t kBlockBytes = 1 << 16;

  static uint32_t HashOf(absl::string_view text) {
    return static_cast<uint32_t>(absl::HashOf(text));
  }
  // The size, then the text.
  const char* Copy(absl::string_view text) {
    const auto size = static_cast<uint32_t>(text.size());
    const size_t needed = sizeof(size) + text.size();
    char* at = nullptr;
    if (needed > kBlockBytes / 16) {
      long_.push_back(std::make_unique<char[]>(needed));
      at = long_.back().get();
    } else {
      if (blocks_.empty() || used_ + needed > kBlockBytes) {
        blocks_.push_back(std::make_unique<char[]>(kBlockBytes));
        used_ = 0;
      }
      at = blocks_.back().get() + used_;
      used_ += needed;
    }
    std::memcpy(at, &size, sizeof(size));
    if (size > 0) std::memcpy(at + sizeof(size), text.data(), size);
    return at;
  }

  Chunked<const char*> texts_;
  IdTable numbers_;
  std::vector<std::unique_ptr<char[]>> blocks_;  // they never move
  size_t used_ = 0;                              // of the last
  std::vector<std::unique_ptr<char[]>> long_;
};

}  // namespace reclaim::index

#endif  // RECLAIM_INDEX_NAME_WORDS_H_
