#include "rpc/store_list.h"

#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/fault_point.h"
#include "base/status_macros.h"
#include "index/state_file.h"

namespace reclaim::rpc {
namespace {

constexpr char kHeader[] = "reclaim-stores 1\n";
constexpr size_t kFieldCount = 7;
// Of the file; ten thousand stores take two.
constexpr size_t kBytesMax = size_t{16} << 20;

std::string LineOf(const StoreSettings& settings) {
  return absl::StrCat(
      absl::CHexEscape(settings.name), "\t", absl::CHexEscape(settings.uri),
      "\t", settings.is_read_only ? 1 : 0, "\t",
      settings.knows_containers ? 1 : 0, "\t",
      absl::ToInt64Microseconds(settings.writers.write_duration_max), "\t",
      static_cast<int>(settings.writers.descriptor_cache), "\t",
      absl::CHexEscape(settings.writers.registry_url), "\n");
}

// False for what LineOf() does not write.
bool ParseLine(absl::string_view line, StoreSettings* settings) {
  const std::vector<absl::string_view> fields = absl::StrSplit(line, '\t');
  if (fields.size() != kFieldCount) return false;
  int64_t micros = 0;
  int cache = 0;
  const bool is_read =
      absl::CUnescape(fields[0], &settings->name) &&
      absl::CUnescape(fields[1], &settings->uri) &&
      absl::SimpleAtoi(fields[4], &micros) &&
      absl::SimpleAtoi(fields[5], &cache) &&
      absl::CUnescape(fields[6], &settings->writers.registry_url);
  if (!is_read) return false;
  settings->is_read_only = fields[2] == "1";
  settings->knows_containers = fields[3] == "1";
  settings->writers.write_duration_max = absl::Microseconds(micros);
  settings->writers.descriptor_cache =
      static_cast<index::DescriptorCache>(cache);
  return absl::StrCat(line, "\n") == LineOf(*settings);
}

}  // namespace

absl::StatusOr<std::unique_ptr<StoreList>> StoreList::Open(std::string path) {
  std::unique_ptr<StoreList> list(new StoreList(std::move(path)));
  RECLAIM_ASSIGN_OR_RETURN(const std::optional<std::string> bytes,
                           index::ReadStateFile(list->File(), kBytesMax));
  if (!bytes) return list;
  RECLAIM_RETURN_IF_ERROR(list->Read(*bytes));
  return list;
}

absl::StatusOr<std::unique_ptr<StoreList>> StoreList::Parse(
    std::string path, absl::string_view bytes) {
  std::unique_ptr<StoreList> list(new StoreList(std::move(path)));
  RECLAIM_RETURN_IF_ERROR(list->Read(bytes));
  return list;
}

index::StateFile StoreList::File() const {
  return {path_, "the list of stores"};
}

absl::Status StoreList::Damaged(absl::string_view why) const {
  return absl::DataLossError(absl::StrCat(
      "the list of stores ", path_, " is damaged (", why,
      "): put back a copy of it, or move it away; then the stores that the "
      "database and the configuration know are listed anew, and each other "
      "one has to be added again with `reclaim store add`"));
}

absl::Status StoreList::Read(absl::string_view bytes) {
  if (bytes.size() > kBytesMax) return Damaged("it is too large");
  absl::string_view rest = bytes;
  if (!absl::ConsumePrefix(&rest, kHeader)) {
    return Damaged("it does not begin as version 1 of it does");
  }
  while (!absl::StartsWith(rest, index::kSumMark)) {
    const size_t end = rest.find('\n');
    if (end == absl::string_view::npos) return Damaged("its end is missing");
    StoreSettings settings;
    const absl::string_view line = rest.substr(0, end);
    if (!ParseLine(line, &settings) ||
        !settings_.emplace(settings.name, settings).second) {
      return Damaged(absl::StrCat("the line \"", absl::CHexEscape(line),
                                  "\" is not understood"));
    }
    lines_[settings.name] = absl::StrCat(line, "\n");
    rest.remove_prefix(end + 1);
  }
  const size_t summed = bytes.size() - rest.size();
  if (rest == index::SumLine(bytes.substr(0, summed))) return absl::OkStatus();
  return Damaged("its lines do not have the checksum in its last one");
}

std::vector<StoreSettings> StoreList::stores() const {
  std::vector<StoreSettings> stores;
  for (const auto& [name, settings] : settings_) stores.push_back(settings);
  return stores;
}

std::optional<StoreSettings> StoreList::Find(absl::string_view name) const {
  const auto it = settings_.find(name);
  if (it == settings_.end()) return std::nullopt;
  return it->second;
}

std::string StoreList::TextOf(const Lines& lines) {
  std::string text = kHeader;
  for (const auto& [name, line] : lines) text += line;
  return text + index::SumLine(text);
}

absl::Status StoreList::Write(Lines lines) {
  RECLAIM_RETURN_IF_ERROR(base::FaultPoint("store_list.before_write"));
  RECLAIM_RETURN_IF_ERROR(index::ReplaceStateFile(File(), TextOf(lines)));
  lines_ = std::move(lines);
  return absl::OkStatus();
}

absl::Status StoreList::Put(const StoreSettings& settings) {
  Lines lines = lines_;
  std::string& line = lines[settings.name];
  std::string wanted = LineOf(settings);
  if (line == wanted) return absl::OkStatus();
  line = std::move(wanted);
  RECLAIM_RETURN_IF_ERROR(Write(std::move(lines)));
  settings_[settings.name] = settings;
  return absl::OkStatus();
}

absl::Status StoreList::Remove(absl::string_view name) {
  const auto it = lines_.find(name);
  if (it == lines_.end()) return absl::OkStatus();
  Lines lines = lines_;
  lines.erase(it->first);
  RECLAIM_RETURN_IF_ERROR(Write(std::move(lines)));
  settings_.erase(settings_.find(name));
  return absl::OkStatus();
}

}  // namespace reclaim::rpc
