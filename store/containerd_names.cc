#include "store/containerd_names.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace reclaim::store {
namespace {

constexpr char kDefaultSpace[] = "default";
constexpr char kSeparator[] = "::";
constexpr char kNoTag[] = "@";

}  // namespace

// A namespace has no colon, so the first separator ends it.
std::string QualifiedName(absl::string_view name_space,
                          absl::string_view name) {
  if (name_space == kDefaultSpace && !absl::StrContains(name, kSeparator)) {
    return std::string(name);
  }
  return absl::StrCat(name_space, kSeparator, name);
}

NameInSpace SplitQualifiedName(absl::string_view qualified) {
  const size_t at = qualified.find(kSeparator);
  if (at == absl::string_view::npos) {
    return {kDefaultSpace, std::string(qualified)};
  }
  return {std::string(qualified.substr(0, at)),
          std::string(qualified.substr(at + 2))};
}

RepositoryTag SplitImageName(absl::string_view name_space,
                             absl::string_view name) {
  size_t at = name.find('@');
  size_t tag = at;
  if (at == absl::string_view::npos) {
    const size_t slash = name.rfind('/');
    at = name.rfind(':');
    if (at != absl::string_view::npos && slash != absl::string_view::npos &&
        at < slash) {
      at = absl::string_view::npos;
    }
    tag = at == absl::string_view::npos ? at : at + 1;
  }
  if (at == absl::string_view::npos || at == 0 || tag >= name.size() ||
      name.substr(tag) == kNoTag) {
    return {QualifiedName(name_space, name), kNoTag};
  }
  return {QualifiedName(name_space, name.substr(0, at)),
          std::string(name.substr(tag))};
}

NameInSpace JoinImageName(absl::string_view repository, absl::string_view tag) {
  NameInSpace joined = SplitQualifiedName(repository);
  if (tag == kNoTag) return joined;
  absl::StrAppend(&joined.name, absl::StartsWith(tag, "@") ? "" : ":", tag);
  return joined;
}

std::string QualifiedSnapshot(const SnapshotName& name) {
  return QualifiedName(name.name_space,
                       absl::StrCat(name.snapshotter, "/", name.key));
}

absl::StatusOr<SnapshotName> SplitSnapshot(absl::string_view qualified) {
  const NameInSpace name = SplitQualifiedName(qualified);
  const size_t slash = name.name.find('/');
  if (slash == std::string::npos) {
    return absl::InvalidArgumentError(
        absl::StrCat("not a snapshot: ", qualified));
  }
  return SnapshotName{name.name_space, name.name.substr(0, slash),
                      name.name.substr(slash + 1)};
}

}  // namespace reclaim::store
