#include "store/quarantine_journal.h"

#include <utility>

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

Removal RemovalFrom(const json& value) {
  Removal removal;
  removal.kind = static_cast<RemovalKind>(value.value("kind", 0));
  removal.place = value.value("place", "");
  removal.repository = value.value("repository", "");
  removal.tag = value.value("tag", "");
  removal.upload_id = value.value("upload", "");
  const auto digest = oci::Digest::Parse(value.value("digest", ""));
  if (digest.ok()) removal.digest = *digest;
  return removal;
}

json ToJson(const std::string& path, const FileStat& stat) {
  return {{"folder", path},
          {"mode", stat.mode},
          {"uid", stat.uid},
          {"gid", stat.gid},
          {"modified", absl::ToUnixNanos(stat.modified)}};
}

FileStat FolderFrom(const json& value) {
  FileStat stat;
  stat.type = FileType::kFolder;
  stat.mode = value.value("mode", 0755u);
  stat.uid = value.value("uid", 0u);
  stat.gid = value.value("gid", 0u);
  stat.modified = absl::FromUnixNanos(value.value("modified", int64_t{0}));
  return stat;
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
    // A torn last line belongs to an item whose moves had not begun.
    const json value = json::parse(line.begin(), line.end(), nullptr,
                                   /*allow_exceptions=*/false);
    if (!value.is_object()) continue;
    if (value.contains("folder") && value["folder"].is_string()) {
      journal->folders.emplace(value["folder"].get<std::string>(),
                               FolderFrom(value));
    } else if (value.contains("removal") && value["removal"].is_object() &&
               value.contains("paths") && value["paths"].is_array()) {
      QuarantineJournal::Item item;
      item.removal = RemovalFrom(value["removal"]);
      for (const json& path : value["paths"]) {
        if (path.is_string()) item.paths.push_back(path.get<std::string>());
      }
      journal->items[item.removal] = std::move(item);
    }
  }
}

}  // namespace reclaim::store
