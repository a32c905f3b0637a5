// A digest that is held without a place is held wherever it is.

#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "gc/collector.h"
#include "gc/prune_request.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "oci/digest.h"
#include "rpc/server_fixture.h"
#include "store/testing/store_tree.h"

namespace reclaim::rpc {
namespace {

using ::testing::HasSubstr;
using Graph = v1::GraphService::Stub;
using Leases = v1::LeaseService::Stub;
using Stores = v1::StoreService::Stub;

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

  // How many blobs go, as the graph is: no call plans without a scan.
  uint64_t DoomedCount(const std::string& store = "s") {
    gc::PruneRequest request;
    request.store = store;
    request.policy = policy_;
    const auto plan = collector_->MakePlan(request, {});
    EXPECT_TRUE(plan.ok()) << plan.status();
    return plan.ok() ? plan->totals.item_count : 0;
  }

  void Scan(const std::string& store = "s") {
    Age();
    v1::ScanStoreRequest scan;
    scan.set_name(store);
    v1::Run run;
    const grpc::Status status =
        Ask(store_stub_, &Stores::ScanStore, scan, &run);
    ASSERT_TRUE(status.ok()) << status.error_message();
    ASSERT_EQ(Await(run).phase(), v1::RUN_PHASE_SUCCEEDED);
  }

  grpc::Status Pin(const oci::Digest& digest, const std::string& place,
                   v1::Pin* pin, const std::string& request_id = "") {
    v1::CreatePinRequest create;
    create.set_request_id(request_id);
    create.mutable_pin()->set_store("s");
    create.mutable_pin()->set_id("p");
    v1::ContentName* name =
        create.mutable_pin()->mutable_target()->mutable_content();
    name->set_digest(digest.ToString());
    name->set_place(place);
    return Ask(lease_stub_, &Leases::CreatePin, create, pin);
  }

  static v1::CreateLeaseRequest LeaseOf(
      const std::vector<oci::Digest>& digests) {
    v1::CreateLeaseRequest create;
    create.mutable_lease()->set_store("s");
    create.mutable_lease()->set_id("l");
    for (const oci::Digest& digest : digests) {
      create.mutable_lease()->add_targets()->mutable_content()->set_digest(
          digest.ToString());
    }
    return create;
  }
  grpc::Status Create(const v1::CreateLeaseRequest& request, v1::Lease* lease) {
    return Ask(lease_stub_, &Leases::CreateLease, request, lease);
  }

  void Record(const v1::PutContainer& put) {
    v1::RecordRequest request;
    *request.add_operations()->mutable_put_container() = put;
    v1::RecordResponse response;
    const grpc::Status status =
        Ask(graph_stub_, &Graph::Record, request, &response);
    ASSERT_TRUE(status.ok()) << status.error_message();
  }
  static v1::PutContainer Container() {
    v1::PutContainer put;
    put.set_store("s");
    put.set_id("c1");
    return put;
  }

