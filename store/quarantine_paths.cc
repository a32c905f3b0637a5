#include "store/quarantine_paths.h"

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/status_macros.h"
#include "oci/digest.h"
#include "store/quarantine_folder.h"
#include "store/rooted_dir.h"

namespace reclaim::store {
namespace {

std::string PathOfNote(const RunId& run_id, absl::string_view text) {
  return QuarantineTreePath(
      run_id, absl::StrCat(".note-", oci::Digest::Sha256Of(text).hex()));
}

}  // namespace

std::string QuarantineTop() {
  return absl::StrCat(kReclaimFolder, "/quarantine");
}
std::string QuarantineRunPath(const RunId& run_id, absl::string_view below) {
  return absl::StrCat(QuarantineTop(), "/", run_id, below);
}
std::string QuarantineTreePath(const RunId& run_id, absl::string_view path) {
  return JoinPath(QuarantineRunPath(run_id, "/tree"), path);
}

absl::StatusOr<bool> RemoveIfThere(const RootedDir& root,
                                   const std::string& path) {
  RECLAIM_ASSIGN_OR_RETURN(const bool is_there, root.Exists(path));
  if (!is_there) return false;
  RECLAIM_RETURN_IF_ERROR(NotGone(root.RemoveFile(path)));
  return true;
}

// Each field is told by its length: a ':' may be part of a folder's name and of
// a tag's.
std::string QuarantineNotePath(const RunId& run_id, const Removal& removal) {
  std::string text;
  for (const std::string& field :
       {std::to_string(static_cast<int>(removal.kind)), removal.place,
        removal.repository, removal.tag, removal.upload_id, removal.name,
        removal.digest ? removal.digest->ToString() : std::string()}) {
    absl::StrAppend(&text, field.size(), ":", field);
  }
  return PathOfNote(run_id, text);
}

std::string OldQuarantineNotePath(const RunId& run_id, const Removal& removal) {
  return PathOfNote(run_id, ToString(removal));
}

}  // namespace reclaim::store
