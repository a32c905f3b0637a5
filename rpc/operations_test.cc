// Every operation that can be recorded: alone, in a stream, and again; then
// what holds for many of them together.

#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"
#include "google/protobuf/text_format.h"
#include "grpcpp/client_context.h"
#include "grpcpp/support/status.h"
#include "gtest/gtest.h"
#include "oci/digest.h"
#include "rpc/server_fixture.h"
#include "store/testing/store_tree.h"

namespace reclaim::rpc {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Graph = v1::GraphService::Stub;

std::string Sum(const std::string& text) {
  return oci::Digest::Sha256Of(text).ToString();
}

v1::Operation Read(const std::string& text) {
  v1::Operation operation;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &operation))
      << text;
  return operation;
}

// "put_blob", as the API names what is set.
std::string MemberOf(const v1::Operation& operation) {
  const auto* field = operation.GetReflection()->GetOneofFieldDescriptor(
      operation, v1::Operation::descriptor()->FindOneofByName("operation"));
  return field == nullptr ? "" : field->name();
}

std::string Name(const std::string& digest) {
  return absl::StrCat("name { digest: \"", digest, "\" }");
}
std::string Content(const std::string& digest) {
  return absl::StrCat("content { digest: \"", digest, "\" }");
}
std::string Named(const std::string& kind, const std::string& name,
                  const std::string& scope = "") {
  return absl::StrCat("named { kind: NODE_KIND_", kind, " scope: \"", scope,
                      "\" name: \"", name, "\" }");
}
std::string PutBlob(const std::string& text) {
  return absl::StrCat("put_blob { ", Name(Sum(text)),
                      " bytes { logical_bytes: ", text.size(),
                      " allocated_bytes: 4096 } }");
}
// So many that a map has them in another order each time.
std::string Labels() {
  std::string text;
  for (int i = 0; i < 10; ++i) {
    absl::StrAppend(&text, " labels { key: \"label-", i, "\" value: \"x\" }");
  }
  return text;
}

// What is known of a node, in a few words; "" if there is none.
std::string WordsOf(const v1::GetNodeResponse& response) {
  const v1::Node& node = response.node();
  const auto kind = [](const v1::Node& one) {
    return std::string(
        absl::StripPrefix(v1::NodeKind_Name(one.kind()), "NODE_KIND_"));
  };
  std::string words =
      absl::StrCat(kind(node), " of ", node.bytes().logical_bytes(), " bytes");
  if (node.state() != v1::NODE_STATE_PRESENT) {
    absl::StrAppend(&words, ", ", v1::NodeState_Name(node.state()));
  }
  if (!node.labels().empty()) {
    absl::StrAppend(&words, ", ", node.labels().size(), " labels");
  }
  for (const v1::Node& kept : response.kept()) {
    absl::StrAppend(&words, ", keeps ", kind(kept));
  }
  for (const std::string& repository : response.repositories()) {
    absl::StrAppend(&words, ", of ", repository);
  }
  if (node.has_last_used_time()) absl::StrAppend(&words, ", used");
  return words;
}

struct Row {
  std::vector<std::string> before;
  std::string operation;
  std::string node;  // GetNodeRequest
  std::string was;   // WordsOf() it after `before` …
  std::string is;    // … and after the operation
};

std::vector<Row> ContentRows() {
  const std::string manifest = store::ImageText(
      {oci::Digest::Sha256Of("config"), oci::Digest::Sha256Of("layer")});
  const std::string config = absl::StrCat(
      R"({"os":"linux","architecture":"arm","config":{"Labels":{)",
      R"("a":"1","b":"2","c":"3","d":"4","e":"5","f":"6","g":"7"}}})");
  const std::string blob = Content(Sum("blob"));
  return {
      {{}, PutBlob("blob"), blob, "", "BLOB of 4 bytes"},
      {{PutBlob("blob")},
       absl::StrCat("remove_blob { ", Name(Sum("blob")), " }"),
       blob,
       "BLOB of 4 bytes",
       "BLOB of 0 bytes, NODE_STATE_ABSENT"},
      {{},
       absl::StrCat("put_manifest { manifest: \"", absl::CEscape(manifest),
                    "\" }"),
       Content(Sum(manifest)),
       "",
       absl::StrCat("MANIFEST of ", manifest.size(),
                    " bytes, keeps CONFIG, keeps LAYER")},
      {{PutBlob(config)},
       absl::StrCat("put_image_config { ", Name(Sum(config)), " config: \"",
                    absl::CEscape(config), "\" }"),
       Content(Sum(config)),
       absl::StrCat("BLOB of ", config.size(), " bytes"),
       absl::StrCat("CONFIG of ", config.size(), " bytes, 7 labels")},
      {{PutBlob("blob")},
       absl::StrCat("touch { ", Name(Sum("blob")), " use: USE_KIND_PULLED }"),
       blob,
       "BLOB of 4 bytes",
       "BLOB of 4 bytes, used"},
  };
}

