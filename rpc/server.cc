#include "rpc/server.h"

#include <chrono>
#include <mutex>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "google/protobuf/descriptor.h"
#include "grpcpp/ext/proto_server_reflection_plugin.h"
#include "grpcpp/health_check_service_interface.h"
#include "grpcpp/resource_quota.h"
#include "grpcpp/security/server_credentials.h"
#include "grpcpp/server_builder.h"
#include "grpcpp/support/server_interceptor.h"
#include "rpc/audit_service.h"
#include "rpc/collection_service.h"
#include "rpc/graph_service.h"
#include "rpc/lease_service.h"
#include "rpc/peers.h"
#include "rpc/policy_service.h"
#include "rpc/reflection_guard.h"
#include "rpc/store_service.h"
#include "rpc/tls.h"
#include "rpc/usage_service.h"

namespace reclaim::rpc {
namespace {

// Threads beside those of the streams, for calls that end by themselves.
constexpr int kSpareThreadCount = 128;
constexpr size_t kMemoryBytesMax = 512u << 20;
// Peers that ping more often are cut off; those that do not answer ours are
// gone, and their calls with them.
constexpr int kPingIntervalMs = 20'000;
constexpr int kKeepaliveMs = 60'000;
constexpr int kKeepaliveTimeoutMs = 20'000;

const char* const kServices[] = {"",
                                 "reclaim.v1.GraphService",
                                 "reclaim.v1.LeaseService",
                                 "reclaim.v1.UsageService",
                                 "reclaim.v1.CollectionService",
                                 "reclaim.v1.PolicyService",
                                 "reclaim.v1.StoreService",
                                 "reclaim.v1.AuditService"};

bool IsLoopback(const std::string& address) {
  return absl::StartsWith(address, "127.") ||
         absl::StartsWith(address, "localhost:") ||
         absl::StartsWith(address, "[::1]:");
}

absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> Credentials(
    const ServerOptions& options) {
  if (options.is_insecure) {
    if (!IsLoopback(options.tcp_address)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "listening on ", options.tcp_address,
          " without TLS would let anybody delete; give a certificate, a key "
          "and a client CA, or a loopback address"));
    }
    return grpc::InsecureServerCredentials();
  }
  return MakeTlsCredentials(options.tls);
}

void EnablePlugins() {
  static std::once_flag once;
  std::call_once(once, [] {
    grpc::EnableDefaultHealthCheckService(true);
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  });
}

class GrpcServer final : public Server {
 public:
  GrpcServer(const ServiceParts& parts, const ServerOptions& options,
             Grants grants)
      : parts_(parts),
        tokens_(parts.random),
        limits_(options.calls, parts.clock),
        peers_(std::move(grants), options.insecure_roles) {
    parts_.tokens = &tokens_;
    parts_.peers = &peers_;
    parts_.limits = &limits_;
    if (parts_.observer == nullptr) parts_.observer = &nobody_;
  }
  ~GrpcServer() override { Shutdown(absl::ZeroDuration()); }

  absl::Status Listen(const ServerOptions& options);
  absl::Status OpenSockets(const ServerOptions& options);
  void Open(const ServiceParts& parts) override {
    static_cast<LoadedParts&>(parts_) = parts;
    limits_.Open();
  }
  int tcp_port() const override { return tcp_port_; }
  void SetServing(bool is_serving) override;
  void Shutdown(absl::Duration patience) override;

 private:
  ServiceParts parts_;
  PageTokens tokens_;
  CallLimits limits_;
  Peers peers_;
  CallObserver nobody_;
  GraphService graph_{&parts_};
  LeaseService leases_{&parts_};
  UsageService usage_{&parts_};
  CollectionService collection_{&parts_};
  PolicyService policies_{&parts_};
  StoreService stores_{&parts_};
  AuditService audit_{&parts_};
  int tcp_port_ = 0;
  std::unique_ptr<grpc::Server> server_;
  std::vector<std::unique_ptr<UnixListener>> listeners_;
  std::once_flag shut_;
};

