#include "cli/policy_file.h"

#include <cstdint>
#include <limits>
#include <map>
#include <string_view>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/byte_size.h"
#include "base/nearest_name.h"
#include "base/status_macros.h"
#include "base/toml.h"
#include "cli/units.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"
#include "google/protobuf/util/json_util.h"

namespace reclaim::cli {
namespace {

using google::protobuf::EnumValueDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

// The field of the message that a key of the configuration means, where the two
// have different names; "" for what a file does not say.
using KeyNames = std::map<std::string, std::string>;

const KeyNames& RuleNames() {
  static const auto* const names = new KeyNames{};
  return *names;
}

const KeyNames& ReferrerNames() {
  static const auto* const names = new KeyNames{
      {"cosign_tags", "includes_cosign_tags"}, {"includes_cosign_tags", ""}};
  return *names;
}

const KeyNames& ScheduleNames() {
  static const auto* const names =
      new KeyNames{{"volumes", "with_volumes"},
                   {"with_volumes", ""},
                   {"high_percent", "target.marks.high_percent"},
                   {"low_percent", "target.marks.low_percent"},
                   {"free", "target.free_bytes"},
                   {"keep_under", "target.keep_under_bytes"},
                   {"quotas", "target.quotas"},
                   {"reserved", "target.reserved_bytes"},
                   {"target", ""},
                   {"etag", ""},
                   {"actor", ""},
                   {"change_time", ""},
                   {"is_from_file", ""},
                   {"state", ""}};
  return *names;
}

absl::Status MustBe(absl::string_view allowed) {
  return absl::InvalidArgumentError(absl::StrCat("must be ", allowed));
}

// "PRUNE_VERB_" of an enumeration whose first word is PRUNE_VERB_UNSPECIFIED.
absl::string_view PrefixOf(const FieldDescriptor& field) {
  absl::string_view first = field.enum_type()->value(0)->name();
  absl::ConsumeSuffix(&first, "UNSPECIFIED");
  return first;
}

absl::Status SetWord(const FieldDescriptor& field, const std::string& word,
                     Message* message) {
  const absl::string_view prefix = PrefixOf(field);
  // "always" is the configuration's word for a plain keep.
  std::string name = absl::AsciiStrToUpper(
      absl::StrReplaceAll(word == "always" ? "keep" : word, {{"-", "_"}}));
  const EnumValueDescriptor* value =
      field.enum_type()->FindValueByName(absl::StrCat(prefix, name));
  if (value != nullptr && value->number() != 0) {
    message->GetReflection()->SetEnum(message, &field, value);
    return absl::OkStatus();
  }
  std::vector<std::string> words;
  for (int i = 1; i < field.enum_type()->value_count(); ++i) {
    absl::string_view one = field.enum_type()->value(i)->name();
    absl::ConsumePrefix(&one, prefix);
    words.push_back(
        absl::StrReplaceAll(absl::AsciiStrToLower(one), {{"_", "-"}}));
  }
  return MustBe(absl::StrJoin(words, ", "));
}

absl::Status SetTexts(const FieldDescriptor& field, const toml::node& node,
                      Message* message) {
  const toml::array* list = node.as_array();
  if (list == nullptr) return MustBe("a list such as [\"a\", \"b\"]");
  for (const toml::node& item : *list) {
    if (!item.is_string()) return MustBe("a list of texts in quotes");
    message->GetReflection()->AddString(message, &field,
                                        *item.value<std::string>());
  }
  return absl::OkStatus();
}

absl::Status SetSpan(const toml::node& node, Message* message) {
  const auto span = node.is_string()
                        ? ParseSpan(*node.value<std::string>())
                        : absl::StatusOr<absl::Duration>(MustBe("text"));
  if (!span.ok()) {
    return MustBe("a duration such as \"24h\", \"90m\" or \"30s\"");
  }
  message->CopyFrom(ToProto(*span));
  return absl::OkStatus();
}

absl::Status SetSize(const FieldDescriptor& field, const toml::node& node,
                     Message* message) {
  const auto bytes = node.is_string()
                         ? base::ParseBytes(*node.value<std::string>())
                         : absl::StatusOr<uint64_t>(uint64_t{0});
  if (!bytes.ok() || *bytes == 0) {
    return MustBe("a size such as \"10GB\", \"512MiB\" or \"1.5TB\"");
  }
  message->GetReflection()->SetUInt64(message, &field, *bytes);
  return absl::OkStatus();
}

// A key of another goal than the one that is set would replace it unseen.
absl::Status CheckGoal(const FieldDescriptor& field, const Message& message) {
  const auto* oneof = field.real_containing_oneof();
  if (oneof == nullptr) return absl::OkStatus();
  const FieldDescriptor* set =
      message.GetReflection()->GetOneofFieldDescriptor(message, oneof);
  if (set == nullptr || set == &field) return absl::OkStatus();
  return MustBe(
      "the only goal: high_percent with low_percent, free, "
      "keep_under or quotas");
}

absl::Status SetField(const FieldDescriptor& field, const toml::node& node,
                      Message* message) {
  RECLAIM_RETURN_IF_ERROR(CheckGoal(field, *message));
  if (field.is_repeated()) return SetTexts(field, node, message);
  const auto& reflection = *message->GetReflection();
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_STRING:
      if (!node.is_string()) return MustBe("text in quotes");
      reflection.SetString(message, &field, *node.value<std::string>());
      return absl::OkStatus();
    case FieldDescriptor::CPPTYPE_BOOL:
      if (!node.is_boolean()) return MustBe("true or false");
      reflection.SetBool(message, &field, *node.value<bool>());
      return absl::OkStatus();
    case FieldDescriptor::CPPTYPE_UINT32: {
      const auto number = node.value<int64_t>();
      if (!node.is_integer() || *number < 0 ||
          *number > std::numeric_limits<int32_t>::max()) {
        return MustBe("a whole number");
      }
      reflection.SetUInt32(message, &field, static_cast<uint32_t>(*number));
      return absl::OkStatus();
    }
    case FieldDescriptor::CPPTYPE_UINT64:
      return SetSize(field, node, message);
    case FieldDescriptor::CPPTYPE_ENUM:
      if (!node.is_string()) return MustBe("text in quotes");
      return SetWord(field, *node.value<std::string>(), message);
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return SetSpan(node, reflection.MutableMessage(message, &field));
    default:
      return absl::InternalError("has a type that is not read from files");
  }
}

// The field at the end of "target.marks.high_percent", and the message that
// holds it; a message on the way is made.
absl::Status SetPath(const std::string& path, const toml::node& node,
                     Message* message) {
  const std::vector<std::string> names = absl::StrSplit(path, '.');
  for (size_t i = 0; i < names.size(); ++i) {
    const auto* field = message->GetDescriptor()->FindFieldByName(names[i]);
    if (field == nullptr) return absl::NotFoundError(path);
    if (i + 1 == names.size()) return SetField(*field, node, message);
    RECLAIM_RETURN_IF_ERROR(CheckGoal(*field, *message));
    message = message->GetReflection()->MutableMessage(message, field);
  }
  return absl::OkStatus();
}

// The keys that a table may have.
std::vector<std::string> KeysOf(const Message& message, const KeyNames& names) {
  std::vector<std::string> keys;
  for (const auto& [key, field] : names) {
    if (!field.empty()) keys.push_back(key);
  }
  for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
    const std::string& name = message.GetDescriptor()->field(i)->name();
    if (names.count(name) == 0) keys.push_back(name);
  }
  return keys;
}

