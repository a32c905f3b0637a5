// Recording what others know, leases and pins, as a client.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "index/memory_engine.h"
#include "rpc/server_fixture.h"

namespace reclaim::rpc {
namespace {

using Graph = v1::GraphService::Stub;
using Leases = v1::LeaseService::Stub;
using Usage = v1::UsageService::Stub;

class RecordTest : public ServerFixture {
 protected:
  void SetUp() override {
    ServerFixture::SetUp();
    AddExternalStore();
  }

  static oci::Digest D(const std::string& text) {
    return oci::Digest::Sha256Of(text);
  }
  // An image "app:TAG" of a config and one layer.
  v1::RecordRequest ImageRequest(const std::string& tag) {
    v1::RecordRequest request;
    AddBlob("config", &request);
    AddBlob("layer", &request);
    const std::string manifest = store::ImageText({D("config"), D("layer")});
    AddManifest(manifest, &request);
    AddTag("app", tag, manifest, &request);
    return request;
  }
  v1::Node Get(const oci::Digest& digest) {
    v1::GetNodeRequest request;
    request.mutable_content()->set_digest(digest.ToString());
    v1::GetNodeResponse response;
    EXPECT_TRUE(Ask(graph_stub_, &Graph::GetNode, request, &response).ok());
    return response.node();
  }
};

TEST_F(RecordTest, TheServiceDerivesTheEdges) {
  Record(ImageRequest("v1"));
  EXPECT_TRUE(Get(D("layer")).is_live());
  EXPECT_EQ(Get(D("layer")).kind(), v1::NODE_KIND_LAYER);
  EXPECT_EQ(Get(D("config")).kind(), v1::NODE_KIND_CONFIG);
}

TEST_F(RecordTest, TheSameRequestIdChangesNothingTwice) {
  v1::RecordRequest request = ImageRequest("v1");
  request.set_request_id("7d2e");
  const v1::RecordResponse first = Record(request);
  EXPECT_FALSE(first.was_replayed());
  const v1::RecordResponse second = Record(request);
  EXPECT_TRUE(second.was_replayed());
  EXPECT_EQ(second.sequence(), first.sequence());
}

TEST_F(RecordTest, AnErrorNamesTheOperationAndChangesNothing) {
  v1::RecordRequest request = ImageRequest("v1");
  request.add_operations()->mutable_put_tag()->set_repository("app");
  v1::RecordResponse response;
  grpc::Status status = Ask(graph_stub_, &Graph::Record, request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), ::testing::HasSubstr("operations[4]"));
  v1::GetNodeRequest get;
  get.mutable_content()->set_digest(D("layer").ToString());
  v1::GetNodeResponse node;
  EXPECT_EQ(Ask(graph_stub_, &Graph::GetNode, get, &node).error_code(),
            grpc::StatusCode::NOT_FOUND);

