// Every method × every role × every way in: who may call what.

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>

#include "google/protobuf/descriptor.h"
#include "grpcpp/generic/generic_stub.h"
#include "rpc/grants.h"
#include "rpc/method_roles.h"
#include "rpc/server_fixture.h"
#include "rpc/testing/certificates.h"

namespace reclaim::rpc {
namespace {

constexpr char kProtoFolder[] = "proto/reclaim/v1";

std::string ReadText(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

void WriteText(const std::string& path, const std::string& text) {
  std::ofstream(path) << text;
}

// "GraphService/Record" -> the role that the .proto file's comment names.
std::map<std::string, std::string> DocumentedRoles() {
  std::map<std::string, std::string> roles;
  for (const auto& entry : std::filesystem::directory_iterator(kProtoFolder)) {
    if (entry.path().extension() != ".proto") continue;
    std::istringstream lines(ReadText(entry.path().string()));
    std::string service;
    std::string comment;
    for (std::string line; std::getline(lines, line);) {
      std::smatch match;
      if (std::regex_search(line, match, std::regex("^service (\\w+)"))) {
        service = match[1];
        comment.clear();
      } else if (std::regex_search(line, match, std::regex("^ *rpc (\\w+)"))) {
        std::smatch role;
        std::regex_search(comment, role, std::regex("Role: (\\w+)"));
        roles[service + "/" + match[1].str()] = role[1];
        comment.clear();
      } else if (line.find("//") != std::string::npos) {
        comment += line;
      }
    }
  }
  return roles;
}

// All methods of the services in the package reclaim.v1.
std::set<std::string> Methods() {
  std::set<std::string> methods;
  for (const auto& entry : std::filesystem::directory_iterator(kProtoFolder)) {
    const auto* file =
        google::protobuf::DescriptorPool::generated_pool()->FindFileByName(
            "reclaim/v1/" + entry.path().filename().string());
    for (int i = 0; file != nullptr && i < file->service_count(); ++i) {
      const auto* service = file->service(i);
      for (int k = 0; k < service->method_count(); ++k) {
        methods.insert(service->name() + "/" + service->method(k)->name());
      }
    }
  }
  return methods;
}

TEST(MethodRolesTest, EveryMethodHasTheRoleThatItsDocumentationNames) {
  const auto documented = DocumentedRoles();
  const auto methods = Methods();
  EXPECT_GT(methods.size(), 40u);
  for (const std::string& method : methods) {
    const auto role = RoleOf(method);
    ASSERT_TRUE(role.has_value())
        << method << " has no row in rpc/method_roles.cc";
    EXPECT_EQ(documented.at(method), ToString(*role)) << method;
  }
}

TEST(GrantsTest, NamesAddUpAndNobodyIsNamedTwice) {
  const auto grants = Grants::Create(
      {{"uid:7", RoleSet(Role::kRecord)}, {"gid:8", RoleSet(Role::kPrune)}});
  ASSERT_THAT(grants, base::IsOk());
  const auto both = grants->Find({"uid:7", "gid:8"});
  ASSERT_TRUE(both.has_value());
  EXPECT_TRUE(both->Has(Role::kRecord) && both->Has(Role::kPrune));
  EXPECT_FALSE(both->Has(Role::kAdmin));
  EXPECT_FALSE(grants->Find({"uid:70", "cn:7"}).has_value());
  for (const char* wrong : {"", "7", "uid:", "uid:x", "uid:-1", "uid:07",
                            "user:7", "cn:", "uri:", "gid:99999999999"}) {
    EXPECT_FALSE(Grants::Create({{wrong, RoleSet::All()}}).ok()) << wrong;
  }
  EXPECT_FALSE(
      Grants::Create({{"uid:7", RoleSet()}, {"uid:7", RoleSet()}}).ok());
}

TEST(RoleTest, WordsAreParsed) {
  const auto roles = ParseRoles({"record", "prune"});
  ASSERT_THAT(roles, base::IsOk());
  EXPECT_TRUE(roles->Has(Role::kRead));
  EXPECT_FALSE(roles->Has(Role::kAdmin));
  EXPECT_TRUE(ParseRoles({"admin"})->Has(Role::kPrune));
  EXPECT_TRUE(ParseRoles({})->empty());
  EXPECT_FALSE(ParseRoles({"root"}).ok());
}

// A server of its own for each way in and each role.
class AuthorizationTest : public ServerFixture {
 protected:
  void Restart(ServerOptions options) {
    if (server_ != nullptr) server_->Shutdown(absl::ZeroDuration());
    server_.reset();
    auto server = Server::Start(options, Parts());
    ASSERT_THAT(server, base::IsOk());
    server_ = *std::move(server);
    server_->SetServing(true);
  }

  // An empty request; the answer's code.
  static grpc::StatusCode Call(const std::shared_ptr<grpc::Channel>& channel,
                               const std::string& method) {
    grpc::GenericStub stub(channel);
    grpc::CompletionQueue queue;
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() +
                         std::chrono::seconds(30));
    const auto next = [&queue] {
      void* tag = nullptr;
      bool ok = false;
      queue.Next(&tag, &ok);
      return ok;
    };
    auto call = stub.PrepareCall(&context, "/reclaim.v1." + method, &queue);
    call->StartCall(nullptr);
    next();
    const grpc::Slice nothing;
    call->WriteLast(grpc::ByteBuffer(&nothing, 1), grpc::WriteOptions(),
                    nullptr);
    next();
    grpc::ByteBuffer answer;
    do {
      call->Read(&answer, nullptr);
    } while (next());
    grpc::Status status;
    call->Finish(&status, nullptr);
    next();
    queue.Shutdown();
    return status.error_code();
  }

  static void ExpectExactly(const std::shared_ptr<grpc::Channel>& channel,
                            RoleSet roles, const std::string& way) {
    for (const std::string& method : Methods()) {
      const Role needed = *RoleOf(method);
      const grpc::StatusCode code = Call(channel, method);
      EXPECT_EQ(code == grpc::StatusCode::PERMISSION_DENIED, !roles.Has(needed))
          << way << ": " << method << " answered " << code;
      EXPECT_NE(code, grpc::StatusCode::UNIMPLEMENTED) << method;
      EXPECT_NE(code, grpc::StatusCode::UNAVAILABLE) << way << ": " << method;
    }
    ExpectOperations(channel, roles, way);
  }

  // A batch lets nobody do what the call for one would refuse to him.
  static void ExpectOperations(const std::shared_ptr<grpc::Channel>& channel,
                               RoleSet roles, const std::string& way) {
    std::vector<std::pair<v1::Operation, std::string>> operations(4);
    operations[0].first.mutable_put_lease()->set_id("x");
    operations[0].second = "LeaseService/CreateLease";
    operations[1].first.mutable_remove_lease()->set_id("x");
    operations[1].second = "LeaseService/DeleteLease";
    v1::Pin* pin = operations[2].first.mutable_put_pin();
    pin->set_id("x");
    pin->mutable_target()->mutable_named()->set_kind(v1::NODE_KIND_VOLUME);
    operations[2].second = "LeaseService/CreatePin";
    operations[3].first.mutable_remove_pin()->set_id("x");
    operations[3].second = "LeaseService/DeletePin";
    const auto stub = v1::GraphService::NewStub(channel);
    for (const auto& [operation, single] : operations) {
      // No store is there: who may has another answer.
      v1::RecordRequest request;
      *request.add_operations() = operation;
      v1::RecordResponse response;
      grpc::ClientContext context;
      const bool may = roles.Has(Role::kRecord) && roles.Has(*RoleOf(single));
      EXPECT_EQ(stub->Record(&context, request, &response).error_code() ==
                    grpc::StatusCode::PERMISSION_DENIED,
                !may)
          << way << ": " << operation.ShortDebugString();
      grpc::ClientContext stream_context;
      v1::RecordStreamResponse stream_response;
      const auto writer = stub->RecordStream(&stream_context, &stream_response);
      writer->Write(request);
      writer->WritesDone();
      EXPECT_EQ(
          writer->Finish().error_code() == grpc::StatusCode::PERMISSION_DENIED,
          !may)
          << way << ": a stream of " << operation.ShortDebugString();
    }
  }

  std::shared_ptr<grpc::Channel> UnixChannel() const {
    return grpc::CreateChannel("unix:" + SocketPath(),
                               grpc::InsecureChannelCredentials());
  }
  std::shared_ptr<grpc::Channel> TlsChannel(const KeyPair& pair) const {
    grpc::SslCredentialsOptions options;
    options.pem_root_certs = authority_.certificate();
    options.pem_cert_chain = pair.certificate;
    options.pem_private_key = pair.key;
    return grpc::CreateChannel(absl::StrCat("localhost:", server_->tcp_port()),
                               grpc::SslCredentials(options));
  }
  std::string File(const std::string& name) const {
    return socket_folder_.path() + "/" + name;
  }
  ServerOptions TlsOptions() {
    const KeyPair pair = authority_.Issue("localhost", "DNS:localhost");
    WriteText(File("server.crt"), pair.certificate);
    WriteText(File("server.key"), pair.key);
    WriteText(File("ca.crt"), authority_.certificate());
    ServerOptions options;
    options.tcp_address = "localhost:0";
    options.tls = {File("server.crt"), File("server.key"), File("ca.crt"), ""};
    return options;
  }

  CertificateAuthority authority_;
};

const std::vector<std::pair<std::string, RoleSet>>& EveryRole() {
  static const auto* const roles =
      new std::vector<std::pair<std::string, RoleSet>>{
          {"nothing", RoleSet()},
          {"read", RoleSet(Role::kRead)},
          {"record", RoleSet(Role::kRecord)},
          {"prune", RoleSet(Role::kPrune)},
          {"admin", RoleSet(Role::kAdmin)}};
  return *roles;
}

TEST_F(AuthorizationTest, ASocketsRoles) {
  for (const auto& [name, roles] : EveryRole()) {
    ServerOptions options;
    options.unix_socket = UnixSocket{-1, SocketPath()};
    options.unix_socket->roles = roles;
    Restart(options);
    ExpectExactly(UnixChannel(), roles, "socket of " + name);
  }
}

TEST_F(AuthorizationTest, AGrantToAUserCountsInsteadOfTheSocketsRoles) {
  for (const auto& [name, roles] : EveryRole()) {
    ServerOptions options;
    options.unix_socket = UnixSocket{-1, SocketPath()};
    options.grants = {{absl::StrCat("uid:", getuid()), roles}};
    Restart(options);
    ExpectExactly(UnixChannel(), roles, "user with " + name);
  }
}

TEST_F(AuthorizationTest, AGrantToAGroup) {
  ServerOptions options;
  options.unix_socket = UnixSocket{-1, SocketPath()};
  options.unix_socket->roles = RoleSet();
  options.grants = {{absl::StrCat("gid:", getgid()), RoleSet(Role::kPrune)}};
  Restart(options);
  ExpectExactly(UnixChannel(), RoleSet(Role::kPrune), "group");
}

TEST_F(AuthorizationTest, TwoSocketsAtOnce) {
  ServerOptions options;
  options.unix_socket = UnixSocket{-1, SocketPath()};
  options.read_socket = UnixSocket{-1, File("read.sock")};
  options.read_socket->roles = RoleSet(Role::kRead);
  Restart(options);
  ExpectExactly(UnixChannel(), RoleSet::All(), "first socket");
  ExpectExactly(grpc::CreateChannel("unix:" + File("read.sock"),
                                    grpc::InsecureChannelCredentials()),
                RoleSet(Role::kRead), "second socket");
}

// The daemon's own files are hidden by its umask; a socket is for its group.
TEST_F(AuthorizationTest, TheFoldersOfASocketAreForAllToGoThrough) {
  ServerOptions options;
  options.unix_socket = UnixSocket{-1, SocketPath()};
  options.read_socket = UnixSocket{-1, File("run/reclaim/read.sock")};
  ASSERT_EQ(chmod(socket_folder_.path().c_str(), 0700), 0);
  const mode_t before = umask(0077);
  Restart(options);
  umask(before);
  for (const char* folder : {"run", "run/reclaim"}) {
    struct stat made = {};
    ASSERT_EQ(stat(File(folder).c_str(), &made), 0) << folder;
    EXPECT_EQ(made.st_mode & 0777, 0755u) << folder;
  }
  struct stat given = {};
  ASSERT_EQ(stat(socket_folder_.path().c_str(), &given), 0);
  EXPECT_EQ(given.st_mode & 0777, 0700u) << "it was there";
}

TEST_F(AuthorizationTest, TcpWithoutTls) {
  for (const auto& [name, roles] : EveryRole()) {
    ServerOptions options;
    options.tcp_address = "127.0.0.1:0";
    options.is_insecure = true;
    options.insecure_roles = roles;
    Restart(options);
    ExpectExactly(
        grpc::CreateChannel(absl::StrCat("127.0.0.1:", server_->tcp_port()),
                            grpc::InsecureChannelCredentials()),
        roles, "plain TCP with " + name);
  }
}

TEST_F(AuthorizationTest, ACertificatesRoles) {
  ServerOptions options = TlsOptions();
  for (const auto& [name, roles] : EveryRole()) {
    options.grants.push_back({"cn:" + name, roles});
  }
  Restart(options);
  for (const auto& [name, roles] : EveryRole()) {
    ExpectExactly(TlsChannel(authority_.Issue(name, "")), roles,
                  "certificate of " + name);
  }
}

TEST_F(AuthorizationTest, ACertificateThatNoGrantNamesMayNothing) {
  ServerOptions options = TlsOptions();
  options.grants = {{"uri:spiffe://reclaim/operator", RoleSet(Role::kPrune)},
                    {"dns:collector.example", RoleSet(Role::kRecord)}};
  Restart(options);
  ExpectExactly(TlsChannel(authority_.Issue("stranger", "")), RoleSet(),
                "stranger");
  ExpectExactly(
      TlsChannel(authority_.Issue("x", "URI:spiffe://reclaim/operator")),
      RoleSet(Role::kPrune), "SPIFFE id");
  ExpectExactly(TlsChannel(authority_.Issue("x", "DNS:collector.example")),
                RoleSet(Role::kRecord), "DNS name");
}

TEST_F(AuthorizationTest, CertificatesThatAreNotGoodDoNotConnect) {
  CertificateAuthority stranger;
  const KeyPair revoked = authority_.Issue("admin", "");
  const auto list = authority_.Revoke(revoked);
  std::filesystem::create_directory(File("crl"));
  WriteText(File("crl") + "/" + list.file_name, list.pem);
  ServerOptions options = TlsOptions();
  options.tls.crl_directory = File("crl");
  options.grants = {{"cn:admin", RoleSet::All()}};
  Restart(options);
  const std::string method = "StoreService/ListStores";
  EXPECT_EQ(Call(TlsChannel(authority_.Issue("admin", "")), method),
            grpc::StatusCode::OK);
  EXPECT_EQ(Call(TlsChannel(revoked), method), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(Call(TlsChannel(stranger.Issue("admin", "")), method),
            grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(Call(TlsChannel(authority_.Issue("admin", "", -1)), method),
            grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(Call(TlsChannel({}), method), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(AuthorizationTest, FilesThatDoNotFitAreRefusedAtTheStart) {
  ServiceParts parts;
  parts.random = &random_;
  const ServerOptions good = TlsOptions();
  ServerOptions options = good;
  options.tls.key = File("absent");
  EXPECT_THAT(Server::Start(options, parts),
              base::StatusIs(absl::StatusCode::kInvalidArgument));
  options = good;
  WriteText(File("other.key"), authority_.Issue("x", "").key);
  options.tls.key = File("other.key");
  EXPECT_THAT(Server::Start(options, parts),
              base::StatusIs(absl::StatusCode::kInvalidArgument));
  options = good;
  options.tls.client_ca = File("server.key");
  EXPECT_THAT(Server::Start(options, parts),
              base::StatusIs(absl::StatusCode::kInvalidArgument));
  options = good;
  options.tls.crl_directory = File("absent");
  EXPECT_THAT(Server::Start(options, parts),
              base::StatusIs(absl::StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace reclaim::rpc
