// Facts that can't be taken, for what they name cannot come out of quarantine.

#include <string>
#include <variant>

#include "absl/status/status.h"
#include "base/status_macros.h"
#include "index/graph_scan.h"

namespace reclaim::index {
namespace {

// What to keep for a fact that can't be taken.
struct OperationScope {
  std::string operator()(const PutBlob& op) const { return op.name.place; }
  std::string operator()(const PutManifest& op) const { return op.name.place; }
  std::string operator()(const PutTag& op) const { return op.repository; }
  std::string operator()(const PutMembership& op) const {
    return op.repository;
  }
  template <typename Other>
  std::string operator()(const Other&) const {
    return "";
  }
};

}  // namespace

// What is in quarantine cannot come back for what lies in its place: it stays
// there, and so does all beside the one who names it (I5).
absl::Status GraphScan::ApplyEach(const Mutation& mutation) {
  for (const Operation& operation : mutation.operations) {
    const absl::Status status = Apply({{operation}, "", mutation.actor});
    if (!absl::IsAlreadyExists(status)) {
      RECLAIM_RETURN_IF_ERROR(status);
      continue;
    }
    const std::string scope = std::visit(OperationScope(), operation);
    AddProblem(scope, "", std::string(status.message()));
    KeepScope(scope, std::string(status.message()));
  }
  return absl::OkStatus();
}

}  // namespace reclaim::index