class FileReader {
 public:
  explicit FileReader(const std::string& file) : file_(file) {}

  absl::Status At(const toml::node& node, absl::string_view key,
                  absl::string_view what) const {
    return absl::InvalidArgumentError(absl::StrCat(
        file_, ":", node.source().begin.line, ": ", key, " ", what));
  }
  absl::Status Unknown(const toml::node& node, absl::string_view key,
                       const std::vector<std::string>& keys) const {
    const std::string nearest = base::NearestName(key, keys);
    return At(
        node, key,
        absl::StrCat("is not a key",
                     nearest.empty() ? "" : "; the nearest one is ", nearest));
  }

  absl::Status ReadTable(const toml::table& table, const KeyNames& names,
                         Message* message) const {
    for (const auto& [toml_key, node] : table) {
      const std::string key(toml_key.str());
      const auto it = names.find(key);
      const std::string path = it == names.end() ? key : it->second;
      const absl::Status status = path.empty() ? absl::NotFoundError(key)
                                               : SetPath(path, node, message);
      if (absl::IsNotFound(status)) {
        return Unknown(node, key, KeysOf(*message, names));
      }
      if (!status.ok()) return At(node, key, status.message());
    }
    return absl::OkStatus();
  }

  // Each [[key]] is one more message, which `add` makes.
  template <typename Add>
  absl::Status ReadTables(const toml::node& node, const std::string& key,
                          const KeyNames& names, Add add) const {
    const toml::array* list = node.as_array();
    if (list == nullptr) {
      return At(node, key, absl::StrCat("is written as [[", key, "]]"));
    }
    for (const toml::node& item : *list) {
      const toml::table* table = item.as_table();
      if (table == nullptr) {
        return At(item, key, absl::StrCat("is written as [[", key, "]]"));
      }
      RECLAIM_RETURN_IF_ERROR(ReadTable(*table, names, add()));
    }
    return absl::OkStatus();
  }

