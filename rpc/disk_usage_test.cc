// What `df` says is reclaimable is what a plan takes, as a client.

#include <string>
#include <vector>

#include "rpc/server_fixture.h"

namespace reclaim::rpc {
namespace {

using Collection = v1::CollectionService::Stub;
using Graph = v1::GraphService::Stub;
using Stores = v1::StoreService::Stub;
using Usage = v1::UsageService::Stub;

constexpr absl::Duration kOld = absl::Hours(1000);

class DiskUsageTest : public ServerFixture {
 protected:
  DiskUsageTest() {
    options_.grace_period = absl::Hours(24);
    policy_.grace_period = options_.grace_period;
  }

  void Register(bool knows_containers) {
    v1::RegisterStoreRequest add;
    add.set_name("engine");
    add.set_uri("external:engine");
    add.set_knows_containers(knows_containers);
    v1::Store store;
    const grpc::Status status =
        Ask(store_stub_, &Stores::RegisterStore, add, &store);
    ASSERT_TRUE(status.ok()) << status.error_message();
  }

  static oci::Digest D(const std::string& text) {
    return oci::Digest::Sha256Of(text);
  }
  void SetAge(absl::Duration age, google::protobuf::Timestamp* time) {
    time->set_seconds(absl::ToUnixSeconds(clock_.Now() - age));
  }
  v1::Operation* Add() { return request_.add_operations(); }

  // An old image of a config and a layer of its own; without a tag if that is
  // "".
  void AddImage(const std::string& name, const std::string& tag) {
    const std::vector<oci::Digest> blobs = {D(name + " config"),
                                            D(name + " layer")};
    for (const oci::Digest& blob : blobs) {
      v1::PutBlob* put = Add()->mutable_put_blob();
      put->mutable_name()->set_digest(blob.ToString());
      put->mutable_bytes()->set_logical_bytes(1000);
      put->mutable_bytes()->set_allocated_bytes(4096);
      SetAge(kOld, put->mutable_modify_time());
    }
    v1::PutManifest* put = Add()->mutable_put_manifest();
    put->set_manifest(store::ImageText(blobs));
    SetAge(kOld, put->mutable_modify_time());
    if (tag.empty()) return;
    v1::PutTag* put_tag = Add()->mutable_put_tag();
    put_tag->set_repository(name);
    put_tag->set_tag(tag);
    put_tag->set_digest(DigestOf(name));
    SetAge(kOld, put_tag->mutable_push_time());
  }
  static std::string DigestOf(const std::string& image) {
    return D(store::ImageText({D(image + " config"), D(image + " layer")}))
        .ToString();
  }
  void AddSnapshot(const std::string& key, uint64_t bytes,
                   const std::string& parent, const std::string& image,
                   absl::Duration age = kOld) {
    v1::PutSnapshot* put = Add()->mutable_put_snapshot();
    put->set_key(key);
    put->set_size_bytes(bytes);
    put->set_parent(parent);
    if (!image.empty()) put->set_image_digest(DigestOf(image));
    SetAge(age, put->mutable_create_time());
  }
  void AddContainer(const std::string& image) {
    v1::PutContainer* put = Add()->mutable_put_container();
    put->set_id("c1");
    put->set_name("web");
    put->set_state(v1::CONTAINER_STATE_RUNNING);
    put->set_image_digest(DigestOf(image));
    put->set_writable_bytes(1);
  }
  void Record() {
    v1::RecordResponse response;
    const grpc::Status status =
        Ask(graph_stub_, &Graph::Record, request_, &response);
    ASSERT_TRUE(status.ok()) << status.error_message();
    ASSERT_EQ(response.problems_size(), 0) << response.problems(0);
    request_.Clear();
  }

  v1::UsageRow Row(const std::string& type) {
    v1::GetDiskUsageResponse usage;
    EXPECT_TRUE(Ask(usage_stub_, &Usage::GetDiskUsage, {}, &usage).ok());
    for (const v1::UsageRow& row : usage.total().rows()) {
      if (row.type() == type) return row;
    }
    ADD_FAILURE() << "no row " << type;
    return {};
  }

  grpc::Status MakePlan(v1::PruneVerb verb, v1::Plan* plan) {
    v1::CreatePlanRequest request;
    request.set_verb(verb);
    return Ask(collection_stub_, &Collection::CreatePlan, request, plan);
  }
  // The unpacked layers that a plan takes.
  uint64_t PlannedSnapshotBytes(v1::PruneVerb verb) {
    v1::Plan plan;
    const grpc::Status status = MakePlan(verb, &plan);
    EXPECT_TRUE(status.ok()) << status.error_message();
    v1::ListPlanItemsRequest list;
    list.set_id(plan.id());
    v1::ListPlanItemsResponse page;
    EXPECT_TRUE(
        Ask(collection_stub_, &Collection::ListPlanItems, list, &page).ok());
    EXPECT_EQ(page.next_page_token(), "");
    uint64_t bytes = 0;
    for (const v1::PlanItem& item : page.items()) {
      if (item.node().kind() == v1::NODE_KIND_SNAPSHOT) {
        bytes += item.bytes().logical_bytes();
      }
    }
    return bytes;
  }

