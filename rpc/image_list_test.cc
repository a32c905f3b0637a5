// What filters select in lists is what they select in prunes (SEMANTICS.md,
// rule 2), as a client.

#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "rpc/server_fixture.h"

namespace reclaim::rpc {
namespace {

using Collection = v1::CollectionService::Stub;
using Names = std::set<std::string>;
using Usage = v1::UsageService::Stub;

// "old" has a name; "loose" had one, and lost it a thousand hours ago; "young"
// and "gone" are like them, of today.
class ImageListTest : public ServerFixture {
 protected:
  void SetUp() override {
    ServerFixture::SetUp();
    AddExternalStore();
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
    Record(request);
  }

  void AddImage(const std::string& name, v1::RecordRequest* request) {
    const std::string config = absl::StrCat(
        R"({"architecture":"amd64","os":"linux","created":")",
        absl::FormatTime(absl::RFC3339_sec, clock_.Now(), absl::UTCTimeZone()),
        R"(","config":{"Labels":{"name":")", name, R"("}}})");
    const std::string layer = absl::StrCat("layer of ", name);
    AddBlob(config, request);
    AddBlob(layer, request);
    const std::string manifest = store::ImageText({D(config), D(layer)});
    AddManifest(manifest, request);
    v1::PutImageConfig* details =
        request->add_operations()->mutable_put_image_config();
    details->mutable_name()->set_digest(D(config).ToString());
    details->set_config(config);
    AddTag("app", name, manifest, request);
    digests_[name] = D(manifest).ToString();
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

  // By several, in the order of the list.
  std::vector<std::string> ListedBy(const std::vector<std::string>& filters) {
    v1::ListImagesRequest request;
    for (const std::string& filter : filters) request.add_filters(filter);
    v1::ListImagesResponse response;
    const grpc::Status status =
        Ask(usage_stub_, &Usage::ListImages, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    std::vector<std::string> names;
    for (const v1::Image& image : response.images()) {
      names.push_back(names_[image.digest()]);
    }
    return names;
  }
  grpc::Status ListRefusal(const std::string& filter) {
    v1::ListImagesRequest request;
    request.add_filters(filter);
    v1::ListImagesResponse response;
    return Ask(usage_stub_, &Usage::ListImages, request, &response);
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

class BeforeAndSinceTest : public ImageListTest {
 protected:
  // "old" and "loose" are the eldest, then come "young" and "gone", then these.
  void SetUp() override {
    ImageListTest::SetUp();
    clock_.Advance(absl::Hours(1));
    Put("late", "lost");
  }
  static std::string Short(const std::string& digest) {
    return digest.substr(std::string("sha256:").size(), 12);
  }
  // The digest of an image's config: its ID.
  std::string ConfigOf(const std::string& name) {
    v1::ListImagesResponse response;
    EXPECT_TRUE(Ask(usage_stub_, &Usage::ListImages, {}, &response).ok());
    for (const v1::Image& image : response.images()) {
      if (names_[image.digest()] == name) return image.config_digest();
    }
    ADD_FAILURE() << name << " is not listed";
    return "";
  }
};

TEST_F(BeforeAndSinceTest, EachCutsAtTheImageThatItNames) {
  struct Case {
    std::vector<std::string> filters;
    Names names;
  };
  const Names first = {"old", "loose"};
  const Names second = {"young", "gone"};
  const Names third = {"late", "lost"};
  const std::vector<Case> cases = {
      {{"before=app:old"}, {}},
      {{"before=app:young"}, first},
      {{"before=app:late"}, {"old", "loose", "young", "gone"}},
      {{"since=app:late"}, {}},
      {{"since=app:young"}, third},
      {{"since=app:old"}, {"young", "gone", "late", "lost"}},
      // An image without a name, by its digest, whole or in part.
      {{absl::StrCat("before=", digests_["gone"])}, first},
      {{absl::StrCat("since=", Short(digests_["gone"]))}, third},
      // By its ID, as the list shows it.
      {{absl::StrCat("before=", ConfigOf("gone"))}, first},
      {{absl::StrCat("since=", Short(ConfigOf("gone")))}, third},
      // Of several each has to hold, and so has every other term.
      {{"since=app:old", "before=app:late"}, second},
      {{"before=app:late", "before=app:young"}, first},
      {{"since=app:late", "before=app:old"}, {}},
      {{"before=app:late", "dangling=true"}, {"loose", "gone"}},
      {{"before=app:late", "label=name=old"}, {"old"}},
      {{"since=app:old", "until=30m"}, second},
      // What it names need not be listed itself.
      {{"since=app:old", "reference=app:late"}, {"late"}}};
  for (const Case& one : cases) {
    const std::vector<std::string> listed = ListedBy(one.filters);
    EXPECT_EQ(Names(listed.begin(), listed.end()), one.names)
        << ::testing::PrintToString(one.filters);
    EXPECT_EQ(listed.size(), one.names.size());
  }
}

TEST_F(BeforeAndSinceTest, TheNewestIsStillTheFirst) {
  const std::vector<std::string> listed =
      ListedBy({"since=app:old", "dangling=false"});
  EXPECT_EQ(listed, std::vector<std::string>({"late", "young"}));
}

TEST_F(BeforeAndSinceTest, WhatIsNoListedImageIsRefused) {
  const std::string layer = D("layer of old").ToString();
  for (const char* key : {"before=", "since="}) {
    EXPECT_EQ(ListRefusal(absl::StrCat(key, "app:none")).error_code(),
              grpc::StatusCode::NOT_FOUND);
    const grpc::Status empty = ListRefusal(key);
    EXPECT_EQ(empty.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    EXPECT_THAT(empty.error_message(),
                ::testing::HasSubstr("has an empty value"));
    EXPECT_EQ(ListRefusal(absl::StrCat(key, "app")).error_code(),
              grpc::StatusCode::FAILED_PRECONDITION)
        << "a repository";
    const grpc::Status status = ListRefusal(absl::StrCat(key, layer));
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    EXPECT_THAT(status.error_message(),
                ::testing::HasSubstr("is not a listed image"));
  }
}

// One of any store that is listed cuts what is listed of all of them.
TEST_F(BeforeAndSinceTest, TheImageMayBeInAnotherStore) {
  AddExternalStore("other");
  EXPECT_EQ(Listed("before=app:young"), Names({"old", "loose"}));
  v1::ListImagesRequest request;
  request.set_store("other");
  request.add_filters("before=app:young");
  v1::ListImagesResponse response;
  EXPECT_EQ(
      Ask(usage_stub_, &Usage::ListImages, request, &response).error_code(),
      grpc::StatusCode::NOT_FOUND);
}

}  // namespace
}  // namespace reclaim::rpc
