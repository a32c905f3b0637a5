#include "cli/session.h"

#include <fstream>
#include <sstream>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "cli/listing.h"
#include "cli/signal_watch.h"
#include "cli/typed_json.h"
#include "google/rpc/error_details.pb.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/security/credentials.h"

namespace reclaim::cli {
namespace {

constexpr int kLoadingWaits = 40;
constexpr absl::Duration kLoadingWait = absl::Milliseconds(250);
constexpr int kMessageBytesMax = 64 << 20;
constexpr char kRed[] = "\x1b[31m";
constexpr char kYellow[] = "\x1b[33m";
constexpr char kPlain[] = "\x1b[0m";

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

int CodeOf(grpc::StatusCode code) {
  switch (code) {
    case grpc::StatusCode::OK:
      return kDone;
    case grpc::StatusCode::INVALID_ARGUMENT:
      return kUsage;
    case grpc::StatusCode::NOT_FOUND:
      return kNotFound;
    case grpc::StatusCode::ABORTED:
      return kBusy;
    case grpc::StatusCode::PERMISSION_DENIED:
    case grpc::StatusCode::UNAUTHENTICATED:
      return kForbidden;
    case grpc::StatusCode::DATA_LOSS:
      return kDamaged;
    default:
      return kFailed;
  }
}

}  // namespace

std::shared_ptr<grpc::Channel> Session::channel() {
  if (channel_ != nullptr) return channel_;
  std::shared_ptr<grpc::ChannelCredentials> credentials =
      grpc::InsecureChannelCredentials();
  if (!tls_ca.empty()) {
    grpc::SslCredentialsOptions tls;
    tls.pem_root_certs = ReadFile(tls_ca);
    tls.pem_cert_chain = ReadFile(tls_certificate);
    tls.pem_private_key = ReadFile(tls_key);
    credentials = grpc::SslCredentials(tls);
  }
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMessageBytesMax);
  // A proxy of the environment is not meant for this.
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  channel_ = grpc::CreateCustomChannel(host, credentials, arguments);
  return channel_;
}

bool Session::IsPutOff(const grpc::Status& status) {
  if (status.ok()) return false;
  google::rpc::Status details;
  if (!details.ParseFromString(status.error_details())) return false;
  for (const auto& detail : details.details()) {
    google::rpc::ErrorInfo error;
    if (detail.UnpackTo(&error) &&
        (error.reason() == "LOADING" || error.reason() == "TOO_MANY_CALLS")) {
      return true;
    }
  }
  return false;
}

bool Session::WaitAgain(int attempt) {
  if (attempt >= kLoadingWaits || !terminal_.wait) return false;
  terminal_.wait(kLoadingWait);
  // Nothing is begun any more for somebody who wants it to end.
  return SignalWatch::Caught() == 0;
}

int Session::Check(const grpc::Status& status) {
  if (status.ok()) return kDone;
  // An answer has details: the daemon was reached, and says to come back.
  if (status.error_code() == grpc::StatusCode::UNAVAILABLE &&
      status.error_details().empty()) {
    return SayError(
        kFailed, absl::StrCat("cannot reach the daemon at ", host, ": ",
                              status.error_message(),
                              "; is reclaimd running?  --host or RECLAIM_HOST "
                              "names another address"));
  }
  return SayError(CodeOf(status.error_code()), status.error_message());
}

int Session::Fail(const absl::Status& status) {
  if (status.ok()) return kDone;
  return SayError(CodeOf(static_cast<grpc::StatusCode>(status.code())),
                  std::string(status.message()));
}

std::ostream& Session::note() { return quiet ? nowhere_ : err(); }

std::string Session::Colored(const char* color, const std::string& text) const {
  if (!terminal_.uses_color || no_color) return text;
  return absl::StrCat(color, text, kPlain);
}

int Session::SayError(int code, const std::string& message) {
  if (json) {
    err() << JsonError(code, message) << '\n';
  } else {
    err() << Colored(kRed, "reclaim:") << ' ' << Safe(message) << '\n';
  }
  return code;
}

int Session::Confirm(const std::string& question, bool is_forced) {
  if (is_forced) return kDone;
  if (!terminal_.asks) {
    return SayError(kUsage,
                    "nobody can be asked here; look at it with --dry-run, then "
                    "use --force");
  }
  absl::string_view text = question;
  if (absl::ConsumePrefix(&text, "WARNING!")) {
    err() << Colored(kYellow, "WARNING!");
  }
  err() << text << " [y/N] " << std::flush;
  std::string answer;
  std::getline(*terminal_.in, answer);
  absl::AsciiStrToLower(&answer);
  if (answer == "y" || answer == "yes") return kDone;
  return kDeclined;
}

absl::Time TimeOf(const google::protobuf::Timestamp& time) {
  return absl::FromUnixSeconds(time.seconds()) +
         absl::Nanoseconds(time.nanos());
}

std::string Moment(const google::protobuf::Timestamp& time) {
  return absl::FormatTime("%Y-%m-%d %H:%M:%S UTC", TimeOf(time),
                          absl::UTCTimeZone());
}

}  // namespace reclaim::cli
