// cli/message_file.h — files that people write, and messages as they are kept
// in files.

#ifndef RECLAIM_CLI_MESSAGE_FILE_H_
#define RECLAIM_CLI_MESSAGE_FILE_H_

#include <string>

#include "absl/status/statusor.h"
#include "cli/session.h"
#include "google/protobuf/message.h"

namespace reclaim::cli {

// What a file holds; "-" is the session's input.  NOT_FOUND names the file.
absl::StatusOr<std::string> ReadText(Session* session, const std::string& path);

// As JSON over several lines, with the API's field names; the exit code.
int PrintMessage(Session* session, const google::protobuf::Message& message);

}  // namespace reclaim::cli

#endif  // RECLAIM_CLI_MESSAGE_FILE_H_
