// Names that want to be paths, given to every call that takes one (E.2, 1).
//
// What goes by digest is refused.  A recorder may give a repository or a tag
// any text that can be shown, for a store of his may have other names than a
// registry's: it is a record, and a store that has files never makes a path of
// it.

#include "tests/support/hostile_names.h"

#include <filesystem>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/utf8.h"
#include "gc/collector.h"
#include "gc/prune_request.h"
#include "rpc/server_fixture.h"

namespace reclaim::rpc {
namespace {

using Collection = v1::CollectionService::Stub;
using Graph = v1::GraphService::Stub;
using Leases = v1::LeaseService::Stub;
using Policies = v1::PolicyService::Stub;
using Stores = v1::StoreService::Stub;
using Usage = v1::UsageService::Stub;

class HostileNamesTest : public ServerFixture {
 protected:
  using Face = std::function<grpc::Status(const std::string& text)>;

  void SetUp() override {
    ServerFixture::SetUp();
    image_ = tree_.Image("app", "v1", {"a layer"});
    Age();
    AddStore("registry");
    outside_.Write("x", "canary");
    tree_before_ = folder_.Snapshot();
    outside_before_ = outside_.Snapshot();
  }

  void ExpectNothingTouched() const {
    EXPECT_EQ(outside_.Snapshot(), outside_before_);
    EXPECT_EQ(folder_.Snapshot(), tree_before_);
  }

  // Whether it is the text that is refused; what is no UTF-8 cannot be sent.
  static void ExpectRefused(const grpc::Status& status, const std::string& face,
                            const std::string& text) {
    const std::string shown = absl::CHexEscape(text.substr(0, 100));
    ASSERT_FALSE(status.ok()) << face << " takes \"" << shown << "\"";
    if (!base::IsUtf8(text)) return;
    EXPECT_THAT(status.error_code(),
                ::testing::AnyOf(grpc::StatusCode::INVALID_ARGUMENT,
                                 grpc::StatusCode::UNIMPLEMENTED,
                                 grpc::StatusCode::NOT_FOUND))
        << face << " of \"" << shown << "\": " << status.error_message();
    EXPECT_TRUE(base::IsUtf8(status.error_message())) << face;
  }

  grpc::Status Record(v1::RecordRequest request) {
    v1::RecordResponse response;
    return Ask(graph_stub_, &Graph::Record, request, &response);
  }

  void ApplyAndAwait(const std::string& plan_id) {
    v1::ApplyPlanRequest apply;
    apply.set_plan_id(plan_id);
    apply.set_allow_large(true);
    v1::Run run;
    if (Ask(collection_stub_, &Collection::ApplyPlan, apply, &run).ok()) {
      Await(run);
    }
  }

  // Every call with a digest, but where "" means something.
  std::vector<std::pair<std::string, Face>> DigestFaces();
  std::vector<std::pair<std::string, Face>> HeldFaces();
  std::vector<std::pair<std::string, Face>> NameFaces();
  std::vector<std::pair<std::string, Face>> IdFaces();

