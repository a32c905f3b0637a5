// Single nodes with their neighbours, lists of nodes in pages, and what is said
// of manifests that nobody can read, as a client.

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "grpcpp/client_context.h"
#include "grpcpp/support/status.h"
#include "gtest/gtest.h"
#include "oci/digest.h"
#include "rpc/server_fixture.h"
#include "store/testing/store_tree.h"

namespace reclaim::rpc {
namespace {

using ::testing::AllOf;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::StartsWith;
using ::testing::UnorderedElementsAre;
using Graph = v1::GraphService::Stub;
using Words = std::vector<std::string>;

oci::Digest D(const std::string& text) { return oci::Digest::Sha256Of(text); }
std::string Sum(const std::string& text) { return D(text).ToString(); }

class NodeTest : public ServerFixture {
 protected:
  void SetUp() override {
    ServerFixture::SetUp();
    AddExternalStore();
  }

  static void AddLink(const std::string& repository, const std::string& text,
                      v1::RecordRequest* request) {
    v1::PutMembership* put =
        request->add_operations()->mutable_put_membership();
    put->set_repository(repository);
    put->set_digest(Sum(text));
    put->set_kind(v1::MEMBERSHIP_KIND_REVISION);
  }
  static void AddVolume(const std::string& name, v1::RecordRequest* request) {
    request->add_operations()->mutable_put_volume()->set_name(name);
  }
  v1::GetNodeResponse Get(const v1::GetNodeRequest& request) {
    v1::GetNodeResponse response;
    const grpc::Status status =
        Ask(graph_stub_, &Graph::GetNode, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }
  v1::GetNodeResponse GetContent(const std::string& text) {
    v1::GetNodeRequest request;
    request.mutable_content()->set_digest(Sum(text));
    return Get(request);
  }
  v1::GetNodeResponse GetNamed(v1::NodeKind kind, const std::string& name,
                               const std::string& scope = "") {
    v1::GetNodeRequest request;
    request.mutable_named()->set_kind(kind);
    request.mutable_named()->set_scope(scope);
    request.mutable_named()->set_name(name);
    return Get(request);
  }
  // Digests, or names with their scopes.
  static std::string WordOf(const v1::Node& node) {
    if (node.name().empty()) return node.digest();
    return absl::StrCat(node.scope(), node.scope().empty() ? "" : ":",
                        node.name());
  }
  template <typename Nodes>
  static Words WordsOf(const Nodes& nodes) {
    Words words;
    for (const v1::Node& node : nodes) words.push_back(WordOf(node));
    return words;
  }
  // A list in pages; `between` is called after each.
  Words List(v1::NodeKind kind, int page_size, const std::string& scope = "",
             const std::function<void()>& between = nullptr) {
    v1::ListNodesRequest request;
    request.set_kind(kind);
    request.set_page_size(page_size);
    request.set_scope(scope);
    Words words;
    do {
      v1::ListNodesResponse page;
      const grpc::Status status =
          Ask(graph_stub_, &Graph::ListNodes, request, &page);
      EXPECT_TRUE(status.ok()) << status.error_message();
      EXPECT_LE(page.nodes_size(), page_size);
      EXPECT_TRUE(page.nodes_size() == page_size ||
                  page.next_page_token().empty())
          << "a page in the midst is full";
      const Words more = WordsOf(page.nodes());
      words.insert(words.end(), more.begin(), more.end());
      request.set_page_token(page.next_page_token());
      if (between) between();
    } while (!request.page_token().empty());
    return words;
  }
};

TEST_F(NodeTest, NeighboursOfAnImage) {
  const std::string image =
      store::ImageText({D("config"), D("base"), D("top")});
  const std::string signature = store::ImageText({D("{}"), D("sig")}, D(image));
  const std::string sbom = store::ImageText({D("{}"), D("bom")}, D(image));
  const std::string index = store::IndexText({D(image)});
  v1::RecordRequest request;
  for (const char* blob : {"top", "config", "base", "{}", "sig", "bom"}) {
    AddBlob(blob, &request);
  }
  for (const std::string& one : {image, signature, sbom, index}) {
    AddManifest(one, &request);
  }
  AddTag("app", "v1", image, &request);
  AddLink("app", image, &request);
  AddLink("mirror", image, &request);
  EXPECT_THAT(Record(request).problems(), IsEmpty());

  const v1::GetNodeResponse found = GetContent(image);
  EXPECT_EQ(found.node().kind(), v1::NODE_KIND_MANIFEST);
  EXPECT_TRUE(found.node().is_live());
  EXPECT_THAT(WordsOf(found.kept()),
              ElementsAre(Sum("config"), Sum("base"), Sum("top")))
      << "in the order of the manifest";
  EXPECT_EQ(found.kept(0).kind(), v1::NODE_KIND_CONFIG);
  EXPECT_EQ(found.kept(2).bytes().logical_bytes(), 3u);
  EXPECT_THAT(WordsOf(found.referrers()),
              UnorderedElementsAre(Sum(signature), Sum(sbom)));
  EXPECT_THAT(found.repositories(), UnorderedElementsAre("app", "mirror"));

  EXPECT_THAT(WordsOf(GetContent(index).kept()), ElementsAre(Sum(image)));
  const v1::GetNodeResponse layer = GetContent("base");
  EXPECT_THAT(layer.kept(), IsEmpty());
  EXPECT_THAT(layer.referrers(), IsEmpty());
  EXPECT_THAT(layer.repositories(), IsEmpty());
  EXPECT_THAT(WordsOf(GetContent(sbom).kept()),
              ElementsAre(Sum("{}"), Sum("bom")))
      << "a referrer does not keep its subject";
  const v1::GetNodeResponse tag = GetNamed(v1::NODE_KIND_TAG, "v1", "app");
  EXPECT_THAT(WordsOf(tag.kept()), ElementsAre(Sum(image)));
  EXPECT_EQ(tag.node().digest(), Sum(image));
}

// It may come later, or never.
TEST_F(NodeTest, WhatIsOnlyNamedHasNeighboursAsWell) {
  const std::string image = store::ImageText({D("config"), D("layer")});
  const std::string signature = store::ImageText({D("{}"), D("sig")}, D(image));
  v1::RecordRequest request;
  AddManifest(signature, &request);
  Record(request);
  const v1::GetNodeResponse subject = GetContent(image);
  EXPECT_EQ(subject.node().state(), v1::NODE_STATE_ABSENT);
  EXPECT_THAT(WordsOf(subject.referrers()), ElementsAre(Sum(signature)));
  EXPECT_THAT(subject.kept(), IsEmpty());
  const v1::GetNodeResponse referrer = GetContent(signature);
  ASSERT_THAT(referrer.kept(), SizeIs(2));
  EXPECT_EQ(referrer.kept(1).state(), v1::NODE_STATE_ABSENT);
}

TEST_F(NodeTest, OnlyTheFirstThousandNeighboursAreTold) {
  std::vector<oci::Digest> blobs = {D("config")};
  for (int i = 0; i < 1100; ++i) blobs.push_back(D(absl::StrCat("layer ", i)));
  const std::string image = store::ImageText(blobs);
  v1::RecordRequest request;
  AddManifest(image, &request);
  for (int i = 0; i < 1100; ++i) {
    AddLink(absl::StrCat("repository-", i), image, &request);
  }
  for (int i = 0; i < 1100; ++i) {
    AddManifest(store::ImageText({D(absl::StrCat("of ", i))}, D(image)),
                &request);
  }
  Record(request);
  const v1::GetNodeResponse found = GetContent(image);
  blobs.resize(1000);
  Words first;
  for (const oci::Digest& blob : blobs) first.push_back(blob.ToString());
  EXPECT_THAT(WordsOf(found.kept()), ElementsAreArray(first));
  EXPECT_EQ(found.referrers_size(), 1000);
  EXPECT_EQ(found.repositories_size(), 1000);
}

TEST_F(NodeTest, AContainerKeepsNoVolumeThatHasGone) {
  v1::RecordRequest request;
  AddVolume("data", &request);
  AddVolume("logs", &request);
  v1::PutContainer* put = request.add_operations()->mutable_put_container();
  put->set_id("c");
  put->add_volumes("data");
  put->add_volumes("logs");
  Record(request);
  const auto kept = [&] {
    return WordsOf(GetNamed(v1::NODE_KIND_CONTAINER, "c").kept());
  };
  EXPECT_THAT(kept(), ElementsAre("data", "logs"));
  v1::RecordRequest remove;
  v1::RemoveNamed* gone = remove.add_operations()->mutable_remove_named();
  gone->set_kind(v1::NODE_KIND_VOLUME);
  gone->set_name("data");
  Record(remove);
  EXPECT_THAT(kept(), ElementsAre("logs"));
  RestartServer();
  EXPECT_THAT(kept(), ElementsAre("logs"));
  v1::RecordRequest again;
  AddVolume("data", &again);
  Record(again);
  EXPECT_THAT(kept(), UnorderedElementsAre("data", "logs"));
}

TEST_F(NodeTest, NamesAreListedInOrder) {
  v1::RecordRequest request;
  AddBlob("x", &request);
  const std::vector<std::pair<std::string, std::string>> tags = {
      {"b", "2"},  {"a", "2"}, {"a/c", "1"},
      {"a", "10"}, {"b", "1"}, {"a-b", "1"}};
  for (const auto& [repository, tag] : tags) {
    AddTag(repository, tag, "x", &request);
  }
  for (const char* name : {"z", "a", "m", "B"}) AddVolume(name, &request);
  Record(request);
  for (int page_size = 1; page_size <= 7; ++page_size) {
    SCOPED_TRACE(page_size);
    EXPECT_THAT(List(v1::NODE_KIND_TAG, page_size),
                ElementsAre("a:10", "a:2", "a-b:1", "a/c:1", "b:1", "b:2"))
        << "by scope, then by name";
    EXPECT_THAT(List(v1::NODE_KIND_TAG, page_size, "a"),
                ElementsAre("a:10", "a:2"));
    EXPECT_THAT(List(v1::NODE_KIND_TAG, page_size, "c"), IsEmpty());
    EXPECT_THAT(List(v1::NODE_KIND_REPOSITORY, page_size),
                ElementsAre("a", "a-b", "a/c", "b"));
    EXPECT_THAT(List(v1::NODE_KIND_VOLUME, page_size),
                ElementsAre("B", "a", "m", "z"));
  }
}

TEST_F(NodeTest, ContentIsListedAsItBecameKnown) {
  const std::string image = store::ImageText({D("config"), D("layer")});
  for (const char* blob : {"z", "a", "m", "b"}) {
    v1::RecordRequest request;
    AddBlob(blob, &request);
    Record(request);
  }
  v1::RecordRequest request;
  AddManifest(image, &request);
  Record(request);
  const Words blobs = {Sum("z"), Sum("a"), Sum("m"), Sum("b")};
  for (int round = 0; round < 2; ++round) {
    for (int page_size = 1; page_size <= 5; ++page_size) {
      SCOPED_TRACE(page_size);
      EXPECT_THAT(List(v1::NODE_KIND_BLOB, page_size), ElementsAreArray(blobs));
      EXPECT_THAT(List(v1::NODE_KIND_MANIFEST, page_size),
                  ElementsAre(Sum(image)));
      EXPECT_THAT(List(v1::NODE_KIND_LAYER, page_size),
                  ElementsAre(Sum("layer")));
      EXPECT_THAT(List(v1::NODE_KIND_IMAGE_INDEX, page_size), IsEmpty());
    }
    RestartServer();
  }
}

// What is there all the time comes once.
TEST_F(NodeTest, PagesGoOnWhereTheLastOneEnded) {
  v1::RecordRequest request;
  for (const char* name : {"b", "d", "f"}) AddVolume(name, &request);
  for (const char* blob : {"one", "two"}) AddBlob(blob, &request);
  Record(request);
  int pages = 0;
  const auto change_names = [&] {
    if (++pages > 1) return;
    // Before where the page ended, behind it, and that itself.
    v1::RecordRequest change;
    AddVolume("a", &change);
    AddVolume("e", &change);
    v1::RemoveNamed* gone = change.add_operations()->mutable_remove_named();
    gone->set_kind(v1::NODE_KIND_VOLUME);
    gone->set_name("b");
    Record(change);
  };
  EXPECT_THAT(List(v1::NODE_KIND_VOLUME, 1, "", change_names),
              ElementsAre("b", "d", "e", "f"));
  pages = 0;
  const auto add_content = [&] {
    if (++pages > 1) return;
    v1::RecordRequest change;
    AddBlob("three", &change);
    Record(change);
  };
  EXPECT_THAT(List(v1::NODE_KIND_BLOB, 1, "", add_content),
              ElementsAre(Sum("one"), Sum("two"), Sum("three")));
}

TEST_F(NodeTest, APageIsOfItsListAlone) {
  v1::RecordRequest request;
  for (const char* name : {"a", "b"}) AddVolume(name, &request);
  Record(request);
  v1::ListNodesRequest list;
  list.set_kind(v1::NODE_KIND_VOLUME);
  list.set_page_size(1);
  v1::ListNodesResponse page;
  ASSERT_TRUE(Ask(graph_stub_, &Graph::ListNodes, list, &page).ok());
  ASSERT_NE(page.next_page_token(), "");
  list.set_page_token(page.next_page_token());
  list.set_kind(v1::NODE_KIND_NETWORK);
  EXPECT_EQ(Ask(graph_stub_, &Graph::ListNodes, list, &page).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
  list.set_page_token("");
  list.set_kind(v1::NODE_KIND_UNSPECIFIED);
  EXPECT_EQ(Ask(graph_stub_, &Graph::ListNodes, list, &page).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
}

class ProblemsTest : public NodeTest {
 protected:
  struct Case {
    std::string manifest;
    std::string media_type;  // as the client declares it
    std::string why;
  };
  static std::vector<Case> Cases() {
    const std::string image = store::ImageText({D("config"), D("layer")});
    // One that has a member more.
    const auto with = [&](const std::string& member) {
      return absl::StrCat(image.substr(0, image.size() - 1), ",", member, "}");
    };
    return {
        {with(R"("config":{})"), "", "has the key \"config\" twice"},
        {with(R"("manifests":[])"), "",
         "can be read as an image and as an index"},
        {with(absl::StrCat(R"("x":)", std::string(40, '['),
                           std::string(40, ']'))),
         "", "nested deeper than 32 levels"},
        {R"({"schemaVersion":2,"mediaType":"application/x-mine"})", "",
         "unknown manifest media type \"application/x-mine\""},
        {image, "application/vnd.oci.image.index.v1+json",
         "but it is named as"},
        {with(R"("Layers":[])"), "", "to some readers and unknown to others"},
        {"{", "", "not JSON"},
        {"", "", "not JSON"},
    };
  }
  static void Add(const Case& one, v1::RecordRequest* request) {
    v1::PutManifest* put = request->add_operations()->mutable_put_manifest();
    put->set_manifest(one.manifest);
    put->set_media_type(one.media_type);
  }
};

TEST_F(ProblemsTest, AManifestThatNobodyUnderstandsIsKeptAndTold) {
  for (const Case& one : Cases()) {
    SCOPED_TRACE(one.why);
    v1::RecordRequest request;
    Add(one, &request);
    request.set_request_id(Sum(one.manifest));
    const v1::RecordResponse response = Record(request);
    ASSERT_THAT(response.problems(), SizeIs(1));
    EXPECT_THAT(
        response.problems(0),
        AllOf(StartsWith(Sum(one.manifest) + ": "), HasSubstr(one.why)));
    EXPECT_EQ(response.changed_count(), 1u);
    const v1::GetNodeResponse found = GetContent(one.manifest);
    EXPECT_EQ(found.node().state(), v1::NODE_STATE_PRESENT);
    EXPECT_TRUE(found.node().is_opaque());
    EXPECT_TRUE(found.node().is_live()) << "it keeps itself";
    EXPECT_THAT(found.kept(), IsEmpty()) << "no edge is half believed";
    // Who asks again by the id is told again.
    const v1::RecordResponse again = Record(request);
    EXPECT_TRUE(again.was_replayed());
    EXPECT_THAT(again.problems(), ElementsAreArray(response.problems()));
  }
}

TEST_F(ProblemsTest, WhatIsUnderstoodBesideItIsRecorded) {
  const std::string image = store::ImageText({D("config"), D("layer")});
  v1::RecordRequest request;
  AddBlob("layer", &request);
  Add(Cases()[0], &request);
  AddManifest(image, &request);
  Add(Cases()[1], &request);
  const v1::RecordResponse response = Record(request);
  EXPECT_THAT(response.problems(), ElementsAre(HasSubstr(Cases()[0].why),
                                               HasSubstr(Cases()[1].why)));
  EXPECT_EQ(response.changed_count(), 4u);
  EXPECT_FALSE(GetContent(image).node().is_opaque());
  EXPECT_THAT(GetContent(image).kept(), SizeIs(2));
}

TEST_F(ProblemsTest, AStreamTellsTheFirstHundred) {
  grpc::ClientContext context;
  v1::RecordStreamResponse response;
  const auto writer = graph_stub_->RecordStream(&context, &response);
  for (int i = 0; i < 6; ++i) {
    v1::RecordRequest request;
    for (int j = 0; j < 20; ++j) {
      AddManifest(absl::StrCat("{ no manifest ", i, " ", j), &request);
    }
    ASSERT_TRUE(writer->Write(request));
  }
  writer->WritesDone();
  ASSERT_TRUE(writer->Finish().ok());
  EXPECT_EQ(response.changed_count(), 120u);
  EXPECT_THAT(response.problems(), AllOf(SizeIs(100), Each(HasSubstr("JSON"))));
  EXPECT_THAT(response.problems(0), StartsWith(Sum("{ no manifest 0 0")));
}

}  // namespace
}  // namespace reclaim::rpc