  void ExpectVerified() {
    grpc::ClientContext context;
    const auto reader = store_stub_->VerifyStore(&context, {});
    v1::VerifyStoreResponse response;
    while (reader->Read(&response)) {
      for (const v1::Finding& finding : response.findings()) {
        ADD_FAILURE() << finding.DebugString();
      }
    }
    const grpc::Status status = reader->Finish();
    ASSERT_TRUE(status.ok()) << status.error_message();
  }

  v1::RecordRequest request_;
};

TEST_F(DiskUsageTest, UnpackedLayersAreReclaimableAsAPlanTakesThem) {
  Register(true);
  AddImage("used", "v1");
  AddImage("unused", "v1");
  AddImage("dangling", "");
  AddSnapshot("base", 1, "", "");
  AddSnapshot("of-used", 10, "base", "used");
  AddSnapshot("of-unused", 100, "base", "unused");
  AddSnapshot("of-dangling", 1000, "base", "dangling");
  AddSnapshot("young", 10'000, "of-unused", "unused", absl::Hours(1));
  AddSnapshot("unexplained", 100'000, "", "");
  AddContainer("used");
  Record();
  v1::UsageRow row = Row("Unpacked Layers");
  EXPECT_EQ(row.total_count(), 6u);
  EXPECT_EQ(row.active_count(), 2u) << "of the container's image, and its base";
  EXPECT_EQ(row.bytes().logical_bytes(), 111'111u);
  EXPECT_EQ(row.reclaimable().logical_bytes(), 1000u)
      << "the young one keeps what it stands on";
  EXPECT_EQ(PlannedSnapshotBytes(v1::PRUNE_VERB_ALL_IMAGES), 1000u);
  ExpectVerified();

  clock_.Advance(absl::Hours(24));
  row = Row("Unpacked Layers");
  EXPECT_EQ(row.reclaimable().logical_bytes(), 11'100u);
  EXPECT_EQ(PlannedSnapshotBytes(v1::PRUNE_VERB_ALL_IMAGES), 11'100u);
  EXPECT_EQ(PlannedSnapshotBytes(v1::PRUNE_VERB_IMAGES), 1000u);
  ExpectVerified();

  RestartServer();
  const v1::UsageRow again = Row("Unpacked Layers");
  EXPECT_EQ(again.DebugString(), row.DebugString());
  ExpectVerified();
}

// Some containers are not all of them (SEMANTICS, rule 1).
TEST_F(DiskUsageTest, UnusedIsJudgedWhereAPlanMayJudgeIt) {
  Register(false);
  AddImage("used", "v1");
  AddImage("unused", "v1");
  AddSnapshot("of-used", 10, "", "used");
  AddSnapshot("of-unused", 100, "", "unused");
  AddContainer("used");
  Record();
  v1::Plan plan;
  const grpc::Status refused = MakePlan(v1::PRUNE_VERB_ALL_IMAGES, &plan);
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_THAT(refused.error_message(),
              ::testing::HasSubstr("--containers-are-complete"));
  EXPECT_EQ(Row("Images").reclaimable().logical_bytes(), 0u);
  EXPECT_EQ(Row("Unpacked Layers").reclaimable().logical_bytes(), 0u);

  Register(true);
  const grpc::Status made = MakePlan(v1::PRUNE_VERB_ALL_IMAGES, &plan);
  ASSERT_TRUE(made.ok()) << made.error_message();
  EXPECT_EQ(Row("Images").reclaimable().logical_bytes(),
            plan.bytes().content().logical_bytes() - 100u);
  EXPECT_EQ(Row("Unpacked Layers").reclaimable().logical_bytes(), 100u);
}

// A record without a size is told of in its own row, and in no other.
TEST_F(DiskUsageTest, AnUnknownSizeIsOfItsRow) {
  Register(true);
  v1::PutSnapshot* put = Add()->mutable_put_snapshot();
  put->set_key("unknown");
  Record();
  EXPECT_EQ(Row("Unpacked Layers").unknown_size_count(), 1u);
  EXPECT_EQ(Row("Containers").unknown_size_count(), 0u);
}

}  // namespace
}  // namespace reclaim::rpc
