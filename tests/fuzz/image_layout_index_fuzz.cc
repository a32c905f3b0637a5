// oci/image_layout_index.h: reading index.json, taking names out of it, putting
// them back, and putting two files together.

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "base/check.h"
#include "oci/image_layout_index.h"
#include "tests/fuzz/fuzz_target.h"

namespace reclaim::oci {
namespace {

// Each entry is compared with each.
constexpr size_t kMergedEntryMax = 64;

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

bool HasName(const std::vector<Descriptor>& entries, const std::string& name) {
  for (const Descriptor& entry : entries) {
    if (entry.name == name) return true;
  }
  return false;
}

// Undoes the edit of `before` that left `edited`.
void CheckRestored(absl::string_view before, const std::string& edited,
                   const Descriptor& gone) {
  const auto left = ParseLayoutIndex(edited);
  RECLAIM_CHECK(left.ok(), "what was edited can be read");
  const auto restored =
      RestoreLayoutEntry(edited, before, {gone.name, gone.digest});
  if (!restored.ok()) {
    RECLAIM_CHECK(absl::IsAlreadyExists(restored.status()) &&
                      !gone.name.empty() && HasName(*left, gone.name),
                  "it comes back unless its name is another's");
    return;
  }
  const auto entries = ParseLayoutIndex(*restored);
  RECLAIM_CHECK(entries.ok() && Has(*entries, gone), "it is there again");
}

// What a writer has put there beside what we have.
void CheckMerged(absl::string_view ours, absl::string_view theirs) {
  const auto merged = MergeLayoutIndexes(ours, theirs);
  RECLAIM_CHECK(merged.ok(), "two files can be put together");
  for (const absl::string_view part : {ours, theirs}) {
    const auto again = MergeLayoutIndexes(*merged, part);
    RECLAIM_CHECK(again.ok() && *again == *merged, "nothing of either is lost");
  }
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
  CheckRestored(input, edited->bytes, gone);
  if (entries->size() <= kMergedEntryMax) {
    CheckMerged(edited->bytes, input);
    CheckMerged(input, edited->bytes);
  }
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