  // What goes of a folder that is read after `hold` was asked for: an image
  // that no name leads to, of three blobs, and a blob that nothing holds.
  template <typename Hold>
  uint64_t DoomedAfterTheFirstScan(Hold hold) {
    const store::TempFolder folder;
    store::LayoutTree tree(&folder, "c");
    const oci::Digest image = tree.Image({"unread"});
    tree.Entry(tree.Image({"named"}), "v1");
    tree.Blob("garbage");
    // As old as Age() makes what is in folder_.
    const auto old =
        std::filesystem::last_write_time(folder_.path() + "/a/index.json");
    for (const auto& entry :
         std::filesystem::recursive_directory_iterator(folder.path())) {
      std::filesystem::last_write_time(entry.path(), old);
    }
    v1::RegisterStoreRequest add;
    add.set_name("late");
    add.set_uri("image-layout:" + folder.path());
    v1::Store store;
    const grpc::Status status =
        Ask(store_stub_, &Stores::RegisterStore, add, &store);
    EXPECT_TRUE(status.ok()) << status.error_message();
    hold(image);
    Scan("late");
    return DoomedCount("late");
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
  // The manifest, its config and its layer.
  EXPECT_EQ(DoomedCount(), before - 3);
  status = Pin(one_, "", &pin);
  EXPECT_TRUE(status.ok()) << "asked again: " << status.error_message();
}

TEST_F(HeldPlaceTest, APinHoldsEachCopyOrTheOneThatItNames) {
  const uint64_t before = DoomedCount();
  v1::Pin pin;
  ASSERT_TRUE(Pin(both_, "", &pin).ok());
  EXPECT_EQ(DoomedCount(), before - 6);
  v1::DeletePinRequest remove;
  remove.set_store("s");
  remove.set_id("p");
  v1::DeletePinResponse none;
  ASSERT_TRUE(Ask(lease_stub_, &Leases::DeletePin, remove, &none).ok());
  ASSERT_TRUE(Pin(both_, "b", &pin).ok());
  EXPECT_EQ(pin.target().content().place(), "b");
  EXPECT_EQ(DoomedCount(), before - 3);
}

TEST_F(HeldPlaceTest, ALeaseHoldsEachCopy) {
  const uint64_t before = DoomedCount();
  v1::Lease lease;
  grpc::Status status = Create(LeaseOf({both_}), &lease);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(lease.targets_size(), 1);
  EXPECT_EQ(DoomedCount(), before - 6);
  EXPECT_TRUE(Create(LeaseOf({both_}), &lease).ok()) << "asked again";
  v1::UpdateLeaseRequest update;
  update.set_store("s");
  update.set_id("l");
  for (const oci::Digest& digest : {one_, both_}) {
    update.add_add_targets()->mutable_content()->set_digest(digest.ToString());
  }
  status = Ask(lease_stub_, &Leases::UpdateLease, update, &lease);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(DoomedCount(), before - 9);
  EXPECT_EQ(lease.targets_size(), 2) << "each target once";
}

// What goes before and what comes after: the lease, then the pull.
TEST_F(HeldPlaceTest, ALeaseBeforeThePullHoldsWhatThePullBrings) {
  folder_.Write("c/oci-layout", R"({"imageLayoutVersion":"1.0.0"})");
  folder_.Write("c/index.json", R"({"schemaVersion":2,"manifests":[]})");
  Scan();
  const uint64_t before = DoomedCount();
  const store::LayoutTree c(&folder_, "c");
  const store::TempFolder elsewhere;
  const oci::Digest pulled =
      store::LayoutTree(&elsewhere, "x").Image({"pulled"});
  v1::Lease lease;
  const grpc::Status status = Create(LeaseOf({pulled}), &lease);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(c.Image({"pulled"}), pulled);
  c.Blob("not asked for");
  Scan();
  EXPECT_EQ(DoomedCount(), before + 1) << "what nobody asked for alone";
}

TEST_F(HeldPlaceTest, ACopyThatComesLaterIsHeldAsWell) {
  v1::Pin pin;
  ASSERT_TRUE(Pin(one_, "", &pin).ok());
  const uint64_t before = DoomedCount();
  b_.Image({"one"});
  Scan();
  EXPECT_EQ(DoomedCount(), before);
}

TEST_F(HeldPlaceTest, NobodyNeedsToKnowTheLayoutsOfAStoreThatWasNotRead) {
  const uint64_t doomed =
      DoomedAfterTheFirstScan([&](const oci::Digest& image) {
        v1::CreatePinRequest create;
        create.mutable_pin()->set_store("late");
        create.mutable_pin()->mutable_target()->mutable_content()->set_digest(
            image.ToString());
        v1::Pin pin;
        const grpc::Status status =
            Ask(lease_stub_, &Leases::CreatePin, create, &pin);
        EXPECT_TRUE(status.ok()) << status.error_message();
      });
  EXPECT_EQ(doomed, 1u) << "the blob that nothing holds";
}

TEST_F(HeldPlaceTest, AContainerBeforeTheFirstScanUsesItsImage) {
  const uint64_t doomed =
      DoomedAfterTheFirstScan([&](const oci::Digest& image) {
        v1::PutContainer put = Container();
        put.set_store("late");
        put.set_image_digest(image.ToString());
        Record(put);
      });
  EXPECT_EQ(doomed, 1u) << "the blob that nothing holds";
}

TEST_F(HeldPlaceTest, AContainerUsesItsImageWhereThatIs) {
  const uint64_t before = DoomedCount();
  v1::PutContainer put = Container();
  put.set_image_digest(one_.ToString());
  Record(put);
  EXPECT_EQ(DoomedCount(), before - 3);
  put.set_image_digest(both_.ToString());
  Record(put);
  EXPECT_EQ(DoomedCount(), before - 6);
  // One that the store does not have is none of its business.
  put.set_image_digest(oci::Digest::Sha256Of("elsewhere").ToString());
  Record(put);
  EXPECT_EQ(DoomedCount(), before);
}

TEST_F(HeldPlaceTest, AContainerUsesTheImageThatItsReferenceNames) {
  const uint64_t before = DoomedCount();
  v1::PutContainer put = Container();
  put.set_image_reference(absl::StrCat("app@", one_.ToString()));
  Record(put);
  EXPECT_EQ(DoomedCount(), before - 3);
}

TEST_F(HeldPlaceTest, AMountedImageIsUsedWhereverItIs) {
  const uint64_t before = DoomedCount();
  v1::PutContainer put = Container();
  put.add_mounted_image_digests(one_.ToString());
  Record(put);
  EXPECT_EQ(DoomedCount(), before - 3) << "without an image of its own";
  // The container's own image is in another layout.
  put.set_image_digest(b_.Image({"named"}).ToString());
  put.set_place("b");
  Record(put);
  EXPECT_EQ(DoomedCount(), before - 3);
}

TEST_F(HeldPlaceTest, ARepeatedRequestIsAnsweredAsItWas) {
  v1::Pin pin;
  v1::Lease lease;
  v1::CreateLeaseRequest create = LeaseOf({one_});
  create.set_request_id("take");
  v1::UpdateLeaseRequest update;
  update.set_store("s");
  update.set_id("l");
  update.set_request_id("add");
  update.add_add_targets()->mutable_content()->set_digest(one_.ToString());
  update.mutable_expire_time()->set_seconds(
      absl::ToUnixSeconds(clock_.Now() + absl::Hours(1)));
  ASSERT_TRUE(Pin(one_, "", &pin, "pin").ok());
  ASSERT_TRUE(Create(create, &lease).ok());
  update.set_etag(lease.etag());
  ASSERT_TRUE(Ask(lease_stub_, &Leases::UpdateLease, update, &lease).ok());
  const std::string etag = lease.etag();
  b_.Image({"one"});
  Scan();
  grpc::Status status = Pin(one_, "", &pin, "pin");
  EXPECT_TRUE(status.ok()) << status.error_message();
  status = Create(create, &lease);
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(lease.etag(), etag);
  status = Ask(lease_stub_, &Leases::UpdateLease, update, &lease);
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(lease.etag(), etag);
  // Asked for the first time, the same is refused.
  create.set_request_id("another");
  update.set_request_id("yet another");
  update.set_etag("of long ago");
  EXPECT_EQ(Create(create, &lease).error_code(),
            grpc::StatusCode::ALREADY_EXISTS);
  EXPECT_EQ(Ask(lease_stub_, &Leases::UpdateLease, update, &lease).error_code(),
            grpc::StatusCode::ABORTED);
}

// As to one that holds what the many pulls of its client fetch.
TEST_F(HeldPlaceTest, ManyAddToOneLeaseAtOnce) {
  v1::Lease lease;
  ASSERT_TRUE(Create(LeaseOf({}), &lease).ok());
  constexpr size_t kThreads = 32;
  std::vector<grpc::Status> statuses(kThreads);
  std::vector<std::thread> threads;
  for (size_t i = 0; i < kThreads; ++i) {
    threads.emplace_back([this, i, &statuses] {
      v1::UpdateLeaseRequest update;
      update.set_store("s");
      update.set_id("l");
      v1::ContentName* name = update.add_add_targets()->mutable_content();
      name->set_digest(
          oci::Digest::Sha256Of(absl::StrCat("layer", i)).ToString());
      name->set_place("a");
      v1::Lease now;
      statuses[i] = Ask(lease_stub_, &Leases::UpdateLease, update, &now);
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const grpc::Status& status : statuses) {
    EXPECT_TRUE(status.ok()) << status.error_message();
  }
  v1::UpdateLeaseRequest nothing;
  nothing.set_store("s");
  nothing.set_id("l");
  ASSERT_TRUE(Ask(lease_stub_, &Leases::UpdateLease, nothing, &lease).ok());
  EXPECT_EQ(lease.targets_size(), static_cast<int>(kThreads));
}

TEST_F(HeldPlaceTest, WhatIsTooMuchToLookForIsRefused) {
  for (int i = 0; i < 100; ++i) {
    store::LayoutTree(&folder_, absl::StrCat("l", i)).Blob("filler");
  }
  for (int i = 0; i < 100; ++i) {
    folder_.Write(absl::StrCat("l", i, "/index.json"),
                  R"({"schemaVersion":2,"manifests":[]})");
  }
  Scan();
  std::vector<oci::Digest> digests;
  for (int i = 0; i < 10000; ++i) {
    digests.push_back(oci::Digest::Sha256Of(absl::StrCat(i)));
  }
  v1::Lease lease;
  grpc::Status status = Create(LeaseOf(digests), &lease);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("say where they are"));
  digests.resize(100);
  status = Create(LeaseOf(digests), &lease);
  EXPECT_TRUE(status.ok()) << status.error_message();
}

TEST_F(HeldPlaceTest, ALeaseGrowsToTenThousandTargets) {
  const auto target = [](int i) {
    v1::Target target;
    target.mutable_content()->set_place("a");
    target.mutable_content()->set_digest(
        oci::Digest::Sha256Of(absl::StrCat(i)).ToString());
    return target;
  };
  v1::CreateLeaseRequest create = LeaseOf({});
  for (int i = 0; i < 9999; ++i)
    *create.mutable_lease()->add_targets() = target(i);
  v1::Lease lease;
  ASSERT_TRUE(Create(create, &lease).ok());
  v1::UpdateLeaseRequest update;
  update.set_store("s");
  update.set_id("l");
  *update.add_add_targets() = target(0);
  *update.add_add_targets() = target(9999);
  ASSERT_TRUE(Ask(lease_stub_, &Leases::UpdateLease, update, &lease).ok());
  EXPECT_EQ(lease.targets_size(), 10000);
  *update.add_add_targets() = target(10000);
  EXPECT_EQ(Ask(lease_stub_, &Leases::UpdateLease, update, &lease).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(HeldPlaceTest, ALeaseHoldsNothingOfAnotherStore) {
  v1::CreateLeaseRequest create = LeaseOf({one_});
  create.mutable_lease()->mutable_targets(0)->mutable_content()->set_store("t");
  v1::Lease lease;
  const grpc::Status status = Create(create, &lease);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("of the store t"));
}

}  // namespace
}  // namespace reclaim::rpc
