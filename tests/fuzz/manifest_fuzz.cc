// oci/manifest.h, oci/json_reader.h.  The first line is the declared media
// type, if the input has a line that does not begin with '{'.

#include "absl/strings/string_view.h"
#include "base/check.h"
#include "nlohmann/json.hpp"
#include "oci/json_reader.h"
#include "oci/manifest.h"
#include "tests/fuzz/fuzz_target.h"

namespace reclaim::oci {
namespace {

bool IsWhole(const Descriptor& descriptor) {
  return !descriptor.digest.empty() &&
         Digest::Parse(descriptor.digest.ToString()).ok();
}

RECLAIM_FUZZ_TARGET(manifest) {
  absl::string_view media_type;
  const size_t line = input.find('\n');
  if (line != absl::string_view::npos && !input.empty() && input[0] != '{') {
    media_type = input.substr(0, line);
    input.remove_prefix(line + 1);
  }
  const auto manifest = ParseManifest(input, media_type);
  for (const Digest& digest : EmbeddedContent(input)) {
    RECLAIM_CHECK(!digest.empty(), "what is embedded has a digest");
  }
  if (!manifest.ok()) return;

  RECLAIM_CHECK(input.size() <= kJsonBytesMax, "the limit of bytes holds");
  RECLAIM_CHECK(manifest->kind != ManifestKind::kUnknown, "a kind is known");
  if (manifest->config) {
    RECLAIM_CHECK(IsWhole(*manifest->config), "the config has a digest");
  }
  if (manifest->subject) {
    RECLAIM_CHECK(IsWhole(*manifest->subject), "the subject has a digest");
  }
  for (const Descriptor& child : manifest->children) {
    RECLAIM_CHECK(IsWhole(child), "a child has a digest");
  }

  // Whoever names it may be contradicted, and changes nothing.
  const auto unnamed = ParseManifest(input, "");
  RECLAIM_CHECK(unnamed.ok(), "a name makes no manifest");
  RECLAIM_CHECK(unnamed->kind == manifest->kind, "nor another one");
  RECLAIM_CHECK(unnamed->children.size() == manifest->children.size(),
                "nor one with other children");

  // What another writer makes of the same document keeps the same things.
  const auto json = ReadJsonObject(input);
  RECLAIM_CHECK(json.ok(), "a manifest is an object");
  const auto again = ParseManifest(json->dump(), media_type);
  RECLAIM_CHECK(again.ok(), "a manifest is one however it is spaced");
  RECLAIM_CHECK(again->kind == manifest->kind, "the kind is the document's");
  RECLAIM_CHECK(again->children.size() == manifest->children.size(),
                "no child is lost");
  for (size_t i = 0; i < again->children.size(); ++i) {
    RECLAIM_CHECK(again->children[i].digest == manifest->children[i].digest,
                  "children are the same");
  }
}

}  // namespace
}  // namespace reclaim::oci
