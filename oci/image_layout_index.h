// oci/image_layout_index.h — the index.json of an OCI image layout: reading it
// and taking names out of it.
//
// Source: OCI image specification 1.1, "Image layout".  Edits keep the order
// and every member that we don't know.  Pure.

#ifndef RECLAIM_OCI_IMAGE_LAYOUT_INDEX_H_
#define RECLAIM_OCI_IMAGE_LAYOUT_INDEX_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "oci/digest.h"
#include "oci/manifest.h"

namespace reclaim::oci {

// The text of an `oci-layout` file: OK for image layout version 1.x.
absl::Status CheckLayoutVersion(absl::string_view bytes);

// Its entries.  INVALID_ARGUMENT, UNIMPLEMENTED, RESOURCE_EXHAUSTED as
// ParseManifest().
absl::StatusOr<std::vector<Descriptor>> ParseLayoutIndex(
    absl::string_view bytes);

// One change of an index.json.
struct LayoutEdit {
  std::string name;  // which name to drop; "": drop the entry without a name
  Digest digest;
};

struct EditedLayoutIndex {
  std::string bytes;
  std::vector<bool> was_found;  // one an edit
};

// Dropping the name of an entry (in all its annotations) leaves an entry
// without a name, unless one with the same digest is there already; then the
// named entry goes whole.  What is listed more than once is edited wherever it
// is.
absl::StatusOr<EditedLayoutIndex> EditLayoutIndex(
    absl::string_view bytes, const std::vector<LayoutEdit>& edits);

// Undoes `edit` of `before` in what the file is `now`: the entry is there again
// with its name, as often as it was.  ALREADY_EXISTS if the name is another's
// by now, DATA_LOSS if `before` has no such entry.
absl::StatusOr<std::string> RestoreLayoutEntry(absl::string_view now,
                                               absl::string_view before,
                                               const LayoutEdit& edit);

// `index` and, after its own entries, those of `other` that it lacks.  The very
// bytes of `index` if it lacks none.
absl::StatusOr<std::string> MergeLayoutIndexes(absl::string_view index,
                                               absl::string_view other);

}  // namespace reclaim::oci

#endif  // RECLAIM_OCI_IMAGE_LAYOUT_INDEX_H_