  for (const char* digest :
       {"", "sha256:", "sha256:XYZ", "md5:d41d8cd98f00b204e9800998ecf8427e",
        "sha256:../../../../etc/passwd", "\n"}) {
    v1::RecordRequest hostile;
    v1::PutBlob* put = hostile.add_operations()->mutable_put_blob();
    put->mutable_name()->set_digest(digest);
    put->mutable_bytes()->set_logical_bytes(1);
    status = Ask(graph_stub_, &Graph::Record, hostile, &response);
    EXPECT_FALSE(status.ok()) << digest;
  }
  v1::RecordRequest control;
  v1::PutTag* tag = control.add_operations()->mutable_put_tag();
  tag->set_repository("a\x1b[31m");
  tag->set_tag("v1");
  tag->set_digest(D("x").ToString());
  EXPECT_EQ(Ask(graph_stub_, &Graph::Record, control, &response).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
}

// SEMANTICS, case 74: no sum begins anew at zero.
TEST_F(RecordTest, ASizeThatNothingHasIsRefused) {
  const auto refuse = [this](const v1::RecordRequest& request,
                             const std::string& message) {
    v1::RecordResponse response;
    const grpc::Status status =
        Ask(graph_stub_, &Graph::Record, request, &response);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    EXPECT_THAT(status.error_message(), ::testing::HasSubstr(message));
    EXPECT_THAT(status.error_message(),
                ::testing::HasSubstr("more than 1152921504606846976"));
  };
  constexpr uint64_t kMore = (uint64_t{1} << 60) + 1;
  v1::RecordRequest request;
  AddBlob("fits", &request);
  v1::Bytes* bytes =
      request.add_operations()->mutable_put_blob()->mutable_bytes();
  bytes->set_logical_bytes(uint64_t{1} << 63);
  refuse(request, "operations[1]: bytes.logical_bytes: is 9223372036854775808");
  bytes->set_logical_bytes(0);
  bytes->set_allocated_bytes(kMore);
  refuse(request, "operations[1]: bytes.allocated_bytes: ");
  v1::Operation* operation = request.mutable_operations(1);
  operation->mutable_put_upload()->mutable_bytes()->set_logical_bytes(kMore);
  refuse(request, "operations[1]: bytes.logical_bytes: ");
  operation->mutable_put_container()->set_writable_bytes(kMore);
  refuse(request, "operations[1]: writable_bytes: ");
  operation->mutable_put_snapshot()->set_size_bytes(kMore);
  refuse(request, "operations[1]: size_bytes: ");
  operation->mutable_put_volume()->set_size_bytes(kMore);
  refuse(request, "operations[1]: size_bytes: ");
  operation->mutable_put_build_cache()->set_size_bytes(kMore);
  refuse(request, "operations[1]: size_bytes: ");
  v1::GetDiskUsageResponse usage;
  ASSERT_TRUE(Ask(usage_stub_, &Usage::GetDiskUsage, {}, &usage).ok());
  EXPECT_EQ(usage.total().content().bytes().logical_bytes(), 0u);
}

TEST_F(RecordTest, ASumThatWouldNotFitIsRefused) {
  constexpr uint64_t kLargest = uint64_t{1} << 60;
  const auto put = [this](const std::string& text) {
    v1::RecordRequest request;
    AddBlob(text, &request);
    request.mutable_operations(0)
        ->mutable_put_blob()
        ->mutable_bytes()
        ->set_logical_bytes(kLargest);
    v1::RecordResponse response;
    return Ask(graph_stub_, &Graph::Record, request, &response);
  };
  const auto stored = [this] {
    v1::GetDiskUsageResponse usage;
    EXPECT_TRUE(Ask(usage_stub_, &Usage::GetDiskUsage, {}, &usage).ok());
    return usage.total().content().bytes().logical_bytes();
  };
  for (const char* text : {"a", "b", "c", "d"}) {
    ASSERT_TRUE(put(text).ok()) << text;
  }
  EXPECT_EQ(stored(), 4 * kLargest);
  const grpc::Status refused = put("e");
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::OUT_OF_RANGE);
  EXPECT_THAT(refused.error_message(),
              ::testing::HasSubstr("5764607523034234880 bytes"));
  EXPECT_EQ(stored(), 4 * kLargest);
  EXPECT_TRUE(put("a").ok()) << "the same again adds nothing";
  // Nor does a volume fit.
  v1::RecordRequest volume;
  volume.add_operations()->mutable_put_volume()->set_name("data");
  volume.mutable_operations(0)->mutable_put_volume()->set_size_bytes(1);
  v1::RecordResponse response;
  EXPECT_EQ(Ask(graph_stub_, &Graph::Record, volume, &response).error_code(),
            grpc::StatusCode::OUT_OF_RANGE);
  // What goes makes room, in the same request as well.
  v1::RecordRequest swap;
  swap.add_operations()->mutable_remove_blob()->mutable_name()->set_digest(
      D("a").ToString());
  AddBlob("e", &swap);
  swap.mutable_operations(1)
      ->mutable_put_blob()
      ->mutable_bytes()
      ->set_logical_bytes(kLargest);
  Record(swap);
  EXPECT_EQ(stored(), 4 * kLargest);
}

// A link that is left without its repository would make the database
// unreadable.
TEST_F(RecordTest, ALinkGoesWithTheRepositoryThatItCameWith) {
  Record(ImageRequest("v1"));
  v1::RecordRequest request;
  for (const char* repository : {"app", "new"}) {
    v1::PutMembership* put = request.add_operations()->mutable_put_membership();
    put->set_repository(repository);
    put->set_digest(D("layer").ToString());
    put->set_kind(v1::MEMBERSHIP_KIND_LAYER);
  }
  for (const char* repository : {"app", "new"}) {
    request.add_operations()->mutable_remove_repository()->set_repository(
        repository);
  }
  Record(request);
  RestartServer();
  grpc::ClientContext context;
  const auto reader = store_stub_->VerifyStore(&context, {});
  v1::VerifyStoreResponse response;
  while (reader->Read(&response)) {
    for (const v1::Finding& finding : response.findings()) {
      ADD_FAILURE() << finding.DebugString();
    }
  }
  EXPECT_TRUE(reader->Finish().ok());
  EXPECT_TRUE(response.is_complete());
}

TEST_F(RecordTest, AStreamIsAppliedInOrder) {
  grpc::ClientContext context;
  v1::RecordStreamResponse response;
  const auto writer = graph_stub_->RecordStream(&context, &response);
  for (int i = 0; i < 50; ++i) {
    v1::RecordRequest request;
    AddBlob(std::to_string(i), &request);
    ASSERT_TRUE(writer->Write(request));
  }
  ASSERT_TRUE(writer->WritesDone());
  ASSERT_TRUE(writer->Finish().ok());
  EXPECT_EQ(response.request_count(), 50u);
  EXPECT_EQ(response.changed_count(), 50u);

  v1::ListNodesRequest list;
  list.set_kind(v1::NODE_KIND_BLOB);
  list.set_page_size(20);
  int count = 0;
  do {
    v1::ListNodesResponse page;
    ASSERT_TRUE(Ask(graph_stub_, &Graph::ListNodes, list, &page).ok());
    count += page.nodes_size();
    list.set_page_token(page.next_page_token());
  } while (!list.page_token().empty());
  EXPECT_EQ(count, 50);
}

TEST_F(RecordTest, ListsOfNamesArePaged) {
  v1::RecordRequest request;
  for (int i = 0; i < 25; ++i) {
    v1::PutVolume* put = request.add_operations()->mutable_put_volume();
    put->set_name("volume-" + std::to_string(100 + i));
    put->set_size_bytes(10);
    (*put->mutable_labels())["n"] = std::to_string(i);
  }
  Record(request);
  v1::ListNodesRequest list;
  list.set_kind(v1::NODE_KIND_VOLUME);
  list.set_page_size(10);
  std::vector<std::string> names;
  do {
    v1::ListNodesResponse page;
    ASSERT_TRUE(Ask(graph_stub_, &Graph::ListNodes, list, &page).ok());
    for (const v1::Node& node : page.nodes()) {
      names.push_back(node.name());
      EXPECT_EQ(node.labels().count("n"), 1u);
    }
    list.set_page_token(page.next_page_token());
  } while (!list.page_token().empty());
  ASSERT_EQ(names.size(), 25u);
  EXPECT_EQ(names.front(), "volume-100");
  EXPECT_EQ(names.back(), "volume-124");
  list.set_page_size(-1);
  v1::ListNodesResponse page;
  EXPECT_EQ(Ask(graph_stub_, &Graph::ListNodes, list, &page).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);

  v1::ListVolumesRequest volumes;
  volumes.set_page_size(20);
  v1::ListVolumesResponse first;
  ASSERT_TRUE(Ask(usage_stub_, &Usage::ListVolumes, volumes, &first).ok());
  EXPECT_EQ(first.volumes_size(), 20);
  volumes.set_page_token(first.next_page_token());
  ASSERT_TRUE(Ask(usage_stub_, &Usage::ListVolumes, volumes, &first).ok());
  EXPECT_EQ(first.volumes_size(), 5);
  EXPECT_TRUE(first.next_page_token().empty());
}

TEST_F(RecordTest, ContainersUseTheirImages) {
  Record(ImageRequest("v1"));
  v1::RecordRequest request;
  v1::PutContainer* put = request.add_operations()->mutable_put_container();
  put->set_id("c1");
  put->set_name("web");
  put->set_state(v1::CONTAINER_STATE_RUNNING);
  put->set_image_reference("app:v1");
  put->set_writable_bytes(1000);
  put->add_volumes("data");
  v1::PutVolume* volume = request.add_operations()->mutable_put_volume();
  volume->set_name("data");
  volume->set_size_bytes(77);
  Record(request);
  v1::GetDiskUsageResponse usage;
  ASSERT_TRUE(Ask(usage_stub_, &Usage::GetDiskUsage, {}, &usage).ok());
  const auto& rows = usage.total().rows();
  EXPECT_EQ(rows[0].active_count(), 1u);
  EXPECT_EQ(rows[0].reclaimable().logical_bytes(), 0u);
  EXPECT_EQ(rows[1].active_count(), 1u);
  EXPECT_EQ(rows[1].bytes().logical_bytes(), 1000u);
  EXPECT_EQ(rows[2].active_count(), 1u);
  v1::ListContainersResponse containers;
  ASSERT_TRUE(Ask(usage_stub_, &Usage::ListContainers, {}, &containers).ok());
  ASSERT_EQ(containers.containers_size(), 1);
  EXPECT_EQ(containers.containers(0).state(), "running");
  v1::ListVolumesResponse volumes;
  ASSERT_TRUE(Ask(usage_stub_, &Usage::ListVolumes, {}, &volumes).ok());
  EXPECT_EQ(volumes.volumes(0).link_count(), 1u);
}

// A later client knows states that we don't; in eight bits this one has exited.
TEST_F(RecordTest, AStateThatIsNotKnownIsUse) {
  v1::RecordRequest request;
  v1::PutContainer* put = request.add_operations()->mutable_put_container();
  put->set_id("c1");
  put->set_state(
      static_cast<v1::ContainerState>(256 + v1::CONTAINER_STATE_EXITED));
  Record(request);
  v1::ListContainersResponse containers;
  ASSERT_TRUE(Ask(usage_stub_, &Usage::ListContainers, {}, &containers).ok());
  ASSERT_EQ(containers.containers_size(), 1);
  EXPECT_EQ(containers.containers(0).state(), "unknown");
}

// Before it reads the next named record it does something else.
class DistractedEngine final : public index::MemoryEngine {
 public:
  absl::StatusOr<std::optional<std::string>> Get(
      index::Family family, absl::string_view key) const override {
    if (family == index::Family::kNamed && distraction_) {
      std::exchange(distraction_, nullptr)();
    }
    return index::MemoryEngine::Get(family, key);
  }
  void SetDistraction(std::function<void()> what) {
    distraction_ = std::move(what);
  }

