#include "rpc/server.h"

#include <chrono>
#include <fstream>
#include <mutex>
#include <sstream>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "grpcpp/ext/proto_server_reflection_plugin.h"
#include "grpcpp/health_check_service_interface.h"
#include "grpcpp/resource_quota.h"
#include "grpcpp/security/server_credentials.h"
#include "grpcpp/server_builder.h"
#include "rpc/collection_service.h"
#include "rpc/graph_service.h"
#include "rpc/lease_service.h"
#include "rpc/peers.h"
#include "rpc/policy_service.h"
#include "rpc/store_service.h"
#include "rpc/usage_service.h"

namespace reclaim::rpc {
namespace {

constexpr int kMessageBytesMax = 16 << 20;
// Watchers hold a thread each; more callers than this wait.
constexpr int kThreadMax = 256;
constexpr size_t kMemoryBytesMax = 512u << 20;
constexpr int kPingIntervalMs = 20'000;

const char* const kServices[] = {"",
                                 "reclaim.v1.GraphService",
                                 "reclaim.v1.LeaseService",
                                 "reclaim.v1.UsageService",
                                 "reclaim.v1.CollectionService",
                                 "reclaim.v1.PolicyService",
                                 "reclaim.v1.StoreService"};

absl::StatusOr<std::string> ReadPem(const char* what, const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  if (file.good() && !text.str().empty()) return text.str();
  return absl::InvalidArgumentError(
      absl::StrCat(what, ": cannot read \"", path, "\""));
}

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
  grpc::SslServerCredentialsOptions tls(
      GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  RECLAIM_ASSIGN_OR_RETURN(tls.pem_root_certs,
                           ReadPem("the client CA", options.client_ca));
  grpc::SslServerCredentialsOptions::PemKeyCertPair pair;
  RECLAIM_ASSIGN_OR_RETURN(pair.private_key, ReadPem("the key", options.key));
  RECLAIM_ASSIGN_OR_RETURN(pair.cert_chain,
                           ReadPem("the certificate", options.certificate));
  tls.pem_key_cert_pairs.push_back(std::move(pair));
  return grpc::SslServerCredentials(tls);
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
  explicit GrpcServer(const ServiceParts& parts)
      : parts_(parts), tokens_(parts.random) {
    parts_.tokens = &tokens_;
    parts_.peers = &peers_;
    if (parts_.observer == nullptr) parts_.observer = &nobody_;
  }
  ~GrpcServer() override { Shutdown(absl::ZeroDuration()); }

  absl::Status Listen(const ServerOptions& options);
  int tcp_port() const override { return tcp_port_; }
  void SetServing(bool is_serving) override;
  void Shutdown(absl::Duration patience) override;

 private:
  ServiceParts parts_;
  PageTokens tokens_;
  Peers peers_;
  CallObserver nobody_;
  GraphService graph_{&parts_};
  LeaseService leases_{&parts_};
  UsageService usage_{&parts_};
  CollectionService collection_{&parts_};
  PolicyService policies_{&parts_};
  StoreService stores_{&parts_};
  int tcp_port_ = 0;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<UnixListener> listener_;
  std::once_flag shut_;
};

absl::Status GrpcServer::Listen(const ServerOptions& options) {
  EnablePlugins();
  grpc::ServerBuilder builder;
  grpc::ResourceQuota quota("reclaim");
  quota.SetMaxThreads(kThreadMax);
  quota.Resize(kMemoryBytesMax);
  builder.SetResourceQuota(quota);
  builder.SetMaxReceiveMessageSize(kMessageBytesMax);
  builder.AddChannelArgument(
      GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, kPingIntervalMs);
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
  if (options.unix_socket) {
    RECLAIM_ASSIGN_OR_RETURN(listener_,
                             UnixListener::Open(*options.unix_socket));
  }
  server_ = builder.BuildAndStart();
  if (server_ == nullptr) {
    return absl::UnavailableError(absl::StrCat(
        "cannot listen on ", options.tcp_address,
        "; is the port taken, or the certificate no match for the key?"));
  }
  SetServing(false);
  if (listener_ != nullptr) listener_->Start(server_.get(), &peers_);
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
    if (listener_ != nullptr) listener_->Stop();
    server_->Shutdown(std::chrono::system_clock::now() +
                      absl::ToChronoMilliseconds(patience));
    server_->Wait();
  });
}

}  // namespace

absl::StatusOr<std::unique_ptr<Server>> Server::Start(
    const ServerOptions& options, const ServiceParts& parts) {
  if (!options.unix_socket && options.tcp_address.empty()) {
    return absl::InvalidArgumentError(
        "there is neither a Unix socket nor an address to listen on");
  }
  auto server = std::make_unique<GrpcServer>(parts);
  RECLAIM_RETURN_IF_ERROR(server->Listen(options));
  return std::unique_ptr<Server>(std::move(server));
}

}  // namespace reclaim::rpc
