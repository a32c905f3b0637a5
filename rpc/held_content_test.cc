// What is held by its digest holds what it references, from the answer on.

#include <fcntl.h>
#include <sys/stat.h>

#include <filesystem>
#include <string>

#include "oci/digest.h"
#include "rpc/server_fixture.h"
#include "store/testing/store_tree.h"

namespace reclaim::rpc {
namespace {

using Collection = v1::CollectionService::Stub;
using Graph = v1::GraphService::Stub;
using Leases = v1::LeaseService::Stub;

// A registry in which an image was deleted over the registry's API: its blobs
// are there, and no name leads to them.
class HeldContentTest : public ServerFixture {
 protected:
  void SetUp() override {
    tree_.Image("app", "v1", {"base"});
    tree_.Blob("{}");
    tree_.Blob("held");
    Age();
    ServerFixture::SetUp();
    AddStore("registry");
    // Since the scan: the graph does not know it at all.
    image_ = tree_.Blob(store::ImageText({D("{}"), D("held")}));
    Age();
  }

  static oci::Digest D(const std::string& text) {
    return oci::Digest::Sha256Of(text);
  }
  // Blobs that a plan takes, without another scan.
  uint64_t Doomed() {
    v1::CreatePlanRequest request;
    request.set_verb(v1::PRUNE_VERB_SYSTEM);
    v1::Plan plan;
    const grpc::Status status =
        Ask(collection_stub_, &Collection::CreatePlan, request, &plan);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return plan.item_count();
  }

  store::RegistryTree tree_{&folder_};
  oci::Digest image_;
};

TEST_F(HeldContentTest, APinKeepsTheLayersOfWhatNoScanHasRead) {
  EXPECT_EQ(Doomed(), 2u);
  v1::CreatePinRequest create;
  create.mutable_pin()->set_id("forever");
  create.mutable_pin()->mutable_target()->mutable_content()->set_digest(
      image_.ToString());
  v1::Pin pin;
  ASSERT_TRUE(Ask(lease_stub_, &Leases::CreatePin, create, &pin).ok());
  EXPECT_EQ(Doomed(), 0u);
  EXPECT_TRUE(Ask(lease_stub_, &Leases::CreatePin, create, &pin).ok())
      << "asked again";
}

TEST_F(HeldContentTest, ALeaseDoes) {
  v1::CreateLeaseRequest create;
  create.mutable_lease()->set_id("pull-1");
  v1::Lease lease;
  ASSERT_TRUE(Ask(lease_stub_, &Leases::CreateLease, create, &lease).ok());
  EXPECT_EQ(Doomed(), 2u);
  v1::UpdateLeaseRequest update;
  update.set_id("pull-1");
  update.add_add_targets()->mutable_content()->set_digest(image_.ToString());
  ASSERT_TRUE(Ask(lease_stub_, &Leases::UpdateLease, update, &lease).ok());
  EXPECT_EQ(Doomed(), 0u);
}

TEST_F(HeldContentTest, AContainerDoes) {
  v1::RecordRequest request;
  v1::PutContainer* put = request.add_operations()->mutable_put_container();
  put->set_id("c1");
  put->set_image_digest(image_.ToString());
  v1::RecordResponse response;
  const grpc::Status status =
      Ask(graph_stub_, &Graph::Record, request, &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(Doomed(), 0u);
}

}  // namespace
}  // namespace reclaim::rpc
