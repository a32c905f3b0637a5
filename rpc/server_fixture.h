// rpc/server_fixture.h — a whole service on a Unix socket; for tests.
//
// An empty graph in memory, the simulated clock, a temporary folder with room
// for trees, and stubs that talk to the server as any client does.

#ifndef RECLAIM_RPC_SERVER_FIXTURE_H_
#define RECLAIM_RPC_SERVER_FIXTURE_H_

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <type_traits>

#include "absl/strings/str_cat.h"
#include "accounting/history_store.h"
#include "base/random.h"
#include "base/simulated_clock.h"
#include "base/status_matchers.h"
#include "gc/collector.h"
#include "gc/observer.h"
#include "gc/policy_book.h"
#include "gc/scheduler.h"
#include "gmock/gmock.h"
#include "google/rpc/error_details.pb.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/security/credentials.h"
#include "gtest/gtest.h"
#include "index/memory_engine.h"
#include "index/reference_graph.h"
#include "oci/digest.h"
#include "reclaim/v1/audit.grpc.pb.h"
#include "reclaim/v1/collection.grpc.pb.h"
#include "reclaim/v1/graph.grpc.pb.h"
#include "reclaim/v1/lease.grpc.pb.h"
#include "reclaim/v1/policy.grpc.pb.h"
#include "reclaim/v1/store.grpc.pb.h"
#include "reclaim/v1/usage.grpc.pb.h"
#include "rpc/audit_log.h"
#include "rpc/scheduled_collection.h"
#include "rpc/server.h"
#include "store/testing/store_tree.h"

namespace reclaim::rpc {

// A folder whose path is short: a socket's path has 107 bytes, and a test's own
// folder may be deeper than that.
class SocketFolder {
 public:
  SocketFolder() { EXPECT_NE(mkdtemp(path_), nullptr); }
  ~SocketFolder() { std::filesystem::remove_all(path_); }
  std::string path() const { return path_; }

 private:
  char path_[32] = "/tmp/reclaim-XXXXXX";
};

class ServerFixture : public ::testing::Test {
 protected:
  ServerFixture() {
    options_.grace_period = absl::ZeroDuration();
    // The clock stands: a second would never be over.
    server_options_.calls.peer_calls_per_second = 0;
  }

  void SetUp() override { StartServer(); }

  void StartServer() {
    auto graph = index::ReferenceGraph::Open(engine_.get(), &clock_, options_);
    ASSERT_THAT(graph, base::IsOk());
    graph_ = *std::move(graph);
    auto collector =
        gc::Collector::Create(graph_.get(), &clock_, &random_, observer_);
    ASSERT_THAT(collector, base::IsOk());
    collector_ = *std::move(collector);
    auto policies =
        gc::PolicyBook::Open(engine_.get(), &clock_, file_policies_);
    ASSERT_THAT(policies, base::IsOk());
    policies_ = *std::move(policies);
    collector_->SetRuleSource(policies_.get());
    stores_ = std::make_unique<StoreTable>(graph_.get(), collector_.get());
    stores_->OpenAll();
    ASSERT_THAT(collector_->Recover(), base::IsOk());
    runs_ = std::make_unique<RunBoard>();
    collector_->SetAudit(audit_);
    history_ = std::make_unique<accounting::HistoryStore>(engine_.get());
    work_ = std::make_unique<ScheduledCollection>(Parts());
    auto scheduler = gc::Scheduler::Create(
        policies_.get(), work_.get(), &clock_, &random_, nullptr,
        [](const std::function<void()>& job) { job(); });
    ASSERT_THAT(scheduler, base::IsOk());
    scheduler_ = *std::move(scheduler);
    ServerOptions options = server_options_;
    options.unix_socket = UnixSocket{-1, SocketPath()};
    auto server = Server::Start(options, Parts());
    ASSERT_THAT(server, base::IsOk());
    server_ = *std::move(server);
    server_->SetServing(true);
    Connect();
  }

  // What the services are made of, as far as it is there yet.
  ServiceParts Parts() {
    ServiceParts parts;
    parts.graph = graph_.get();
    parts.collector = collector_.get();
    parts.stores = stores_.get();
    parts.runs = runs_.get();
    parts.clock = &clock_;
    parts.random = &random_;
    parts.policy = policy_;
    parts.audit = audit_;
    parts.policies = policies_.get();
    parts.scheduler = scheduler_.get();
    parts.history = history_.get();
    return parts;
  }

