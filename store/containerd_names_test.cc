#include "store/containerd_names.h"

#include <set>
#include <utility>

#include "gtest/gtest.h"

namespace reclaim::store {
namespace {

TEST(ContainerdNamesTest, EveryImageNameComesBackByteForByte) {
  std::set<std::pair<std::string, std::string>> seen;
  size_t count = 0;
  for (const char* space : {"default", "k8s.io"}) {
    for (const char* name : {"docker.io/library/a:v1",
                             "a",
                             "a:",
                             ":a",
                             ":",
                             "@",
                             "@a",
                             "a@",
                             "a:@",
                             "a:@b",
                             "localhost:5000/a",
                             "localhost:5000/a:v1",
                             "docker.io/a@sha256:12",
                             "docker.io/a:v1@sha256:12",
                             "sha256:12ab",
                             "k8s.io::a:v1",
                             "default::a",
                             "::",
                             "import-2022/x:@",
                             "a@@",
                             "a/b:c/d"}) {
      const RepositoryTag parts = SplitImageName(space, name);
      EXPECT_FALSE(parts.repository.empty()) << name;
      EXPECT_FALSE(parts.tag.empty()) << name;
      const NameInSpace back = JoinImageName(parts.repository, parts.tag);
      EXPECT_EQ(back.name_space, space) << name;
      EXPECT_EQ(back.name, name);
      seen.insert({parts.repository, parts.tag});
      ++count;
    }
  }
  EXPECT_EQ(seen.size(), count) << "no two names are one of ours";
}

TEST(ContainerdNamesTest, TheNamespaceDefaultIsNotWritten) {
  EXPECT_EQ(QualifiedName("default", "web"), "web");
  EXPECT_EQ(QualifiedName("moby", "web"), "moby::web");
  EXPECT_EQ(SplitImageName("k8s.io", "registry.k8s.io/pause:3.9").repository,
            "k8s.io::registry.k8s.io/pause");
}

TEST(ContainerdNamesTest, SnapshotsHaveTheirSnapshotter) {
  const SnapshotName name{"k8s.io", "overlayfs", "sha256:12/extract"};
  const auto back = SplitSnapshot(QualifiedSnapshot(name));
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(back->name_space, "k8s.io");
  EXPECT_EQ(back->snapshotter, "overlayfs");
  EXPECT_EQ(back->key, "sha256:12/extract");
  EXPECT_FALSE(SplitSnapshot("nothing").ok());
}

}  // namespace
}  // namespace reclaim::store
