#include <sys/stat.h>

#include <fstream>
#include <sstream>

#include "base/nearest_name.h"
#include "base/status_macros.h"
#include "base/toml.h"
#include "server/config.h"
#include "server/config_key.h"

namespace reclaim::server {
namespace {

// Reads one file's tables into a Config.
class TableReader {
 public:
  TableReader(const std::string& file, Config* config)
      : file_(file), config_(config) {}

  // `prefix` is "" or "gc.".
  absl::Status Read(const toml::table& table, const std::string& prefix);

 private:
  absl::Status At(const toml::node& node, const std::string& key,
                  absl::string_view what) const {
    return absl::InvalidArgumentError(absl::StrCat(
        file_, ":", node.source().begin.line, ": ", key, " ", what));
  }
  absl::Status ReadRepeated(const toml::node& node, const RepeatedTable& kind);
  absl::Status ReadKey(const toml::node& node, const std::string& name);
  absl::Status Unknown(const toml::node& node, const std::string& name) const;

  const std::string& file_;
  Config* config_;
};

const RepeatedTable* FindRepeated(const std::string& name) {
  for (const RepeatedTable& table : RepeatedTables()) {
    if (name == table.name) return &table;
  }
  return nullptr;
}

// Whether a known key begins with "name.".
bool IsSection(const std::string& name) {
  for (const Key& key : Keys()) {
    if (std::string(key.name).rfind(name + ".", 0) == 0) return true;
  }
  return false;
}

absl::Status TableReader::Read(const toml::table& table,
                               const std::string& prefix) {
  for (const auto& [key, node] : table) {
    const std::string name =
        absl::StrCat(prefix, std::string(std::string_view(key.str())));
    const RepeatedTable* repeated = FindRepeated(name);
    if (repeated != nullptr) {
      RECLAIM_RETURN_IF_ERROR(ReadRepeated(node, *repeated));
    } else if (node.is_table() && IsSection(name)) {
      RECLAIM_RETURN_IF_ERROR(Read(*node.as_table(), name + "."));
    } else {
      RECLAIM_RETURN_IF_ERROR(ReadKey(node, name));
    }
  }
  return absl::OkStatus();
}

absl::Status TableReader::ReadRepeated(const toml::node& node,
                                       const RepeatedTable& kind) {
  const std::string name = kind.name;
  const std::string shape = absl::StrCat("must be written as [[", name, "]]");
  const toml::array* tables = node.as_array();
  if (tables == nullptr) return At(node, name, shape);
  const std::string required =
      std::string(kind.required_key).substr(name.size() + 1);
  for (const toml::node& item : *tables) {
    if (!item.is_table()) return At(item, name, shape);
    const toml::table& table = *item.as_table();
    const auto* value = table.get(std::string_view(required));
    if (value == nullptr ||
        (value->is_string() && value->value<std::string>()->empty())) {
      return At(item, kind.required_key, "is missing");
    }
    kind.begin(config_);
    RECLAIM_RETURN_IF_ERROR(Read(table, name + "."));
  }
  return absl::OkStatus();
}

absl::Status TableReader::ReadKey(const toml::node& node,
                                  const std::string& name) {
  for (const Key& key : Keys()) {
    if (name != key.name) continue;
    const absl::Status read = key.read(node, config_);
    return read.ok() ? read : At(node, name, read.message());
  }
  return Unknown(node, name);
}

absl::Status TableReader::Unknown(const toml::node& node,
                                  const std::string& name) const {
  std::vector<std::string> names;
  for (const Key& key : Keys()) names.emplace_back(key.name);
  const std::string nearest = base::NearestName(name, names);
  return At(node, name,
            absl::StrCat(
                "is not a key", nearest.empty() ? "" : "; the nearest one is ",
                nearest, " (`reclaimd --print-config-reference` lists them)"));
}

}  // namespace

absl::StatusOr<Config> ParseConfig(absl::string_view text,
                                   const std::string& file) {
  Config config;
  try {
    const toml::table table =
        toml::parse(std::string_view(text.data(), text.size()));
    RECLAIM_RETURN_IF_ERROR(TableReader(file, &config).Read(table, ""));
  } catch (const toml::parse_error& error) {
    return absl::InvalidArgumentError(
        absl::StrCat(file, ":", error.source().begin.line, ": ",
                     std::string(error.description())));
  } catch (const base::TomlError& error) {
    return absl::InvalidArgumentError(absl::StrCat(file, ": ", error.what()));
  }
  RECLAIM_RETURN_IF_ERROR(CheckConfig(config));
  return config;
}

absl::StatusOr<Config> ReadConfig(const std::string& path) {
  struct stat stat = {};
  if (::stat(path.c_str(), &stat) == 0 && S_ISREG(stat.st_mode) &&
      (stat.st_mode & S_IWOTH) != 0) {
    return absl::PermissionDeniedError(
        absl::StrCat("anybody may write to the configuration ", path,
                     ", which says what is deleted; `chmod o-w ", path, "`"));
  }
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  if (!file.good()) {
    return absl::NotFoundError(absl::StrCat(
        "cannot read the configuration ", path,
        "; name another with --config, or none to run with the defaults"));
  }
  return ParseConfig(text.str(), path);
}

}  // namespace reclaim::server
