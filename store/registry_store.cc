#include "store/registry_store.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/status_macros.h"
#include "oci/name.h"
#include "store/registry_names.h"
#include "store/registry_scan.h"
#include "store/rooted_dir.h"
#include "store/tag_histories.h"

namespace reclaim::store {
namespace {

constexpr uint64_t kLinkBytesMax = 1024;

std::string DigestPath(const oci::Digest& digest) {
  return absl::StrCat(oci::ToString(digest.algorithm()), "/", digest.hex());
}

// Of one thing in a folder.  What follows a NUL the kernel would not see.
bool IsFileName(absl::string_view text) {
  return !text.empty() && text != "." && text != ".." &&
         text.find_first_of(absl::string_view("/\0", 2)) ==
             absl::string_view::npos;
}

class RegistryStore final : public TreeStore {
 public:
  using TreeStore::TreeStore;

  StoreTraits traits() const override {
    StoreTraits traits;
    traits.kind = StoreKind::kRegistry;
    traits.has_quarantine = true;
    traits.measures_purges = true;
    traits.has_foreign_writers = true;
    traits.is_read_only = is_read_only();
    return traits;
  }

  absl::StatusOr<ScanResult> Scan(const ScanRequest& request,
                                  ScanSink* sink) const override {
    return RegistryScan(&root(), &request, sink).Run();
  }
  absl::Status CheckRemoval(const Removal& removal) const override {
    if (removal.kind != RemovalKind::kBlob &&
        !oci::IsRepositoryName(removal.repository)) {
      return absl::InvalidArgumentError(
          absl::StrCat("not a repository: ", removal.repository));
    }
    if (removal.kind == RemovalKind::kTag && !oci::IsTagName(removal.tag)) {
      return absl::InvalidArgumentError(
          absl::StrCat("not a tag: ", removal.tag));
    }
    if (removal.kind == RemovalKind::kUpload &&
        !IsFileName(removal.upload_id)) {
      return absl::InvalidArgumentError(
          absl::StrCat("not the id of an upload: ", removal.upload_id));
    }
    return absl::OkStatus();
  }
  const NameReader* names() const override { return &names_; }
  void ForgetListings() override { histories_.Forget(); }

 protected:
  std::string BlobPath(const Place&, const oci::Digest& digest) const override {
    return BlobFolder(digest) + "/data";
  }

  absl::StatusOr<RemovalPaths> PathsOf(const Removal& removal) const override {
    RECLAIM_RETURN_IF_ERROR(CheckRemoval(removal));
    RemovalPaths paths;
    const std::string repository =
        absl::StrCat(kRegistryTop, "/repositories/", removal.repository);
    paths.floor = absl::StrCat(kRegistryTop, "/repositories");
    switch (removal.kind) {
      case RemovalKind::kTag:
        RECLAIM_RETURN_IF_ERROR(CheckTag(repository, removal));
        paths.paths = {TagFolder(repository, removal.tag)};
        break;
      case RemovalKind::kRevisionLink:
        RECLAIM_RETURN_IF_ERROR(
            AddRevision(repository, *removal.digest, &paths));
        break;
      case RemovalKind::kLayerLink:
        paths.paths = {repository + "/_layers/" + DigestPath(*removal.digest)};
        break;
      case RemovalKind::kUpload:
        paths.paths = {UploadFolder(removal)};
        break;
      case RemovalKind::kBlob:
        RECLAIM_RETURN_IF_ERROR(Stat(removal.place, *removal.digest).status());
        paths.paths = {BlobFolder(*removal.digest)};
        paths.floor = absl::StrCat(kRegistryTop, "/blobs");
        break;
      default:
        return absl::InvalidArgumentError(
            absl::StrCat("no part of a registry: ", ToString(removal)));
    }
    for (const std::string& path : paths.paths) {
      RECLAIM_ASSIGN_OR_RETURN(const bool is_there, root().Exists(path));
      if (!is_there) {
        return absl::NotFoundError(
            absl::StrCat(ToString(removal), " is not there"));
      }
    }
    return paths;
  }

