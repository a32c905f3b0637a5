#include "store/json_members.h"

#include <cstddef>

#include "absl/strings/match.h"
#include "base/rfc3339.h"
#include "base/status_macros.h"
#include "nlohmann/json.hpp"

namespace reclaim::store::json_members {

using oci::Json;

constexpr size_t kAnswerMemoryMax = size_t{64} << 20;

const Json* Member(const Json& object, const char* name) {
  if (!object.is_object()) return nullptr;
  const auto it = object.find(name);
  return it == object.end() || it->is_null() ? nullptr : &*it;
}

std::string Text(const Json& object, const char* name) {
  const Json* member = Member(object, name);
  return member != nullptr && member->is_string() ? member->get<std::string>()
                                                  : "";
}

std::optional<uint64_t> Size(const Json& object, const char* name) {
  const Json* member = Member(object, name);
  if (member == nullptr || !member->is_number_integer()) return std::nullopt;
  const auto size = member->get<int64_t>();
  if (size < 0) return std::nullopt;
  return static_cast<uint64_t>(size);
}

bool IsTrue(const Json& object, const char* name) {
  const Json* member = Member(object, name);
  return member != nullptr && member->is_boolean() && member->get<bool>();
}

std::vector<std::string> Texts(const Json& object, const char* name) {
  std::vector<std::string> texts;
  const Json* member = Member(object, name);
  if (member == nullptr || !member->is_array()) return texts;
  for (const Json& text : *member) {
    if (text.is_string()) texts.push_back(text.get<std::string>());
  }
  return texts;
}

LabelMap Labels(const Json& object, const char* name) {
  LabelMap labels;
  const Json* member = Member(object, name);
  if (member == nullptr || !member->is_object()) return labels;
  for (const auto& [key, value] : member->items()) {
    if (value.is_string()) labels[key] = value.get<std::string>();
  }
  return labels;
}

std::optional<absl::Time> Time(const Json& object, const char* name) {
  const std::string text = Text(object, name);
  if (absl::StartsWith(text, "0001-")) return std::nullopt;
  return base::ParseRfc3339(text);
}

absl::StatusOr<Json> Object(absl::string_view body) {
  return oci::ReadJsonObject(body, kAnswerMemoryMax);
}

absl::StatusOr<Json> List(absl::string_view body) {
  RECLAIM_ASSIGN_OR_RETURN(Json list, oci::ReadJson(body, kAnswerMemoryMax));
  if (list.is_null()) return Json::array();
  if (!list.is_array()) {
    return absl::UnavailableError(
        "the engine answered something else than a "
        "list");
  }
  return list;
}

}  // namespace reclaim::store::json_members
