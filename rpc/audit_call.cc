#include "rpc/audit_call.h"

#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "google/protobuf/descriptor.h"
#include "rpc/audit_log.h"
#include "rpc/method_roles.h"

namespace reclaim::rpc {
namespace {

// Names of request fields that are shown.  What is not here is not shown.
constexpr const char* kShownFields[] = {
    "store",     "name",      "id",          "plan_id", "run_id",      "digest",
    "reference", "uri",       "request_id",  "now",     "free_bytes",  "purge",
    "reason",    "read_data", "allow_large", "owner",   "from_nothing"};
constexpr size_t kTextBytesMax = 512;

std::string ScalarText(const google::protobuf::Message& message,
                       const google::protobuf::FieldDescriptor& field) {
  using Field = google::protobuf::FieldDescriptor;
  const google::protobuf::Reflection& reflection = *message.GetReflection();
  switch (field.cpp_type()) {
    case Field::CPPTYPE_STRING:
      return reflection.GetString(message, &field).substr(0, kTextBytesMax);
    case Field::CPPTYPE_BOOL:
      return reflection.GetBool(message, &field) ? "true" : "";
    case Field::CPPTYPE_UINT64:
      return absl::StrCat(reflection.GetUInt64(message, &field));
    default:
      return "";
  }
}

// The message's own fields, and those of the resource in it ("pin", "lease").
void AddFields(const google::protobuf::Message& message, int depth,
               AuditFields* fields) {
  const google::protobuf::Descriptor& type = *message.GetDescriptor();
  for (const char* name : kShownFields) {
    const auto* field = type.FindFieldByName(name);
    if (field == nullptr || field->is_repeated()) continue;
    fields->emplace_back(name, ScalarText(message, *field));
  }
  for (int i = 0; depth > 0 && i < type.field_count(); ++i) {
    const auto* field = type.field(i);
    if (field->cpp_type() !=
            google::protobuf::FieldDescriptor::CPPTYPE_MESSAGE ||
        field->is_repeated() ||
        !message.GetReflection()->HasField(message, field)) {
      continue;
    }
    AddFields(message.GetReflection()->GetMessage(message, field), depth - 1,
              fields);
  }
}

AuditFields FieldsOf(const char* event, const Caller& caller,
                     const Method& method) {
  AuditFields fields = {
      {"event", event}, {"actor", caller.actor}, {"method", method.name}};
  if (const auto role = RoleOf(method.name)) {
    fields.emplace_back("role", ToString(*role));
  }
  return fields;
}

}  // namespace

AuditFields DescribeRequest(const google::protobuf::Message& request) {
  AuditFields fields;
  AddFields(request, 3, &fields);
  return fields;
}

absl::Status AuditBegin(const ServiceParts& parts, const Caller& caller,
                        const Method& method) {
  const Role role = RoleOf(method.name).value_or(Role::kAdmin);
  if (parts.audit == nullptr || role == Role::kRead || role == Role::kRecord) {
    return absl::OkStatus();
  }
  AuditFields fields = FieldsOf("call", caller, method);
  if (method.request != nullptr) {
    AuditFields more = DescribeRequest(*method.request);
    fields.insert(fields.end(), std::make_move_iterator(more.begin()),
                  std::make_move_iterator(more.end()));
  }
  return parts.audit->Append(fields, true);
}

void AuditEnd(const ServiceParts& parts, const Caller& caller,
              const Method& method, const absl::Status& status) {
  if (parts.audit == nullptr) return;
  const bool is_refused = absl::IsPermissionDenied(status);
  if (!is_refused &&
      RoleOf(method.name).value_or(Role::kAdmin) == Role::kRead) {
    return;
  }
  AuditFields fields =
      FieldsOf(is_refused ? "refused" : "outcome", caller, method);
  if (method.request != nullptr) {
    AuditFields more = DescribeRequest(*method.request);
    fields.insert(fields.end(), std::make_move_iterator(more.begin()),
                  std::make_move_iterator(more.end()));
  }
  fields.emplace_back("code", absl::StatusCodeToString(status.code()));
  // The deed is done and on record where it was to be; that its outcome could
  // not be noted takes nothing away, and the next call that acts is refused.
  parts.audit->Append(fields, false).IgnoreError();
}

}  // namespace reclaim::rpc
