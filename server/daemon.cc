#include "server/daemon.h"

#include <grp.h>

#include <filesystem>
#include <iostream>
#include <mutex>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/random.h"
#include "base/status_macros.h"
#include "gc/collector.h"
#include "index/reference_graph.h"
#include "index/rocksdb_engine.h"
#include "metrics/metrics.h"
#include "rpc/notification_intake.h"
#include "rpc/run_board.h"
#include "rpc/server.h"
#include "rpc/store_table.h"
#include "server/http_server.h"
#include "server/store_follower.h"
#include "server/ticker.h"

namespace reclaim::server {
namespace {

constexpr absl::Duration kDrainPatience = absl::Seconds(5);
constexpr absl::Duration kSecondLookInterval = absl::Milliseconds(250);

// What the gRPC server tells, counted.
class CountedCalls final : public rpc::CallObserver {
 public:
  explicit CountedCalls(metrics::Metrics* metrics) : metrics_(metrics) {}
  void OnCallBegin(absl::string_view method) override {
    metrics_->OnCallBegin(method);
  }
  void OnCallEnd(absl::string_view method, const absl::Status& status,
                 absl::Duration took) override {
    metrics_->OnCallEnd(method, status.code(), took);
  }
  void OnNotification(absl::string_view action) override {
    metrics_->OnNotification(action);
  }
  void OnFinding(absl::string_view check) override {
    metrics_->OnFinding(check);
  }

 private:
  metrics::Metrics* metrics_;
};

absl::StatusOr<gid_t> GroupId(const std::string& name) {
  if (name.empty()) return static_cast<gid_t>(-1);
  const group* found = getgrnam(name.c_str());
  if (found != nullptr) return found->gr_gid;
  return absl::InvalidArgumentError(
      absl::StrCat("listen.socket_group: there is no group \"", name, "\""));
}

class ReclaimDaemon final : public Daemon {
 public:
  explicit ReclaimDaemon(const Config& config)
      : config_(config),
        clock_(base::SystemClock()),
        metrics_(metrics::Metrics::Create(clock_, kVersion)),
        calls_(metrics_.get()) {}
  ~ReclaimDaemon() override { Stop(); }

  absl::Status OpenGraph(absl::FunctionRef<void(absl::string_view)> say);
  absl::Status OpenStores(absl::FunctionRef<void(absl::string_view)> say);
  absl::Status Serve();

  int tcp_port() const override { return server_->tcp_port(); }
  int http_port() const override { return http_ ? http_->port() : 0; }
  absl::Status PurgeExpired() override;
  void Stop() override;

 private:
  absl::Status OpenOnce(const std::string& path);
  absl::Status ServeHttp();
  absl::Status TakeNotifications(const rpc::ServiceParts& parts);

