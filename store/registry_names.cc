#include "store/registry_names.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "oci/name.h"
#include "store/registry_scan.h"

namespace reclaim::store {
namespace {

constexpr uint64_t kLinkBytesMax = 1024;

absl::StatusOr<std::string> FolderOf(const std::string& repository) {
  if (oci::IsRepositoryName(repository)) {
    return absl::StrCat(kRegistryTop, "/repositories/", repository);
  }
  return absl::InvalidArgumentError("not the name of a repository");
}

absl::StatusOr<std::string> LinkPath(const std::string& repository,
                                     const oci::Digest& digest,
                                     MembershipKind kind) {
  RECLAIM_ASSIGN_OR_RETURN(const std::string folder, FolderOf(repository));
  return absl::StrCat(
      folder,
      kind == MembershipKind::kRevision ? "/_manifests/revisions/"
                                        : "/_layers/",
      oci::ToString(digest.algorithm()), "/", digest.hex(), "/link");
}

// The time of a link file; unset if it is not there.
absl::StatusOr<std::optional<absl::Time>> LinkTime(const RootedDir& root,
                                                   const std::string& path) {
  RECLAIM_ASSIGN_OR_RETURN(const std::optional<FileStat> stat,
                           root.StatIfThere(path));
  if (!stat) return std::optional<absl::Time>();
  return std::optional<absl::Time>(stat->modified);
}

}  // namespace

absl::StatusOr<std::optional<RepositoryFact>> RegistryNames::FindRepository(
    const std::string& repository) const {
  RECLAIM_ASSIGN_OR_RETURN(const std::string folder, FolderOf(repository));
  for (const char* part : {"/_manifests", "/_layers", "/_uploads"}) {
    RECLAIM_ASSIGN_OR_RETURN(const bool is_there, root_->Exists(folder + part));
    if (!is_there) continue;
    return std::optional<RepositoryFact>(RepositoryFact{repository, ""});
  }
  return std::optional<RepositoryFact>();
}

absl::StatusOr<std::optional<TagFact>> RegistryNames::FindTag(
    const std::string& repository, const std::string& tag) const {
  RECLAIM_ASSIGN_OR_RETURN(const std::string folder, FolderOf(repository));
  if (!oci::IsTagName(tag)) {
    return absl::InvalidArgumentError("not the name of a tag");
  }
  const std::string link =
      absl::StrCat(folder, "/_manifests/tags/", tag, "/current/link");
  RECLAIM_ASSIGN_OR_RETURN(const std::optional<std::string> text,
                           root_->ReadIfThere(link, kLinkBytesMax));
  if (!text) return std::optional<TagFact>();
  RECLAIM_ASSIGN_OR_RETURN(const std::optional<absl::Time> modified,
                           LinkTime(*root_, link));
  if (!modified) return std::optional<TagFact>();
  const absl::StatusOr<oci::Digest> digest =
      oci::Digest::Parse(absl::StripAsciiWhitespace(*text));
  // The registry writes links in place: for a moment they are empty.
  if (!digest.ok()) {
    return absl::UnavailableError(
        absl::StrCat(link, " holds no digest: ", digest.status().message()));
  }
  return std::optional<TagFact>(
      TagFact{repository, tag, *digest, "", *modified});
}

absl::StatusOr<std::optional<MembershipFact>> RegistryNames::FindLink(
    const std::string& repository, const oci::Digest& digest,
    MembershipKind kind) const {
  RECLAIM_ASSIGN_OR_RETURN(const std::string path,
                           LinkPath(repository, digest, kind));
  RECLAIM_ASSIGN_OR_RETURN(const std::optional<absl::Time> modified,
                           LinkTime(*root_, path));
  if (!modified) return std::optional<MembershipFact>();
  MembershipFact fact;
  fact.repository = repository;
  fact.digest = digest;
  fact.kind = kind;
  fact.modified = *modified;
  return std::optional<MembershipFact>(std::move(fact));
}

absl::StatusOr<bool> RegistryNames::HoldsLink(const std::string& repository,
                                              const oci::Digest& digest,
                                              MembershipKind kind) const {
  RECLAIM_ASSIGN_OR_RETURN(const std::string path,
                           LinkPath(repository, digest, kind));
  RECLAIM_ASSIGN_OR_RETURN(const std::optional<std::string> text,
                           root_->ReadIfThere(path, kLinkBytesMax));
  return text && absl::StripAsciiWhitespace(*text) == digest.ToString();
}

}  // namespace reclaim::store
