#include "store/layout_note.h"

#include "nlohmann/json.hpp"

namespace reclaim::store {

using nlohmann::json;

std::string LayoutNoteText(const LayoutNote& note) {
  const json object = {{"before", note.before}, {"after", note.after}};
  return object.dump();
}

std::optional<LayoutNote> ParseLayoutNote(absl::string_view text) {
  const json note = json::parse(text.begin(), text.end(), nullptr,
                                /*allow_exceptions=*/false);
  if (!note.is_object()) return std::nullopt;
  const auto before = note.find("before");
  const auto after = note.find("after");
  if (before == note.end() || !before->is_string() || after == note.end() ||
      !after->is_string()) {
    return std::nullopt;
  }
  return LayoutNote{before->get<std::string>(), after->get<std::string>()};
}

}  // namespace reclaim::store
