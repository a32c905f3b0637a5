#include "store/quarantine_journal.h"

#include <cstdint>
#include <optional>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_split.h"
#include "nlohmann/json.hpp"

namespace reclaim::store {
namespace {

using nlohmann::json;

std::string ToLine(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
}

json ToJson(const Removal& removal) {
  return {{"kind", static_cast<int>(removal.kind)},
          {"place", removal.place},
          {"repository", removal.repository},
          {"tag", removal.tag},
          {"upload", removal.upload_id},
          {"digest", removal.digest ? removal.digest->ToString() : ""}};
}

// False if there is something else than a text; what is not there is "".
bool ReadText(const json& object, const char* name, std::string* text) {
  const auto member = object.find(name);
  if (member == object.end()) return true;
  if (!member->is_string()) return false;
  *text = member->get<std::string>();
  return true;
}

// The same of a whole number, which stays as it is if it is not there.
template <typename Number>
bool ReadNumber(const json& object, const char* name, Number* number) {
  const auto member = object.find(name);
  if (member == object.end()) return true;
  if (!member->is_number_integer()) return false;
  *number = member->get<Number>();
  return true;
}

// Of what lies in files: the records of engines have no journal.
bool IsKindOfFiles(int64_t kind) {
  return kind >= static_cast<int64_t>(RemovalKind::kTag) &&
         kind <= static_cast<int64_t>(RemovalKind::kUpload);
}

std::optional<Removal> RemovalFrom(const json& value) {
  Removal removal;
  int64_t kind = 0;
  std::string text;
  if (!ReadNumber(value, "kind", &kind) || !IsKindOfFiles(kind) ||
      !ReadText(value, "place", &removal.place) ||
      !ReadText(value, "repository", &removal.repository) ||
      !ReadText(value, "tag", &removal.tag) ||
      !ReadText(value, "upload", &removal.upload_id) ||
      !ReadText(value, "digest", &text)) {
    return std::nullopt;
  }
  removal.kind = static_cast<RemovalKind>(kind);
  if (text.empty() && removal.kind == RemovalKind::kUpload) return removal;
  const absl::StatusOr<oci::Digest> digest = oci::Digest::Parse(text);
  if (!digest.ok()) return std::nullopt;
  removal.digest = *digest;
  return removal;
}

// Whether it leads to something below, and by its words alone.
bool IsPathBelow(absl::string_view path) {
  if (path.find('\0') != absl::string_view::npos) return false;
  for (const absl::string_view part : absl::StrSplit(path, '/')) {
    if (part.empty() || part == "." || part == "..") return false;
  }
  return true;
}

std::optional<QuarantineJournal::Item> ItemFrom(const json& value) {
  const auto removal = value.find("removal");
  const auto paths = value.find("paths");
  if (!removal->is_object() || paths == value.end() || !paths->is_array()) {
    return std::nullopt;
  }
  const std::optional<Removal> of = RemovalFrom(*removal);
  if (!of) return std::nullopt;
  QuarantineJournal::Item item = {*of, {}};
  for (const json& path : *paths) {
    if (!path.is_string()) return std::nullopt;
    item.paths.push_back(path.get<std::string>());
    if (!IsPathBelow(item.paths.back())) return std::nullopt;
  }
  return item;
}

json ToJson(const std::string& path, const FileStat& stat) {
  return {{"folder", path},
          {"mode", stat.mode},
          {"uid", stat.uid},
          {"gid", stat.gid},
          {"modified", absl::ToUnixNanos(stat.modified)}};
}

std::optional<FileStat> FolderFrom(const json& value) {
  FileStat stat;
  stat.type = FileType::kFolder;
  stat.mode = 0755;
  int64_t modified = 0;
  if (!ReadNumber(value, "mode", &stat.mode) ||
      !ReadNumber(value, "uid", &stat.uid) ||
      !ReadNumber(value, "gid", &stat.gid) ||
      !ReadNumber(value, "modified", &modified)) {
    return std::nullopt;
  }
  stat.mode &= 07777;
  stat.modified = absl::FromUnixNanos(modified);
  return stat;
}

void ReadLine(const json& value, QuarantineJournal* journal) {
  if (value.contains("folder")) {
    std::string folder;
    if (!ReadText(value, "folder", &folder) || !IsPathBelow(folder)) return;
    const std::optional<FileStat> stat = FolderFrom(value);
    if (stat) journal->folders.emplace(std::move(folder), *stat);
  } else if (value.contains("removal")) {
    std::optional<QuarantineJournal::Item> item = ItemFrom(value);
    if (item) journal->items[item->removal] = *std::move(item);
  }
}

}  // namespace

std::string JournalLine(const std::string& folder, const FileStat& stat) {
  return ToLine(ToJson(folder, stat));
}

std::string JournalLine(const Removal& removal,
                        const std::vector<std::string>& paths) {
  return ToLine({{"removal", ToJson(removal)}, {"paths", paths}});
}

void ParseJournal(absl::string_view text, QuarantineJournal* journal) {
  for (const absl::string_view line :
       absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    const json value = json::parse(line.begin(), line.end(), nullptr,
                                   /*allow_exceptions=*/false);
    if (value.is_object()) ReadLine(value, journal);
  }
}

}  // namespace reclaim::store
