#include "store/image_layout_store.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/mutex.h"
#include "base/status_macros.h"
#include "nlohmann/json.hpp"
#include "oci/digest.h"
#include "oci/image_layout_index.h"
#include "oci/json_reader.h"
#include "store/image_layout_scan.h"
#include "store/layout_index_file.h"
#include "store/layout_note.h"

namespace reclaim::store {
namespace {

class ImageLayoutStore final : public TreeStore {
 public:
  using TreeStore::TreeStore;

  StoreTraits traits() const override {
    StoreTraits traits;
    traits.kind = StoreKind::kImageLayout;
    traits.has_quarantine = true;
    traits.measures_purges = true;
    traits.has_foreign_writers = true;
    traits.is_read_only = is_read_only();
    return traits;
  }

  absl::StatusOr<ScanResult> Scan(const ScanRequest& request,
                                  ScanSink* sink) const override {
    return ScanImageLayouts(root(), request, sink);
  }

 protected:
  std::string BlobPath(const Place& place,
                       const oci::Digest& digest) const override {
    return JoinPath(
        place, absl::StrCat("blobs/", oci::ToString(digest.algorithm()), "/",
                            digest.hex()));
  }

  absl::StatusOr<RemovalPaths> PathsOf(const Removal& removal) const override {
    if (removal.kind != RemovalKind::kBlob) {
      return absl::NotFoundError(
          absl::StrCat("an image layout has no ", ToString(removal)));
    }
    RECLAIM_RETURN_IF_ERROR(Stat(removal.place, *removal.digest).status());
    RemovalPaths paths;
    paths.paths = {BlobPath(removal.place, *removal.digest)};
    // blobs/ALGORITHM belongs to the layout and stays when it is empty.
    paths.floor = ParentPath(paths.paths[0]);
    return paths;
  }

  bool IsEdit(const Removal& removal) const override {
    return removal.kind == RemovalKind::kTag ||
           removal.kind == RemovalKind::kRevisionLink;
  }

  // Asked when the blob is out of its place: whoever names it later has to put
  // it there.
  absl::Status CheckMoved(const RunId&, const Removal& removal,
                          absl::Time planned) const override {
    if (removal.kind != RemovalKind::kBlob) return absl::OkStatus();
    return IndexOf(removal).CheckUnwritten(planned);
  }

  // While the file stands as the edit made it, undoing gives back the very
  // bytes.
  absl::StatusOr<std::string> NoteOf(const Removal& removal) const override {
    base::MutexLock lock(&mutex_);
    RECLAIM_ASSIGN_OR_RETURN(const std::string before, IndexOf(removal).Read());
    RECLAIM_ASSIGN_OR_RETURN(const std::string after, Edited(before, removal));
    return LayoutNoteText({before, oci::Digest::Sha256Of(after).ToString()});
  }

  absl::Status EditAway(const Removal& removal, absl::Time planned) override {
    base::MutexLock lock(&mutex_);
    return IndexOf(removal).Change(
        [&](const std::string& before) { return Edited(before, removal); },
        planned);
  }

  bool IsNoteOf(const Removal& removal,
                const std::string& note) const override {
    if (!IsEdit(removal)) return false;
    const std::optional<LayoutNote> parsed = ParseLayoutNote(note);
    if (!parsed) return false;
    const absl::StatusOr<std::string> after = Edited(parsed->before, removal);
    return after.ok() &&
           oci::Digest::Sha256Of(*after).ToString() == parsed->after;
  }

  absl::Status CheckUndone(const Removal& removal) const override {
    base::MutexLock lock(&mutex_);
    const absl::StatusOr<std::string> now = IndexOf(removal).Read();
    const auto entries =
        now.ok() ? oci::ParseLayoutIndex(*now)
                 : absl::StatusOr<std::vector<oci::Descriptor>>(now.status());
    bool is_taken = false;
    for (size_t i = 0; entries.ok() && i < entries->size(); ++i) {
      const oci::Descriptor& entry = (*entries)[i];
      const bool is_same = entry.digest == *removal.digest;
      if (is_same && (removal.tag.empty() || entry.name == removal.tag)) {
        return absl::OkStatus();
      }
      is_taken |= !removal.tag.empty() && entry.name == removal.tag;
    }
    const std::string index = JoinPath(removal.place, "index.json");
    if (is_taken) {
      return absl::AlreadyExistsError(absl::StrCat(
          index, " gives the name ", removal.tag, " to another image by now"));
    }
    return absl::DataLossError(absl::StrCat(
        "the note that undoes the removal of ", ToString(removal),
        " is not in quarantine, and ", index, " does not list ",
        removal.digest->ToString(),
        "; name it again by hand (an older version lost the note if another "
        "removal of its run had the same text)"));
  }

