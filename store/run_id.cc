#include "store/run_id.h"

#include "absl/strings/str_cat.h"

namespace reclaim::store {

absl::Status CheckRunId(const RunId& run_id) {
  const bool is_plain =
      !run_id.empty() &&
      run_id.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") ==
          std::string::npos;
  if (is_plain) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("not the id of a run: ", run_id));
}

absl::Status CheckDeletion(bool is_read_only, const RunId& run_id) {
  if (is_read_only) {
    return absl::FailedPreconditionError(
        "the store is opened read-only; register it without read_only to "
        "delete from it");
  }
  return CheckRunId(run_id);
}

}  // namespace reclaim::store