  const Config config_;
  const base::Clock* clock_;
  std::unique_ptr<metrics::Metrics> metrics_;
  CountedCalls calls_;
  bool is_rebuilt_ = false;
  std::unique_ptr<index::Engine> engine_;
  std::unique_ptr<index::ReferenceGraph> graph_;
  std::unique_ptr<gc::Collector> collector_;
  std::unique_ptr<rpc::StoreTable> stores_;
  std::unique_ptr<rpc::RunBoard> runs_;
  std::unique_ptr<StoreFollower> follower_;
  std::unique_ptr<rpc::Server> server_;
  std::unique_ptr<rpc::NotificationIntake> intake_;
  std::unique_ptr<Ticker> second_looks_;
  std::unique_ptr<HttpServer> http_;
  std::unique_ptr<HttpServer> notifications_;
  std::once_flag stopped_;
};

absl::Status ReclaimDaemon::OpenOnce(const std::string& path) {
  index::RocksDbOptions options;
  options.path = path;
  RECLAIM_ASSIGN_OR_RETURN(engine_, index::OpenRocksDb(options));
  auto graph =
      index::ReferenceGraph::Open(engine_.get(), clock_, config_.graph);
  if (!graph.ok()) {
    engine_.reset();
    return graph.status();
  }
  graph_ = *std::move(graph);
  auto collector = gc::Collector::Create(graph_.get(), clock_,
                                         base::SystemRandom(), metrics_.get());
  if (!collector.ok()) {
    graph_.reset();
    engine_.reset();
    return collector.status();
  }
  collector_ = *std::move(collector);
  return absl::OkStatus();
}

absl::Status ReclaimDaemon::OpenGraph(
    absl::FunctionRef<void(absl::string_view)> say) {
  std::error_code error;
  std::filesystem::create_directories(config_.data_directory, error);
  if (error) {
    return absl::ErrnoToStatus(error.value(),
                               absl::StrCat("cannot make the data directory ",
                                            config_.data_directory));
  }
  const std::string path = config_.data_directory + "/graph";
  const absl::Status opened = OpenOnce(path);
  if (!absl::IsDataLoss(opened)) return opened;
  // The stores are the truth: the graph is read from them again.
  const std::string aside = absl::StrCat(
      path, ".damaged-",
      absl::FormatTime("%Y%m%dT%H%M%SZ", clock_->Now(), absl::UTCTimeZone()));
  std::filesystem::rename(path, aside, error);
  if (error) {
    return absl::Status(
        opened.code(),
        absl::StrCat(opened.message(), "; and it cannot be moved to ", aside,
                     ": ", error.message()));
  }
  say(absl::StrCat("the database was damaged (", opened.message(),
                   "); it is kept as ", aside,
                   ", and the graph is rebuilt from the configured stores.  "
                   "What clients had recorded must be recorded again."));
  is_rebuilt_ = true;
  return OpenOnce(path);
}

absl::Status ReclaimDaemon::OpenStores(
    absl::FunctionRef<void(absl::string_view)> say) {
  stores_ = std::make_unique<rpc::StoreTable>(graph_.get(), collector_.get());
  stores_->OpenAll();
  for (const rpc::StoreSettings& store : config_.stores) {
    const auto registered = stores_->Register(store);
    if (registered.ok()) continue;
    const auto code = registered.status().code();
    // A store that is away must not take the others with it.
    if (code == absl::StatusCode::kInvalidArgument ||
        code == absl::StatusCode::kAlreadyExists) {
      return registered.status();
    }
    say(absl::StrCat("store ", store.uri, ": ", registered.status().message(),
                     "; the others go on"));
  }
  for (const index::StoreRecord& store : graph_->Stores()) {
    const absl::Status problem = stores_->Problem(store.name);
    if (!problem.ok()) {
      say(absl::StrCat("store ", store.name,
                       " is not open: ", problem.message()));
    }
  }
  const absl::Status recovered = collector_->Recover();
  if (!recovered.ok()) {
    say(absl::StrCat("recovery is not complete: ", recovered.message(),
                     "; what it concerns stays in quarantine"));
  }
  if (!is_rebuilt_) return absl::OkStatus();
  for (const index::StoreRecord& store : graph_->Stores()) {
    const auto scan = collector_->Scan(store.name, true, "rebuild", {});
    if (!scan.ok()) {
      say(absl::StrCat("store ", store.name,
                       " could not be scanned: ", scan.status().message()));
    }
  }
  return absl::OkStatus();
}

absl::Status ReclaimDaemon::Serve() {
  runs_ = std::make_unique<rpc::RunBoard>();
  rpc::ServiceParts parts;
  parts.graph = graph_.get();
  parts.collector = collector_.get();
  parts.stores = stores_.get();
  parts.runs = runs_.get();
  parts.clock = clock_;
  parts.random = base::SystemRandom();
  parts.observer = &calls_;
  parts.policy = config_.policy;
  absl::LoadTimeZone(config_.time_zone, &parts.zone);
  rpc::ServerOptions options;
  if (!config_.socket.empty()) {
    rpc::UnixSocket socket;
    socket.path = config_.socket;
    socket.mode = static_cast<mode_t>(config_.socket_mode);
    RECLAIM_ASSIGN_OR_RETURN(socket.group, GroupId(config_.socket_group));
    options.unix_socket = socket;
  }
  options.tcp_address = config_.tcp_address;
  options.certificate = config_.tls_certificate;
  options.key = config_.tls_key;
  options.client_ca = config_.tls_client_ca;
  options.is_insecure = config_.is_insecure;
  RECLAIM_ASSIGN_OR_RETURN(server_, rpc::Server::Start(options, parts));
  metrics_->SetGraph(
      graph_.get(),
      [this](const std::string& name) -> absl::StatusOr<store::Capacity> {
        RECLAIM_ASSIGN_OR_RETURN(const store::ContentStore* content,
                                 stores_->Content(name));
        return content->GetCapacity();
      });
  RECLAIM_RETURN_IF_ERROR(TakeNotifications(parts));
  RECLAIM_RETURN_IF_ERROR(ServeHttp());
  follower_ = std::make_unique<StoreFollower>(
      collector_.get(), clock_, [](const std::string& line) {
        std::cerr << "reclaimd: " << line << std::endl;
      });
  stores_->SetOpenedListener(
      [this](const std::string& name, store::ContentStore* content) {
        follower_->Follow(name, content);
      });
  server_->SetServing(true);
  return absl::OkStatus();
}

absl::Status ReclaimDaemon::TakeNotifications(const rpc::ServiceParts& parts) {
  if (config_.notification_secret_file.empty()) return absl::OkStatus();
  rpc::NotificationOptions options = config_.notifications;
  RECLAIM_ASSIGN_OR_RETURN(options.secret,
                           rpc::ReadSecret(config_.notification_secret_file));
  RECLAIM_ASSIGN_OR_RETURN(intake_,
                           rpc::NotificationIntake::Create(options, parts));
  second_looks_ = std::make_unique<Ticker>(kSecondLookInterval,
                                           [this] { intake_->LookAgain(); });
  return absl::OkStatus();
}

absl::Status ReclaimDaemon::ServeHttp() {
  const auto notify = [this](const std::string& store,
                             absl::string_view authorization,
                             absl::string_view body) {
    return intake_->Take(store, authorization, body);
  };
  const bool has_own_address = !config_.notification_address.empty();
  if (!config_.http_address.empty()) {
    HttpPages pages;
    pages.metrics = [this] { return metrics_->Scrape(); };
    // Whoever can ask finds the graph loaded.
    pages.readiness = [] { return absl::OkStatus(); };
    if (intake_ != nullptr && !has_own_address) pages.notify = notify;
    RECLAIM_ASSIGN_OR_RETURN(
        http_, HttpServer::Start(config_.http_address, std::move(pages)));
  }
  if (intake_ == nullptr || !has_own_address) return absl::OkStatus();
  HttpPages pages;
  pages.notify = notify;
  RECLAIM_ASSIGN_OR_RETURN(
      notifications_,
      HttpServer::Start(config_.notification_address, std::move(pages)));
  return absl::OkStatus();
}

absl::Status ReclaimDaemon::PurgeExpired() {
  absl::Status status;
  for (const index::StoreRecord& store : graph_->Stores()) {
    const auto held = collector_->ListQuarantine(store.name, 0, UINT64_MAX);
    if (!held.ok()) continue;  // not open: nothing can be freed there
    bool is_due = false;
    for (const gc::QuarantineEntry& entry : *held) {
      is_due |= entry.restorable_until <= clock_->Now();
    }
    if (!is_due) continue;
    gc::PurgeRequest request;
    request.store = store.name;
    request.actor = "schedule";
    const auto run =
        runs_->Start([this, request](const gc::RunControl& control) {
          return collector_->Purge(request, control);
        });
    // A store that is at work is purged the next time.
    if (!run.ok() && !absl::IsAborted(run.status())) {
      status.Update(run.status());
    }
  }
  return status;
}

void ReclaimDaemon::Stop() {
  std::call_once(stopped_, [this] {
    if (server_ != nullptr) server_->SetServing(false);
    if (stores_ != nullptr) stores_->SetOpenedListener(nullptr);
    follower_.reset();
    http_.reset();
    notifications_.reset();
    second_looks_.reset();
    metrics_->ClearGraph();
    if (runs_ != nullptr) runs_->Shutdown();
    if (server_ != nullptr) server_->Shutdown(kDrainPatience);
    server_.reset();
    runs_.reset();
    collector_.reset();
    stores_.reset();
    graph_.reset();
    engine_.reset();
  });
}

}  // namespace

absl::StatusOr<std::unique_ptr<Daemon>> Daemon::Start(
    const Config& config, absl::FunctionRef<void(absl::string_view)> say) {
  RECLAIM_RETURN_IF_ERROR(CheckConfig(config));
  auto daemon = std::make_unique<ReclaimDaemon>(config);
  RECLAIM_RETURN_IF_ERROR(daemon->OpenGraph(say));
  RECLAIM_RETURN_IF_ERROR(daemon->OpenStores(say));
  RECLAIM_RETURN_IF_ERROR(daemon->Serve());
  return std::unique_ptr<Daemon>(std::move(daemon));
}

}  // namespace reclaim::server
