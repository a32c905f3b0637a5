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
    image_ = tree_.Blob(store::ImageText({D("{}"), D("held")}));
    Age();
  }

  static oci::Digest D(const std::string& text) {
    return oci::Digest::Sha256Of(text);
  }
  // The plan that takes what no name leads to; it looks at the store first.
  void MakePlan() {
    v1::CreatePlanRequest request;
    request.set_verb(v1::PRUNE_VERB_SYSTEM);
    const grpc::Status status =
        Ask(collection_stub_, &Collection::CreatePlan, request, &plan_);
    ASSERT_TRUE(status.ok()) << status.error_message();
    ASSERT_EQ(plan_.item_count(), 3u);
  }
  // Held since, all of it is spared.
  void ExpectSpared() {
    v1::ApplyPlanRequest request;
    request.set_plan_id(plan_.id());
    request.set_allow_large(true);
    v1::Run run;
    const grpc::Status status =
        Ask(collection_stub_, &Collection::ApplyPlan, request, &run);
    ASSERT_TRUE(status.ok()) << status.error_message();
    run = Await(run);
    EXPECT_EQ(run.item_count(), 0u);
    EXPECT_EQ(run.skipped_count(), 3u);
    for (const oci::Digest& digest : {image_, D("{}"), D("held")}) {
      EXPECT_TRUE(folder_.Exists(tree_.BlobPath(digest))) << digest.ToString();
    }
  }

  store::RegistryTree tree_{&folder_};
  oci::Digest image_;
  v1::Plan plan_;
};

TEST_F(HeldContentTest, APinKeepsTheLayersOfWhatNoScanHasRead) {
  MakePlan();
  v1::CreatePinRequest create;
  create.mutable_pin()->set_id("forever");
  create.mutable_pin()->mutable_target()->mutable_content()->set_digest(
      image_.ToString());
  v1::Pin pin;
  ASSERT_TRUE(Ask(lease_stub_, &Leases::CreatePin, create, &pin).ok());
  ExpectSpared();
  EXPECT_TRUE(Ask(lease_stub_, &Leases::CreatePin, create, &pin).ok())
      << "asked again";
}

TEST_F(HeldContentTest, ALeaseDoes) {
  v1::CreateLeaseRequest create;
  create.mutable_lease()->set_id("pull-1");
  v1::Lease lease;
  ASSERT_TRUE(Ask(lease_stub_, &Leases::CreateLease, create, &lease).ok());
  MakePlan();
  v1::UpdateLeaseRequest update;
  update.set_id("pull-1");
  update.add_add_targets()->mutable_content()->set_digest(image_.ToString());
  ASSERT_TRUE(Ask(lease_stub_, &Leases::UpdateLease, update, &lease).ok());
  ExpectSpared();
}

TEST_F(HeldContentTest, AContainerDoes) {
  MakePlan();
  v1::RecordRequest request;
  v1::PutContainer* put = request.add_operations()->mutable_put_container();
  put->set_id("c1");
  put->set_image_digest(image_.ToString());
  v1::RecordResponse response;
  const grpc::Status status =
      Ask(graph_stub_, &Graph::Record, request, &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  ExpectSpared();
}

}  // namespace
}  // namespace reclaim::rpc