  absl::Status CheckBeforeMove(const Removal& removal,
                               absl::Time planned) const override {
    if (removal.kind != RemovalKind::kUpload) return absl::OkStatus();
    return CheckLastWrite(removal, UploadFolder(removal), planned,
                          absl::InfiniteFuture());
  }

  // The registry opens a tag's link, or a file of an upload, before it writes
  // it.
  absl::Status CheckMoved(const RunId& run_id, const Removal& removal,
                          absl::Time planned) const override {
    if (removal.kind == RemovalKind::kUpload) {
      return CheckMovedUpload(run_id, removal, planned);
    }
    if (removal.kind != RemovalKind::kTag) return absl::OkStatus();
    const std::string folder = TagFolder(
        absl::StrCat(kRegistryTop, "/repositories/", removal.repository),
        removal.tag);
    const std::string moved =
        QuarantineFolder::MovedPath(run_id, folder + "/current/link");
    RECLAIM_ASSIGN_OR_RETURN(const std::optional<std::string> text,
                             root().ReadIfThere(moved, kLinkBytesMax));
    if (!text) return absl::OkStatus();
    if (absl::StripAsciiWhitespace(*text) != removal.digest->ToString()) {
      return absl::AbortedError(
          absl::StrCat(ToString(removal), " was moved by a writer meanwhile"));
    }
    RECLAIM_ASSIGN_OR_RETURN(const std::optional<FileStat> stat,
                             root().StatIfThere(moved));
    if (stat &&
        absl::ToUnixMicros(stat->modified) > absl::ToUnixMicros(planned)) {
      return absl::AbortedError(
          absl::StrCat(ToString(removal), " was pushed anew since the plan"));
    }
    return absl::OkStatus();
  }

 private:
  static std::string BlobFolder(const oci::Digest& digest) {
    const std::string hex = digest.hex();
    return absl::StrCat(kRegistryTop, "/blobs/",
                        oci::ToString(digest.algorithm()), "/",
                        hex.substr(0, 2), "/", hex);
  }
  static std::string TagFolder(const std::string& repository,
                               const std::string& tag) {
    return absl::StrCat(repository, "/_manifests/tags/", tag);
  }

  static std::string UploadFolder(const Removal& removal) {
    return absl::StrCat(kRegistryTop, "/repositories/", removal.repository,
                        "/_uploads/", removal.upload_id);
  }

  // When a file below was last written to; InfinitePast() if there is none.
  absl::StatusOr<absl::Time> LastWrite(const std::string& folder,
                                       int depth) const {
    absl::Time last = absl::InfinitePast();
    RECLAIM_ASSIGN_OR_RETURN(const std::optional<std::vector<DirEntry>> entries,
                             root().ListIfThere(folder));
    if (!entries) return last;
    for (const DirEntry& entry : *entries) {
      const std::string path = JoinPath(folder, entry.name);
      if (entry.type == FileType::kFolder && depth > 0) {
        RECLAIM_ASSIGN_OR_RETURN(const absl::Time below,
                                 LastWrite(path, depth - 1));
        last = std::max(last, below);
        continue;
      }
      RECLAIM_ASSIGN_OR_RETURN(const std::optional<FileStat> stat,
                               root().StatIfThere(path));
      if (!stat || stat->type != FileType::kFile) continue;
      last = std::max(last, stat->modified);
    }
    return last;
  }

