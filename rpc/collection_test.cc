// From a registry tree to `df`, plan, apply, restore and purge, as a client.

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "rpc/server_fixture.h"

namespace reclaim::rpc {
namespace {

using Collection = v1::CollectionService::Stub;
using Graph = v1::GraphService::Stub;
using Stores = v1::StoreService::Stub;
using Usage = v1::UsageService::Stub;

class CollectionTest : public ServerFixture {
 protected:
  void SetUp() override {
    kept_ = tree_.Image("app", "v1", {"base", "new"});
    old_ = tree_.Image("app", "", {"base", "old"});
    orphan_ = tree_.Blob("nothing names me");
    Age();
    ServerFixture::SetUp();
    AddStore("registry");
  }

  v1::Plan MakePlan(const std::string& request_id = "") {
    v1::CreatePlanRequest request;
    request.set_verb(v1::PRUNE_VERB_SYSTEM);
    request.set_request_id(request_id);
    v1::Plan plan;
    const grpc::Status status =
        Ask(collection_stub_, &Collection::CreatePlan, request, &plan);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return plan;
  }

  grpc::Status Apply(const std::string& plan_id, v1::Run* run) {
    v1::ApplyPlanRequest request;
    request.set_plan_id(plan_id);
    request.set_allow_large(true);
    const grpc::Status status =
        Ask(collection_stub_, &Collection::ApplyPlan, request, run);
    if (status.ok()) *run = Await(*run);
    return status;
  }

  // Digests of the blobs of a plan, read in pages of two.
  std::set<std::string> DoomedBlobs(const v1::Plan& plan) {
    v1::ListPlanItemsRequest list;
    list.set_id(plan.id());
    list.set_page_size(2);
    std::set<std::string> digests;
    uint64_t item_count = 0;
    do {
      v1::ListPlanItemsResponse page;
      EXPECT_TRUE(
          Ask(collection_stub_, &Collection::ListPlanItems, list, &page).ok());
      EXPECT_LE(page.items_size(), 2);
      for (const v1::PlanItem& item : page.items()) {
        ++item_count;
        EXPECT_FALSE(item.reason().empty());
        if (item.action() == "blob") digests.insert(item.node().digest());
      }
      list.set_page_token(page.next_page_token());
    } while (!list.page_token().empty());
    EXPECT_EQ(item_count, plan.item_count());
    return digests;
  }

