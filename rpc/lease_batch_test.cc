// Leases and pins in batches: as the calls that take one at a time.

#include <cstdint>
#include <iostream>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/security/credentials.h"
#include "gtest/gtest.h"
#include "index/recount.h"
#include "index/reference_graph.h"
#include "index/testing/lossy_engine.h"
#include "index/totals.h"
#include "oci/digest.h"
#include "reclaim/v1/collection.grpc.pb.h"
#include "reclaim/v1/graph.grpc.pb.h"
#include "reclaim/v1/lease.grpc.pb.h"
#include "reclaim/v1/store.grpc.pb.h"
#include "rpc/role.h"
#include "rpc/server_fixture.h"

namespace reclaim::rpc {
namespace {

using Graph = v1::GraphService::Stub;
using Leases = v1::LeaseService::Stub;
using ::testing::HasSubstr;
using ::testing::StartsWith;

oci::Digest D(const std::string& text) { return oci::Digest::Sha256Of(text); }

class LeaseBatchTest : public ServerFixture {
 protected:
  void SetUp() override {
    ServerFixture::SetUp();
    AddExternalStore("a");
  }

  static v1::Lease LeaseOf(const std::string& id,
                           const std::vector<std::string>& texts) {
    v1::Lease lease;
    lease.set_store("a");
    lease.set_id(id);
    for (const std::string& text : texts) {
      lease.add_targets()->mutable_content()->set_digest(D(text).ToString());
    }
    return lease;
  }
  void Expire(v1::Lease* lease, absl::Duration after) const {
    lease->mutable_expire_time()->set_seconds(
        absl::ToUnixSeconds(clock_.Now() + after));
  }
  static v1::Pin PinOf(const std::string& id, const std::string& text) {
    v1::Pin pin;
    pin.set_store("a");
    pin.set_id(id);
    pin.set_reason("the auditors want it");
    pin.mutable_target()->mutable_content()->set_digest(D(text).ToString());
    return pin;
  }
  static void AddVolume(v1::RecordRequest* request, const std::string& name) {
    v1::PutVolume* put = request->add_operations()->mutable_put_volume();
    put->set_store("a");
    put->set_name(name);
  }
  static void AddRemoval(v1::RecordRequest* request, const std::string& id) {
    v1::RemoveLease* remove = request->add_operations()->mutable_remove_lease();
    remove->set_store("a");
    remove->set_id(id);
  }
  static v1::RecordRequest Put(const v1::Lease& lease) {
    v1::RecordRequest request;
    *request.add_operations()->mutable_put_lease() = lease;
    return request;
  }
  static v1::RecordRequest Put(const v1::Pin& pin) {
    v1::RecordRequest request;
    *request.add_operations()->mutable_put_pin() = pin;
    return request;
  }

  grpc::Status Record(const v1::RecordRequest& request,
                      v1::RecordResponse* response = nullptr) {
    v1::RecordResponse none;
    return Ask(graph_stub_, &Graph::Record, request,
               response == nullptr ? &none : response);
  }
  void Recorded(const v1::RecordRequest& request, uint64_t changed_count) {
    v1::RecordResponse response;
    const grpc::Status status = Record(request, &response);
    ASSERT_TRUE(status.ok()) << status.error_message();
    EXPECT_EQ(response.changed_count(), changed_count);
  }
  static grpc::Status Stream(const std::unique_ptr<Graph>& stub,
                             const std::vector<v1::RecordRequest>& requests,
                             v1::RecordStreamResponse* response) {
    grpc::ClientContext context;
    const auto writer = stub->RecordStream(&context, response);
    for (const v1::RecordRequest& request : requests) {
      if (!writer->Write(request)) break;
    }
    writer->WritesDone();
    return writer->Finish();
  }