 private:
  const std::string& file_;
};

absl::Status ReadRuleSetTable(const toml::table& table, const std::string& file,
                              v1::RuleSet* set) {
  const FileReader reader(file);
  for (const auto& [toml_key, node] : table) {
    const std::string key(toml_key.str());
    if (key == "name" && node.is_string()) {
      set->set_name(*node.value<std::string>());
    } else if (key == "allow_remove_all" && node.is_boolean()) {
      set->set_allow_remove_all(*node.value<bool>());
    } else if (key == "retention") {
      RECLAIM_RETURN_IF_ERROR(reader.ReadTables(
          node, key, RuleNames(), [&] { return set->add_rules(); }));
    } else if (key == "referrers") {
      RECLAIM_RETURN_IF_ERROR(reader.ReadTables(
          node, key, ReferrerNames(), [&] { return set->add_referrers(); }));
    } else if (key == "name" || key == "allow_remove_all") {
      return reader.At(
          node, key,
          key == "name" ? "must be text in quotes" : "must be true or false");
    } else {
      return reader.Unknown(
          node, key, {"name", "allow_remove_all", "retention", "referrers"});
    }
  }
  return absl::OkStatus();
}

absl::Status ReadScheduleTable(const toml::table& table,
                               const std::string& file,
                               v1::Schedule* schedule) {
  const FileReader reader(file);
  int count = 0;
  for (const auto& [toml_key, node] : table) {
    const std::string key(toml_key.str());
    if (key != "schedule") return reader.Unknown(node, key, {"schedule"});
    RECLAIM_RETURN_IF_ERROR(
        reader.ReadTables(node, key, ScheduleNames(), [&]() -> Message* {
          ++count;
          schedule->Clear();
          return schedule;
        }));
  }
  if (count == 1) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(file, ": holds ", count, " [[schedule]]; one is stored"));
}

template <typename Value, typename ReadToml>
absl::Status Parse(const std::string& text, const std::string& file,
                   Value* value, ReadToml read_toml) {
  if (absl::StartsWith(absl::StripLeadingAsciiWhitespace(text), "{")) {
    const auto parsed =
        google::protobuf::util::JsonStringToMessage(text, value);
    if (parsed.ok()) return absl::OkStatus();
    return absl::InvalidArgumentError(
        absl::StrCat(file, ": ", std::string(parsed.message())));
  }
  try {
    return read_toml(toml::parse(std::string_view(text)), file, value);
  } catch (const toml::parse_error& error) {
    return absl::InvalidArgumentError(
        absl::StrCat(file, ":", error.source().begin.line, ": ",
                     std::string(error.description())));
  } catch (const base::TomlError& error) {
    return absl::InvalidArgumentError(absl::StrCat(file, ": ", error.what()));
  }
}

}  // namespace

absl::Status ParseRuleSet(const std::string& text, const std::string& file,
                          v1::RuleSet* set) {
  return Parse(text, file, set, ReadRuleSetTable);
}

absl::Status ParseSchedule(const std::string& text, const std::string& file,
                           v1::Schedule* schedule) {
  return Parse(text, file, schedule, ReadScheduleTable);
}

}  // namespace reclaim::cli
