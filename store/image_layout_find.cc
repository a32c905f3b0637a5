// Which folders of a store are image layouts.

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "store/image_layout_scan.h"
#include "store/quarantine_folder.h"
#include "store/rooted_dir.h"
#include "store/section_scan.h"

namespace reclaim::store {
namespace {

constexpr int kDepthMax = 6;

bool Has(const std::vector<DirEntry>& entries, absl::string_view name) {
  return std::any_of(entries.begin(), entries.end(),
                     [&](const DirEntry& entry) { return entry.name == name; });
}

// A layout may lie within another one, as when somebody makes one of the folder
// above.  And tools read one without oci-layout, or with a link in its place:
// it is a layout whose names can't be relied on, never a folder of no concern.
void Find(const RootedDir& root, const std::string& folder, int depth,
          std::vector<FoundLayout>* layouts,
          std::vector<ProblemFact>* problems) {
  const absl::StatusOr<std::optional<FileStat>> mark =
      root.StatIfThere(JoinPath(folder, "oci-layout"));
  const auto entries =
      mark.ok()
          ? root.ListIfThere(folder)
          : absl::StatusOr<std::optional<std::vector<DirEntry>>>(mark.status());
  if (!entries.ok()) {
    problems->push_back({folder, entries.status(), "", std::nullopt});
    return;
  }
  if (!entries->has_value()) return;  // gone meanwhile
  const std::vector<DirEntry>& found = **entries;
  const bool has_mark = mark->has_value() && (*mark)->type == FileType::kFile;
  const bool is_layout =
      has_mark || (Has(found, "index.json") && Has(found, "blobs"));
  if (is_layout) {
    layouts->push_back({folder, LayoutRepository(root, folder), has_mark});
  }
  if (depth == 0) return;
  for (const DirEntry& entry : found) {
    if (entry.type != FileType::kFolder || entry.name == kReclaimFolder ||
        (is_layout && entry.name == "blobs")) {
      continue;
    }
    const absl::Status named = CheckIsText(entry.name);
    if (!named.ok()) {
      problems->push_back(
          {JoinPath(folder, entry.name), named, "", std::nullopt});
      continue;
    }
    Find(root, JoinPath(folder, entry.name), depth - 1, layouts, problems);
  }
}

// Only the root's repository can have the name of another layout, for the
// others are named by their paths.  The names of one of the two would be
// resolved in the other.
void TellOfSameName(const RootedDir& root, std::vector<FoundLayout>* layouts,
                    std::vector<ProblemFact>* problems) {
  if (layouts->empty() || !layouts->front().place.empty()) return;
  const std::string name = layouts->front().repository;
  for (FoundLayout& layout : *layouts) {
    if (layout.place.empty() || layout.place != name) continue;
    layout.is_nameless = true;
    const std::string why = absl::StrCat(
        root.root(), " and ", JoinPath(root.root(), name),
        " are both image layouts and would both be the repository ", name,
        ", so nothing of this store is collected: rename the inner folder");
    problems->push_back(
        {name, absl::FailedPreconditionError(why), "", std::nullopt});
  }
}

}  // namespace

std::string LayoutRepository(const RootedDir& root, const Place& place) {
  if (!place.empty()) return place;
  std::string path = root.root();
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? path : path.substr(slash + 1);
}

std::vector<FoundLayout> FindLayouts(const RootedDir& root,
                                     std::vector<ProblemFact>* problems) {
  std::vector<FoundLayout> layouts;
  Find(root, "", kDepthMax, &layouts, problems);
  TellOfSameName(root, &layouts, problems);
  return layouts;
}

}  // namespace reclaim::store