std::vector<Row> RepositoryRows() {
  const std::string link =
      absl::StrCat("repository: \"app\" digest: \"", Sum("blob"),
                   "\" kind: MEMBERSHIP_KIND_LAYER");
  const std::string put_link = absl::StrCat("put_membership { ", link, " }");
  const std::string put_tag =
      absl::StrCat("put_tag { repository: \"app\" tag: \"v1\" digest: \"",
                   Sum("blob"), "\" }");
  const std::string put_repository = "put_repository { repository: \"app\" }";
  const std::string put_upload =
      "put_upload { repository: \"app\" id: \"u\" bytes { logical_bytes: 5 } }";
  const std::string repository = Named("REPOSITORY", "app");
  const std::string tag = Named("TAG", "v1", "app");
  const std::string blob = Content(Sum("blob"));
  return {
      {{}, put_repository, repository, "", "REPOSITORY of 0 bytes"},
      {{put_repository},
       "remove_repository { repository: \"app\" }",
       repository,
       "REPOSITORY of 0 bytes",
       ""},
      {{PutBlob("blob")}, put_tag, tag, "", "TAG of 0 bytes, keeps BLOB"},
      {{PutBlob("blob"), put_tag},
       "remove_tag { repository: \"app\" tag: \"v1\" }",
       tag,
       "TAG of 0 bytes, keeps BLOB",
       ""},
      {{PutBlob("blob")},
       put_link,
       blob,
       "BLOB of 4 bytes",
       "BLOB of 4 bytes, of app"},
      {{PutBlob("blob"), put_link},
       absl::StrCat("remove_membership { ", link, " }"),
       blob,
       "BLOB of 4 bytes, of app",
       "BLOB of 4 bytes"},
      {{}, put_upload, Named("UPLOAD", "u", "app"), "", "UPLOAD of 5 bytes"},
  };
}

std::vector<Row> EngineRows() {
  const std::string put_volume = "put_volume { name: \"db\" }";
  return {
      {{put_volume},
       absl::StrCat("put_container { id: \"c\" name: \"web\" volumes: \"db\" ",
                    "state: CONTAINER_STATE_RUNNING writable_bytes: 5",
                    Labels(), " }"),
       Named("CONTAINER", "c"),
       "",
       "CONTAINER of 5 bytes, 10 labels, keeps VOLUME"},
      {{"put_snapshot { key: \"base\" }"},
       absl::StrCat("put_snapshot { key: \"s\" parent: \"base\" size_bytes: 5",
                    Labels(), " }"),
       Named("SNAPSHOT", "s"),
       "",
       "SNAPSHOT of 5 bytes, 10 labels, keeps SNAPSHOT"},
      {{},
       absl::StrCat("put_volume { name: \"db\" size_bytes: 5", Labels(), " }"),
       Named("VOLUME", "db"),
       "",
       "VOLUME of 5 bytes, 10 labels"},
      {{},
       absl::StrCat("put_network { name: \"n\"", Labels(), " }"),
       Named("NETWORK", "n"),
       "",
       "NETWORK of 0 bytes, 10 labels"},
      {{"put_build_cache { id: \"base\" }"},
       "put_build_cache { id: \"c\" parent: \"base\" size_bytes: 5 "
       "last_used_time { seconds: 1767000000 } }",
       Named("BUILD_CACHE", "c"),
       "",
       "BUILD_CACHE of 5 bytes, keeps BUILD_CACHE, used"},
      {{put_volume},
       "remove_named { kind: NODE_KIND_VOLUME name: \"db\" }",
       Named("VOLUME", "db"),
       "VOLUME of 0 bytes",
       ""},
  };
}