absl::Status GrpcServer::Listen(const ServerOptions& options) {
  EnablePlugins();
  grpc::ServerBuilder builder;
  grpc::ResourceQuota quota("reclaim");
  quota.SetMaxThreads(options.calls.stream_count_max + kSpareThreadCount);
  quota.Resize(kMemoryBytesMax);
  builder.SetResourceQuota(quota);
  builder.SetMaxReceiveMessageSize(options.message_bytes_max);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS,
                             options.connection_call_count_max);
  builder.AddChannelArgument(
      GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, kPingIntervalMs);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMs);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS,
                             kKeepaliveTimeoutMs);
  std::vector<
      std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>>
      guards;
  guards.push_back(
      std::make_unique<ReflectionGuard>(options.has_tcp_reflection));
  builder.experimental().SetInterceptorCreators(std::move(guards));
  // A second daemon on the port is an error, not half of the calls.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  if (!options.tcp_address.empty()) {
    RECLAIM_ASSIGN_OR_RETURN(const auto credentials, Credentials(options));
    builder.AddListeningPort(options.tcp_address, credentials, &tcp_port_);
  }
  builder.RegisterService(&graph_);
  builder.RegisterService(&leases_);
  builder.RegisterService(&usage_);
  builder.RegisterService(&collection_);
  builder.RegisterService(&policies_);
  builder.RegisterService(&stores_);
  builder.RegisterService(&audit_);
  RECLAIM_RETURN_IF_ERROR(OpenSockets(options));
  server_ = builder.BuildAndStart();
  if (server_ == nullptr) {
    return absl::UnavailableError(absl::StrCat(
        "cannot listen on ", options.tcp_address,
        "; is the port taken, or the certificate no match for the key?"));
  }
  SetServing(false);
  for (const auto& listener : listeners_) {
    listener->Start(server_.get(), &peers_);
  }
  return absl::OkStatus();
}

absl::Status GrpcServer::OpenSockets(const ServerOptions& options) {
  for (const auto& socket : {options.unix_socket, options.read_socket}) {
    if (!socket) continue;
    RECLAIM_ASSIGN_OR_RETURN(auto listener, UnixListener::Open(*socket));
    listeners_.push_back(std::move(listener));
  }
  return absl::OkStatus();
}

void GrpcServer::SetServing(bool is_serving) {
  for (const char* service : kServices) {
    server_->GetHealthCheckService()->SetServingStatus(service, is_serving);
  }
}

void GrpcServer::Shutdown(absl::Duration patience) {
  std::call_once(shut_, [&] {
    if (server_ == nullptr) return;
    server_->GetHealthCheckService()->Shutdown();
    for (const auto& listener : listeners_) listener->Stop();
    server_->Shutdown(std::chrono::system_clock::now() +
                      absl::ToChronoMilliseconds(patience));
    server_->Wait();
  });
}

}  // namespace

std::vector<std::string> MethodNames() {
  std::vector<std::string> names;
  const auto* pool = google::protobuf::DescriptorPool::generated_pool();
  for (const char* service : kServices) {
    const auto* found = pool->FindServiceByName(service);
    for (int i = 0; found != nullptr && i < found->method_count(); ++i) {
      names.push_back(
          absl::StrCat(found->name(), "/", found->method(i)->name()));
    }
  }
  return names;
}

absl::StatusOr<std::unique_ptr<Server>> Server::Start(
    const ServerOptions& options, const ServiceParts& parts) {
  if (!options.unix_socket && options.tcp_address.empty()) {
    return absl::InvalidArgumentError(
        "there is neither a Unix socket nor an address to listen on");
  }
  RECLAIM_ASSIGN_OR_RETURN(Grants grants, Grants::Create(options.grants));
  auto server = std::make_unique<GrpcServer>(parts, options, std::move(grants));
  RECLAIM_RETURN_IF_ERROR(server->Listen(options));
  if (parts.graph != nullptr) server->Open(parts);
  return std::unique_ptr<Server>(std::move(server));
}

}  // namespace reclaim::rpc
