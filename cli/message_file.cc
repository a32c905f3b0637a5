#include "cli/message_file.h"

#include <fstream>
#include <iterator>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "google/protobuf/util/json_util.h"

namespace reclaim::cli {

absl::StatusOr<std::string> ReadText(Session* session,
                                     const std::string& path) {
  if (path == "-") {
    return std::string(std::istreambuf_iterator<char>(*session->terminal().in),
                       {});
  }
  std::ifstream file(path, std::ios::binary);
  std::ostringstream bytes;
  bytes << file.rdbuf();
  if (!file.good()) {
    return absl::NotFoundError(absl::StrCat("cannot read ", path));
  }
  return bytes.str();
}

int PrintMessage(Session* session, const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;
  options.preserve_proto_field_names = true;
  std::string text;
  const auto printed =
      google::protobuf::util::MessageToJsonString(message, &text, options);
  if (!printed.ok()) {
    return session->Fail(absl::InternalError(std::string(printed.message())));
  }
  session->out() << text;
  return kDone;
}

}  // namespace reclaim::cli
