#include "oci/json_syntax.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/utf8.h"
#include "nlohmann/json.hpp"
#include "oci/json_reader.h"

namespace reclaim::oci {
namespace {

constexpr absl::string_view kByteOrderMark = "\xEF\xBB\xBF";
// A slot of the set of an object's names: a hash and its control byte, and the
// set may be little more than half full.
constexpr size_t kNameSlotBytes = 21;
// A vector's bytes are one block.
constexpr size_t kBlockBytes = 24;
constexpr size_t kVectorBytes =
    std::max(sizeof(Json::array_t), sizeof(Json::object_t));

// What malloc takes of the heap for a block of `size` bytes.
constexpr size_t Block(size_t size) {
  return std::max<size_t>(32, (size + 8 + 15) / 16 * 16);
}

// Of a text beside the std::string itself; short ones lie within it.
size_t TextBytes(size_t length) { return length < 16 ? 0 : Block(length + 1); }

class Checker {
 public:
  Checker(absl::string_view text, size_t depth_max, size_t memory_max)
      : text_(text), depth_max_(depth_max), memory_max_(memory_max) {}

  absl::StatusOr<JsonShape> Run() {
    if (absl::StartsWith(text_, kByteOrderMark)) at_ = kByteOrderMark.size();
    do {
      RECLAIM_RETURN_IF_ERROR(BeginValue());
      RECLAIM_RETURN_IF_ERROR(EndValues());
    } while (!open_.empty());
    if (at_ < text_.size()) return Wrong("something after the document");
    return std::move(shape_);
  }

 private:
  struct Open {
    bool is_object;
    size_t index;  // in shape_.sizes
  };

  absl::Status Wrong(absl::string_view what) const {
    return absl::InvalidArgumentError(
        absl::StrCat("not JSON at byte ", at_, ": ", what));
  }

  static absl::Status TooMuch(absl::string_view what) {
    return absl::ResourceExhaustedError(
        absl::StrCat("JSON document refused: ", what));
  }

  // '\0' at the end of the text: nothing of a document is one.
  char Here() const { return at_ < text_.size() ? text_[at_] : '\0'; }

  bool Take(char wanted) {
    if (at_ >= text_.size() || text_[at_] != wanted) return false;
    ++at_;
    return true;
  }

