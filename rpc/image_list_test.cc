// What filters select in lists is what they select in prunes (SEMANTICS.md,
// rule 2), as a client.

#include <map>
#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "rpc/server_fixture.h"

namespace reclaim::rpc {
namespace {

using Collection = v1::CollectionService::Stub;
using Graph = v1::GraphService::Stub;
using Names = std::set<std::string>;
using Usage = v1::UsageService::Stub;

// "old" has a name; "loose" had one, and lost it a thousand hours ago; "young"
// and "gone" are like them, of today.
class ImageListTest : public ServerFixture {
 protected:
  void SetUp() override {
    ServerFixture::SetUp();
    v1::RegisterStoreRequest add;
    add.set_name("engine");
    add.set_uri("external:engine");
    add.set_knows_containers(true);
    v1::Store store;
    const grpc::Status status =
        Ask(store_stub_, &v1::StoreService::Stub::RegisterStore, add, &store);
    ASSERT_TRUE(status.ok()) << status.error_message();
    Put("old", "loose");
    clock_.Advance(absl::Hours(1000));
    Put("young", "gone");
  }

  // The first is pulled, the second loses its name.
  void Put(const std::string& pulled, const std::string& untagged) {
    v1::RecordRequest request;
    AddImage(pulled, &request);
    AddImage(untagged, &request);
    v1::Touch* touch = request.add_operations()->mutable_touch();
    touch->mutable_name()->set_digest(digests_[pulled]);
    touch->set_use(v1::USE_KIND_PULLED);
    v1::RemoveTag* remove = request.add_operations()->mutable_remove_tag();
    remove->set_repository("app");
    remove->set_tag(untagged);
    v1::RecordResponse response;
    const grpc::Status status =
        Ask(graph_stub_, &Graph::Record, request, &response);
    ASSERT_TRUE(status.ok()) << status.error_message();
  }

  void AddImage(const std::string& name, v1::RecordRequest* request) {
    const std::string config = absl::StrCat(
        R"({"architecture":"amd64","os":"linux","created":")",
        absl::FormatTime(absl::RFC3339_sec, clock_.Now(), absl::UTCTimeZone()),
        R"(","config":{"Labels":{"name":")", name, R"("}}})");
    const std::string layer = absl::StrCat("layer of ", name);
    for (const std::string& blob : {config, layer}) {
      v1::PutBlob* put = request->add_operations()->mutable_put_blob();
      put->mutable_name()->set_digest(D(blob).ToString());
      put->mutable_bytes()->set_logical_bytes(blob.size());
      put->mutable_bytes()->set_allocated_bytes(4096);
    }
    const std::string manifest = store::ImageText({D(config), D(layer)});
    request->add_operations()->mutable_put_manifest()->set_manifest(manifest);
    v1::PutImageConfig* details =
        request->add_operations()->mutable_put_image_config();
    details->mutable_name()->set_digest(D(config).ToString());
    details->set_config(config);
    v1::PutTag* tag = request->add_operations()->mutable_put_tag();
    tag->set_repository("app");
    tag->set_tag(name);
    digests_[name] = D(manifest).ToString();
    tag->set_digest(digests_[name]);
    names_[digests_[name]] = name;
  }

  static oci::Digest D(const std::string& text) {
    return oci::Digest::Sha256Of(text);
  }

  Names Listed(const std::string& filter) {
    v1::ListImagesRequest request;
    request.add_filters(filter);
    v1::ListImagesResponse response;
    const grpc::Status status =
        Ask(usage_stub_, &Usage::ListImages, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    Names names;
    for (const v1::Image& image : response.images()) {
      names.insert(names_[image.digest()]);
    }
    return names;
  }

  grpc::Status Plan(v1::PruneVerb verb, const std::string& filter,
                    v1::Plan* plan) {
    v1::CreatePlanRequest request;
    request.set_verb(verb);
    request.add_filters(filter);
    return Ask(collection_stub_, &Collection::CreatePlan, request, plan);
  }

  Names Pruned(const std::string& filter) {
    v1::Plan plan;
    const grpc::Status status = Plan(v1::PRUNE_VERB_ALL_IMAGES, filter, &plan);
    EXPECT_TRUE(status.ok()) << status.error_message();
    v1::ListPlanItemsRequest request;
    request.set_id(plan.id());
    v1::ListPlanItemsResponse items;
    EXPECT_TRUE(
        Ask(collection_stub_, &Collection::ListPlanItems, request, &items)
            .ok());
    Names names;
    for (const v1::PlanItem& item : items.items()) {
      const auto name = names_.find(item.node().digest());
      if (name != names_.end()) names.insert(name->second);
    }
    return names;
  }

  std::map<std::string, std::string> digests_;  // by name
  std::map<std::string, std::string> names_;    // by digest
};

TEST_F(ImageListTest, EachClockSelectsWhatAPruneTakes) {
  const std::map<std::string, Names> wanted = {
      {"until", {"old", "loose"}},    {"until.recorded", {"old", "loose"}},
      {"until.used", {"old"}},        {"until.created", {"old", "loose"}},
      {"until.pulled", {"old"}},      {"until.pushed", {"old"}},
      {"until.untagged", {"loose"}},  {"pushed-before", {"old"}},
      {"untagged-before", {"loose"}},
  };
  for (const auto& [key, names] : wanted) {
    const std::string filter = absl::StrCat(key, "=24h");
    EXPECT_EQ(Listed(filter), names) << filter;
    EXPECT_EQ(Pruned(filter), names) << filter;
  }
}

TEST_F(ImageListTest, LabelsAndNamesDoSo) {
  for (const char* filter : {"label=name=old", "reference=app:ol*"}) {
    EXPECT_EQ(Listed(filter), Names({"old"})) << filter;
    EXPECT_EQ(Pruned(filter), Names({"old"})) << filter;
  }
  EXPECT_EQ(Listed("label!=name=old"), Names({"gone", "loose", "young"}));
  EXPECT_EQ(Pruned("label!=name=old"), Names({"gone", "loose", "young"}));
}

TEST_F(ImageListTest, AClockThatTheKindDoesNotHaveIsRefusedAlike) {
  v1::ListImagesRequest list;
  list.add_filters("until.exited=24h");
  v1::ListImagesResponse images;
  const grpc::Status listed =
      Ask(usage_stub_, &Usage::ListImages, list, &images);
  v1::Plan plan;
  const grpc::Status planned =
      Plan(v1::PRUNE_VERB_IMAGES, "until.exited=24h", &plan);
  EXPECT_EQ(listed.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(planned.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(listed.error_message(),
              ::testing::HasSubstr("\"exited\" does not fit images"));
  EXPECT_EQ(planned.error_message(), listed.error_message());
  EXPECT_EQ(
      Plan(v1::PRUNE_VERB_NETWORKS, "until.pulled=24h", &plan).error_code(),
      grpc::StatusCode::INVALID_ARGUMENT);
}

}  // namespace
}  // namespace reclaim::rpc
