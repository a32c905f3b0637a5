// cli/parser.h with all commands: what is typed, one argument a line.
//
// Nothing is run: a line is a command, an answer (help, the version), or wrong
// usage that says why.

#include <cstddef>
#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "base/check.h"
#include "cli/commands.h"
#include "cli/parser.h"
#include "cli/session.h"
#include "tests/fuzz/fuzz_target.h"

namespace reclaim::cli {
namespace {

constexpr size_t kArgumentCountMax = 32;

Parsed::Outcome OutcomeOf(const std::vector<std::string>& arguments) {
  Session session((Terminal()));
  const Parsed parsed = MakeParser(&session)->Parse(arguments);
  switch (parsed.outcome) {
    case Parsed::Outcome::kChosen:
      RECLAIM_CHECK(static_cast<bool>(session.chosen),
                    "what was chosen can be run");
      break;
    case Parsed::Outcome::kAnswered:
      RECLAIM_CHECK(!parsed.text.empty(), "an answer says something");
      break;
    case Parsed::Outcome::kWrong:
      RECLAIM_CHECK(!parsed.text.empty() || !parsed.known.empty(),
                    "a refusal says why");
      break;
  }
  return parsed.outcome;
}

RECLAIM_FUZZ_TARGET(command_line) {
  std::vector<std::string> arguments = absl::StrSplit(input, '\n');
  // A program's arguments have no NUL.
  if (arguments.size() > kArgumentCountMax ||
      input.find('\0') != absl::string_view::npos) {
    return;
  }
  const Parsed::Outcome outcome = OutcomeOf(arguments);
  if (outcome != Parsed::Outcome::kChosen) return;
  // The program's flags may stand behind a command's as well.
  arguments.insert(arguments.begin(), "--json");
  RECLAIM_CHECK(OutcomeOf(arguments) == outcome,
                "a flag of all is one of each");
}

}  // namespace
}  // namespace reclaim::cli