std::vector<Row> HolderRows() {
  const std::string target = Content(Sum("blob"));
  const std::string put_lease = absl::StrCat("put_lease { id: \"l\" targets { ",
                                             target, " }", Labels(), " }");
  const std::string put_pin = absl::StrCat(
      "put_pin { id: \"p\" reason: \"audit\" target { ", target, " } }");
  const std::string lease = "LEASE of 0 bytes, 10 labels, keeps BLOB";
  const std::string pin = "PIN of 0 bytes, keeps BLOB";
  return {
      {{PutBlob("blob")}, put_lease, Named("LEASE", "l"), "", lease},
      {{PutBlob("blob"), put_lease},
       "remove_lease { id: \"l\" }",
       Named("LEASE", "l"),
       lease,
       ""},
      {{PutBlob("blob")}, put_pin, Named("PIN", "p"), "", pin},
      {{PutBlob("blob"), put_pin},
       "remove_pin { id: \"p\" }",
       Named("PIN", "p"),
       pin,
       ""},
  };
}

const std::vector<Row>& Rows() {
  static const auto* const rows = [] {
    auto* all = new std::vector<Row>;
    for (const std::vector<Row>& some :
         {ContentRows(), RepositoryRows(), EngineRows(), HolderRows()}) {
      all->insert(all->end(), some.begin(), some.end());
    }
    return all;
  }();
  return *rows;
}

class OperationsTest : public ServerFixture {
 protected:
  void SetUp() override {
    ServerFixture::SetUp();
    AddExternalStore();
  }

  static v1::RecordRequest RequestOf(const std::vector<std::string>& operations,
                                     const std::string& request_id = "") {
    v1::RecordRequest request;
    request.set_request_id(request_id);
    for (const std::string& text : operations) {
      *request.add_operations() = Read(text);
    }
    return request;
  }
  using ServerFixture::Record;
  v1::RecordResponse Record(const std::vector<std::string>& operations,
                            const std::string& request_id = "") {
    return Record(RequestOf(operations, request_id));
  }
  v1::RecordStreamResponse Stream(
      const std::vector<v1::RecordRequest>& requests) {
    grpc::ClientContext context;
    v1::RecordStreamResponse response;
    const auto writer = graph_stub_->RecordStream(&context, &response);
    for (const v1::RecordRequest& request : requests) {
      EXPECT_TRUE(writer->Write(request));
    }
    writer->WritesDone();
    const grpc::Status status = writer->Finish();
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }

  static v1::GetNodeRequest RequestFor(const std::string& node) {
    v1::GetNodeRequest request;
    EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(node, &request))
        << node;
    return request;
  }
  v1::GetNodeResponse Get(const std::string& node) {
    v1::GetNodeResponse response;
    const grpc::Status status =
        Ask(graph_stub_, &Graph::GetNode, RequestFor(node), &response);
    EXPECT_TRUE(status.ok()) << node << ": " << status.error_message();
    return response;
  }
  std::string Look(const std::string& node) {
    v1::GetNodeResponse response;
    const grpc::Status status =
        Ask(graph_stub_, &Graph::GetNode, RequestFor(node), &response);
    if (status.error_code() == grpc::StatusCode::NOT_FOUND) return "";
    EXPECT_TRUE(status.ok()) << node << ": " << status.error_message();
    return WordsOf(response);
  }
  // All names, or digests, of a kind, read in pages.
  std::vector<std::string> List(v1::NodeKind kind,
                                const std::string& scope = "",
                                int page_size = 1000) {
    v1::ListNodesRequest request;
    request.set_kind(kind);
    request.set_scope(scope);
    request.set_page_size(page_size);
    std::vector<std::string> names;
    do {
      v1::ListNodesResponse page;
      const grpc::Status status =
          Ask(graph_stub_, &Graph::ListNodes, request, &page);
      EXPECT_TRUE(status.ok()) << status.error_message();
      EXPECT_LE(page.nodes_size(), page_size);
      for (const v1::Node& node : page.nodes()) {
        names.push_back(node.name().empty()
                            ? node.digest()
                            : absl::StrCat(node.scope(), ":", node.name()));
      }
      request.set_page_token(page.next_page_token());
    } while (!request.page_token().empty());
    return names;
  }
  // Names that have gone are in no list; content stays known.
  void ExpectListed(const Row& row) {
    const v1::GetNodeRequest request = RequestFor(row.node);
    if (row.is.empty()) {
      EXPECT_THAT(List(request.named().kind()), IsEmpty());
      return;
    }
    const v1::Node node = Get(row.node).node();
    const std::string name = request.has_content()
                                 ? node.digest()
                                 : absl::StrCat(node.scope(), ":", node.name());
    EXPECT_THAT(List(node.kind()), ::testing::Contains(name));
  }
};

