#include "server/daemon.h"

#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "accounting/history_store.h"
#include "base/clock.h"
#include "base/random.h"
#include "base/status_macros.h"
#include "gc/collector.h"
#include "gc/policy_book.h"
#include "gc/scheduler.h"
#include "index/ballast.h"
#include "index/reference_graph.h"
#include "index/rocksdb_engine.h"
#include "index/watched_engine.h"
#include "metrics/metrics.h"
#include "rpc/audit_log.h"
#include "rpc/notification_intake.h"
#include "rpc/registry_client.h"
#include "rpc/run_board.h"
#include "rpc/scheduled_collection.h"
#include "rpc/server.h"
#include "rpc/store_list.h"
#include "rpc/store_table.h"
#include "server/certificate_expiry.h"
#include "server/clock_keeper.h"
#include "server/daemon_observers.h"
#include "server/http_server.h"
#include "server/listening.h"
#include "server/mark_keeper.h"
#include "server/open_stores.h"
#include "server/policy_keys.h"
#include "server/readiness.h"
#include "server/run_resumer.h"
#include "server/schedule_loop.h"
#include "server/state_folder.h"
#include "server/store_follower.h"
#include "server/ticker.h"
#include "server/usage_recorder.h"

namespace reclaim::server {
namespace {

constexpr absl::Duration kDrainPatience = absl::Seconds(5);
constexpr absl::Duration kSecondLookInterval = absl::Milliseconds(250);
constexpr absl::Duration kReadinessInterval = absl::Seconds(1);
constexpr absl::Duration kResumeInterval = absl::Minutes(10);

class ReclaimDaemon final : public Daemon {
 public:
  ReclaimDaemon(const Config& config,
                const std::function<void(absl::string_view)>& say)
      : config_(config),
        say_(say),
        clock_(time_.clock()),
        metrics_(metrics::Metrics::Create(clock_, kVersion)),
        calls_(metrics_.get()),
        schedule_log_(metrics_.get(), say),
        readiness_([this] { return engine_->Writable(); },
                   [this] { return FreeBytes(config_.data_directory); }),
        loop_(say) {}
  ~ReclaimDaemon() override { Stop(); }

  // In this order: whoever asks meanwhile hears that the graph is being loaded.
  absl::Status Listen();
  absl::Status OpenGraph(absl::FunctionRef<void(absl::string_view)> say);
  absl::Status OpenAudit(absl::FunctionRef<void(absl::string_view)> say);
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
  // Lets go of what OpenOnce() has opened so far.
  absl::Status Closed(const absl::Status& why);
  absl::Status TakeNotifications();
  absl::Status ListenHttp();
  absl::Status OpenSchedules();
  rpc::ServiceParts Parts();
  void ShowReadiness();

