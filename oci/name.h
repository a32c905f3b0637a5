// oci/name.h — names of repositories and tags, and references to images.
//
// Grammars: OCI distribution specification 1.1 ("Pulling manifests"), and
// distribution/reference for the familiar forms ("ubuntu" is
// "docker.io/library/ubuntu:latest").  Pure.

#ifndef RECLAIM_OCI_NAME_H_
#define RECLAIM_OCI_NAME_H_

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "oci/digest.h"

namespace reclaim::oci {

// What a registry takes for the name of a repository: lower-case components
// separated by '/', the first of several may be a host instead; at most 255
// characters.
bool IsRepositoryName(absl::string_view name);
// distribution/reference's domain: "EXAMPLE.com", "Host", "host:5000".  No
// repository by itself.
bool IsRegistryHost(absl::string_view text);
// [A-Za-z0-9_][A-Za-z0-9._-]{0,127}
bool IsTagName(absl::string_view tag);

struct Reference {
  std::string repository;  // as written, with a registry host if it has one
  std::string tag;         // "" if none
  std::optional<Digest> digest;
};

// "repo", "repo:tag", "repo@digest", "repo:tag@digest", "host:5000/a/b:tag".
// INVALID_ARGUMENT says what is wrong.
absl::StatusOr<Reference> ParseReference(absl::string_view text);

// "repo:tag".  Some stores name images by digest or by any text: what stands
// for a tag is "@sha256:…" then (read "repo@sha256:…"), or "@" (read "repo").
std::string JoinTag(absl::string_view repository, absl::string_view tag);

// The short form: without "docker.io/" and "library/".
std::string FamiliarRepository(absl::string_view repository);

}  // namespace reclaim::oci

#endif  // RECLAIM_OCI_NAME_H_