  grpc::Status Get(const std::string& id, v1::Lease* lease) {
    v1::GetLeaseRequest request;
    request.set_store("a");
    request.set_id(id);
    return Ask(lease_stub_, &Leases::GetLease, request, lease);
  }
  v1::ListLeasesResponse ListLeases(const std::string& store = "a") {
    v1::ListLeasesRequest request;
    request.set_store(store);
    v1::ListLeasesResponse leases;
    EXPECT_TRUE(Ask(lease_stub_, &Leases::ListLeases, request, &leases).ok());
    return leases;
  }
  v1::ListPinsResponse ListPins(const std::string& store = "a") {
    v1::ListPinsRequest request;
    request.set_store(store);
    v1::ListPinsResponse pins;
    EXPECT_TRUE(Ask(lease_stub_, &Leases::ListPins, request, &pins).ok());
    return pins;
  }
  bool HasVolume(const std::string& name) {
    v1::GetNodeRequest request;
    request.mutable_named()->set_store("a");
    request.mutable_named()->set_kind(v1::NODE_KIND_VOLUME);
    request.mutable_named()->set_name(name);
    v1::GetNodeResponse node;
    return Ask(graph_stub_, &Graph::GetNode, request, &node).ok();
  }
};

TEST_F(LeaseBatchTest, ABatchTakesAndEndsThem) {
  v1::Lease lease = LeaseOf("pod-1", {"config", "layer"});
  Expire(&lease, absl::Hours(1));
  lease.set_is_flat(true);
  (*lease.mutable_labels())["for"] = "pod";
  (*lease.mutable_labels())["team"] = "red";
  lease.set_owner("somebody else");
  v1::RecordRequest request = Put(lease);
  *request.add_operations()->mutable_put_pin() = PinOf("audit", "layer");
  Recorded(request, 2);
  v1::Lease got;
  ASSERT_TRUE(Get("pod-1", &got).ok());
  EXPECT_THAT(got.owner(), StartsWith("uid:")) << "who asked";
  EXPECT_TRUE(got.is_flat());
  EXPECT_EQ(got.labels().at("for"), "pod");
  EXPECT_EQ(got.targets_size(), 2);
  EXPECT_EQ(got.expire_time().seconds(), lease.expire_time().seconds());
  ASSERT_EQ(ListPins().pins_size(), 1);
  EXPECT_EQ(ListPins().pins(0).reason(), "the auditors want it");
  // It is changed and ended by the calls for one as well.
  v1::UpdateLeaseRequest update;
  update.set_store("a");
  update.set_id("pod-1");
  update.set_etag(got.etag());
  *update.mutable_expire_time() = lease.expire_time();
  update.mutable_expire_time()->set_seconds(lease.expire_time().seconds() + 60);
  const grpc::Status status =
      Ask(lease_stub_, &Leases::UpdateLease, update, &got);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(got.targets_size(), 2);
  v1::RecordRequest removal;
  AddRemoval(&removal, "pod-1");
  v1::RemovePin* remove = removal.add_operations()->mutable_remove_pin();
  remove->set_store("a");
  remove->set_id("audit");
  Recorded(removal, 2);
  EXPECT_EQ(Get("pod-1", &got).error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(ListPins().pins_size(), 0);
  Recorded(removal, 0);
}

TEST_F(LeaseBatchTest, TheSameAgainChangesNothing) {
  v1::RecordRequest request = Put(LeaseOf("l", {"x"}));
  *request.add_operations()->mutable_put_pin() = PinOf("p", "x");
  request.set_request_id("once");
  v1::RecordResponse first;
  ASSERT_TRUE(Record(request, &first).ok());
  EXPECT_EQ(first.changed_count(), 2u);
  v1::RecordRequest removal;
  AddRemoval(&removal, "l");
  Recorded(removal, 1);
  v1::RecordResponse again;
  ASSERT_TRUE(Record(request, &again).ok());
  EXPECT_TRUE(again.was_replayed());
  EXPECT_EQ(again.sequence(), first.sequence());
  EXPECT_EQ(ListLeases().leases_size(), 0) << "it was ended since";
  // Without an id it is taken again, and then it is there.
  request.clear_request_id();
  Recorded(request, 1);
  Recorded(request, 0);
  (*request.mutable_operations(0)->mutable_put_lease()->mutable_labels())["n"] =
      "1";
  const grpc::Status status = Record(request);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::ALREADY_EXISTS);
  EXPECT_THAT(status.error_message(), StartsWith("operations[0]"));
}

TEST_F(LeaseBatchTest, ALeaseHasATargetOnceAndIsTheSameAgain) {
  v1::Lease lease = LeaseOf("l", {"x", "y", "x", "z", "x"});
  // The lease's own store, whether it is named or not.
  lease.mutable_targets(4)->mutable_content()->set_store("a");
  Recorded(Put(lease), 1);
  Recorded(Put(lease), 0);
  Recorded(Put(LeaseOf("l", {"x", "y", "z"})), 0);
  v1::CreateLeaseRequest create;
  *create.mutable_lease() = lease;
  v1::Lease got;
  const auto take = [&] {
    return Ask(lease_stub_, &Leases::CreateLease, create, &got);
  };
  EXPECT_TRUE(take().ok()) << "as in a batch";
  create.mutable_lease()->set_id("m");
  EXPECT_TRUE(take().ok());
  const grpc::Status again = take();
  EXPECT_TRUE(again.ok()) << again.error_message();
  for (const char* id : {"l", "m"}) {
    ASSERT_TRUE(Get(id, &got).ok());
    ASSERT_EQ(got.targets_size(), 3);
    for (int i = 0; i < 3; ++i) {
      EXPECT_EQ(got.targets(i).content().digest(),
                D(std::string(1, static_cast<char>('x' + i))).ToString());
    }
  }
  const grpc::Status other = Record(Put(LeaseOf("l", {"x", "z", "x"})));
  EXPECT_EQ(other.error_code(), grpc::StatusCode::ALREADY_EXISTS);
}

TEST_F(LeaseBatchTest, OperationsSeeThoseBeforeThem) {
  v1::Lease lease = LeaseOf("l", {});
  v1::Target* target = lease.add_targets();
  target->mutable_named()->set_kind(v1::NODE_KIND_VOLUME);
  target->mutable_named()->set_name("data");
  EXPECT_EQ(Record(Put(lease)).error_code(), grpc::StatusCode::NOT_FOUND);
  v1::RecordRequest request;
  AddVolume(&request, "data");
  *request.add_operations()->mutable_put_lease() = lease;
  Recorded(request, 2);
  // Ended and taken anew with other targets.
  v1::RecordRequest anew;
  AddRemoval(&anew, "l");
  *anew.add_operations()->mutable_put_lease() = LeaseOf("l", {"x", "y"});
  Recorded(anew, 2);
  v1::Lease got;
  ASSERT_TRUE(Get("l", &got).ok());
  ASSERT_EQ(got.targets_size(), 2);
  EXPECT_TRUE(got.targets(0).has_content());
  // Two of one id that differ.
  v1::RecordRequest twice = Put(LeaseOf("m", {"x"}));
  *twice.add_operations()->mutable_put_lease() = LeaseOf("m", {"y"});
  const grpc::Status status = Record(twice);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::ALREADY_EXISTS);
  EXPECT_THAT(status.error_message(), StartsWith("operations[1]"));
  EXPECT_EQ(ListLeases().leases_size(), 1) << "all or nothing";
}

TEST_F(LeaseBatchTest, AnExpiredOneGivesItsTargetsBackFirst) {
  v1::Lease lease = LeaseOf("l", {"x"});
  Expire(&lease, absl::Hours(1));
  Recorded(Put(lease), 1);
  clock_.Advance(absl::Hours(2));
  v1::Lease next = LeaseOf("l", {"y"});
  Expire(&next, absl::Hours(1));
  ASSERT_TRUE(Record(Put(next)).ok());
  v1::Lease got;
  ASSERT_TRUE(Get("l", &got).ok());
  ASSERT_EQ(got.targets_size(), 1);
  EXPECT_EQ(got.targets(0).content().digest(), D("y").ToString());
}

TEST_F(LeaseBatchTest, EveryRefusalNamesTheOperationAndNothingIsDone) {
  std::vector<v1::RecordRequest> wrong;
  wrong.push_back(Put(LeaseOf("", {"x"})));
  wrong.push_back(Put(LeaseOf("a b", {"x"})));
  wrong.push_back(Put(LeaseOf("engine/x", {"x"})));
  wrong.push_back(Put(LeaseOf(std::string(257, 'i'), {"x"})));
  wrong.push_back(Put(LeaseOf("l", {})));
  wrong.back().mutable_operations(0)->mutable_put_lease()->add_targets();
  wrong.push_back(Put(LeaseOf("l", {"x"})));
  wrong.back()
      .mutable_operations(0)
      ->mutable_put_lease()
      ->mutable_targets(0)
      ->mutable_content()
      ->set_store("other");
  v1::Lease past = LeaseOf("l", {"x"});
  Expire(&past, -absl::Seconds(1));
  wrong.push_back(Put(past));
  v1::Lease many = LeaseOf("l", {});
  for (int i = 0; i < 10001; ++i) {
    many.add_targets()->mutable_content()->set_digest(D("x").ToString());
  }
  wrong.push_back(Put(many));
  wrong.push_back(Put(PinOf("", "x")));
  wrong.push_back(Put(PinOf("engine/x", "x")));
  wrong.push_back(Put(v1::Pin()));
  v1::RecordRequest removal;
  AddRemoval(&removal, "");
  wrong.push_back(removal);
  removal.Clear();
  AddRemoval(&removal, "engine/x");
  wrong.push_back(removal);
  removal.Clear();
  v1::RemoveNamed* named = removal.add_operations()->mutable_remove_named();
  named->set_kind(v1::NODE_KIND_LEASE);
  named->set_name("l");
  wrong.push_back(removal);
  for (const v1::RecordRequest& one : wrong) {
    v1::RecordRequest request;
    AddVolume(&request, "before");
    *request.add_operations() = one.operations(0);
    const grpc::Status status = Record(request);
    const std::string text = one.ShortDebugString().substr(0, 200);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT) << text;
    EXPECT_THAT(status.error_message(), StartsWith("operations[1]")) << text;
    EXPECT_FALSE(HasVolume("before")) << text;
  }
}

