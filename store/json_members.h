// store/json_members.h — private to the Docker driver: members of JSON objects,
// leniently.
//
// A member that is missing, null or of another type is empty.  An engine's
// answers are denser than what is pushed (a member for each of its settings),
// and so may take more memory.  Pure.

#ifndef RECLAIM_STORE_JSON_MEMBERS_H_
#define RECLAIM_STORE_JSON_MEMBERS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "oci/json_reader.h"
#include "store/engine_facts.h"

namespace reclaim::store::json_members {

// nullptr if it is missing or null.
const oci::Json* Member(const oci::Json& object, const char* name);
std::string Text(const oci::Json& object, const char* name);
std::vector<std::string> Texts(const oci::Json& object, const char* name);
bool IsTrue(const oci::Json& object, const char* name);
LabelMap Labels(const oci::Json& object, const char* name);
// Negative numbers stand for "unknown".
std::optional<uint64_t> Size(const oci::Json& object, const char* name);
// RFC 3339; Docker's zero time is none.
std::optional<absl::Time> Time(const oci::Json& object, const char* name);

absl::StatusOr<oci::Json> Object(absl::string_view body);
// null is an empty list; UNAVAILABLE if it is something else.
absl::StatusOr<oci::Json> List(absl::string_view body);

}  // namespace reclaim::store::json_members

#endif  // RECLAIM_STORE_JSON_MEMBERS_H_