  absl::Status UndoEdit(const Removal& removal,
                        const std::string& note) override {
    base::MutexLock lock(&mutex_);
    const std::optional<LayoutNote> parsed = ParseLayoutNote(note);
    if (!parsed) {
      return absl::DataLossError(absl::StrCat("the note of ", ToString(removal),
                                              " in quarantine is damaged"));
    }
    const std::string& before = parsed->before;
    return IndexOf(removal).Change(
        [&](const std::string& now) -> absl::StatusOr<std::string> {
          if (oci::Digest::Sha256Of(now).ToString() == parsed->after) {
            return before;
          }
          if (!IsWhole(now))
            return absl::UnavailableError(HalfWritten(removal));
          // Somebody edited it since: the entry goes back into what it is.
          return oci::RestoreLayoutEntry(now, before,
                                         {removal.tag, *removal.digest});
        });
  }

 private:
  LayoutIndexFile IndexOf(const Removal& removal) const {
    return LayoutIndexFile(&root(), removal.place);
  }

  // Tools write the file in place: what is no JSON is half of it, as a rule.
  static bool IsWhole(const std::string& bytes) {
    return oci::ReadJsonObject(bytes).ok();
  }
  static std::string HalfWritten(const Removal& removal) {
    return absl::StrCat(
        JoinPath(removal.place, "index.json"),
        " is not whole: a writer is at work on it; try again when it is done "
        "(if nobody writes, it is damaged: `reclaim scan` says how)");
  }

  // ABORTED while somebody writes: nothing has changed.
  static absl::StatusOr<std::string> Edited(const std::string& bytes,
                                            const Removal& removal) {
    if (!IsWhole(bytes)) return absl::AbortedError(HalfWritten(removal));
    RECLAIM_ASSIGN_OR_RETURN(
        oci::EditedLayoutIndex edited,
        oci::EditLayoutIndex(bytes, {{removal.tag, *removal.digest}}));
    if (edited.was_found[0]) return std::move(edited.bytes);
    return absl::NotFoundError(
        absl::StrCat(ToString(removal), " is not in index.json"));
  }

  mutable base::Mutex mutex_;  // of each index.json
};

}  // namespace

absl::StatusOr<std::unique_ptr<ContentStore>> OpenImageLayoutStore(
    const std::string& path, bool is_read_only) {
  RECLAIM_ASSIGN_OR_RETURN(std::unique_ptr<RootedDir> root,
                           RootedDir::Open(path));
  std::vector<ProblemFact> problems;
  const std::vector<FoundLayout> layouts = FindLayouts(*root, &problems);
  if (std::none_of(layouts.begin(), layouts.end(),
                   [](const FoundLayout& layout) { return layout.has_mark; })) {
    return absl::FailedPreconditionError(absl::StrCat(
        path,
        " holds no image layout: there is no oci-layout file in it, nor "
        "six levels below"));
  }
  for (const FoundLayout& layout : layouts) {
    if (is_read_only) break;
    // Ours by its name; what stays of it is a stray.
    root->RemoveTemporary(JoinPath(layout.place, "index.json")).IgnoreError();
    // Where it can't be done now, scans keep the layout, and the next change
    // tries again and says why.
    LayoutIndexFile(root.get(), layout.place).Settle().IgnoreError();
  }
  auto store =
      std::make_unique<ImageLayoutStore>(std::move(root), is_read_only);
  if (!is_read_only) {
    // What can't be tidied is left: it only takes some bytes.
    store->Tidy().IgnoreError();
  }
  return std::unique_ptr<ContentStore>(std::move(store));
}

}  // namespace reclaim::store