  const store::RegistryTree tree_{&folder_};
  oci::Digest image_;
  store::TempFolder outside_;
  std::string tree_before_;
  std::string outside_before_;
};

std::vector<std::pair<std::string, HostileNamesTest::Face>>
HostileNamesTest::DigestFaces() {
  const auto record = [this](auto fill) {
    return [this, fill](const std::string& text) {
      v1::RecordRequest request;
      fill(request.add_operations(), text);
      return Record(request);
    };
  };
  return {
      {"put_blob", record([](v1::Operation* operation, const auto& text) {
         operation->mutable_put_blob()->mutable_name()->set_digest(text);
         operation->mutable_put_blob()->mutable_bytes();
       })},
      {"remove_blob", record([](v1::Operation* operation, const auto& text) {
         operation->mutable_remove_blob()->mutable_name()->set_digest(text);
       })},
      {"put_tag", record([](v1::Operation* operation, const auto& text) {
         operation->mutable_put_tag()->set_repository("app");
         operation->mutable_put_tag()->set_tag("v2");
         operation->mutable_put_tag()->set_digest(text);
       })},
      {"put_membership", record([](v1::Operation* operation, const auto& text) {
         v1::PutMembership* put = operation->mutable_put_membership();
         put->set_repository("app");
         put->set_digest(text);
         put->set_kind(v1::MEMBERSHIP_KIND_LAYER);
       })},
      {"check_blobs",
       [this](const std::string& text) {
         v1::CheckBlobsRequest request;
         v1::CheckBlobsResponse response;
         request.add_names()->set_digest(text);
         return Ask(graph_stub_, &Graph::CheckBlobs, request, &response);
       }},
      {"get_node",
       [this](const std::string& text) {
         v1::GetNodeRequest request;
         v1::GetNodeResponse response;
         request.mutable_content()->set_digest(text);
         return Ask(graph_stub_, &Graph::GetNode, request, &response);
       }},
  };
}

std::vector<std::pair<std::string, HostileNamesTest::Face>>
HostileNamesTest::HeldFaces() {
  return {
      {"create_pin",
       [this](const std::string& text) {
         v1::CreatePinRequest request;
         v1::Pin response;
         request.mutable_pin()->set_id("p");
         request.mutable_pin()->mutable_target()->mutable_content()->set_digest(
             text);
         return Ask(lease_stub_, &Leases::CreatePin, request, &response);
       }},
      {"create_lease",
       [this](const std::string& text) {
         v1::CreateLeaseRequest request;
         v1::Lease response;
         request.mutable_lease()->set_id("l");
         request.mutable_lease()->mutable_expire_time()->set_seconds(
             absl::ToUnixSeconds(clock_.Now() + absl::Hours(1)));
         request.mutable_lease()->add_targets()->mutable_content()->set_digest(
             text);
         return Ask(lease_stub_, &Leases::CreateLease, request, &response);
       }},
      {"put_pin",
       [this](const std::string& text) {
         v1::RecordRequest request;
         v1::Pin* pin = request.add_operations()->mutable_put_pin();
         pin->set_id("p2");
         pin->mutable_target()->mutable_content()->set_digest(text);
         return Record(request);
       }},
      {"put_lease",
       [this](const std::string& text) {
         v1::RecordRequest request;
         v1::Lease* lease = request.add_operations()->mutable_put_lease();
         lease->set_id("l2");
         lease->add_targets()->mutable_content()->set_digest(text);
         return Record(request);
       }},
  };
}

// What is asked about a text that may be an id, a digest or a name.
std::vector<std::pair<std::string, HostileNamesTest::Face>>
HostileNamesTest::NameFaces() {
  return {
      {"explain",
       [this](const std::string& text) {
         v1::ExplainRequest request;
         v1::ExplainResponse response;
         request.set_subject(text);
         return Ask(graph_stub_, &Graph::Explain, request, &response);
       }},
      {"get_tree",
       [this](const std::string& text) {
         v1::GetTreeRequest request;
         v1::GetTreeResponse response;
         request.set_reference(text);
         return Ask(usage_stub_, &Usage::GetTree, request, &response);
       }},
      {"create_plan",
       [this](const std::string& text) {
         v1::CreatePlanRequest request;
         v1::Plan response;
         request.set_verb(v1::PRUNE_VERB_IMAGES);
         request.add_references(text);
         return Ask(collection_stub_, &Collection::CreatePlan, request,
                    &response);
       }},
      {"get_store",
       [this](const std::string& text) {
         v1::GetStoreRequest request;
         v1::Store response;
         request.set_name(text);
         return Ask(store_stub_, &Stores::GetStore, request, &response);
       }},
      {"get_lease",
       [this](const std::string& text) {
         v1::GetLeaseRequest request;
         v1::Lease response;
         request.set_id(text);
         return Ask(lease_stub_, &Leases::GetLease, request, &response);
       }},
      {"get_rule_set",
       [this](const std::string& text) {
         v1::GetRuleSetRequest request;
         v1::RuleSet response;
         request.set_name(text);
         return Ask(policy_stub_, &Policies::GetRuleSet, request, &response);
       }},
  };
}

std::vector<std::pair<std::string, HostileNamesTest::Face>>
HostileNamesTest::IdFaces() {
  return {
      {"get_plan",
       [this](const std::string& text) {
         v1::GetPlanRequest request;
         v1::Plan response;
         request.set_id(text);
         return Ask(collection_stub_, &Collection::GetPlan, request, &response);
       }},
      {"apply_plan",
       [this](const std::string& text) {
         v1::ApplyPlanRequest request;
         v1::Run response;
         request.set_plan_id(text);
         return Ask(collection_stub_, &Collection::ApplyPlan, request,
                    &response);
       }},
      {"get_run",
       [this](const std::string& text) {
         v1::GetRunRequest request;
         v1::Run response;
         request.set_id(text);
         return Ask(collection_stub_, &Collection::GetRun, request, &response);
       }},
  };
}

TEST_F(HostileNamesTest, ADigestThatIsNoneIsRefused) {
  auto faces = DigestFaces();
  for (auto& face : HeldFaces()) faces.push_back(std::move(face));
  for (const auto& [face, call] : faces) {
    for (const std::string& text : hostile::BadDigests()) {
      ExpectRefused(call(text), face, text);
    }
    if (face == "get_node") continue;
    const grpc::Status status = call(hostile::GoodDigests()[0]);
    // A pin and a lease are of what is there.
    EXPECT_TRUE(status.ok() ||
                status.error_code() == grpc::StatusCode::NOT_FOUND ||
                status.error_code() == grpc::StatusCode::FAILED_PRECONDITION)
        << face << ": " << status.error_message();
  }
  ExpectNothingTouched();
}

TEST_F(HostileNamesTest, AskingForANameThatIsNoneFindsNothing) {
  std::vector<std::string> texts = hostile::BadRepositories();
  for (const std::string& text : hostile::BadDigests()) texts.push_back(text);
  auto faces = NameFaces();
  for (auto& face : IdFaces()) faces.push_back(std::move(face));
  for (const auto& [face, call] : faces) {
    for (const std::string& text : texts) {
      // Without one the only store is meant.
      if (text.empty()) continue;
      ExpectRefused(call(text), face, text);
    }
  }
  ExpectNothingTouched();
}

// Recorded or refused; what is collected later are the registry's own files.
TEST_F(HostileNamesTest, WhatIsRecordedIsNoPath) {
  const auto record = [this](const std::string& repository,
                             const std::string& tag) {
    v1::RecordRequest request;
    v1::PutTag* put = request.add_operations()->mutable_put_tag();
    put->set_repository(repository);
    put->set_tag(tag);
    put->set_digest(image_.ToString());
    return Record(request).ok();
  };
  const auto upload = [this](const std::string& id) {
    v1::RecordRequest request;
    v1::PutUpload* put = request.add_operations()->mutable_put_upload();
    put->set_repository("app");
    put->set_id(id);
    put->mutable_bytes()->set_logical_bytes(10);
    put->mutable_expire_time()->set_seconds(1);
    return Record(request).ok();
  };
  int recorded = 0;
  // What is no UTF-8 cannot be sent, and protobuf says so in many words.
  for (const std::string& text : hostile::BadRepositories()) {
    if (!base::IsUtf8(text)) continue;
    recorded += record(text, "v1");
  }
  for (const std::string& text : hostile::BadTags()) {
    if (!base::IsUtf8(text)) continue;
    recorded += record("app", text);
  }
  for (const std::string& text : hostile::BadFileNames()) {
    recorded += upload(text);
  }
  EXPECT_GT(recorded, 0) << "then this test shows nothing";
  // Nothing of the store has such a name: nothing is promised of it, and
  // nothing taken; a scan finds that it is not there.
  gc::PruneRequest before_a_scan;
  before_a_scan.store = "s";
  before_a_scan.force = true;
  before_a_scan.policy = policy_;
  const auto early = collector_->MakePlan(before_a_scan, {});
  ASSERT_TRUE(early.ok()) << early.status();
  EXPECT_GT(early->totals.item_count, 0u);
  EXPECT_EQ(early->totals.bytes.content.logical_bytes, 0u);
  ApplyAndAwait(early->id);
  ExpectNothingTouched();
  v1::CreatePlanRequest request;
  request.set_verb(v1::PRUNE_VERB_SYSTEM);
  request.set_force(true);
  v1::Plan plan;
  const grpc::Status planned =
      Ask(collection_stub_, &Collection::CreatePlan, request, &plan);
  ASSERT_TRUE(planned.ok()) << planned.error_message();
  ApplyAndAwait(plan.id());
  EXPECT_EQ(outside_.Snapshot(), outside_before_);
  EXPECT_TRUE(std::filesystem::exists(folder_.path() + "/docker/registry/v2"));
}

// A path of the operator's is one; the name of a store is none.
TEST_F(HostileNamesTest, AStoreHasAName) {
  const store::TempFolder another;
  for (const std::string& text : hostile::BadFileNames()) {
    v1::RegisterStoreRequest request;
    request.set_name(text);
    request.set_uri(absl::StrCat("registry:", another.path()));
    v1::Store response;
    const grpc::Status status =
        Ask(store_stub_, &Stores::RegisterStore, request, &response);
    EXPECT_FALSE(status.ok()) << absl::CHexEscape(text);
  }
  ExpectNothingTouched();
}

}  // namespace
}  // namespace reclaim::rpc
