#include "oci/media_type.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace reclaim::oci {
namespace {

TEST(MediaTypeTest, ChildrenOfAnIndexAreLeavesOnlyIfTheyAreKnown) {
  for (const char* type :
       {"application/vnd.oci.image.layer.v1.tar",
        "application/vnd.oci.image.layer.v1.tar+zstd",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        "application/vnd.docker.image.rootfs.diff.tar.gzip",
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        "application/vnd.oci.image.config.v1+json",
        "application/vnd.docker.container.image.v1+json",
        "application/vnd.oci.empty.v1+json",
        "application/vnd.buildkit.cacheconfig.v0"}) {
    EXPECT_EQ(RoleOfIndexChild(type), ChildRole::kLeaf) << type;
  }
  for (const char* type :
       {"", kOciManifestType, kOciIndexType, kDockerListType, kOciArtifactType,
        "application/vnd.cncf.oras.artifact.manifest.v1+json",
        "application/vnd.example.bundle.v1+json", "application/x+JSON",
        "application/json", "application/vnd.oci.image.layer.v1+json",
        "application/vnd.oci.image.manifest.v1+json; charset=utf-8",
        "application/vnd.example.Manifest", "text/index"}) {
    EXPECT_EQ(RoleOfIndexChild(type), ChildRole::kManifest) << type;
  }
  for (const char* type :
       {"application/octet-stream",
        "application/vnd.containerd.container.criu.checkpoint.criu.tar",
        "application/vnd.containerd.container.checkpoint.options.v1+proto"}) {
    EXPECT_EQ(RoleOfIndexChild(type), ChildRole::kUnknown) << type;
  }
}

}  // namespace
}  // namespace reclaim::oci