 private:
  mutable std::function<void()> distraction_;
};

class DistractedRecordTest : public RecordTest {
 protected:
  DistractedRecordTest() {
    auto engine = std::make_unique<DistractedEngine>();
    distracted_ = engine.get();
    engine_ = std::move(engine);
  }
  DistractedEngine* distracted_;
};

TEST_F(DistractedRecordTest, ARecordThatGoesMeanwhileIsNotListed) {
  v1::RecordRequest request;
  for (const char* id : {"c1", "c2", "c3"}) {
    v1::PutContainer* put = request.add_operations()->mutable_put_container();
    put->set_id(id);
    put->set_name(absl::StrCat("name-of-", id));
  }
  Record(request);
  distracted_->SetDistraction([this] {
    index::RemoveNamed remove;
    remove.store = "engine";
    remove.name = "c1";
    index::Mutation mutation;
    mutation.operations.push_back(remove);
    mutation.actor = "test";
    EXPECT_THAT(graph_->Apply(mutation, index::Durability::kDurable),
                base::IsOk());
  });
  v1::ListContainersResponse containers;
  const grpc::Status status =
      Ask(usage_stub_, &Usage::ListContainers, {}, &containers);
  ASSERT_TRUE(status.ok()) << status.error_message();
  ASSERT_EQ(containers.containers_size(), 2);
  for (const v1::Container& container : containers.containers()) {
    EXPECT_NE(container.id(), "c1");
    EXPECT_EQ(container.name(), "name-of-" + container.id());
  }
}

// What the same request has put there as well: a link of no repository would be
// damage to the next start.
TEST_F(RecordTest, ARepositoryGoesWithAllThatItHolds) {
  Record(ImageRequest("v1"));
  v1::RecordRequest request = ImageRequest("v2");
  for (const char* repository : {"app", "fresh"}) {
    v1::PutMembership* link =
        request.add_operations()->mutable_put_membership();
    link->set_repository(repository);
    link->set_digest(D("layer").ToString());
    link->set_kind(v1::MEMBERSHIP_KIND_LAYER);
    v1::PutUpload* upload = request.add_operations()->mutable_put_upload();
    upload->set_repository(repository);
    upload->set_id("1");
    request.add_operations()->mutable_remove_repository()->set_repository(
        repository);
  }
  // The names before and after them in the order stay.
  for (const char* repository : {"ap", "app-2", "app/web", "freshly"}) {
    v1::PutTag* put = request.add_operations()->mutable_put_tag();
    put->set_repository(repository);
    put->set_tag("v1");
    put->set_digest(D("config").ToString());
  }
  Record(request);
  const auto scopes = [this](v1::NodeKind kind) {
    v1::ListNodesRequest list;
    list.set_kind(kind);
    v1::ListNodesResponse page;
    EXPECT_TRUE(Ask(graph_stub_, &Graph::ListNodes, list, &page).ok());
    std::vector<std::string> found;
    for (const v1::Node& node : page.nodes()) {
      found.push_back(node.scope().empty() ? node.name() : node.scope());
    }
    return found;
  };
  const std::vector<std::string> left = {"ap", "app-2", "app/web", "freshly"};
  EXPECT_EQ(scopes(v1::NODE_KIND_TAG), left);
  EXPECT_EQ(scopes(v1::NODE_KIND_REPOSITORY), left);
  EXPECT_TRUE(scopes(v1::NODE_KIND_UPLOAD).empty());
  EXPECT_FALSE(Get(D("layer")).is_live());
  RestartServer();
  EXPECT_EQ(scopes(v1::NODE_KIND_TAG), left);
  EXPECT_EQ(scopes(v1::NODE_KIND_REPOSITORY), left);
}

TEST_F(RecordTest, ExistenceIsAPromise) {
  Record(ImageRequest("v1"));
  v1::CheckBlobsRequest request;
  request.add_names()->set_digest(D("layer").ToString());
  request.add_names()->set_digest(D("elsewhere").ToString());
  v1::CheckBlobsResponse response;
  ASSERT_TRUE(Ask(graph_stub_, &Graph::CheckBlobs, request, &response).ok());
  ASSERT_EQ(response.exists_size(), 2);
  EXPECT_TRUE(response.exists(0));
  EXPECT_FALSE(response.exists(1));
}

TEST_F(RecordTest, LeasesAreTakenMovedAndGivenBack) {
  v1::CreateLeaseRequest create;
  create.mutable_lease()->set_id("pull-1");
  create.mutable_lease()->mutable_expire_time()->set_seconds(
      absl::ToUnixSeconds(clock_.Now() + absl::Hours(1)));
  create.mutable_lease()->add_targets()->mutable_content()->set_digest(
      D("layer").ToString());
  v1::Lease lease;
  grpc::Status status = Ask(lease_stub_, &Leases::CreateLease, create, &lease);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_THAT(lease.owner(), ::testing::StartsWith("uid:"));
  // A repeated request finds its lease; another of that name is refused.
  EXPECT_TRUE(Ask(lease_stub_, &Leases::CreateLease, create, &lease).ok());
  create.mutable_lease()->set_is_flat(true);
  EXPECT_EQ(Ask(lease_stub_, &Leases::CreateLease, create, &lease).error_code(),
            grpc::StatusCode::ALREADY_EXISTS);

  v1::UpdateLeaseRequest update;
  update.set_id("pull-1");
  update.set_etag("not this");
  v1::Lease updated;
  EXPECT_EQ(
      Ask(lease_stub_, &Leases::UpdateLease, update, &updated).error_code(),
      grpc::StatusCode::ABORTED);
  v1::GetLeaseRequest get;
  get.set_id("pull-1");
  ASSERT_TRUE(Ask(lease_stub_, &Leases::GetLease, get, &lease).ok());
  update.set_etag(lease.etag());
  update.add_add_targets()->mutable_content()->set_digest(
      D("config").ToString());
  status = Ask(lease_stub_, &Leases::UpdateLease, update, &updated);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(updated.targets_size(), 2);
  EXPECT_NE(updated.etag(), lease.etag());

  clock_.Advance(absl::Hours(2));
  EXPECT_EQ(Ask(lease_stub_, &Leases::GetLease, get, &lease).error_code(),
            grpc::StatusCode::NOT_FOUND)
      << "it has expired";
  v1::DeleteLeaseRequest remove;
  remove.set_id("pull-1");
  v1::DeleteLeaseResponse none;
  EXPECT_TRUE(Ask(lease_stub_, &Leases::DeleteLease, remove, &none).ok());
  EXPECT_EQ(Ask(lease_stub_, &Leases::DeleteLease, remove, &none).error_code(),
            grpc::StatusCode::NOT_FOUND);
}

TEST_F(RecordTest, PinsKeepUntilTheyGo) {
  Record(ImageRequest("v1"));
  v1::CreatePinRequest create;
  create.mutable_pin()->set_id("forever");
  create.mutable_pin()->set_reason("the auditors want it");
  create.mutable_pin()->mutable_target()->mutable_content()->set_digest(
      D("layer").ToString());
  v1::Pin pin;
  ASSERT_TRUE(Ask(lease_stub_, &Leases::CreatePin, create, &pin).ok());
  v1::ListPinsResponse pins;
  ASSERT_TRUE(Ask(lease_stub_, &Leases::ListPins, {}, &pins).ok());
  ASSERT_EQ(pins.pins_size(), 1);
  EXPECT_EQ(pins.pins(0).reason(), "the auditors want it");
  v1::DeletePinRequest remove;
  remove.set_id("forever");
  v1::DeletePinResponse none;
  EXPECT_TRUE(Ask(lease_stub_, &Leases::DeletePin, remove, &none).ok());
  EXPECT_EQ(Ask(lease_stub_, &Leases::DeletePin, remove, &none).error_code(),
            grpc::StatusCode::NOT_FOUND);
}

TEST_F(RecordTest, ASecondDaemonDoesNotTakeTheSocket) {
  ServerOptions options;
  options.unix_socket = UnixSocket{-1, SocketPath()};
  ServiceParts parts;
  parts.random = &random_;
  parts.clock = &clock_;
  EXPECT_THAT(Server::Start(options, parts),
              base::StatusIs(absl::StatusCode::kAlreadyExists));
}

TEST_F(RecordTest, TcpWithoutTlsIsForLoopbackAlone) {
  ServerOptions options;
  options.tcp_address = "0.0.0.0:0";
  options.is_insecure = true;
  ServiceParts parts;
  parts.random = &random_;
  parts.clock = &clock_;
  EXPECT_THAT(Server::Start(options, parts),
              base::StatusIs(absl::StatusCode::kInvalidArgument));
  options.is_insecure = false;
  EXPECT_THAT(Server::Start(options, parts),
              base::StatusIs(absl::StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace reclaim::rpc
