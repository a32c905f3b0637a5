#include "store/errno_status.h"

#include <cerrno>
#include <cstring>
#include <string>

#include "absl/strings/str_cat.h"

namespace reclaim::store {

absl::Status FromErrno(int error, absl::string_view what,
                       absl::string_view path) {
  const std::string message =
      absl::StrCat(what, " ", path, ": ", std::strerror(error));
  switch (error) {
    case ENOENT:
    case ENOTDIR:
      return absl::NotFoundError(message);
    case EACCES:
      return absl::PermissionDeniedError(
          absl::StrCat(message, "; run reclaimd as the owner of the store"));
    case EPERM:
      return absl::PermissionDeniedError(
          absl::StrCat(message,
                       "; run reclaimd as the owner of the store, and see that "
                       "nothing there is immutable (lsattr)"));
    case EROFS:
      return absl::FailedPreconditionError(
          absl::StrCat(message, "; mount the store read-write"));
    case EXDEV:
      return absl::FailedPreconditionError(absl::StrCat(
          message,
          "; a store lies on one file system: give reclaimd that one, without "
          "mounts below it and not through an overlay"));
    case ELOOP:
    case EISDIR:
    case ENOTEMPTY:
      return absl::FailedPreconditionError(message);
    case EEXIST:
      return absl::AlreadyExistsError(message);
    case ENOSPC:
    case EDQUOT:
      return absl::ResourceExhaustedError(message);
    default:
      return absl::UnavailableError(message);
  }
}

}  // namespace reclaim::store
