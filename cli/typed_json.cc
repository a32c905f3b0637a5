#include "cli/typed_json.h"

#include <nlohmann/json.hpp>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/duration.pb.h"
#include "google/protobuf/timestamp.pb.h"

namespace reclaim::cli {
namespace {

using google::protobuf::EnumValueDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;
using nlohmann::json;

json ToJson(const Message& message);

// "RUN_PHASE_SUCCEEDED" of RunPhase is "succeeded".
std::string WordOf(const EnumValueDescriptor& value) {
  std::string prefix;
  for (const char c : value.type()->name()) {
    if (absl::ascii_isupper(static_cast<unsigned char>(c)) && !prefix.empty()) {
      prefix += '_';
    }
    prefix += absl::ascii_toupper(static_cast<unsigned char>(c));
  }
  absl::string_view word = value.name();
  absl::ConsumePrefix(&word, prefix + "_");
  return absl::AsciiStrToLower(word);
}

// Bytes that are no UTF-8 become U+FFFD: the line stays JSON.
json TextJson(const std::string& text) {
  return json::parse(
      json(text).dump(-1, ' ', false, json::error_handler_t::replace));
}

// Field `field` of `message`, or its element `at` if it is repeated.
json ValueJson(const Message& message, const FieldDescriptor* field, int at) {
  const Reflection& r = *message.GetReflection();
  const bool many = field->is_repeated();
#define RECLAIM_VALUE(Kind) \
  (many ? r.GetRepeated##Kind(message, field, at) : r.Get##Kind(message, field))
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return RECLAIM_VALUE(Int32);
    case FieldDescriptor::CPPTYPE_INT64:
      return RECLAIM_VALUE(Int64);
    case FieldDescriptor::CPPTYPE_UINT32:
      return RECLAIM_VALUE(UInt32);
    case FieldDescriptor::CPPTYPE_UINT64:
      return RECLAIM_VALUE(UInt64);
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return RECLAIM_VALUE(Double);
    case FieldDescriptor::CPPTYPE_FLOAT:
      return RECLAIM_VALUE(Float);
    case FieldDescriptor::CPPTYPE_BOOL:
      return RECLAIM_VALUE(Bool);
    case FieldDescriptor::CPPTYPE_ENUM:
      return WordOf(*RECLAIM_VALUE(Enum));
    case FieldDescriptor::CPPTYPE_STRING:
      return TextJson(RECLAIM_VALUE(String));
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return ToJson(RECLAIM_VALUE(Message));
  }
#undef RECLAIM_VALUE
  return nullptr;
}

json MapJson(const Message& message, const FieldDescriptor* field) {
  json object = json::object();
  const Reflection& r = *message.GetReflection();
  for (int i = 0; i < r.FieldSize(message, field); ++i) {
    const Message& entry = r.GetRepeatedMessage(message, field, i);
    const auto* key = entry.GetDescriptor()->map_key();
    const auto* value = entry.GetDescriptor()->map_value();
    const json name = ValueJson(entry, key, 0);
    object[name.is_string() ? name.get<std::string>() : name.dump()] =
        ValueJson(entry, value, 0);
  }
  return object;
}

json ListJson(const Message& message, const FieldDescriptor* field) {
  json list = json::array();
  for (int i = 0; i < message.GetReflection()->FieldSize(message, field); ++i) {
    list.push_back(ValueJson(message, field, i));
  }
  return list;
}

json FieldsJson(const Message& message) {
  json object = json::object();
  const auto* type = message.GetDescriptor();
  for (int i = 0; i < type->field_count(); ++i) {
    const FieldDescriptor* field = type->field(i);
    if (field->is_map()) {
      object[field->name()] = MapJson(message, field);
    } else if (field->is_repeated()) {
      object[field->name()] = ListJson(message, field);
    } else if (!field->has_presence() ||
               message.GetReflection()->HasField(message, field)) {
      object[field->name()] = ValueJson(message, field, 0);
    }
  }
  return object;
}

json ToJson(const Message& message) {
  if (const auto* time =
          dynamic_cast<const google::protobuf::Timestamp*>(&message)) {
    return absl::FormatTime("%Y-%m-%dT%H:%M:%E*SZ",
                            absl::FromUnixSeconds(time->seconds()) +
                                absl::Nanoseconds(time->nanos()),
                            absl::UTCTimeZone());
  }
  if (const auto* span =
          dynamic_cast<const google::protobuf::Duration*>(&message)) {
    return static_cast<double>(span->seconds()) +
           static_cast<double>(span->nanos()) / 1e9;
  }
  return FieldsJson(message);
}

std::string Line(json object, absl::string_view message_type) {
  object["message_type"] = std::string(message_type);
  object["schema_version"] = kJsonSchemaVersion;
  return object.dump();
}

}  // namespace

std::string JsonLine(absl::string_view message_type, const Message& message,
                     const JsonNumbers& numbers) {
  json object = ToJson(message);
  for (const auto& [name, value] : numbers) object[name] = value;
  return Line(std::move(object), message_type);
}

std::string JsonError(int code, absl::string_view message) {
  json object = json::object();
  object["code"] = code;
  object["message"] = TextJson(std::string(message));
  return Line(std::move(object), "exit_error");
}

}  // namespace reclaim::cli