  // ABORTED if the upload in `folder` has been written to since it was
  // `planned` to go, or a file of it at `moved` or later.
  absl::Status CheckLastWrite(const Removal& removal, const std::string& folder,
                              absl::Time planned, absl::Time moved) const {
    RECLAIM_ASSIGN_OR_RETURN(const std::optional<FileStat> stat,
                             root().StatIfThere(folder));
    if (!stat) return absl::OkStatus();
    RECLAIM_ASSIGN_OR_RETURN(const absl::Time last,
                             LastWrite(folder, kUploadDepthMax));
    // As a scan does, which knows microseconds.
    if (last < moved && absl::ToUnixMicros(std::max(last, stat->modified)) <=
                            absl::ToUnixMicros(planned)) {
      return absl::OkStatus();
    }
    return absl::AbortedError(absl::StrCat(
        ToString(removal), " was written to by its client meanwhile"));
  }

  // Nothing but the move has changed the inode of its folder since.  So the
  // file system itself tells, by one clock, what a registry that had a file of
  // it open has written after that.  A purge that broke off changes the folder
  // too, and none of the files that it left.
  absl::Status CheckMovedUpload(const RunId& run_id, const Removal& removal,
                                absl::Time planned) const {
    const std::string moved =
        QuarantineFolder::MovedPath(run_id, UploadFolder(removal));
    RECLAIM_ASSIGN_OR_RETURN(const std::optional<FileStat> stat,
                             root().StatIfThere(moved));
    if (!stat) return absl::OkStatus();
    return CheckLastWrite(removal, moved, planned, stat->changed);
  }

  // A tag that names something else by now was moved by a writer: it stays.
  absl::Status CheckTag(const std::string& repository,
                        const Removal& removal) const {
    const std::string link =
        TagFolder(repository, removal.tag) + "/current/link";
    RECLAIM_ASSIGN_OR_RETURN(const bool is_there, root().Exists(link));
    if (!is_there) {
      return absl::NotFoundError(
          absl::StrCat(ToString(removal), " is not there"));
    }
    RECLAIM_ASSIGN_OR_RETURN(const std::string text, ReadNow(link));
    if (absl::StripAsciiWhitespace(text) == removal.digest->ToString()) {
      return absl::OkStatus();
    }
    return absl::AbortedError(
        absl::StrCat(ToString(removal), " names something else by now"));
  }

  absl::StatusOr<std::string> ReadNow(const std::string& link) const {
    absl::StatusOr<std::string> text = root().Read(link, kLinkBytesMax);
    if (text.ok()) return text;
    return NotGone(text.status());
  }

  // The link itself and what the history of each tag still links.
  absl::Status AddRevision(const std::string& repository,
                           const oci::Digest& digest,
                           RemovalPaths* paths) const {
    paths->paths = {
        absl::StrCat(repository, "/_manifests/revisions/", DigestPath(digest))};
    RECLAIM_ASSIGN_OR_RETURN(std::vector<std::string> histories,
                             histories_.Find(repository, digest));
    for (std::string& history : histories) {
      paths->paths.push_back(std::move(history));
    }
    return absl::OkStatus();
  }

  const RegistryNames names_{&root()};
  mutable TagHistories histories_{&root()};
};

}  // namespace

absl::StatusOr<std::unique_ptr<ContentStore>> OpenRegistryStore(
    const std::string& path, bool is_read_only) {
  std::string root_path = path;
  for (const absl::string_view tail :
       {"/docker/registry/v2/", "/docker/registry/v2"}) {
    if (absl::EndsWith(root_path, tail)) {
      root_path.resize(root_path.size() - tail.size());
    }
  }
  RECLAIM_ASSIGN_OR_RETURN(std::unique_ptr<RootedDir> root,
                           RootedDir::Open(root_path));
  RECLAIM_ASSIGN_OR_RETURN(const bool is_registry, root->Exists(kRegistryTop));
  if (!is_registry) {
    return absl::FailedPreconditionError(absl::StrCat(
        path, " holds no registry: there is no docker/registry/v2 below it"));
  }
  auto store = std::make_unique<RegistryStore>(std::move(root), is_read_only);
  if (!is_read_only) {
    // What can't be tidied is left: it only takes some bytes.
    store->Tidy().IgnoreError();
  }
  return std::unique_ptr<ContentStore>(std::move(store));
}

}  // namespace reclaim::store
