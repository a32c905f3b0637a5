#include "store/image_layout_store.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/mutex.h"
#include "base/status_macros.h"
#include "nlohmann/json.hpp"
#include "oci/image_layout_index.h"
#include "oci/json_reader.h"
#include "store/image_layout_scan.h"

namespace reclaim::store {
namespace {

constexpr uint64_t kIndexBytesMax = uint64_t{4} << 20;

class ImageLayoutStore final : public TreeStore {
 public:
  using TreeStore::TreeStore;

  StoreTraits traits() const override {
    StoreTraits traits;
    traits.kind = StoreKind::kImageLayout;
    traits.has_quarantine = true;
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

  // The note is the file before the edit and the digest of the file after it:
  // while that one stands, undoing gives back the very bytes.
  absl::StatusOr<std::string> NoteOf(const Removal& removal) const override {
    base::MutexLock lock(&mutex_);
    RECLAIM_ASSIGN_OR_RETURN(const std::string before, ReadIndex(removal));
    RECLAIM_ASSIGN_OR_RETURN(const std::string after, Edited(before, removal));
    const nlohmann::json note = {
        {"before", before}, {"after", oci::Digest::Sha256Of(after).ToString()}};
    return note.dump();
  }

  absl::Status EditAway(const Removal& removal) override {
    base::MutexLock lock(&mutex_);
    RECLAIM_ASSIGN_OR_RETURN(const std::string before, ReadIndex(removal));
    RECLAIM_ASSIGN_OR_RETURN(const std::string after, Edited(before, removal));
    return WriteIndex(removal, after);
  }

  absl::Status UndoEdit(const Removal& removal,
                        const std::string& note) override {
    base::MutexLock lock(&mutex_);
    const nlohmann::json parsed =
        nlohmann::json::parse(note, nullptr, /*allow_exceptions=*/false);
    if (!parsed.is_object()) {
      return absl::DataLossError(absl::StrCat("the note of ", ToString(removal),
                                              " in quarantine is damaged"));
    }
    const std::string before = parsed.value("before", "");
    RECLAIM_ASSIGN_OR_RETURN(const std::string now, ReadIndex(removal));
    if (oci::Digest::Sha256Of(now).ToString() == parsed.value("after", "")) {
      return WriteIndex(removal, before);
    }
    return AddEntryBack(removal, before, now);
  }

 private:
  static std::string IndexPath(const Removal& removal) {
    return JoinPath(removal.place, "index.json");
  }
  absl::StatusOr<std::string> ReadIndex(const Removal& removal) const {
    absl::StatusOr<std::string> index =
        root().Read(IndexPath(removal), kIndexBytesMax);
    if (index.ok()) return index;
    // That a name is not there is told by a file that is.
    return NotGone(index.status());
  }
  absl::Status WriteIndex(const Removal& removal,
                          const std::string& bytes) const {
    const std::string path = IndexPath(removal);
    const absl::StatusOr<FileStat> stat = root().Stat(path);
    if (!stat.ok()) return NotGone(stat.status());
    return NotGone(root().WriteAtomically(path, bytes, stat->mode));
  }

  static absl::StatusOr<std::string> Edited(const std::string& bytes,
                                            const Removal& removal) {
    RECLAIM_ASSIGN_OR_RETURN(
        oci::EditedLayoutIndex edited,
        oci::EditLayoutIndex(bytes, {{removal.tag, *removal.digest}}));
    if (edited.was_found[0]) return std::move(edited.bytes);
    return absl::NotFoundError(
        absl::StrCat(ToString(removal), " is not in index.json"));
  }

  // Somebody edited the file since: the entry goes back into what it is now.
  absl::Status AddEntryBack(const Removal& removal, const std::string& before,
                            const std::string& now) const {
    RECLAIM_ASSIGN_OR_RETURN(oci::Json document, oci::ReadJsonObject(now));
    RECLAIM_ASSIGN_OR_RETURN(oci::Json old, oci::ReadJsonObject(before));
    const std::string digest = removal.digest->ToString();
    const auto name_of = [](const oci::Json& entry) -> std::string {
      if (!entry.is_object() || !entry.contains("annotations") ||
          !entry["annotations"].is_object()) {
        return "";
      }
      return entry["annotations"].value(oci::kRefNameAnnotation, "");
    };
    const auto is_digest = [&](const oci::Json& entry) {
      return entry.is_object() && entry.contains("digest") &&
             entry["digest"].is_string() &&
             entry["digest"].get<std::string>() == digest;
    };
    if (!document.contains("manifests") || !old.contains("manifests")) {
      return absl::FailedPreconditionError("index.json has no manifests");
    }
    for (const oci::Json& entry : document["manifests"]) {
      if (name_of(entry) != removal.tag) continue;
      if (is_digest(entry)) return absl::OkStatus();
      if (!removal.tag.empty()) {
        return absl::AlreadyExistsError(
            absl::StrCat(ToString(removal), " names something else by now"));
      }
    }
    for (const oci::Json& entry : old["manifests"]) {
      if (!is_digest(entry) || name_of(entry) != removal.tag) continue;
      oci::Json& entries = document["manifests"];
      for (size_t i = 0; i < entries.size() && !removal.tag.empty(); ++i) {
        // The entry that lost its name gets it back.
        if (!is_digest(entries[i]) || !name_of(entries[i]).empty()) continue;
        entries[i] = entry;
        return WriteIndex(removal, document.dump());
      }
      entries.push_back(entry);
      return WriteIndex(removal, document.dump());
    }
    return absl::DataLossError(absl::StrCat("the note of ", ToString(removal),
                                            " in quarantine does not hold it"));
  }

  mutable base::Mutex mutex_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<ContentStore>> OpenImageLayoutStore(
    const std::string& path, bool is_read_only) {
  RECLAIM_ASSIGN_OR_RETURN(std::unique_ptr<RootedDir> root,
                           RootedDir::Open(path));
  std::vector<ProblemFact> problems;
  const std::vector<FoundLayout> layouts = FindLayouts(*root, &problems);
  if (layouts.empty()) {
    return absl::FailedPreconditionError(absl::StrCat(
        path,
        " holds no image layout: there is no oci-layout file in it, nor "
        "six levels below"));
  }
  if (!is_read_only) {
    for (const FoundLayout& layout : layouts) {
      // Ours by its name; what stays of it is a stray.
      root->RemoveTemporary(JoinPath(layout.place, "index.json")).IgnoreError();
    }
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