  v1::StoreUsage Df() {
    v1::GetDiskUsageResponse response;
    const grpc::Status status =
        Ask(usage_stub_, &Usage::GetDiskUsage, {}, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    EXPECT_EQ(response.stores_size(), 1);
    EXPECT_EQ(response.total().rows_size(), response.stores(0).rows_size());
    return response.stores(0);
  }

  std::vector<v1::Finding> Verify(bool read_data) {
    v1::VerifyStoreRequest request;
    request.set_read_data(read_data);
    grpc::ClientContext context;
    const auto reader = store_stub_->VerifyStore(&context, request);
    v1::VerifyStoreResponse response;
    std::vector<v1::Finding> findings;
    bool is_complete = false;
    while (reader->Read(&response)) {
      findings.insert(findings.end(), response.findings().begin(),
                      response.findings().end());
      is_complete = response.is_complete();
      if (is_complete) {
        EXPECT_EQ(response.finding_count(), findings.size());
        EXPECT_GT(response.node_count(), 0u);
      }
    }
    const grpc::Status status = reader->Finish();
    EXPECT_TRUE(status.ok()) << status.error_message();
    EXPECT_TRUE(is_complete);
    // Our trees say of each part that it has one byte.
    findings.erase(std::remove_if(findings.begin(), findings.end(),
                                  [](const v1::Finding& finding) {
                                    return finding.check() == "declared-size";
                                  }),
                   findings.end());
    return findings;
  }

  store::RegistryTree tree_{&folder_};
  oci::Digest kept_;
  oci::Digest old_;
  oci::Digest orphan_;
};

TEST_F(CollectionTest, PlanApplyRestorePurge) {
  const std::string before = folder_.Snapshot();
  const v1::StoreUsage usage = Df();
  EXPECT_EQ(usage.rows(0).type(), "Images");
  EXPECT_EQ(usage.rows(0).total_count(), 2u);
  EXPECT_EQ(usage.dangling_image_count(), 1u);
  EXPECT_TRUE(usage.has_capacity_bytes());

  const v1::Plan plan = MakePlan();
  EXPECT_EQ(plan.blob_count(), 4u);  // manifest, config, layer, orphan
  EXPECT_TRUE(plan.is_restorable());
  EXPECT_EQ(folder_.Snapshot(), before) << "a preview changes nothing (I8)";

  const std::set<std::string> digests = DoomedBlobs(plan);
  EXPECT_EQ(digests.count(old_.ToString()), 1u);
  EXPECT_EQ(digests.count(orphan_.ToString()), 1u);
  EXPECT_EQ(digests.count(kept_.ToString()), 0u);

  const uint64_t disk_before = folder_.DiskBytes();
  v1::Run run;
  ASSERT_TRUE(Apply(plan.id(), &run).ok());
  EXPECT_EQ(run.phase(), v1::RUN_PHASE_SUCCEEDED);
  EXPECT_EQ(run.item_count(), plan.item_count());
  EXPECT_EQ(run.skipped_count(), 0u);
  EXPECT_TRUE(run.has_restorable_until_time());
  EXPECT_EQ(Df().quarantined().count(), 4u);

  v1::GetPlanRequest get;
  get.set_id(plan.id());
  v1::Plan applied;
  ASSERT_TRUE(Ask(collection_stub_, &Collection::GetPlan, get, &applied).ok());
  EXPECT_EQ(applied.run_id(), run.id());

  v1::RestoreRequest restore;
  restore.set_run_id(run.id());
  v1::Run restored;
  ASSERT_TRUE(
      Ask(collection_stub_, &Collection::Restore, restore, &restored).ok());
  EXPECT_EQ(Await(restored).phase(), v1::RUN_PHASE_SUCCEEDED);
  EXPECT_EQ(folder_.Snapshot(), before);
  EXPECT_THAT(Verify(true), ::testing::IsEmpty());

  const v1::Plan again = MakePlan();
  EXPECT_EQ(again.item_count(), plan.item_count());
  ASSERT_TRUE(Apply(again.id(), &run).ok());
  v1::PurgeRequest purge;
  purge.set_now(true);
  v1::Run purged;
  ASSERT_TRUE(Ask(collection_stub_, &Collection::Purge, purge, &purged).ok());
  purged = Await(purged);
  EXPECT_EQ(purged.phase(), v1::RUN_PHASE_SUCCEEDED);
  EXPECT_EQ(disk_before - folder_.DiskBytes(),
            again.bytes().content().allocated_bytes() +
                again.bytes().metadata().allocated_bytes());
  EXPECT_EQ(Df().quarantined().count(), 0u);
  EXPECT_THAT(Verify(true), ::testing::IsEmpty());
}

TEST_F(CollectionTest, ARepeatedRequestFindsItsPlan) {
  const v1::Plan first = MakePlan("a-request");
  EXPECT_EQ(MakePlan("a-request").id(), first.id());
  EXPECT_NE(MakePlan("another").id(), first.id());
}

TEST_F(CollectionTest, APlanIsAppliedOnce) {
  const v1::Plan plan = MakePlan();
  v1::Run run;
  ASSERT_TRUE(Apply(plan.id(), &run).ok());
  const grpc::Status again = Apply(plan.id(), &run);
  EXPECT_EQ(again.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_THAT(again.error_message(), ::testing::HasSubstr(run.id()));
  EXPECT_EQ(ErrorOf(again).domain(), "reclaim");
  EXPECT_EQ(ErrorOf(again).reason(), "FAILED_PRECONDITION");
}

TEST_F(CollectionTest, UnusedCannotBeJudgedOnARegistry) {
  v1::CreatePlanRequest request;
  request.set_verb(v1::PRUNE_VERB_ALL_IMAGES);
  v1::Plan plan;
  const grpc::Status status =
      Ask(collection_stub_, &Collection::CreatePlan, request, &plan);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  request.set_containers_are_complete(true);
  EXPECT_TRUE(
      Ask(collection_stub_, &Collection::CreatePlan, request, &plan).ok());
  EXPECT_GT(plan.blob_count(), 4u);
}

// The caller may have looked before somebody else has written.
TEST_F(CollectionTest, APlanRestsOnAScanAlsoWhereNoneIsAskedFor) {
  EXPECT_EQ(DoomedBlobs(MakePlan()).count(old_.ToString()), 1u);
  EXPECT_EQ(tree_.Image("app", "again", {"base", "old"}), old_);
  Age();
  v1::CreatePlanRequest request;
  request.set_verb(v1::PRUNE_VERB_SYSTEM);
  request.set_skip_scan(true);
  v1::Plan plan;
  const grpc::Status status =
      Ask(collection_stub_, &Collection::CreatePlan, request, &plan);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(DoomedBlobs(plan).count(old_.ToString()), 0u);
}

// Nobody tells of it, and no link of the plan is written anew.
TEST_F(CollectionTest, AnOldPlanIsAppliedToWhatIsThereNow) {
  const v1::Plan plan = MakePlan();
  EXPECT_EQ(DoomedBlobs(plan).count(old_.ToString()), 1u);
  EXPECT_EQ(tree_.Image("other", "v1", {"base", "old"}), old_);
  Age();
  clock_.Advance(absl::Minutes(2));
  v1::Run run;
  ASSERT_TRUE(Apply(plan.id(), &run).ok());
  EXPECT_GT(run.skipped_count(), 0u);
  EXPECT_GT(run.item_count(), 0u) << "the orphan goes all the same";
  EXPECT_TRUE(folder_.Exists(tree_.BlobPath(old_)));
  EXPECT_FALSE(folder_.Exists(tree_.BlobPath(orphan_)));
  EXPECT_THAT(Verify(true), ::testing::IsEmpty());
}

TEST_F(CollectionTest, WrongTermsAreRefusedBeforeAnythingElse) {
  v1::CreatePlanRequest request;
  v1::Plan plan;
  EXPECT_EQ(Ask(collection_stub_, &Collection::CreatePlan, request, &plan)
                .error_code(),
            grpc::StatusCode::INVALID_ARGUMENT)
      << "no verb";
  request.set_verb(v1::PRUNE_VERB_SYSTEM);
  request.add_filters("colour=red");
  const grpc::Status status =
      Ask(collection_stub_, &Collection::CreatePlan, request, &plan);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), ::testing::HasSubstr("colour"));
  v1::ListRunsResponse runs;
  ASSERT_TRUE(Ask(collection_stub_, &Collection::ListRuns, {}, &runs).ok());
  EXPECT_EQ(runs.runs_size(), 1) << "the scan of the set-up and no other";
}

TEST_F(CollectionTest, ImagesWithSharedAndUniqueBytes) {
  v1::ListImagesResponse images;
  ASSERT_TRUE(Ask(usage_stub_, &Usage::ListImages, {}, &images).ok());
  ASSERT_EQ(images.images_size(), 2);
  std::map<std::string, v1::Image> by_digest;
  for (const v1::Image& image : images.images()) {
    by_digest[image.digest()] = image;
    EXPECT_EQ(image.size().logical_bytes(),
              image.shared().logical_bytes() + image.unique().logical_bytes());
    EXPECT_EQ(image.shared().logical_bytes(), std::string("base").size());
  }
  EXPECT_EQ(by_digest[kept_.ToString()].references(0), "app:v1");
  EXPECT_TRUE(by_digest[old_.ToString()].is_dangling());

  v1::ListImagesRequest dangling;
  dangling.add_filters("dangling=true");
  ASSERT_TRUE(Ask(usage_stub_, &Usage::ListImages, dangling, &images).ok());
  ASSERT_EQ(images.images_size(), 1);
  EXPECT_EQ(images.images(0).digest(), old_.ToString());

  v1::ListImagesRequest one;
  one.set_page_size(1);
  ASSERT_TRUE(Ask(usage_stub_, &Usage::ListImages, one, &images).ok());
  EXPECT_EQ(images.images_size(), 1);
  one.set_page_token(images.next_page_token());
  ASSERT_TRUE(Ask(usage_stub_, &Usage::ListImages, one, &images).ok());
  EXPECT_EQ(images.images_size(), 1);
  EXPECT_TRUE(images.next_page_token().empty());
  // The token is of this list and of no other.
  one.add_filters("dangling=true");
  EXPECT_EQ(Ask(usage_stub_, &Usage::ListImages, one, &images).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(CollectionTest, SharesAddUpToTheLiveBytes) {
  tree_.Image("other", "v1", {"base", "other layer"});
  Age();
  v1::Run run;
  ASSERT_TRUE(Ask(store_stub_, &Stores::ScanStore, {}, &run).ok());
  Await(run);
  v1::ListUsageRequest request;
  request.set_by(v1::USAGE_GROUPING_REPOSITORY);
  v1::ListUsageResponse response;
  ASSERT_TRUE(Ask(usage_stub_, &Usage::ListUsage, request, &response).ok());
  ASSERT_EQ(response.groups_size(), 2);
  uint64_t sum = response.unattributed().logical_bytes();
  uint64_t exclusive = 0;
  for (const v1::GroupUsage& group : response.groups()) {
    sum += group.apportioned().logical_bytes();
    exclusive += group.exclusive().bytes().logical_bytes();
    EXPECT_EQ(group.tag_count(), 1u);
    EXPECT_EQ(group.reachable().count(), 4u);
    EXPECT_EQ(group.exclusive().count(), 3u) << "all but the shared base";
  }
  EXPECT_EQ(sum, Df().live().bytes().logical_bytes());
  EXPECT_LE(exclusive, sum);
}

TEST_F(CollectionTest, HistoryTreeWhatIfAndWhy) {
  v1::GetImageHistoryRequest history;
  history.set_reference("app:v1");
  v1::GetImageHistoryResponse layers;
  grpc::Status status =
      Ask(usage_stub_, &Usage::GetImageHistory, history, &layers);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(layers.entries_size(), 2);
  EXPECT_EQ(layers.entries(0).size_bytes(), std::string("new").size());

  v1::GetTreeRequest tree;
  tree.set_reference("app:v1");
  v1::GetTreeResponse nodes;
  ASSERT_TRUE(Ask(usage_stub_, &Usage::GetTree, tree, &nodes).ok());
  EXPECT_EQ(nodes.nodes_size(), 5) << nodes.DebugString();

  v1::WhatIfRequest what;
  what.add_references("app:v1");
  v1::WhatIfResponse answer;
  ASSERT_TRUE(Ask(usage_stub_, &Usage::WhatIf, what, &answer).ok());
  EXPECT_GT(answer.freed().count(), 0u);

  v1::ExplainRequest why;
  why.set_subject(oci::Digest::Sha256Of("base").ToString());
  v1::ExplainResponse kept;
  ASSERT_TRUE(Ask(graph_stub_, &Graph::Explain, why, &kept).ok());
  EXPECT_TRUE(kept.is_kept());
  ASSERT_EQ(kept.paths_size(), 1);
  EXPECT_EQ(kept.paths(0).reason(), v1::ROOT_REASON_TAG);
  EXPECT_EQ(kept.paths(0).nodes(0).name(), "v1");
  why.set_subject(old_.hex().substr(0, 12));
  v1::ExplainResponse doomed;
  ASSERT_TRUE(Ask(graph_stub_, &Graph::Explain, why, &doomed).ok());
  EXPECT_FALSE(doomed.is_kept());
  EXPECT_THAT(doomed.summary(), ::testing::HasSubstr("Unreferenced"));
}

TEST_F(CollectionTest, EventsTellWhatWentAndCameBack) {
  v1::Run run;
  ASSERT_TRUE(Apply(MakePlan().id(), &run).ok());
  v1::WatchEventsRequest request;
  request.add_kinds(v1::EVENT_KIND_QUARANTINED);
  request.set_limit(100);
  grpc::ClientContext context;
  const auto reader = collection_stub_->WatchEvents(&context, request);
  v1::WatchEventsResponse batch;
  std::set<std::string> digests;
  uint64_t last = 0;
  while (reader->Read(&batch)) {
    for (const v1::Event& event : batch.events()) {
      EXPECT_GT(event.sequence(), last);
      last = event.sequence();
      EXPECT_EQ(event.run_id(), run.id());
      EXPECT_THAT(event.actor(), ::testing::StartsWith("uid:"));
      digests.insert(event.node().digest());
    }
  }
  EXPECT_TRUE(reader->Finish().ok());
  EXPECT_EQ(digests.size(), 4u);
}

TEST_F(CollectionTest, AFollowerSeesWhatHappensLater) {
  v1::WatchEventsRequest request;
  request.set_follow(true);
  request.add_kinds(v1::EVENT_KIND_QUARANTINED);
  grpc::ClientContext context;
  const auto reader = collection_stub_->WatchEvents(&context, request);
  v1::Run run;
  ASSERT_TRUE(Apply(MakePlan().id(), &run).ok());
  v1::WatchEventsResponse batch;
  ASSERT_TRUE(reader->Read(&batch));
  EXPECT_EQ(batch.events(0).run_id(), run.id());
  context.TryCancel();
  while (reader->Read(&batch)) {
  }
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
}

TEST_F(CollectionTest, AnythingAcknowledgedOutlivesTheDaemon) {
  const v1::Plan plan = MakePlan();
  const v1::StoreUsage before = Df();
  StopServer();
  StartServer();
  EXPECT_EQ(Df().live().bytes().logical_bytes(),
            before.live().bytes().logical_bytes());
  v1::Run run;
  ASSERT_TRUE(Apply(plan.id(), &run).ok());
  EXPECT_EQ(run.item_count(), plan.item_count());
}

TEST_F(CollectionTest, VerifyFindsWhatIsWrong) {
  folder_.Write(tree_.BlobPath(oci::Digest::Sha256Of("base")), "bass");
  tree_.Blob("came later");
  std::map<std::string, int> checks;
  for (const v1::Finding& finding : Verify(true)) {
    ++checks[finding.check()];
    EXPECT_FALSE(finding.advice().empty());
  }
  EXPECT_EQ(checks["digest-mismatch"], 1);
  EXPECT_EQ(checks["unknown-content"], 1);
  folder_.Remove(tree_.BlobPath(oci::Digest::Sha256Of("new")));
  checks.clear();
  for (const v1::Finding& finding : Verify(false)) {
    ++checks[finding.check()];
    if (finding.check() == "missing-blob") {
      EXPECT_EQ(finding.severity(), v1::FINDING_SEVERITY_DAMAGE);
    }
  }
  EXPECT_EQ(checks["missing-blob"], 1);
}

TEST_F(CollectionTest, AStoreWithQuarantineIsNotForgotten) {
  v1::Run run;
  ASSERT_TRUE(Apply(MakePlan().id(), &run).ok());
  v1::ForgetStoreRequest forget;
  forget.set_name("s");
  v1::ForgetStoreResponse none;
  EXPECT_EQ(Ask(store_stub_, &Stores::ForgetStore, forget, &none).error_code(),
            grpc::StatusCode::FAILED_PRECONDITION);
  v1::RestoreRequest restore;
  restore.set_run_id(run.id());
  ASSERT_TRUE(Ask(collection_stub_, &Collection::Restore, restore, &run).ok());
  Await(run);
  EXPECT_TRUE(Ask(store_stub_, &Stores::ForgetStore, forget, &none).ok());
  v1::ListStoresResponse stores;
  ASSERT_TRUE(Ask(store_stub_, &Stores::ListStores, {}, &stores).ok());
  EXPECT_EQ(stores.stores_size(), 0);
  // It can come back under another name.
  AddStore("registry");
  EXPECT_EQ(Df().rows(0).total_count(), 2u);
}

}  // namespace
}  // namespace reclaim::rpc
