#include "store/containerd_leases.h"

#include <cstddef>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/status_matchers.h"
#include "containerd/images.pb.h"
#include "containerd/leases.pb.h"
#include "gtest/gtest.h"
#include "oci/digest.h"
#include "store/types.h"

namespace reclaim::store::containerd_leases {
namespace {

using ::reclaim::base::IsOk;
using ::reclaim::base::StatusIs;

// Taken for an end, it would free what containerd holds for ever.
TEST(ContainerdLeasesTest, AnEndThatContainerdDoesNotReadIsNone) {
  Lease lease;
  EXPECT_FALSE(ExpiryOf(lease).has_value());
  for (const char* text : {"", "never", "infinite-past", "1-1-1T0:0:0Z",
                           "2020-01-02", " 2020-01-02T03:04:05Z"}) {
    (*lease.mutable_labels())[kExpireLabel] = text;
    EXPECT_FALSE(ExpiryOf(lease).has_value()) << text;
  }
  (*lease.mutable_labels())[kExpireLabel] = "2026-01-02T03:04:05Z";
  EXPECT_EQ(ExpiryOf(lease), absl::FromUnixSeconds(1767323045));
}

TEST(ContainerdLeasesTest, ARecordComesBackOutOfItsLabels) {
  constexpr size_t kLabelMax = 4096;  // containerd's, of key and value
  for (const size_t size : {0, 1, 2849, 2850, 2851, 20000}) {
    const std::string record(size, '\xe9');
    Lease lease;
    for (const auto& [key, value] : RecordLabels("run1", kImage, record)) {
      EXPECT_LE(key.size() + value.size(), kLabelMax);
      (*lease.mutable_labels())[key] = value;
    }
    const auto read = RecordOf(lease);
    ASSERT_THAT(read, IsOk());
    EXPECT_EQ(*read, record);
  }
}

TEST(ContainerdLeasesTest, WhatALeaseHoldsIsOfItsNamespace) {
  ::containerd::services::images::v1::Image image;
  image.set_name("docker.io/library/a:v1");
  const std::string digest = oci::Digest::Sha256Of("image").ToString();
  image.mutable_target()->set_digest(digest);
  Lease lease;
  const auto labels = RecordLabels("run1", kImage, image.SerializeAsString());
  lease.mutable_labels()->insert(labels.begin(), labels.end());
  const auto removal = RecordRemoval("k8s.io", lease);
  ASSERT_THAT(removal, IsOk());
  EXPECT_EQ(removal->kind, RemovalKind::kTag);
  EXPECT_EQ(removal->repository, "k8s.io::docker.io/library/a");
  EXPECT_EQ(removal->tag, "v1");
  EXPECT_EQ(removal->digest->ToString(), digest);
  EXPECT_EQ(SpaceOf(*removal), "k8s.io");
  (*lease.mutable_labels())[std::string(kRecordLabel) + "0"] = "no!base64";
  EXPECT_THAT(RecordRemoval("k8s.io", lease),
              StatusIs(absl::StatusCode::kDataLoss));
}

}  // namespace
}  // namespace reclaim::store::containerd_leases
