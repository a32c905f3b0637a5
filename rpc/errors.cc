#include "rpc/errors.h"

#include <string>

#include "absl/strings/cord.h"
#include "absl/strings/strip.h"
#include "google/rpc/error_details.pb.h"

namespace reclaim::rpc {
namespace {

constexpr char kPayloadPrefix[] = "reclaim/";
constexpr char kReasonPayload[] = "reclaim/reason";
// The trailer shares a frame with the other headers, which peers limit to 8
// KiB.
constexpr size_t kMessageBytesMax = 2048;

}  // namespace

grpc::Status ToGrpc(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  const auto code = static_cast<grpc::StatusCode>(status.code());
  std::string message(status.message().substr(0, kMessageBytesMax));
  google::rpc::ErrorInfo error;
  error.set_domain(kErrorDomain);
  error.set_reason(absl::StatusCodeToString(status.code()));
  status.ForEachPayload([&](absl::string_view url, const absl::Cord& value) {
    if (url == kReasonPayload) {
      error.set_reason(std::string(value));
    } else if (absl::ConsumePrefix(&url, kPayloadPrefix)) {
      (*error.mutable_metadata())[std::string(url)] = std::string(value);
    }
  });
  google::rpc::Status details;
  details.set_code(static_cast<int32_t>(code));
  details.set_message(message);
  details.add_details()->PackFrom(error);
  return {code, message, details.SerializeAsString()};
}

absl::Status WithReason(absl::Status status, absl::string_view reason) {
  if (!status.ok()) status.SetPayload(kReasonPayload, absl::Cord(reason));
  return status;
}

}  // namespace reclaim::rpc
