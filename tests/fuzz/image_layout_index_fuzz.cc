// oci/image_layout_index.h: reading index.json, and taking names out of it.

#include <vector>

#include "base/check.h"
#include "oci/image_layout_index.h"
#include "tests/fuzz/fuzz_target.h"

namespace reclaim::oci {
namespace {

bool Has(const std::vector<Descriptor>& entries, const Descriptor& wanted) {
  for (const Descriptor& entry : entries) {
    if (entry.name == wanted.name && entry.digest == wanted.digest) {
      return true;
    }
  }
  return false;
}

bool HasDigest(const std::vector<Descriptor>& entries, const Digest& digest) {
  for (const Descriptor& entry : entries) {
    if (entry.digest == digest) return true;
  }
  return false;
}

RECLAIM_FUZZ_TARGET(image_layout_index) {
  if (const absl::Status version = CheckLayoutVersion(input); version.ok()) {
    return;  // an oci-layout file is no index.json
  }
  const auto entries = ParseLayoutIndex(input);
  if (!entries.ok() || entries->empty()) return;
  const Descriptor& gone = entries->front();
  const auto edited = EditLayoutIndex(input, {{gone.name, gone.digest}});
  RECLAIM_CHECK(edited.ok(), "what can be read can be edited");
  RECLAIM_CHECK(edited->was_found.size() == 1 && edited->was_found[0],
                "what was read is found");
  const auto after = ParseLayoutIndex(edited->bytes);
  RECLAIM_CHECK(after.ok(), "what was edited can be read");
  for (const Descriptor& entry : *entries) {
    if (entry.name == gone.name) continue;
    RECLAIM_CHECK(Has(*after, entry), "other names stay");
  }
  if (!gone.name.empty()) {
    RECLAIM_CHECK(!Has(*after, gone), "the name is gone");
    RECLAIM_CHECK(HasDigest(*after, gone.digest),
                  "its digest stays without a name");
  }
}

}  // namespace
}  // namespace reclaim::oci
