#include "store/containerd_calls.h"

#include "absl/strings/str_cat.h"

namespace reclaim::store::containerd_calls {

absl::Status ToStatus(const grpc::Status& status, absl::string_view what) {
  if (status.ok()) return absl::OkStatus();
  const auto code = static_cast<absl::StatusCode>(status.error_code());
  const std::string said =
      absl::StrCat("containerd, ", what, ": ", status.error_message());
  switch (code) {
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kAlreadyExists:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kCancelled:
      return absl::Status(code, said);
    case absl::StatusCode::kDeadlineExceeded:
      return absl::UnavailableError(
          absl::StrCat(said, "; it did not answer in time"));
    case absl::StatusCode::kUnimplemented:
      return absl::UnavailableError(
          absl::StrCat(said,
                       "; this containerd does not speak API v1 (1.6 or "
                       "later is needed)"));
    default:
      return absl::UnavailableError(absl::StrCat(
          said, "; is it running, and is the socket's path right?"));
  }
}

}  // namespace reclaim::store::containerd_calls
