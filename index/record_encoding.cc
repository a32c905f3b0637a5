#include "index/record_encoding.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/utf8.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"

namespace reclaim::index {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

// Enough to find the name on the disk, and no more than a line.
constexpr size_t kShownMax = 300;

absl::Status CheckText(const FieldDescriptor& field, const std::string& text) {
  if (base::IsUtf8(text)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      std::string(field.full_name()), ": \"",
      absl::CHexEscape(absl::string_view(text).substr(0, kShownMax)),
      "\" is not UTF-8, and such a name is never recorded: rename it"));
}

// Maps are lists of entries to reflection.
absl::Status CheckList(const Message& record, const FieldDescriptor* field) {
  const Reflection& reflection = *record.GetReflection();
  const int size = reflection.FieldSize(record, field);
  for (int i = 0; i < size; ++i) {
    if (field->type() == FieldDescriptor::TYPE_STRING) {
      std::string scratch;
      RECLAIM_RETURN_IF_ERROR(CheckText(
          *field,
          reflection.GetRepeatedStringReference(record, field, i, &scratch)));
    } else {
      RECLAIM_RETURN_IF_ERROR(
          CheckTexts(reflection.GetRepeatedMessage(record, field, i)));
    }
  }
  return absl::OkStatus();
}

}  // namespace

// By hand over the fields instead of Reflection::ListFields(): that one makes a
// list for every record, and a scan writes millions.
absl::Status CheckTexts(const Message& record) {
  const google::protobuf::Descriptor& descriptor = *record.GetDescriptor();
  const Reflection& reflection = *record.GetReflection();
  for (int i = 0; i < descriptor.field_count(); ++i) {
    const FieldDescriptor* field = descriptor.field(i);
    const bool is_text = field->type() == FieldDescriptor::TYPE_STRING;
    if (!is_text && field->type() != FieldDescriptor::TYPE_MESSAGE) continue;
    if (field->is_repeated()) {
      RECLAIM_RETURN_IF_ERROR(CheckList(record, field));
    } else if (is_text) {
      std::string scratch;
      RECLAIM_RETURN_IF_ERROR(CheckText(
          *field, reflection.GetStringReference(record, field, &scratch)));
    } else if (reflection.HasField(record, field)) {
      RECLAIM_RETURN_IF_ERROR(CheckTexts(reflection.GetMessage(record, field)));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> EncodeRecord(const Message& record) {
  RECLAIM_RETURN_IF_ERROR(CheckTexts(record));
  return record.SerializeAsString();
}

std::string CanonicalBytes(const Message& record) {
  std::string bytes(record.ByteSizeLong(), '\0');
  {
    google::protobuf::io::ArrayOutputStream array(
        bytes.data(), static_cast<int>(bytes.size()));
    google::protobuf::io::CodedOutputStream out(&array);
    out.SetSerializationDeterministic(true);
    record.SerializeWithCachedSizes(&out);
  }
  return bytes;
}

}  // namespace reclaim::index