TEST(OperationRowsTest, EveryMemberOfTheApiHasOne) {
  const auto* oneof = v1::Operation::descriptor()->FindOneofByName("operation");
  ASSERT_NE(oneof, nullptr);
  std::set<std::string> members;
  for (int i = 0; i < oneof->field_count(); ++i) {
    members.insert(oneof->field(i)->name());
  }
  std::set<std::string> listed;
  for (const Row& row : Rows()) listed.insert(MemberOf(Read(row.operation)));
  EXPECT_EQ(listed, members) << "add a row for what is new";
}

// Of which row, and whether in a stream.
using Param = std::tuple<size_t, bool>;

class EachOperationTest : public OperationsTest,
                          public ::testing::WithParamInterface<Param> {
 protected:
  const Row& row() const { return Rows()[std::get<0>(GetParam())]; }
  // The operation, and once more.
  void RecordAlone() {
    for (const std::string& text : row().before) Record({text});
    EXPECT_EQ(Look(row().node), row().was);
    const v1::RecordResponse first = Record({row().operation});
    EXPECT_GE(first.changed_count(), 1u);
    EXPECT_THAT(first.problems(), IsEmpty());
    EXPECT_EQ(Look(row().node), row().is);
    const v1::RecordResponse again = Record({row().operation});
    EXPECT_EQ(again.changed_count(), 0u) << "the same again is no change";
    EXPECT_EQ(again.sequence(), first.sequence()) << "and has no row";
    EXPECT_FALSE(again.was_replayed());
  }
  void RecordInAStream() {
    std::vector<v1::RecordRequest> requests;
    for (const std::string& text : row().before) {
      requests.push_back(RequestOf({text}));
    }
    requests.push_back(RequestOf({row().operation}));
    const v1::RecordStreamResponse first = Stream(requests);
    EXPECT_EQ(first.request_count(), requests.size());
    EXPECT_GE(first.changed_count(), requests.size());
    EXPECT_THAT(first.problems(), IsEmpty());
    EXPECT_EQ(Look(row().node), row().is);
    const v1::RecordStreamResponse again = Stream({requests.back()});
    EXPECT_EQ(again.changed_count(), 0u);
    EXPECT_EQ(again.sequence(), first.sequence());
  }
};

TEST_P(EachOperationTest, DoesWhatItSaysAndOutlivesTheDaemon) {
  if (std::get<1>(GetParam())) {
    RecordInAStream();
  } else {
    RecordAlone();
  }
  EXPECT_EQ(Look(row().node), row().is);
  ExpectListed(row());
  RestartServer();
  EXPECT_EQ(Look(row().node), row().is);
  ExpectListed(row());
}

std::string NameOf(const ::testing::TestParamInfo<Param>& info) {
  const Row& row = Rows()[std::get<0>(info.param)];
  return absl::StrCat(MemberOf(Read(row.operation)),
                      std::get<1>(info.param) ? "_in_a_stream" : "_alone");
}

INSTANTIATE_TEST_SUITE_P(Api, EachOperationTest,
                         ::testing::Combine(::testing::Range(size_t{0},
                                                             Rows().size()),
                                            ::testing::Bool()),
                         NameOf);

// In one request as in several: a repository goes with all that is in it.
TEST_F(OperationsTest, ARepositoryTakesWhatIsInItAlong) {
  const std::vector<std::string> puts = {
      PutBlob("blob"),
      absl::StrCat("put_tag { repository: \"app\" tag: \"v1\" digest: \"",
                   Sum("blob"), "\" }"),
      absl::StrCat("put_membership { repository: \"app\" digest: \"",
                   Sum("blob"), "\" kind: MEMBERSHIP_KIND_REVISION }"),
      "put_upload { repository: \"app\" id: \"u\" }"};
  const std::string remove = "remove_repository { repository: \"app\" }";
  std::vector<std::string> at_once = puts;
  at_once.push_back(remove);
  for (int round = 0; round < 3; ++round) {
    SCOPED_TRACE(round);
    if (round == 0) {
      Record(at_once);
    } else if (round == 1) {
      Record(puts);
      ASSERT_THAT(Get(Content(Sum("blob"))).repositories(), ElementsAre("app"));
      Record({remove});
    } else {
      // Where the repository is there already.
      Record({"put_repository { repository: \"app\" }"});
      Record(at_once);
    }
    EXPECT_EQ(Look(Content(Sum("blob"))), "BLOB of 4 bytes");
    for (const v1::NodeKind kind :
         {v1::NODE_KIND_REPOSITORY, v1::NODE_KIND_TAG, v1::NODE_KIND_UPLOAD}) {
      EXPECT_THAT(List(kind), IsEmpty()) << v1::NodeKind_Name(kind);
    }
    RestartServer();
    EXPECT_EQ(Look(Content(Sum("blob"))), "BLOB of 4 bytes");
  }
}

