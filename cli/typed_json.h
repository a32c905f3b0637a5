// cli/typed_json.h — answers as JSON for programs (--json).
//
// One object a line.  Field names are the API's (snake_case); numbers are
// numbers, sizes are bytes, times are RFC 3339 in UTC, durations are seconds,
// enumerations are their words in lower case ("succeeded").  A field that is
// absent because nobody knows it is left out; every other field is there, empty
// ones too.  Each line says what it is (message_type) and by which schema
// (schema_version): fields may be added under one version, never changed.
//
// Pure.

#ifndef RECLAIM_CLI_TYPED_JSON_H_
#define RECLAIM_CLI_TYPED_JSON_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "google/protobuf/message.h"

namespace reclaim::cli {

inline constexpr int kJsonSchemaVersion = 1;

// Numbers that a line has beside those of its message.
using JsonNumbers = std::vector<std::pair<std::string, uint64_t>>;

// {"message_type":"image","schema_version":1,...}, without a line's end.
std::string JsonLine(absl::string_view message_type,
                     const google::protobuf::Message& message,
                     const JsonNumbers& numbers = {});

// {"code":2,"message":"…","message_type":"exit_error","schema_version":1}
std::string JsonError(int code, absl::string_view message);

}  // namespace reclaim::cli

#endif  // RECLAIM_CLI_TYPED_JSON_H_
