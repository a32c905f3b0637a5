// store/containerd_names.h — containerd's names and ours.  Pure.
//
// containerd names an image by any string, and everything by namespace.  Ours
// are unique in a store: what lies in another namespace than "default" has the
// namespace before it, "k8s.io::registry.k8s.io/pause:3.9".  An image's name
// is divided into repository and tag so that it can be put together again
// byte for byte:
//
//   docker.io/library/a:v1     docker.io/library/a   v1
//   example/a@sha256:12…       example/a             @sha256:12…
//   anything                   anything              @

#ifndef RECLAIM_STORE_CONTAINERD_NAMES_H_
#define RECLAIM_STORE_CONTAINERD_NAMES_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace reclaim::store {

// A name within a namespace: unique in the store, and back.
std::string QualifiedName(absl::string_view name_space, absl::string_view name);
struct NameInSpace {
  std::string name_space;
  std::string name;
};
NameInSpace SplitQualifiedName(absl::string_view qualified);

struct RepositoryTag {
  std::string repository;  // qualified
  std::string tag;
};
RepositoryTag SplitImageName(absl::string_view name_space,
                             absl::string_view name);
NameInSpace JoinImageName(absl::string_view repository, absl::string_view tag);

// A snapshot by its snapshotter and key: "overlayfs/sha256:12…", qualified.
struct SnapshotName {
  std::string name_space;
  std::string snapshotter;
  std::string key;
};
std::string QualifiedSnapshot(const SnapshotName& name);
// INVALID_ARGUMENT if there is no snapshotter in it.
absl::StatusOr<SnapshotName> SplitSnapshot(absl::string_view qualified);

// Labels of containerd's collector and of its CRI plugin.
inline constexpr char kRootLabel[] = "containerd.io/gc.root";
inline constexpr char kContentReference[] = "containerd.io/gc.ref.content";
inline constexpr char kPinnedLabel[] = "io.cri-containerd.pinned";
inline constexpr char kKubeletLabel[] = "io.cri-containerd.kind";
inline constexpr char kKubeletImageLabel[] = "io.cri-containerd.image";

template <typename Labels>
bool IsPinned(const Labels& labels) {
  const auto label = labels.find(kPinnedLabel);
  return label != labels.end() && label->second == "pinned";
}

}  // namespace reclaim::store

#endif  // RECLAIM_STORE_CONTAINERD_NAMES_H_