// A tag that was moved on, a use that was later and a name that was removed
// stay so when the first request comes again, alone or in a stream.
TEST_F(OperationsTest, AStreamThatIsRepeatedByItsIdsChangesNothing) {
  const auto tag = [](const std::string& text) {
    return absl::StrCat("put_tag { repository: \"app\" tag: \"v1\" digest: \"",
                        Sum(text), "\" }");
  };
  const std::string touch =
      absl::StrCat("touch { ", Name(Sum("one")), " use: USE_KIND_PULLED }");
  const std::vector<v1::RecordRequest> requests = {
      RequestOf({PutBlob("one"), PutBlob("two"), tag("one")}, "first"),
      RequestOf({touch, "put_volume { name: \"db\" }"}, "second")};
  const v1::RecordStreamResponse first = Stream(requests);
  EXPECT_EQ(first.changed_count(), 6u) << "with the repository";
  const v1::Node used = Get(Content(Sum("one"))).node();
  clock_.Advance(absl::Minutes(10));
  const v1::RecordResponse later = Record(
      {tag("two"), "remove_named { kind: NODE_KIND_VOLUME name: \"db\" }"},
      "third");

  const v1::RecordStreamResponse again = Stream(requests);
  EXPECT_EQ(again.request_count(), 2u);
  EXPECT_EQ(again.sequence(), first.sequence()) << "as the first time";
  EXPECT_EQ(again.changed_count(), first.changed_count());
  const v1::RecordResponse alone = Record(requests[1]);
  EXPECT_TRUE(alone.was_replayed());
  EXPECT_EQ(alone.sequence(), first.sequence());
  EXPECT_EQ(Get(Named("TAG", "v1", "app")).node().digest(), Sum("two"));
  EXPECT_EQ(Look(Named("VOLUME", "db")), "");
  EXPECT_EQ(Get(Content(Sum("one"))).node().last_used_time().seconds(),
            used.last_used_time().seconds());
  EXPECT_EQ(Record(v1::RecordRequest()).sequence(), later.sequence())
      << "no row was added";

  // The same without the ids does it all.
  std::vector<v1::RecordRequest> anonymous = requests;
  for (v1::RecordRequest& request : anonymous) request.clear_request_id();
  EXPECT_GT(Stream(anonymous).sequence(), later.sequence());
  EXPECT_EQ(Get(Named("TAG", "v1", "app")).node().digest(), Sum("one"));
  EXPECT_EQ(Look(Named("VOLUME", "db")), "VOLUME of 0 bytes");
  // An id is forgotten after a day.
  clock_.Advance(absl::Hours(25));
  EXPECT_FALSE(Record(requests[1]).was_replayed());
}

TEST_F(OperationsTest, OfAStreamWhatCameBeforeTheErrorStands) {
  grpc::ClientContext context;
  v1::RecordStreamResponse response;
  const auto writer = graph_stub_->RecordStream(&context, &response);
  EXPECT_TRUE(writer->Write(RequestOf({"put_volume { name: \"a\" }"})));
  EXPECT_TRUE(writer->Write(RequestOf({"put_volume { name: \"b\" }"})));
  EXPECT_TRUE(writer->Write(RequestOf(
      {"put_volume { name: \"c\" }", "put_tag { repository: \"app\" }"})));
  writer->WritesDone();
  const grpc::Status status = writer->Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(),
              HasSubstr("request 2 (the 2 before it stand): operations[1]"));
  EXPECT_THAT(List(v1::NODE_KIND_VOLUME), ElementsAre(":a", ":b"));
}

}  // namespace
}  // namespace reclaim::rpc
