// cli/policy_file.h: rule sets and schedules as people keep them in files.  The
// first digit chooses: even ones are a rule set, odd ones a schedule.
//
// What is read is printed as `policy get` prints it, and that is the same
// again.

#include <string>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "base/check.h"
#include "cli/policy_file.h"
#include "google/protobuf/util/json_util.h"
#include "reclaim/v1/policy.pb.h"
#include "tests/fuzz/fuzz_target.h"

namespace reclaim::cli {
namespace {

template <typename Message>
using ParseFile = absl::Status (*)(const std::string& text,
                                   const std::string& file, Message* message);

bool IsJson(const std::string& text) {
  return absl::StartsWith(absl::StripLeadingAsciiWhitespace(text), "{");
}

template <typename Message>
void GoRound(const std::string& text, ParseFile<Message> parse) {
  Message message;
  const absl::Status status = parse(text, "policy.toml", &message);
  if (!status.ok()) {
    RECLAIM_CHECK(absl::IsInvalidArgument(status) &&
                      absl::StartsWith(status.message(), "policy.toml:"),
                  "a refusal names the file");
    return;
  }
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  std::string json;
  const auto printed =
      google::protobuf::util::MessageToJsonString(message, &json, options);
  RECLAIM_CHECK(printed.ok() || IsJson(text), "what was read can be printed");
  // protobuf reads a time of the year 0 that it does not print.
  if (!printed.ok()) return;
  Message again;
  RECLAIM_CHECK(parse(json, "policy.json", &again).ok(),
                "what was printed can be read");
  RECLAIM_CHECK(again.SerializeAsString() == message.SerializeAsString(),
                "and is the same");
}

RECLAIM_FUZZ_TARGET(policy_file) {
  if (input.empty()) return;
  const std::string text(input.substr(1));
  if (static_cast<unsigned char>(input[0]) % 2 == 0) {
    GoRound<v1::RuleSet>(text, ParseRuleSet);
  } else {
    GoRound<v1::Schedule>(text, ParseSchedule);
  }
}

}  // namespace
}  // namespace reclaim::cli