  void SkipBlanks() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' ||
                                  text_[at_] == '\r' || text_[at_] == '\t')) {
      ++at_;
    }
  }

  absl::Status Charge(size_t bytes) {
    shape_.memory_bytes += bytes;
    if (shape_.memory_bytes <= memory_max_) return absl::OkStatus();
    return TooMuch(absl::StrCat("its values take more than ", memory_max_ >> 20,
                                " MiB of memory"));
  }

  // Up to the end of the first value that holds no other, through all that it
  // is the first in; or to where an empty array or object ends.
  absl::Status BeginValue() {
    for (;;) {
      SkipBlanks();
      RECLAIM_RETURN_IF_ERROR(ChargeElement());
      const bool is_object = Here() == '{';
      if (!is_object && Here() != '[') return Scalar();
      if (open_.size() >= depth_max_) {
        return TooMuch(
            absl::StrCat("nested deeper than ", depth_max_, " levels"));
      }
      ++at_;
      open_.push_back({is_object, shape_.sizes.size()});
      shape_.sizes.push_back(0);
      RECLAIM_RETURN_IF_ERROR(Charge(Block(kVectorBytes) + kBlockBytes));
      SkipBlanks();
      if (Here() == (is_object ? '}' : ']')) return absl::OkStatus();
      if (is_object) RECLAIM_RETURN_IF_ERROR(Name());
    }
  }

  // From there on to where another value begins, or the document has ended.
  absl::Status EndValues() {
    while (!open_.empty()) {
      SkipBlanks();
      const Open& open = open_.back();
      if (Take(open.is_object ? '}' : ']')) {
        open_.pop_back();
        continue;
      }
      if (!Take(',')) {
        return Wrong(open.is_object ? "neither ',' nor '}' after a member"
                                    : "neither ',' nor ']' after an element");
      }
      if (!open.is_object) return absl::OkStatus();
      SkipBlanks();
      return Name();
    }
    SkipBlanks();
    return absl::OkStatus();
  }

  absl::Status ChargeElement() {
    if (open_.empty()) return absl::OkStatus();
    const Open& open = open_.back();
    const size_t size = ++shape_.sizes[open.index];
    if (!open.is_object) return Charge(sizeof(Json));
    return Charge(sizeof(Json::object_t::value_type) +
                  (size > kJsonFewMembers ? kNameSlotBytes : 0));
  }

  // The name of a member, and what stands between it and the value.
  absl::Status Name() {
    if (Here() != '"') return Wrong("a member without a name");
    size_t length = 0;
    RECLAIM_RETURN_IF_ERROR(Text(&length));
    RECLAIM_RETURN_IF_ERROR(Charge(TextBytes(length)));
    SkipBlanks();
    return Take(':') ? absl::OkStatus() : Wrong("no ':' after a name");
  }

  absl::Status Scalar() {
    if (Here() == '"') {
      size_t length = 0;
      RECLAIM_RETURN_IF_ERROR(Text(&length));
      return Charge(Block(sizeof(std::string)) + TextBytes(length));
    }
    if (Here() == '-' || absl::ascii_isdigit(Here())) return Number();
    for (const absl::string_view word : {"true", "false", "null"}) {
      if (!absl::StartsWith(text_.substr(at_), word)) continue;
      at_ += word.size();
      return absl::OkStatus();
    }
    return Wrong(at_ < text_.size() ? "no value" : "its end is missing");
  }

  // `*length` is at least that of the text without escapes.
  absl::Status Text(size_t* length) {
    const size_t begin = ++at_;
    for (;;) {
      if (at_ >= text_.size()) return Wrong("a text without an end");
      const char c = text_[at_];
      if (c == '"') break;
      if (c == '\\') {
        RECLAIM_RETURN_IF_ERROR(Escape());
      } else if (static_cast<unsigned char>(c) < 0x20) {
        return Wrong("a control character in a text");
      } else {
        ++at_;
      }
    }
    *length = at_ - begin;
    if (!base::IsUtf8(text_.substr(begin, *length))) {
      at_ = begin;
      return Wrong("a text that is not UTF-8");
    }
    ++at_;
    return absl::OkStatus();
  }

  // From a backslash on.  Of a pair of surrogates both halves.
  absl::Status Escape() {
    ++at_;
    if (!Take('u')) {
      if (at_ >= text_.size() ||
          !absl::StrContains("\"\\/bfnrt", text_.substr(at_, 1))) {
        return Wrong("an escape that there is not");
      }
      ++at_;
      return absl::OkStatus();
    }
    const int unit = CodeUnit();
    const bool is_high = unit >= 0xD800 && unit < 0xDC00;
    if (unit < 0 || (unit >= 0xDC00 && unit < 0xE000)) {
      return Wrong("a \\u that is no character");
    }
    if (!is_high) return absl::OkStatus();
    if (!Take('\\') || !Take('u')) return Wrong("half a character");
    const int low = CodeUnit();
    return low >= 0xDC00 && low < 0xE000 ? absl::OkStatus()
                                         : Wrong("half a character");
  }

  // Four hex digits; -1 if they are none.
  int CodeUnit() {
    int unit = 0;
    for (int i = 0; i < 4; ++i, ++at_) {
      const char c = absl::ascii_tolower(Here());
      if (!absl::ascii_isxdigit(c)) return -1;
      unit = unit * 16 + (absl::ascii_isdigit(c) ? c - '0' : c - 'a' + 10);
    }
    return unit;
  }

  bool TakeDigits() {
    const size_t begin = at_;
    while (absl::ascii_isdigit(Here())) ++at_;
    return at_ > begin;
  }

  absl::Status Number() {
    const size_t begin = at_;
    Take('-');
    if (!Take('0') && !TakeDigits()) return Wrong("a number without digits");
    if (Take('.') && !TakeDigits()) return Wrong("a fraction without digits");
    if (Take('e') || Take('E')) {
      if (!Take('+')) Take('-');
      if (!TakeDigits()) return Wrong("an exponent without digits");
    }
    if (at_ - begin > kJsonNumberBytesMax) {
      return TooMuch(absl::StrCat("a number of ", at_ - begin,
                                  " characters; the limit is ",
                                  kJsonNumberBytesMax));
    }
    return absl::OkStatus();
  }

  const absl::string_view text_;
  const size_t depth_max_;
  const size_t memory_max_;
  size_t at_ = 0;
  std::vector<Open> open_;
  JsonShape shape_;
};

}  // namespace

absl::StatusOr<JsonShape> CheckJson(absl::string_view text, size_t depth_max,
                                    size_t memory_max) {
  return Checker(text, depth_max, memory_max).Run();
}

}  // namespace reclaim::oci
