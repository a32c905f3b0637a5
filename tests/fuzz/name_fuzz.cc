// oci/digest.h, oci/name.h: what becomes a part of a path (CVE-2024-3727).

#include <algorithm>
#include <filesystem>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "base/check.h"
#include "oci/digest.h"
#include "oci/name.h"
#include "tests/fuzz/fuzz_target.h"

namespace reclaim::oci {
namespace {

// Whether a store that appends `name` to its root stays below the root.
bool StaysBelow(absl::string_view name) {
  if (name.find('\0') != absl::string_view::npos) return false;
  const std::filesystem::path root = "/root/of/store";
  const std::filesystem::path path =
      (root / std::string(name)).lexically_normal();
  const auto [end, at] =
      std::mismatch(root.begin(), root.end(), path.begin(), path.end());
  return end == root.end() && at != path.end();
}

RECLAIM_FUZZ_TARGET(name) {
  if (const auto digest = Digest::Parse(input); digest.ok()) {
    RECLAIM_CHECK(digest->ToString() == input, "a digest has one spelling");
    RECLAIM_CHECK(StaysBelow(digest->hex()), "a digest is no path");
  }
  if (IsRepositoryName(input)) {
    RECLAIM_CHECK(input.size() <= 255, "a repository's name has a limit");
    RECLAIM_CHECK(StaysBelow(input), "a repository stays below the root");
  }
  if (IsTagName(input)) {
    RECLAIM_CHECK(input.size() <= 128, "a tag has a limit");
    RECLAIM_CHECK(
        StaysBelow(input) && input.find('/') == absl::string_view::npos,
        "a tag is one component");
  }
  const auto reference = ParseReference(input);
  if (!reference.ok()) return;
  std::string text = reference->repository;
  if (!reference->tag.empty()) text += ":" + reference->tag;
  if (reference->digest) text += "@" + reference->digest->ToString();
  RECLAIM_CHECK(text == input, "a reference is its parts");
  RECLAIM_CHECK(absl::EndsWith(reference->repository,
                               FamiliarRepository(reference->repository)),
                "a short form is an end of the long one");
}

}  // namespace
}  // namespace reclaim::oci