TEST_F(LeaseBatchTest, ARequestHasAsManyTargetsAsALease) {
  v1::RecordRequest request;
  for (const char* id : {"one", "two"}) {
    v1::Lease* lease = request.add_operations()->mutable_put_lease();
    *lease = LeaseOf(id, {});
    for (int i = 0; i < 5000; ++i) {
      lease->add_targets()->mutable_content()->set_digest(
          D(absl::StrCat(id, i)).ToString());
    }
  }
  ASSERT_TRUE(Record(request).ok());
  *request.add_operations()->mutable_put_pin() = PinOf("p", "x");
  const grpc::Status status = Record(request);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), StartsWith("operations[2]"));
}

TEST_F(LeaseBatchTest, AStreamStandsUpToItsError) {
  std::vector<v1::RecordRequest> requests;
  for (int i = 0; i < 50; ++i) {
    requests.push_back(Put(LeaseOf(absl::StrCat("l", 100 + i), {"x"})));
    *requests.back().add_operations()->mutable_put_pin() =
        PinOf(absl::StrCat("p", 100 + i), "x");
  }
  v1::RecordStreamResponse response;
  grpc::Status status = Stream(graph_stub_, requests, &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(response.changed_count(), 100u);
  EXPECT_EQ(ListLeases().leases_size(), 50);
  EXPECT_EQ(ListPins().pins_size(), 50);
  v1::RecordRequest wrong;
  AddVolume(&wrong, "v");
  *wrong.add_operations()->mutable_put_lease() = LeaseOf("l100", {"y"});
  status = Stream(graph_stub_, {Put(LeaseOf("new", {"x"})), wrong}, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::ALREADY_EXISTS);
  EXPECT_THAT(status.error_message(),
              HasSubstr("request 1 (the 1 before it stand): operations[1]"));
  EXPECT_EQ(ListLeases().leases_size(), 51);
  EXPECT_FALSE(HasVolume("v"));
}

TEST_F(LeaseBatchTest, EachIsAnEventOfWhoAsked) {
  v1::RecordRequest request = Put(LeaseOf("l", {"x"}));
  *request.add_operations()->mutable_put_pin() = PinOf("p", "x");
  AddRemoval(&request, "l");
  Recorded(request, 3);
  v1::WatchEventsRequest watch;
  watch.set_store("a");
  grpc::ClientContext context;
  const auto reader = collection_stub_->WatchEvents(&context, watch);
  std::vector<std::string> events;
  for (v1::WatchEventsResponse page; reader->Read(&page);) {
    for (const v1::Event& event : page.events()) {
      if (event.node().name().empty()) continue;
      EXPECT_THAT(event.actor(), StartsWith("uid:"));
      events.push_back(absl::StrCat(v1::EventKind_Name(event.kind()), " ",
                                    v1::NodeKind_Name(event.node().kind()), " ",
                                    event.node().name()));
    }
  }
  EXPECT_TRUE(reader->Finish().ok());
  EXPECT_THAT(events,
              ::testing::ElementsAre("EVENT_KIND_ADDED NODE_KIND_LEASE l",
                                     "EVENT_KIND_ADDED NODE_KIND_PIN p",
                                     "EVENT_KIND_REMOVED NODE_KIND_LEASE l"));
}

// The power is cut after each answer: what was relaxed may be lost, but no
// lease or pin, though the request that it came in was relaxed.
class PowerCutBatchTest : public LeaseBatchTest {
 protected:
  PowerCutBatchTest() { SetEngine(std::make_unique<index::LossyEngine>()); }
  void SetEngine(std::unique_ptr<index::LossyEngine> engine) {
    lossy_ = engine.get();
    engine_ = std::move(engine);
  }
  void CutThePower() {
    auto left = lossy_->AfterPowerCut(0);
    StopServer();
    engine_ = std::move(left);
    StartServer();
  }
  index::LossyEngine* lossy_;
};

TEST_F(PowerCutBatchTest, WhatIsRelaxedMayBeLost) {
  v1::RecordRequest request;
  AddVolume(&request, "v");
  request.set_relaxed(true);
  Recorded(request, 1);
  CutThePower();
  EXPECT_FALSE(HasVolume("v")) << "or the tests below show nothing";
}

TEST_F(PowerCutBatchTest, ALeaseIsDurableBeforeTheAnswer) {
  v1::RecordRequest request = Put(LeaseOf("l", {"x"}));
  *request.add_operations()->mutable_put_pin() = PinOf("p", "x");
  request.set_relaxed(true);
  Recorded(request, 2);
  CutThePower();
  EXPECT_EQ(ListLeases().leases_size(), 1);
  EXPECT_EQ(ListPins().pins_size(), 1);
}

TEST_F(PowerCutBatchTest, OfAStreamAsWell) {
  v1::RecordRequest volume;
  AddVolume(&volume, "v");
  volume.set_relaxed(true);
  v1::RecordRequest pin = Put(PinOf("p", "x"));
  pin.set_relaxed(true);
  v1::RecordStreamResponse response;
  ASSERT_TRUE(Stream(graph_stub_, {volume, pin, volume}, &response).ok());
  CutThePower();
  EXPECT_EQ(ListPins().pins_size(), 1);
}

// Somebody with the role record beside the administrator of the socket.
class TwoCallersTest : public LeaseBatchTest {
 protected:
  TwoCallersTest() {
    server_options_.tcp_address = "127.0.0.1:0";
    server_options_.is_insecure = true;
    server_options_.insecure_roles = RoleSet(Role::kRecord);
  }
  void SetUp() override {
    LeaseBatchTest::SetUp();
    const auto channel =
        grpc::CreateChannel(absl::StrCat("127.0.0.1:", server_->tcp_port()),
                            grpc::InsecureChannelCredentials());
    recorder_ = v1::GraphService::NewStub(channel);
  }
  // Refused alone, in a batch and in a stream, and nothing beside it is done.
  void ExpectRefused(const v1::RecordRequest& request) {
    v1::RecordRequest batch;
    AddVolume(&batch, "beside");
    *batch.add_operations() = request.operations(0);
    v1::RecordResponse none;
    v1::RecordStreamResponse nothing;
    for (const grpc::Status& status :
         {Ask(recorder_, &Graph::Record, batch, &none),
          Stream(recorder_, {batch}, &nothing)}) {
      EXPECT_EQ(status.error_code(), grpc::StatusCode::PERMISSION_DENIED)
          << request.ShortDebugString();
      EXPECT_THAT(status.error_message(), HasSubstr("operations[1]"));
      EXPECT_THAT(status.error_message(), HasSubstr("admin"));
    }
    EXPECT_FALSE(HasVolume("beside"));
  }
  std::unique_ptr<Graph> recorder_;
};

TEST_F(TwoCallersTest, WhoRecordsMakesNoPins) {
  Recorded(Put(PinOf("theirs", "x")), 1);
  ExpectRefused(Put(PinOf("mine", "x")));
  ExpectRefused(Put(PinOf("theirs", "x")));
  v1::RecordRequest removal;
  v1::RemovePin* remove = removal.add_operations()->mutable_remove_pin();
  remove->set_store("a");
  remove->set_id("theirs");
  ExpectRefused(removal);
  remove->set_id("absent");
  ExpectRefused(removal);
  ASSERT_EQ(ListPins().pins_size(), 1);
  EXPECT_EQ(ListPins().pins(0).id(), "theirs");
}

TEST_F(TwoCallersTest, WhoRecordsEndsHisOwnLeasesAlone) {
  v1::Lease theirs = LeaseOf("theirs", {"x"});
  Expire(&theirs, absl::Hours(1));
  Recorded(Put(theirs), 1);
  v1::RecordRequest removal;
  AddRemoval(&removal, "theirs");
  ExpectRefused(removal);
  v1::RecordResponse response;
  ASSERT_TRUE(
      Ask(recorder_, &Graph::Record, Put(LeaseOf("own", {"x"})), &response)
          .ok());
  // That of another is not taken over either.
  EXPECT_EQ(
      Ask(recorder_, &Graph::Record, Put(LeaseOf("theirs", {"x"})), &response)
          .error_code(),
      grpc::StatusCode::ALREADY_EXISTS);
  v1::Lease got;
  ASSERT_TRUE(Get("own", &got).ok());
  EXPECT_THAT(got.owner(), HasSubstr("127.0.0.1"));
  v1::RecordRequest own;
  AddRemoval(&own, "own");
  ASSERT_TRUE(Ask(recorder_, &Graph::Record, own, &response).ok());
  EXPECT_EQ(response.changed_count(), 1u);
  // What has expired protects nobody; and an administrator ends any.
  ASSERT_TRUE(
      Ask(recorder_, &Graph::Record, Put(LeaseOf("own", {"x"})), &response)
          .ok());
  Recorded(own, 1);
  clock_.Advance(absl::Hours(2));
  EXPECT_TRUE(Ask(recorder_, &Graph::Record, removal, &response).ok());
}

// Content that a run has quarantined is named by a batch.
class QuarantinedBatchTest : public ServerFixture {
 protected:
  void SetUp() override {
    tree_.Image("app", "v1", {"base"});
    orphan_ = tree_.Blob("nothing names me");
    Age();
    ServerFixture::SetUp();
    AddStore("registry");
    PruneSystem();
    ASSERT_EQ(StateOfOrphan(), v1::NODE_STATE_QUARANTINED);
  }
  v1::NodeState StateOfOrphan() {
    v1::GetNodeRequest request;
    request.mutable_content()->set_digest(orphan_.ToString());
    v1::GetNodeResponse node;
    EXPECT_TRUE(Ask(graph_stub_, &Graph::GetNode, request, &node).ok());
    return node.node().state();
  }
  void Record(const v1::RecordRequest& request) {
    v1::RecordResponse response;
    const grpc::Status status =
        Ask(graph_stub_, &Graph::Record, request, &response);
    ASSERT_TRUE(status.ok()) << status.error_message();
    EXPECT_EQ(StateOfOrphan(), v1::NODE_STATE_PRESENT);
  }

  store::RegistryTree tree_{&folder_};
  oci::Digest orphan_;
};

TEST_F(QuarantinedBatchTest, ALeaseBringsItBack) {
  v1::RecordRequest request;
  v1::Lease* lease = request.add_operations()->mutable_put_lease();
  lease->set_id("l");
  lease->add_targets()->mutable_content()->set_digest(orphan_.ToString());
  Record(request);
}

TEST_F(QuarantinedBatchTest, APinBringsItBack) {
  v1::RecordRequest request;
  v1::Pin* pin = request.add_operations()->mutable_put_pin();
  pin->set_id("p");
  pin->mutable_target()->mutable_content()->set_digest(orphan_.ToString());
  Record(request);
}

// Two stores: what batches do to one, calls for one at a time do to the other.
class TwinTest : public LeaseBatchTest {
 protected:
  void SetUp() override {
    LeaseBatchTest::SetUp();
    AddExternalStore("b");
  }
  int Below(int bound) { return static_cast<int>(random_number_() % bound); }
  std::string AnyId() {
    static const auto* const ids = new std::vector<std::string>{
        "one", "two", "three", "no id", "engine/x"};
    return (*ids)[Below(20) == 0 ? 3 + Below(2) : Below(3)];
  }
  v1::Target AnyTarget() {
    v1::Target target;
    if (Below(12) == 0) {
      target.mutable_named()->set_kind(v1::NODE_KIND_VOLUME);
      target.mutable_named()->set_name(Below(2) == 0 ? "there" : "absent");
    } else if (Below(30) != 0) {
      target.mutable_content()->set_digest(
          D(absl::StrCat("x", Below(3))).ToString());
      if (Below(20) == 0) target.mutable_content()->set_store("elsewhere");
    }
    return target;
  }
  v1::Lease AnyLease() {
    v1::Lease lease;
    lease.set_id(AnyId());
    for (int i = Below(3); i >= 0; --i) *lease.add_targets() = AnyTarget();
    if (Below(2) == 0) Expire(&lease, absl::Minutes(Below(100) - 10));
    if (Below(8) == 0) (*lease.mutable_labels())["n"] = "1";
    return lease;
  }

  struct Outcome {
    grpc::StatusCode code = grpc::StatusCode::OK;
    std::string message;
  };
  // What a batch says of its only operation.
  Outcome Batch(const v1::RecordRequest& request, bool is_removal) {
    v1::RecordResponse response;
    const grpc::Status status = Record(request, &response);
    // The only difference: a batch has no error for what is gone already.
    if (status.ok() && is_removal && response.changed_count() == 0) {
      return {grpc::StatusCode::NOT_FOUND, ""};
    }
    const std::string whole = status.error_message();
    absl::string_view message = whole;
    for (const char* prefix : {"operations[0]: ", "operations[0]."}) {
      if (absl::ConsumePrefix(&message, prefix)) break;
    }
    return {status.error_code(), std::string(message)};
  }
  static Outcome OutcomeOf(const grpc::Status& status) {
    return {status.error_code(), status.error_message()};
  }

  void Step() {
    v1::RecordRequest request;
    v1::Operation* operation = request.add_operations();
    Outcome single;
    const int kind = Below(7);
    if (kind < 4) {
      const v1::Lease lease = AnyLease();
      *operation->mutable_put_lease() = lease;
      operation->mutable_put_lease()->set_store("a");
      v1::CreateLeaseRequest create;
      *create.mutable_lease() = lease;
      create.mutable_lease()->set_store("b");
      v1::Lease made;
      single = OutcomeOf(Ask(lease_stub_, &Leases::CreateLease, create, &made));
    } else if (kind == 4) {
      operation->mutable_remove_lease()->set_store("a");
      operation->mutable_remove_lease()->set_id(AnyId());
      v1::DeleteLeaseRequest remove;
      remove.set_store("b");
      remove.set_id(operation->remove_lease().id());
      v1::DeleteLeaseResponse none;
      single = OutcomeOf(Ask(lease_stub_, &Leases::DeleteLease, remove, &none));
    } else if (kind == 5) {
      v1::Pin* pin = operation->mutable_put_pin();
      pin->set_id(AnyId());
      pin->set_reason(absl::StrCat("reason ", Below(2)));
      *pin->mutable_target() = AnyTarget();
      v1::CreatePinRequest create;
      *create.mutable_pin() = *pin;
      create.mutable_pin()->set_store("b");
      pin->set_store("a");
      v1::Pin made;
      single = OutcomeOf(Ask(lease_stub_, &Leases::CreatePin, create, &made));
    } else {
      operation->mutable_remove_pin()->set_store("a");
      operation->mutable_remove_pin()->set_id(AnyId());
      v1::DeletePinRequest remove;
      remove.set_store("b");
      remove.set_id(operation->remove_pin().id());
      v1::DeletePinResponse none;
      single = OutcomeOf(Ask(lease_stub_, &Leases::DeletePin, remove, &none));
    }
    const Outcome batch = Batch(request, kind == 4 || kind == 6);
    ++outcomes_[single.code];
    EXPECT_EQ(batch.code, single.code) << request.ShortDebugString() << "\n"
                                       << batch.message << "\n"
                                       << single.message;
    if (batch.code == grpc::StatusCode::NOT_FOUND && kind % 2 == 0) return;
    EXPECT_EQ(batch.message, OfStoreA(single.message));
  }
  static std::string OfStoreA(std::string message) {
    return absl::StrReplaceAll(message, {{"store b", "store a"}});
  }

  // What the lists say of a store, but for its name and what follows from it.
  std::string State(const std::string& store) {
    std::string state;
    const auto forget = [](v1::Target* target) {
      if (target->has_content()) target->mutable_content()->clear_store();
    };
    const v1::ListLeasesResponse leases = ListLeases(store);
    for (v1::Lease lease : leases.leases()) {
      EXPECT_EQ(lease.store(), store);
      lease.clear_store();
      lease.clear_etag();
      for (v1::Target& target : *lease.mutable_targets()) forget(&target);
      absl::StrAppend(&state, lease.DebugString());
    }
    const v1::ListPinsResponse pins = ListPins(store);
    for (v1::Pin pin : pins.pins()) {
      pin.clear_store();
      forget(pin.mutable_target());
      absl::StrAppend(&state, pin.DebugString());
    }
    return state;
  }

  // I6, also while leases expire.
  void ExpectCounted(const std::string& store) {
    const auto reader = graph_->Read();
    index::RecountInputs inputs;
    inputs.store = reader->view().FindStore(store);
    inputs.now = clock_.Now();
    inputs.grace_period = options_.grace_period;
    const index::StoreTotals counted = index::Recount(reader->view(), inputs);
    EXPECT_TRUE(counted == reader->totals(inputs.store))
        << "counted: " << index::ToString(reader->totals(inputs.store))
        << "\nrecounted: " << index::ToString(counted);
  }

  std::mt19937 random_number_;
  std::map<grpc::StatusCode, int> outcomes_;
};

TEST_F(TwinTest, BatchesDoWhatTheCallsDo) {
  const unsigned seed = std::random_device()();
  std::cout << "seed " << seed << "\n";
  random_number_.seed(seed);
  for (const char* store : {"a", "b"}) {
    v1::RecordRequest request;
    AddVolume(&request, "there");
    request.mutable_operations(0)->mutable_put_volume()->set_store(store);
    Recorded(request, 1);
  }
  for (int i = 0; i < 2000 && !HasFailure(); ++i) {
    Step();
    EXPECT_EQ(State("a"), State("b")) << "step " << i;
    ExpectCounted("a");
    ExpectCounted("b");
    if (Below(4) == 0) clock_.Advance(absl::Minutes(Below(40)));
  }
  for (const grpc::StatusCode code :
       {grpc::StatusCode::OK, grpc::StatusCode::NOT_FOUND,
        grpc::StatusCode::ALREADY_EXISTS, grpc::StatusCode::INVALID_ARGUMENT}) {
    EXPECT_GT(outcomes_[code], 20) << code;
  }
}

}  // namespace
}  // namespace reclaim::rpc
