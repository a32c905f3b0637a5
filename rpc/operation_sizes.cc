#include "rpc/operation_sizes.h"

#include <cstdint>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "store/types.h"

namespace reclaim::rpc {
namespace {

absl::Status CheckSize(const char* field, uint64_t bytes) {
  if (bytes <= store::kSizeMax) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(field, ": is ", bytes, ", more than ", store::kSizeMax,
                   " (1 EiB), which nothing has"));
}

absl::Status CheckBytes(const v1::Bytes& bytes) {
  RECLAIM_RETURN_IF_ERROR(
      CheckSize("bytes.logical_bytes", bytes.logical_bytes()));
  return CheckSize("bytes.allocated_bytes", bytes.allocated_bytes());
}

}  // namespace

absl::Status CheckSizes(const v1::Operation& operation) {
  switch (operation.operation_case()) {
    case v1::Operation::kPutBlob:
      return CheckBytes(operation.put_blob().bytes());
    case v1::Operation::kPutUpload:
      return CheckBytes(operation.put_upload().bytes());
    case v1::Operation::kPutContainer:
      return CheckSize("writable_bytes",
                       operation.put_container().writable_bytes());
    case v1::Operation::kPutSnapshot:
      return CheckSize("size_bytes", operation.put_snapshot().size_bytes());
    case v1::Operation::kPutVolume:
      return CheckSize("size_bytes", operation.put_volume().size_bytes());
    case v1::Operation::kPutBuildCache:
      return CheckSize("size_bytes", operation.put_build_cache().size_bytes());
    default:
      return absl::OkStatus();
  }
}

}  // namespace reclaim::rpc
