#include "rpc/lease_operations.h"

#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "index/put_codec.h"
#include "rpc/call.h"
#include "rpc/method_roles.h"
#include "rpc/role.h"
#include "store/engine_facts.h"

namespace reclaim::rpc {
namespace {

using index::NodeKind;

constexpr size_t kTargetCountMax = 10000;
constexpr size_t kIdBytesMax = 256;

// Gives each target of content the store of what holds it, which holds nothing
// of another one.
absl::Status FillTarget(const std::string& store, index::Target* target) {
  if (!target->content) return absl::OkStatus();
  std::string& named = target->content->store;
  if (named.empty()) named = store;
  if (named == store) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("store: content of the store ", named,
                   " is held by a lease or pin of that store"));
}

// A lease has each target once, in the order of their first appearance: asked
// for again with the same repetitions, it is the same as the one that is there.
void DropRepeated(index::PutLease* put) {
  if (put->targets.size() < 2) return;
  const v1::Lease asked = index::ToProto(*put);
  absl::flat_hash_set<std::string> known;
  std::vector<index::Target> distinct;
  for (size_t i = 0; i < put->targets.size(); ++i) {
    const v1::Target& target = asked.targets(static_cast<int>(i));
    if (!known.insert(target.SerializeAsString()).second) continue;
    distinct.push_back(std::move(put->targets[i]));
  }
  put->targets = std::move(distinct);
}

class Assigner {
 public:
  explicit Assigner(const Caller& caller) : caller_(caller) {}

  absl::Status operator()(index::PutLease& put) const {
    put.owner = caller_.actor;
    return FillTargets(&put);
  }
  absl::Status operator()(index::PutPin& put) const {
    return FillTarget(put.store, &put.target);
  }
  absl::Status operator()(index::RemoveNamed& remove) const {
    // Leases protect what their owners rely on.
    if (remove.kind == NodeKind::kLease && !caller_.roles.Has(Role::kAdmin)) {
      remove.owner = caller_.actor;
    }
    return absl::OkStatus();
  }
  template <typename Other>
  absl::Status operator()(Other&) const {
    return absl::OkStatus();
  }

 private:
  const Caller& caller_;
};

// Of a lease or pin, as many things as it names.
struct CountTargets {
  size_t operator()(const index::PutLease& put) const {
    return put.targets.size();
  }
  size_t operator()(const index::PutPin&) const { return 1; }
  template <typename Other>
  size_t operator()(const Other&) const {
    return 0;
  }
};

}  // namespace

absl::Status CheckLeaseId(const std::string& id) {
  if (id.size() > kIdBytesMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("id: has ", id.size(), " bytes, more than ", kIdBytesMax));
  }
  if (absl::StartsWith(id, store::kHoldPrefix)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "id: what begins with \"", store::kHoldPrefix,
        "\" belongs to another client of the engine; end it there"));
  }
  for (const char c : id) {
    if (static_cast<unsigned char>(c) <= 0x20 || c == 0x7f) {
      return absl::InvalidArgumentError("id: has a space or control character");
    }
  }
  return absl::OkStatus();
}

absl::Status CheckTargetCount(size_t count) {
  if (count <= kTargetCountMax) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("targets: ", count, " are more than ", kTargetCountMax));
}

absl::StatusOr<index::PutLease> ReadLease(const v1::Lease& lease) {
  RECLAIM_RETURN_IF_ERROR(
      CheckTargetCount(static_cast<size_t>(lease.targets_size())));
  RECLAIM_RETURN_IF_ERROR(CheckLeaseId(lease.id()));
  RECLAIM_ASSIGN_OR_RETURN(index::PutLease put, index::FromProto(lease));
  put.is_new = true;
  return put;
}

absl::StatusOr<index::PutPin> ReadPin(const v1::Pin& pin) {
  RECLAIM_RETURN_IF_ERROR(CheckLeaseId(pin.id()));
  RECLAIM_ASSIGN_OR_RETURN(index::PutPin put, index::FromProto(pin));
  put.is_new = true;
  return put;
}

absl::StatusOr<index::RemoveNamed> ReadRemoval(NodeKind kind,
                                               const std::string& store,
                                               const std::string& id) {
  if (kind == NodeKind::kLease) RECLAIM_RETURN_IF_ERROR(CheckLeaseId(id));
  return index::RemoveNamed{store, kind, "", id};
}

const LeaseOperation* FindLeaseOperation(const v1::Operation& operation) {
  static constexpr LeaseOperation kPutLease = {"put_lease",
                                               "LeaseService/CreateLease"};
  static constexpr LeaseOperation kRemoveLease = {"remove_lease",
                                                  "LeaseService/DeleteLease"};
  static constexpr LeaseOperation kPutPin = {"put_pin",
                                             "LeaseService/CreatePin"};
  static constexpr LeaseOperation kRemovePin = {"remove_pin",
                                                "LeaseService/DeletePin"};
  switch (operation.operation_case()) {
    case v1::Operation::kPutLease:
      return &kPutLease;
    case v1::Operation::kRemoveLease:
      return &kRemoveLease;
    case v1::Operation::kPutPin:
      return &kPutPin;
    case v1::Operation::kRemovePin:
      return &kRemovePin;
    default:
      return nullptr;
  }
}

absl::Status CheckRoles(const Caller& caller,
                        const v1::RecordRequest& request) {
  for (int i = 0; i < request.operations_size(); ++i) {
    const LeaseOperation* found = FindLeaseOperation(request.operations(i));
    if (found == nullptr) continue;
    const Role role = RoleOf(found->method).value_or(Role::kAdmin);
    RECLAIM_RETURN_IF_ERROR(Require(
        caller, role, absl::StrCat("operations[", i, "]: ", found->name)));
  }
  return absl::OkStatus();
}

absl::Status FillTargets(index::PutLease* put) {
  for (index::Target& target : put->targets) {
    RECLAIM_RETURN_IF_ERROR(FillTarget(put->store, &target));
  }
  // Now that it is the same whether its store was named or not.
  DropRepeated(put);
  return absl::OkStatus();
}

absl::Status Assign(const Caller& caller, index::Operation* operation) {
  return std::visit(Assigner(caller), *operation);
}

absl::Status AssignAll(const Caller& caller, index::Mutation* mutation) {
  size_t target_count = 0;
  for (size_t i = 0; i < mutation->operations.size(); ++i) {
    index::Operation& operation = mutation->operations[i];
    target_count += std::visit(CountTargets(), operation);
    absl::Status status = Assign(caller, &operation);
    // Others wait while it is applied: a batch is no longer than one lease.
    if (status.ok()) status = CheckTargetCount(target_count);
    if (status.ok()) continue;
    return absl::Status(
        status.code(), absl::StrCat("operations[", i, "]: ", status.message()));
  }
  return absl::OkStatus();
}

}  // namespace reclaim::rpc
