// A digest that is held without a place is held where it is.

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "oci/digest.h"
#include "rpc/server_fixture.h"
#include "store/testing/store_tree.h"

namespace reclaim::rpc {
namespace {

using ::testing::HasSubstr;
using Collection = v1::CollectionService::Stub;
using Graph = v1::GraphService::Stub;
using Leases = v1::LeaseService::Stub;

// A folder of two layouts; `one_` is in the first, `both_` is in each, and no
// name leads to them.
class HeldPlaceTest : public ServerFixture {
 protected:
  void SetUp() override {
    a_.Entry(a_.Image({"named"}), "v1");
    b_.Entry(b_.Image({"named"}), "v1");
    one_ = a_.Image({"one"});
    both_ = a_.Image({"both"});
    b_.Image({"both"});
    Age();
    ServerFixture::SetUp();
    AddStore("image-layout");
  }

  // How many blobs go.
  uint64_t DoomedCount() {
    v1::CreatePlanRequest request;
    request.set_verb(v1::PRUNE_VERB_SYSTEM);
    v1::Plan plan;
    const grpc::Status status =
        Ask(collection_stub_, &Collection::CreatePlan, request, &plan);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return plan.item_count();
  }

  grpc::Status Pin(const oci::Digest& digest, const std::string& place,
                   v1::Pin* pin) {
    v1::CreatePinRequest create;
    create.mutable_pin()->set_id("p");
    v1::ContentName* name =
        create.mutable_pin()->mutable_target()->mutable_content();
    name->set_digest(digest.ToString());
    name->set_place(place);
    return Ask(lease_stub_, &Leases::CreatePin, create, pin);
  }

  store::LayoutTree a_{&folder_, "a"};
  store::LayoutTree b_{&folder_, "b"};
  oci::Digest one_;
  oci::Digest both_;
};

TEST_F(HeldPlaceTest, APinHoldsContentWhereItIs) {
  const uint64_t before = DoomedCount();
  v1::Pin pin;
  grpc::Status status = Pin(one_, "", &pin);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(pin.target().content().place(), "a");
  // The manifest, its config and its layer.
  EXPECT_EQ(DoomedCount(), before - 3);
  status = Pin(one_, "", &pin);
  EXPECT_TRUE(status.ok()) << "asked again: " << status.error_message();
}

TEST_F(HeldPlaceTest, APinOfWhatIsInSeveralLayoutsNamesOne) {
  const uint64_t before = DoomedCount();
  v1::Pin pin;
  const grpc::Status status = Pin(both_, "", &pin);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_THAT(status.error_message(),
              HasSubstr("2 layouts of the store s: a, b"));
  EXPECT_EQ(DoomedCount(), before);
  ASSERT_TRUE(Pin(both_, "b", &pin).ok());
  EXPECT_EQ(DoomedCount(), before - 3);
}

TEST_F(HeldPlaceTest, ALeaseHoldsEachCopy) {
  const uint64_t before = DoomedCount();
  v1::CreateLeaseRequest create;
  create.mutable_lease()->set_id("l");
  create.mutable_lease()->add_targets()->mutable_content()->set_digest(
      both_.ToString());
  v1::Lease lease;
  grpc::Status status = Ask(lease_stub_, &Leases::CreateLease, create, &lease);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(lease.targets_size(), 2);
  EXPECT_EQ(DoomedCount(), before - 6);
  EXPECT_TRUE(Ask(lease_stub_, &Leases::CreateLease, create, &lease).ok())
      << "asked again";
  v1::UpdateLeaseRequest update;
  update.set_id("l");
  update.add_add_targets()->mutable_content()->set_digest(one_.ToString());
  status = Ask(lease_stub_, &Leases::UpdateLease, update, &lease);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(DoomedCount(), before - 9);
}

TEST_F(HeldPlaceTest, WhatNoLayoutHasIsHeldInANamedPlaceAlone) {
  const oci::Digest later = oci::Digest::Sha256Of("comes later");
  v1::Pin pin;
  const grpc::Status status = Pin(later, "", &pin);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_THAT(status.error_message(), HasSubstr("name the layout"));
  EXPECT_TRUE(Pin(later, "a", &pin).ok());
}

TEST_F(HeldPlaceTest, NobodyKnowsTheLayoutsOfAStoreThatWasNotRead) {
  const store::TempFolder folder;
  store::LayoutTree tree(&folder, "c");
  tree.Entry(tree.Image({"unread"}), "v1");
  v1::RegisterStoreRequest add;
  add.set_name("unread");
  add.set_uri("image-layout:" + folder.path());
  v1::Store store;
  ASSERT_TRUE(
      Ask(store_stub_, &v1::StoreService::Stub::RegisterStore, add, &store)
          .ok());
  v1::CreatePinRequest create;
  create.mutable_pin()->set_store("unread");
  create.mutable_pin()->mutable_target()->mutable_content()->set_digest(
      tree.Blob("unread").ToString());
  v1::Pin pin;
  const grpc::Status status =
      Ask(lease_stub_, &Leases::CreatePin, create, &pin);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_THAT(status.error_message(), HasSubstr("scan the store"));
}

TEST_F(HeldPlaceTest, AContainerUsesItsImageWhereThatIs) {
  const uint64_t before = DoomedCount();
  v1::RecordRequest request;
  v1::PutContainer* put = request.add_operations()->mutable_put_container();
  put->set_id("c1");
  put->set_image_digest(one_.ToString());
  v1::RecordResponse response;
  grpc::Status status = Ask(graph_stub_, &Graph::Record, request, &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(DoomedCount(), before - 3);
  put->set_image_digest(both_.ToString());
  status = Ask(graph_stub_, &Graph::Record, request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  // One that the store does not have is none of its business.
  put->set_image_digest(oci::Digest::Sha256Of("elsewhere").ToString());
  status = Ask(graph_stub_, &Graph::Record, request, &response);
  EXPECT_TRUE(status.ok()) << status.error_message();
}

}  // namespace
}  // namespace reclaim::rpc
