#include "oci/json_reader.h"

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/hash/hash.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/status_macros.h"
#include "base/utf8.h"
#include "nlohmann/json.hpp"
#include "oci/json_syntax.h"

namespace reclaim::oci {
namespace {

// Builds the document, with just the room that it needs: what it takes has been
// reckoned so.  nlohmann's own builder keeps the last of two equal keys; this
// one refuses them.
class Builder final : public nlohmann::json_sax<Json> {
 public:
  explicit Builder(JsonShape shape) : shape_(std::move(shape)) {}

  bool null() override { return Add(nullptr); }
  bool boolean(bool value) override { return Add(value); }
  bool number_integer(number_integer_t value) override { return Add(value); }
  bool number_unsigned(number_unsigned_t value) override { return Add(value); }
  bool number_float(number_float_t value, const string_t&) override {
    return Add(value);
  }
  // A copy, for the lexer's own has room for twice as much.
  bool string(string_t& value) override {
    return Add(string_t(value.data(), value.size()));
  }
  bool binary(binary_t&) override {
    status_ = absl::InvalidArgumentError("binary values are no JSON");
    return false;
  }
  bool start_object(std::size_t) override {
    const size_t size = NextSize();
    Json* object = Place(Json::object());
    object->get_ref<Json::object_t&>().reserve(size);
    Open(object, size);
    return true;
  }
  bool start_array(std::size_t) override {
    const size_t size = NextSize();
    Json* array = Place(Json::array());
    array->get_ref<Json::array_t&>().reserve(size);
    Open(array, 0);
    return true;
  }
  bool end_object() override { return Close(); }
  bool end_array() override { return Close(); }

  bool key(string_t& name) override {
    // Looking through the members for each new one takes the square of their
    // number, which may be hundreds of thousands.
    const bool is_new = names_.back() != nullptr &&
                        names_.back()->insert(absl::HashOf(name)).second;
    if (!is_new && open_.back()->find(name) != open_.back()->end()) {
      status_ = absl::InvalidArgumentError(
          absl::StrCat("a JSON object has the key \"", name, "\" twice"));
      return false;
    }
    key_.assign(name.data(), name.size());
    return true;
  }

  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception& error) override {
    // It quotes what it has read, and that may be any bytes.
    status_ = absl::InvalidArgumentError(
        absl::StrCat("not JSON at byte ", position, ": ",
                     base::EscapeUnlessUtf8(error.what())));
    return false;
  }

  absl::Status status_;
  Json top_;

 private:
  using Names = absl::flat_hash_set<size_t>;

  size_t NextSize() {
    return begun_ < shape_.sizes.size() ? shape_.sizes[begun_++] : 0;
  }

  Json* Place(Json value) {
    if (open_.empty()) {
      top_ = std::move(value);
      return &top_;
    }
    if (open_.back()->is_array()) {
      open_.back()->push_back(std::move(value));
      return &open_.back()->back();
    }
    auto& members = open_.back()->get_ref<Json::object_t&>();
    members.emplace_back(std::move(key_), std::move(value));
    return &members.back().second;
  }

  bool Add(Json value) {
    Place(std::move(value));
    return true;
  }

  void Open(Json* place, size_t name_count) {
    open_.push_back(place);
    names_.push_back(name_count > kJsonFewMembers ? std::make_unique<Names>()
                                                  : nullptr);
    if (names_.back() != nullptr) names_.back()->reserve(name_count);
  }

  bool Close() {
    open_.pop_back();
    names_.pop_back();
    return true;
  }

  const JsonShape shape_;
  size_t begun_ = 0;  // of shape_.sizes
  std::vector<Json*> open_;
  // Of each of them that is an object of many members: hashes of their names.
  std::vector<std::unique_ptr<Names>> names_;
  std::string key_;
};

absl::Status WrongType(const char* name, const char* expected) {
  return absl::InvalidArgumentError(
      absl::StrCat("JSON member \"", name, "\" is not ", expected));
}

const Json* Find(const Json& object, const char* name) {
  const auto it = object.find(name);
  return it == object.end() || it->is_null() ? nullptr : &*it;
}

// As Go's encoding/json compares names: ASCII letters in either case, and the
// two others that fold to ASCII ones, U+017F (long s) and U+212A (kelvin).
std::string FoldName(absl::string_view name) {
  return absl::AsciiStrToLower(
      absl::StrReplaceAll(name, {{"\xC5\xBF", "s"}, {"\xE2\x84\xAA", "k"}}));
}

}  // namespace

absl::Status RefuseOtherCase(const Json& object,
                             absl::Span<const absl::string_view> names) {
  if (!object.is_object()) return absl::OkStatus();
  for (const auto& [key, value] : object.items()) {
    const std::string folded = FoldName(key);
    for (const absl::string_view name : names) {
      if (key == name || folded != absl::AsciiStrToLower(name)) continue;
      return absl::InvalidArgumentError(
          absl::StrCat("the JSON member \"", key, "\" is \"", name,
                       "\" to some readers and unknown to others"));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<Json> ReadJson(absl::string_view text, size_t memory_max) {
  if (text.size() > kJsonBytesMax) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "JSON document of ", text.size(), " bytes; the limit is 4 MiB"));
  }
  RECLAIM_ASSIGN_OR_RETURN(JsonShape shape,
                           CheckJson(text, kJsonDepthMax, memory_max));
  Builder builder(std::move(shape));
  const bool is_read = Json::sax_parse(text.begin(), text.end(), &builder);
  if (!builder.status_.ok()) return builder.status_;
  if (!is_read) return absl::InvalidArgumentError("not JSON");
  return std::move(builder.top_);
}

absl::StatusOr<Json> ReadJsonObject(absl::string_view text, size_t memory_max) {
  RECLAIM_ASSIGN_OR_RETURN(Json document, ReadJson(text, memory_max));
  if (!document.is_object()) {
    return absl::InvalidArgumentError("the JSON document is not an object");
  }
  return document;
}

absl::StatusOr<std::string> StringMember(const Json& object, const char* name) {
  const Json* member = Find(object, name);
  if (member == nullptr) return std::string();
  if (!member->is_string()) return WrongType(name, "a string");
  return member->get_ref<const std::string&>();
}

absl::StatusOr<int64_t> IntegerMember(const Json& object, const char* name) {
  const Json* member = Find(object, name);
  if (member == nullptr) return 0;
  if (!member->is_number_integer()) return WrongType(name, "a whole number");
  if (member->is_number_unsigned() &&
      member->get<uint64_t>() > uint64_t{INT64_MAX}) {
    return WrongType(name, "below 2^63");
  }
  return member->get<int64_t>();
}

absl::StatusOr<const Json*> ArrayMember(const Json& object, const char* name) {
  const Json* member = Find(object, name);
  if (member != nullptr && !member->is_array()) {
    return WrongType(name, "an array");
  }
  return member;
}

absl::StatusOr<const Json*> ObjectMember(const Json& object, const char* name) {
  const Json* member = Find(object, name);
  if (member != nullptr && !member->is_object()) {
    return WrongType(name, "an object");
  }
  return member;
}

}  // namespace reclaim::oci
