#include "rpc/audit_call.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"
#include "base/utf8.h"
#include "google/protobuf/descriptor.h"
#include "rpc/audit_log.h"
#include "rpc/lease_operations.h"
#include "rpc/method_roles.h"
#include "rpc/operations.h"

namespace reclaim::rpc {
namespace {

// Names of request fields that are shown.  What is not here is not shown.
constexpr const char* kShownFields[] = {
    "store",     "name",      "id",          "plan_id", "run_id",      "digest",
    "reference", "uri",       "request_id",  "now",     "free_bytes",  "purge",
    "reason",    "read_data", "allow_large", "owner",   "from_nothing"};
constexpr size_t kTextBytesMax = 512;
constexpr size_t kItemsAtOnce = 64;

std::string ScalarText(const google::protobuf::Message& message,
                       const google::protobuf::FieldDescriptor& field) {
  using Field = google::protobuf::FieldDescriptor;
  const google::protobuf::Reflection& reflection = *message.GetReflection();
  switch (field.cpp_type()) {
    case Field::CPPTYPE_STRING:
      return std::string(base::Utf8Prefix(reflection.GetString(message, &field),
                                          kTextBytesMax));
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

// Whether a record is there before it acts.
bool IsOnRecordFirst(const char* method) {
  const Role role = RoleOf(method).value_or(Role::kAdmin);
  return role != Role::kRead && role != Role::kRecord;
}

std::string ItemText(const LeaseOperation& kind,
                     const v1::Operation& operation) {
  std::string text = kind.name;
  for (const auto& [name, value] : DescribeRequest(operation)) {
    if (value.empty()) continue;
    absl::StrAppend(&text, " ", name, "=", QuotedInItem(value));
  }
  return text;
}

// Of the leases and pins of a batch, or of those that are on record first.
absl::Status AppendItems(const ServiceParts& parts, AuditFields fields,
                         const v1::RecordRequest& request, bool is_before,
                         const char* code) {
  fields.emplace_back("request_id", request.request_id());
  std::vector<std::string> items;
  const auto write = [&] {
    if (items.empty()) return absl::OkStatus();
    AuditFields all = fields;
    all.emplace_back("count", absl::StrCat(items.size()));
    all.emplace_back("items", absl::StrJoin(items, kItemSeparator));
    if (code != nullptr) all.emplace_back("code", code);
    items.clear();
    return parts.audit->Append(all, is_before);
  };
  for (const v1::Operation& operation : request.operations()) {
    const LeaseOperation* kind = FindLeaseOperation(operation);
    if (kind == nullptr) continue;
    if (is_before && !IsOnRecordFirst(kind->method)) continue;
    items.push_back(ItemText(*kind, operation));
    if (items.size() == kItemsAtOnce) RECLAIM_RETURN_IF_ERROR(write());
  }
  return write();
}

}  // namespace

AuditFields DescribeRequest(const google::protobuf::Message& request) {
  AuditFields fields;
  AddFields(request, 3, &fields);
  return fields;
}

absl::Status AuditBegin(const ServiceParts& parts, const Caller& caller,
                        const Method& method) {
  if (parts.audit == nullptr || !IsOnRecordFirst(method.name)) {
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

absl::Status AuditBatchBegin(const ServiceParts& parts, const Caller& caller,
                             const char* method,
                             const v1::RecordRequest& request) {
  if (parts.audit == nullptr) return absl::OkStatus();
  AuditFields fields = {{"event", "call"},
                        {"actor", caller.actor},
                        {"method", method},
                        {"role", ToString(Role::kAdmin)}};
  return AppendItems(parts, std::move(fields), request, true, nullptr);
}

void AuditBatchEnd(const ServiceParts& parts, const Caller& caller,
                   const char* method, const v1::RecordRequest& request,
                   const absl::Status& status) {
  // What is too long to be read is not looked into.
  if (parts.audit == nullptr ||
      request.operations_size() > kOperationCountMax) {
    return;
  }
  const bool is_refused = absl::IsPermissionDenied(status);
  const std::string code = absl::StatusCodeToString(status.code());
  AppendItems(parts,
              FieldsOf(is_refused ? "refused" : "outcome", caller, method),
              request, false, code.c_str())
      .IgnoreError();  // as in AuditEnd()
}

}  // namespace reclaim::rpc