  const Config config_;
  const std::function<void(absl::string_view)> say_;
  ClockKeeper time_;
  const base::Clock* clock_;
  std::unique_ptr<metrics::Metrics> metrics_;
  CountedCalls calls_;
  ScheduleLog schedule_log_;
  bool is_rebuilt_ = false;
  std::vector<std::string> unfinished_runs_;
  rpc::RegistryClient registries_;
  std::unique_ptr<index::Ballast> ballast_;
  std::unique_ptr<index::Engine> database_;
  // The database with its ballast, watched.
  std::unique_ptr<index::WatchedEngine> engine_;
  std::unique_ptr<MarkKeeper> mark_;
  Readiness readiness_;
  std::unique_ptr<index::ReferenceGraph> graph_;
  std::unique_ptr<rpc::AuditLog> audit_;
  std::unique_ptr<gc::Collector> collector_;
  std::unique_ptr<rpc::StoreList> store_list_;
  std::unique_ptr<rpc::StoreTable> stores_;
  std::unique_ptr<gc::PolicyBook> policies_;
  std::unique_ptr<rpc::RunBoard> runs_;
  std::unique_ptr<RunResumer> resumer_;
  std::unique_ptr<rpc::ScheduledCollection> work_;
  std::unique_ptr<gc::Scheduler> scheduler_;
  ScheduleLoop loop_;
  std::unique_ptr<StoreFollower> follower_;
  std::unique_ptr<rpc::Server> server_;
  std::unique_ptr<accounting::HistoryStore> history_;
  std::unique_ptr<UsageRecorder> usage_;
  std::unique_ptr<rpc::NotificationIntake> intake_;
  std::unique_ptr<Ticker> second_looks_;
  std::unique_ptr<HttpServer> http_;
  std::unique_ptr<HttpServer> notifications_;
  std::unique_ptr<Ticker> readiness_ticker_;
  std::once_flag stopped_;
};

absl::Status ReclaimDaemon::OpenOnce(const std::string& path) {
  index::RocksDbOptions options;
  options.path = path;
  RECLAIM_ASSIGN_OR_RETURN(database_, index::OpenRocksDb(options));
  engine_ = std::make_unique<index::WatchedEngine>(
      index::MakeBallastedEngine(database_.get(), ballast_.get()));
  auto mark = MarkKeeper::Open(config_.data_directory, database_.get(),
                               engine_.get(), base::SystemRandom());
  if (!mark.ok()) return Closed(mark.status());
  mark_ = *std::move(mark);
  index::GraphOptions graph_options = config_.graph;
  graph_options.earlier_database = TraceOfDatabase(config_.data_directory);
  graph_options.later_database = mark_->doubt();
  graph_options.scratch_folder = config_.data_directory;
  auto graph =
      index::ReferenceGraph::Open(engine_.get(), clock_, graph_options);
  if (!graph.ok()) return Closed(graph.status());
  graph_ = *std::move(graph);
  gc::RecordRetention retention = config_.record_retention;
  retention.quarantine_period = config_.policy.quarantine_period;
  auto collector = gc::Collector::Create(
      graph_.get(), clock_, base::SystemRandom(), metrics_.get(), retention);
  if (!collector.ok()) return Closed(collector.status());
  collector_ = *std::move(collector);
  collector_->SetRegistryWitness(&registries_);
  collector_->SetPeriodClock(time_.latest());
  auto policies =
      gc::PolicyBook::Open(engine_.get(), clock_, PoliciesOf(config_));
  if (!policies.ok()) return Closed(policies.status());
  policies_ = *std::move(policies);
  collector_->SetRuleSource(policies_.get());
  return absl::OkStatus();
}

absl::Status ReclaimDaemon::Closed(const absl::Status& why) {
  collector_.reset();
  graph_.reset();
  mark_.reset();
  engine_.reset();
  database_.reset();
  return why;
}

absl::Status ReclaimDaemon::OpenGraph(
    absl::FunctionRef<void(absl::string_view)> say) {
  RECLAIM_RETURN_IF_ERROR(MakeStateFolders(config_.data_directory));
  time_.Begin(config_.data_directory, say_, [this](absl::Duration behind) {
    metrics_->SetClockHeldBack(behind);
  });
  time_.Run();
  ballast_ = HoldBallast(config_.data_directory,
                         static_cast<uint64_t>(config_.ballast_bytes), say);
  const std::string path = config_.data_directory + "/graph";
  const absl::Status opened = OpenOnce(path);
  // What a later one knew of the stores is read from them again.
  if (opened.ok()) is_rebuilt_ = !mark_->doubt().empty();
  if (!absl::IsDataLoss(opened)) return opened;
  // The stores are the truth: the graph is read from them again.
  RECLAIM_RETURN_IF_ERROR(MakeRoom(opened, path, clock_->Now(), say));
  is_rebuilt_ = true;
  return OpenOnce(path);
}

absl::Status ReclaimDaemon::OpenAudit(
    absl::FunctionRef<void(absl::string_view)> say) {
  rpc::AuditOptions options;
  options.folder = config_.data_directory + "/audit";
  options.segment_bytes = config_.audit_segment_bytes;
  options.segment_count_max = config_.audit_segment_count_max;
  RECLAIM_ASSIGN_OR_RETURN(audit_, rpc::AuditLog::Open(options, clock_));
  collector_->SetAudit(audit_.get());
  const rpc::AuditHead head = audit_->head();
  say(absl::StrCat("the audit log is at record ", head.sequence, ", hash ",
                   head.hash));
  return absl::OkStatus();
}

absl::Status ReclaimDaemon::OpenStores(
    absl::FunctionRef<void(absl::string_view)> say) {
  RECLAIM_ASSIGN_OR_RETURN(
      store_list_, rpc::StoreList::Open(config_.data_directory + "/stores"));
  stores_ = std::make_unique<rpc::StoreTable>(graph_.get(), collector_.get(),
                                              store_list_.get());
  RECLAIM_ASSIGN_OR_RETURN(
      unfinished_runs_,
      server::OpenStores({&config_, graph_.get(), collector_.get(),
                          stores_.get(), is_rebuilt_},
                         say));
  return absl::OkStatus();
}

absl::Status ReclaimDaemon::OpenSchedules() {
  work_ = std::make_unique<rpc::ScheduledCollection>(Parts());
  RECLAIM_ASSIGN_OR_RETURN(
      scheduler_, gc::Scheduler::Create(policies_.get(), work_.get(), clock_,
                                        base::SystemRandom(), &schedule_log_,
                                        [this](std::function<void()> job) {
                                          loop_.StartJob(std::move(job));
                                        }));
  return absl::OkStatus();
}

rpc::ServiceParts ReclaimDaemon::Parts() {
  rpc::ServiceParts parts;
  parts.graph = graph_.get();
  parts.collector = collector_.get();
  parts.stores = stores_.get();
  parts.runs = runs_.get();
  parts.clock = clock_;
  parts.random = base::SystemRandom();
  parts.observer = &calls_;
  parts.policy = config_.policy;
  parts.audit = audit_.get();
  parts.policies = policies_.get();
  parts.scheduler = scheduler_.get();
  parts.history = history_.get();
  absl::LoadTimeZone(config_.time_zone, &parts.zone);
  return parts;
}

absl::Status ReclaimDaemon::ListenHttp() {
  HttpPages pages;
  // Registries send again what they could not deliver.
  pages.admit = [this](const std::string& store,
                       absl::string_view authorization) {
    const absl::Status ready = readiness_.Check();
    return ready.ok() ? intake_->Admit(store, authorization) : ready;
  };
  pages.notify = [this](const std::string& store,
                        absl::string_view authorization,
                        absl::string_view body) {
    return intake_->Take(store, authorization, body);
  };
  if (config_.notification_secret_file.empty()) pages = HttpPages();
  if (pages.notify && !config_.notification_address.empty()) {
    RECLAIM_ASSIGN_OR_RETURN(
        notifications_, HttpServer::Start(config_.notification_address,
                                          std::exchange(pages, HttpPages())));
  }
  if (config_.http_address.empty()) return absl::OkStatus();
  pages.metrics = [this] { return metrics_->Scrape(); };
  pages.readiness = [this] { return readiness_.Check(); };
  RECLAIM_ASSIGN_OR_RETURN(
      http_, HttpServer::Start(config_.http_address, std::move(pages)));
  return absl::OkStatus();
}

absl::Status ReclaimDaemon::Listen() {
  metrics_->DeclareMethods(rpc::MethodNames());
  if (!config_.tls_certificate.empty()) {
    const auto expiry = CertificateExpiry(config_.tls_certificate);
    // One that cannot be read is refused below, with its reason.
    if (expiry.ok()) metrics_->SetCertificateExpiry(*expiry);
  }
  RECLAIM_RETURN_IF_ERROR(ListenHttp());
  RECLAIM_ASSIGN_OR_RETURN(const rpc::ServerOptions options,
                           MakeServerOptions(config_));
  RECLAIM_ASSIGN_OR_RETURN(server_, rpc::Server::Start(options, Parts()));
  return absl::OkStatus();
}

absl::Status ReclaimDaemon::Serve() {
  runs_ = std::make_unique<rpc::RunBoard>();
  metrics_->SetGraph(
      graph_.get(),
      [this](const std::string& name) -> absl::StatusOr<store::Capacity> {
        RECLAIM_ASSIGN_OR_RETURN(const store::ContentStore* content,
                                 stores_->Content(name));
        return content->GetCapacity();
      });
  history_ = std::make_unique<accounting::HistoryStore>(engine_.get());
  RECLAIM_RETURN_IF_ERROR(OpenSchedules());
  usage_ = std::make_unique<UsageRecorder>(Parts());
  RECLAIM_RETURN_IF_ERROR(TakeNotifications());
  metrics_->SetEngine([this] { return engine_->Stats(); });
  follower_ = std::make_unique<StoreFollower>(
      collector_.get(), clock_,
      [this](const std::string& line) { say_(line); });
  stores_->SetOpenedListener(
      [this](const std::string& name, store::ContentStore* content) {
        follower_->Follow(name, content);
      });
  server_->Open(Parts());
  readiness_.Serve();
  mark_->Begin(say_);
  resumer_ = std::make_unique<RunResumer>(collector_.get(), runs_.get(), say_);
  resumer_->Begin(unfinished_runs_, kResumeInterval);
  ShowReadiness();
  readiness_ticker_ = std::make_unique<Ticker>(kReadinessInterval, [this] {
    // Too little space for it is no news, and without it all is kept.
    ballast_->Refill().IgnoreError();
    metrics_->SetUnrecoveredStores(collector_->UnrecoveredStores().size());
    ShowReadiness();
  });
  loop_.Begin(scheduler_.get());
  return absl::OkStatus();
}

absl::Status ReclaimDaemon::TakeNotifications() {
  if (config_.notification_secret_file.empty()) return absl::OkStatus();
  rpc::NotificationOptions options = config_.notifications;
  options.own_user_agent = registries_.user_agent();
  RECLAIM_ASSIGN_OR_RETURN(options.secret,
                           rpc::ReadSecret(config_.notification_secret_file));
  RECLAIM_ASSIGN_OR_RETURN(intake_,
                           rpc::NotificationIntake::Create(options, Parts()));
  second_looks_ = std::make_unique<Ticker>(kSecondLookInterval,
                                           [this] { intake_->LookAgain(); });
  return absl::OkStatus();
}

void ReclaimDaemon::ShowReadiness() {
  const bool is_ready = readiness_.Check().ok();
  server_->SetServing(is_ready);
  metrics_->SetReady(is_ready);
}

void ReclaimDaemon::Stop() {
  std::call_once(stopped_, [this] {
    // Whoever asks from now on hears that we are ending, until we have.
    readiness_.End();
    readiness_ticker_.reset();
    if (server_ != nullptr) ShowReadiness();
    if (stores_ != nullptr) stores_->SetOpenedListener(nullptr);
    follower_.reset();
    notifications_.reset();
    second_looks_.reset();
    usage_.reset();
    metrics_->ClearGraph();
    metrics_->SetEngine(nullptr);
    if (work_ != nullptr) work_->Stop();
    if (runs_ != nullptr) runs_->Shutdown();
    resumer_.reset();
    loop_.Stop();
    if (server_ != nullptr) server_->Shutdown(kDrainPatience);
    server_.reset();
    http_.reset();
    scheduler_.reset();
    work_.reset();
    runs_.reset();
    history_.reset();
    collector_.reset();
    policies_.reset();
    audit_.reset();
    stores_.reset();
    store_list_.reset();
    graph_.reset();
    mark_.reset();
    engine_.reset();
    database_.reset();
    time_.End();
  });
}

}  // namespace

absl::StatusOr<std::unique_ptr<Daemon>> Daemon::Start(
    const Config& config, std::function<void(absl::string_view)> say) {
  RECLAIM_RETURN_IF_ERROR(CheckConfig(config));
  auto daemon = std::make_unique<ReclaimDaemon>(config, say);
  RECLAIM_RETURN_IF_ERROR(daemon->Listen());
  RECLAIM_RETURN_IF_ERROR(daemon->OpenGraph(say));
  RECLAIM_RETURN_IF_ERROR(daemon->OpenAudit(say));
  RECLAIM_RETURN_IF_ERROR(daemon->OpenStores(say));
  RECLAIM_RETURN_IF_ERROR(daemon->Serve());
  daemon->NoteUsage(std::move(say));
  return std::unique_ptr<Daemon>(std::move(daemon));
}

}  // namespace reclaim::server
