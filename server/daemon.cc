#include "server/daemon.h"

#include <grp.h>

#include <filesystem>
#include <mutex>
#include <system_error>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "accounting/history_store.h"
#include "base/clock.h"
#include "base/random.h"
#include "base/status_macros.h"
#include "gc/collector.h"
#include "gc/policy_book.h"
#include "gc/schedule_observer.h"
#include "gc/scheduler.h"
#include "index/reference_graph.h"
#include "index/rocksdb_engine.h"
#include "metrics/metrics.h"
#include "rpc/notification_intake.h"
#include "rpc/run_board.h"
#include "rpc/scheduled_collection.h"
#include "rpc/server.h"
#include "rpc/store_table.h"
#include "server/http_server.h"
#include "server/policy_keys.h"
#include "server/schedule_loop.h"
#include "server/ticker.h"
#include "server/usage_recorder.h"

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

// What a person should know of the runs of schedules; the rest is counted.
class ScheduleLog final : public gc::ScheduleObserver {
 public:
  ScheduleLog(gc::ScheduleObserver* next,
              std::function<void(absl::string_view)> say)
      : next_(next), say_(std::move(say)) {}
  void OnScheduleEnd(const gc::Schedule& schedule,
                     const gc::ScheduleState& state) override {
    next_->OnScheduleEnd(schedule, state);
    if (state.last_outcome == gc::ScheduleOutcome::kSucceeded ||
        state.last_outcome == gc::ScheduleOutcome::kNothingToDo) {
      return;
    }
    say_(absl::StrCat("schedule ", schedule.name, ": ",
                      gc::ToString(state.last_outcome), ": ",
                      state.last_message));
  }

 private:
  gc::ScheduleObserver* next_;
  std::function<void(absl::string_view)> say_;
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
  ReclaimDaemon(const Config& config,
                const std::function<void(absl::string_view)>& say)
      : config_(config),
        clock_(base::SystemClock()),
        metrics_(metrics::Metrics::Create(clock_, kVersion)),
        calls_(metrics_.get()),
        schedule_log_(metrics_.get(), say),
        loop_(say) {}
  ~ReclaimDaemon() override { Stop(); }

  absl::Status OpenGraph(absl::FunctionRef<void(absl::string_view)> say);
  absl::Status OpenStores(absl::FunctionRef<void(absl::string_view)> say);
  absl::Status Serve();
  void NoteUsage(std::function<void(absl::string_view)> say) {
    usage_->Begin(config_.history_interval, std::move(say));
  }

  int tcp_port() const override { return server_->tcp_port(); }
  int http_port() const override { return http_ ? http_->port() : 0; }
  void Stop() override;

 private:
  absl::Status OpenOnce(const std::string& path);
  absl::Status ServeHttp();
  absl::Status TakeNotifications(const rpc::ServiceParts& parts);
  absl::Status OpenSchedules(rpc::ServiceParts* parts);

  const Config config_;
  const base::Clock* clock_;
  std::unique_ptr<metrics::Metrics> metrics_;
  CountedCalls calls_;
  ScheduleLog schedule_log_;
  bool is_rebuilt_ = false;
  std::unique_ptr<index::Engine> engine_;
  std::unique_ptr<index::ReferenceGraph> graph_;
  std::unique_ptr<gc::Collector> collector_;
  std::unique_ptr<rpc::StoreTable> stores_;
  std::unique_ptr<gc::PolicyBook> policies_;
  std::unique_ptr<rpc::RunBoard> runs_;
  std::unique_ptr<rpc::ScheduledCollection> work_;
  std::unique_ptr<gc::Scheduler> scheduler_;
  ScheduleLoop loop_;
  std::unique_ptr<rpc::Server> server_;
  std::unique_ptr<accounting::HistoryStore> history_;
  std::unique_ptr<UsageRecorder> usage_;
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
  auto policies =
      gc::PolicyBook::Open(engine_.get(), clock_, PoliciesOf(config_));
  if (!policies.ok()) {
    collector_.reset();
    graph_.reset();
    engine_.reset();
    return policies.status();
  }
  policies_ = *std::move(policies);
  collector_->SetRuleSource(policies_.get());
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

absl::Status ReclaimDaemon::OpenSchedules(rpc::ServiceParts* parts) {
  parts->policies = policies_.get();
  work_ = std::make_unique<rpc::ScheduledCollection>(*parts);
  RECLAIM_ASSIGN_OR_RETURN(
      scheduler_, gc::Scheduler::Create(policies_.get(), work_.get(), clock_,
                                        base::SystemRandom(), &schedule_log_,
                                        [this](std::function<void()> job) {
                                          loop_.StartJob(std::move(job));
                                        }));
  parts->scheduler = scheduler_.get();
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
  history_ = std::make_unique<accounting::HistoryStore>(engine_.get());
  parts.history = history_.get();
  usage_ = std::make_unique<UsageRecorder>(parts);
  absl::LoadTimeZone(config_.time_zone, &parts.zone);
  RECLAIM_RETURN_IF_ERROR(OpenSchedules(&parts));
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
      [this](const std::string& name) -> std::optional<store::Capacity> {
        const auto content = stores_->Content(name);
        if (!content.ok()) return std::nullopt;
        const auto capacity = (*content)->GetCapacity();
        if (!capacity.ok()) return std::nullopt;
        return *capacity;
      });
  RECLAIM_RETURN_IF_ERROR(TakeNotifications(parts));
  RECLAIM_RETURN_IF_ERROR(ServeHttp());
  server_->SetServing(true);
  loop_.Begin(scheduler_.get());
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

void ReclaimDaemon::Stop() {
  std::call_once(stopped_, [this] {
    if (server_ != nullptr) server_->SetServing(false);
    http_.reset();
    notifications_.reset();
    second_looks_.reset();
    usage_.reset();
    metrics_->ClearGraph();
    if (work_ != nullptr) work_->Stop();
    if (runs_ != nullptr) runs_->Shutdown();
    loop_.Stop();
    if (server_ != nullptr) server_->Shutdown(kDrainPatience);
    server_.reset();
    scheduler_.reset();
    work_.reset();
    runs_.reset();
    history_.reset();
    collector_.reset();
    policies_.reset();
    stores_.reset();
    graph_.reset();
    engine_.reset();
  });
}

}  // namespace

absl::StatusOr<std::unique_ptr<Daemon>> Daemon::Start(
    const Config& config, std::function<void(absl::string_view)> say) {
  RECLAIM_RETURN_IF_ERROR(CheckConfig(config));
  auto daemon = std::make_unique<ReclaimDaemon>(config, say);
  RECLAIM_RETURN_IF_ERROR(daemon->OpenGraph(say));
  RECLAIM_RETURN_IF_ERROR(daemon->OpenStores(say));
  RECLAIM_RETURN_IF_ERROR(daemon->Serve());
  daemon->NoteUsage(std::move(say));
  return std::unique_ptr<Daemon>(std::move(daemon));
}

}  // namespace reclaim::server