  void StopServer() {
    server_->Shutdown(absl::ZeroDuration());
    runs_->Shutdown();
    server_.reset();
    scheduler_.reset();
    work_.reset();
    runs_.reset();
    collector_.reset();
    policies_.reset();
    stores_.reset();
    graph_.reset();
  }

  void TearDown() override {
    if (server_ != nullptr) StopServer();
  }

  // Graph and collector are read from the engine again.
  void RestartServer() {
    StopServer();
    StartServer();
  }

  void Connect() {
    const auto channel =
        grpc::CreateChannel(absl::StrCat("unix:", SocketPath()),
                            grpc::InsecureChannelCredentials());
    graph_stub_ = v1::GraphService::NewStub(channel);
    lease_stub_ = v1::LeaseService::NewStub(channel);
    usage_stub_ = v1::UsageService::NewStub(channel);
    collection_stub_ = v1::CollectionService::NewStub(channel);
    store_stub_ = v1::StoreService::NewStub(channel);
    policy_stub_ = v1::PolicyService::NewStub(channel);
  }

  std::string SocketPath() const { return socket_folder_.path() + "/r.sock"; }

  // Calls `method` of `stub`; the answer is in `out`.
  template <typename Stub, typename Request, typename Response>
  static grpc::Status Ask(const std::unique_ptr<Stub>& stub,
                          grpc::Status (Stub::*method)(grpc::ClientContext*,
                                                       const Request&,
                                                       Response*),
                          const std::common_type_t<Request>& request,
                          Response* out) {
    grpc::ClientContext context;
    return (stub.get()->*method)(&context, request, out);
  }

  static google::rpc::ErrorInfo ErrorOf(const grpc::Status& status) {
    google::rpc::Status details;
    google::rpc::ErrorInfo info;
    EXPECT_TRUE(details.ParseFromString(status.error_details()));
    EXPECT_EQ(details.details_size(), 1);
    if (details.details_size() == 1) {
      EXPECT_TRUE(details.details(0).UnpackTo(&info));
    }
    return info;
  }

  // Waits for the end of a run.
  v1::Run Await(const v1::Run& begun) {
    v1::WatchRunRequest request;
    request.set_id(begun.id());
    grpc::ClientContext context;
    const auto reader = collection_stub_->WatchRun(&context, request);
    v1::Run run;
    v1::Run last;
    while (reader->Read(&run)) last = run;
    const grpc::Status status = reader->Finish();
    EXPECT_TRUE(status.ok()) << status.error_message();
    return last;
  }

  // Every file in folder_ as old as a thousand hours.
  void Age() {
    const int64_t seconds =
        absl::ToUnixSeconds(clock_.Now() - absl::Hours(1000));
    const struct timespec times[2] = {{seconds, 0}, {seconds, 0}};
    for (const auto& entry :
         std::filesystem::recursive_directory_iterator(folder_.path())) {
      ASSERT_EQ(utimensat(AT_FDCWD, entry.path().c_str(), times, 0), 0);
    }
  }

  // Registers the tree in folder_ as "s" and scans it.
  void AddStore(const std::string& kind) {
    v1::RegisterStoreRequest add;
    add.set_name("s");
    add.set_uri(absl::StrCat(kind, ":", folder_.path()));
    // Nobody writes while a test looks away.
    add.mutable_write_duration_max()->set_seconds(0);
    if (kind == "registry") {
      add.set_descriptor_cache(v1::DESCRIPTOR_CACHE_NONE);
    }
    v1::Store store;
    grpc::Status status =
        Ask(store_stub_, &v1::StoreService::Stub::RegisterStore, add, &store);
    ASSERT_TRUE(status.ok()) << status.error_message();
    v1::ScanStoreRequest scan;
    v1::Run run;
    status = Ask(store_stub_, &v1::StoreService::Stub::ScanStore, scan, &run);
    ASSERT_TRUE(status.ok()) << status.error_message();
    ASSERT_EQ(Await(run).phase(), v1::RUN_PHASE_SUCCEEDED);
  }

  // Registers a store whose bytes its clients have, and which knows containers.
  void AddExternalStore(const std::string& name = "engine") {
    v1::RegisterStoreRequest add;
    add.set_name(name);
    add.set_uri(absl::StrCat("external:", name));
    add.set_knows_containers(true);
    v1::Store store;
    const grpc::Status status =
        Ask(store_stub_, &v1::StoreService::Stub::RegisterStore, add, &store);
    ASSERT_TRUE(status.ok()) << status.error_message();
    EXPECT_EQ(store.kind(), "external");
  }

