// cli/listing.h: templates.  The first line is the template, the rest is a
// cell that comes from elsewhere.

#include <sstream>
#include <string>

#include "base/check.h"
#include "cli/listing.h"
#include "tests/fuzz/fuzz_target.h"

namespace reclaim::cli {
namespace {

RECLAIM_FUZZ_TARGET(template) {
  const size_t line = input.find('\n');
  const absl::string_view format = input.substr(0, line);
  const absl::string_view cell =
      line == absl::string_view::npos ? "" : input.substr(line + 1);
  const std::string safe = Safe(cell);
  for (const char c : safe) {
    const auto byte = static_cast<unsigned char>(c);
    RECLAIM_CHECK(byte >= 0x20 && byte != 0x7f, "no control character is left");
  }
  RECLAIM_CHECK(Safe(safe) == safe, "what is safe is left alone");
  Listing listing(
      std::vector<Column>{{"IMAGE ID", "ID"}, {"REPOSITORY", "Repository"}});
  listing.Add({{"ID", std::string(cell)}, {"Repository", "app"}});
  std::ostringstream out;
  const absl::Status status = listing.Print(format, &out);
  if (format == "json" || format == "table" || format.empty()) {
    RECLAIM_CHECK(status.ok(), "the forms without a template always work");
  }
  std::ostringstream plain;
  RECLAIM_CHECK(listing.Print("", &plain).ok(), "a table always works");
  RECLAIM_CHECK(listing.Print("json", &plain).ok(), "so does JSON");
}

}  // namespace
}  // namespace reclaim::cli
