#include "rpc/role.h"

#include "absl/strings/str_cat.h"

namespace reclaim::rpc {
namespace {

constexpr Role kRoles[] = {Role::kRead, Role::kRecord, Role::kPrune,
                           Role::kAdmin};

}  // namespace

const char* ToString(Role role) {
  switch (role) {
    case Role::kRead:
      return "read";
    case Role::kRecord:
      return "record";
    case Role::kPrune:
      return "prune";
    case Role::kAdmin:
      return "admin";
  }
  return "unknown";
}

absl::StatusOr<RoleSet> ParseRoles(const std::vector<std::string>& words) {
  RoleSet roles;
  for (const std::string& word : words) {
    bool is_known = false;
    for (const Role role : kRoles) {
      if (word != ToString(role)) continue;
      roles |= RoleSet(role);
      is_known = true;
    }
    if (!is_known) {
      return absl::InvalidArgumentError(absl::StrCat(
          "\"", word, "\" is no role; there are read, record, prune, admin"));
    }
  }
  return roles;
}

}  // namespace reclaim::rpc