  // Operations of a request: a blob with these bytes, a manifest, and a tag on
  // it; of the only store unless one is named.
  static void AddBlob(const std::string& text, v1::RecordRequest* request,
                      const std::string& store = "") {
    v1::PutBlob* put = request->add_operations()->mutable_put_blob();
    put->mutable_name()->set_store(store);
    put->mutable_name()->set_digest(oci::Digest::Sha256Of(text).ToString());
    put->mutable_bytes()->set_logical_bytes(text.size());
    put->mutable_bytes()->set_allocated_bytes(4096);
  }
  static void AddManifest(const std::string& text, v1::RecordRequest* request,
                          const std::string& store = "") {
    v1::PutManifest* put = request->add_operations()->mutable_put_manifest();
    if (!store.empty()) put->mutable_name()->set_store(store);
    put->set_manifest(text);
  }
  static void AddTag(const std::string& repository, const std::string& tag,
                     const std::string& manifest, v1::RecordRequest* request) {
    v1::PutTag* put = request->add_operations()->mutable_put_tag();
    put->set_repository(repository);
    put->set_tag(tag);
    put->set_digest(oci::Digest::Sha256Of(manifest).ToString());
  }
  v1::RecordResponse Record(const v1::RecordRequest& request) {
    v1::RecordResponse response;
    const grpc::Status status =
        Ask(graph_stub_, &v1::GraphService::Stub::Record, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }

  // Makes a plan and applies it, however much it takes: the run that ended.
  v1::Run PlanAndApply(const v1::CreatePlanRequest& create,
                       bool purge = false) {
    v1::Plan plan;
    grpc::Status status =
        Ask(collection_stub_, &v1::CollectionService::Stub::CreatePlan, create,
            &plan);
    EXPECT_TRUE(status.ok()) << status.error_message();
    v1::ApplyPlanRequest apply;
    apply.set_plan_id(plan.id());
    apply.set_allow_large(true);
    apply.set_purge(purge);
    v1::Run run;
    status = Ask(collection_stub_, &v1::CollectionService::Stub::ApplyPlan,
                 apply, &run);
    EXPECT_TRUE(status.ok()) << status.error_message();
    run = Await(run);
    EXPECT_EQ(run.phase(), v1::RUN_PHASE_SUCCEEDED);
    return run;
  }
  // The same of everything that nothing needs.
  v1::Run PruneSystem() {
    v1::CreatePlanRequest create;
    create.set_verb(v1::PRUNE_VERB_SYSTEM);
    return PlanAndApply(create);
  }
  // Of the only store unless one is named.
  v1::Run PurgeNow(const std::string& store = "") {
    v1::PurgeRequest request;
    request.set_store(store);
    request.set_now(true);
    v1::Run run;
    const grpc::Status status = Ask(
        collection_stub_, &v1::CollectionService::Stub::Purge, request, &run);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return Await(run);
  }

  AuditLog* audit_ = nullptr;  // set before SetUp() to keep one; not owned
  // Set before SetUp(): who hears what the collector does; not owned.
  gc::CollectorObserver* observer_ = nullptr;
  store::TempFolder folder_;
  SocketFolder socket_folder_;
  base::SimulatedClock clock_;
  base::SeededRandom random_{1};
  index::GraphOptions options_;
  gc::GcPolicy policy_ = gc::NoGrace();
  ServerOptions server_options_;  // but for the socket
  std::unique_ptr<index::Engine> engine_ =
      std::make_unique<index::MemoryEngine>();
  std::unique_ptr<index::ReferenceGraph> graph_;
  std::unique_ptr<gc::Collector> collector_;
  gc::FilePolicies file_policies_;
  std::unique_ptr<gc::PolicyBook> policies_;
  std::unique_ptr<accounting::HistoryStore> history_;
  std::unique_ptr<StoreTable> stores_;
  std::unique_ptr<RunBoard> runs_;
  std::unique_ptr<ScheduledCollection> work_;
  // Starts what is due within Tick(): a test decides when that is.
  std::unique_ptr<gc::Scheduler> scheduler_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<v1::GraphService::Stub> graph_stub_;
  std::unique_ptr<v1::LeaseService::Stub> lease_stub_;
  std::unique_ptr<v1::UsageService::Stub> usage_stub_;
  std::unique_ptr<v1::CollectionService::Stub> collection_stub_;
  std::unique_ptr<v1::StoreService::Stub> store_stub_;
  std::unique_ptr<v1::PolicyService::Stub> policy_stub_;
};

}  // namespace reclaim::rpc

#endif  // RECLAIM_RPC_SERVER_FIXTURE_H_
