// rpc/role.h — what a caller may do.
//
//   read    look at everything, preview (a plan deletes nothing)
//   record  tell what there is: manifests, tags, containers, leases, uses
//   prune   apply, restore, purge
//   admin   all of that, and stores, pins, policies, other callers' leases
//
// record and prune include read, and neither includes the other: one caller can
// plan and another apply.  Pure values.

#ifndef RECLAIM_RPC_ROLE_H_
#define RECLAIM_RPC_ROLE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace reclaim::rpc {

enum class Role : uint8_t { kRead = 1, kRecord = 2, kPrune = 4, kAdmin = 8 };
const char* ToString(Role role);

// A set of roles with all that they include; empty is "nothing at all".
class RoleSet {
 public:
  constexpr RoleSet() = default;
  constexpr explicit RoleSet(Role role) : bits_(BitsOf(role)) {}
  static constexpr RoleSet All() { return RoleSet(Role::kAdmin); }

  constexpr bool Has(Role role) const {
    return (bits_ & static_cast<uint8_t>(role)) != 0;
  }
  constexpr bool empty() const { return bits_ == 0; }
  RoleSet& operator|=(RoleSet other) {
    bits_ |= other.bits_;
    return *this;
  }
  friend constexpr bool operator==(RoleSet a, RoleSet b) {
    return a.bits_ == b.bits_;
  }

 private:
  static constexpr uint8_t BitsOf(Role role) {
    return role == Role::kAdmin ? 0xf : static_cast<uint8_t>(role) | 1;
  }
  uint8_t bits_ = 0;
};

// "read", "record", "prune", "admin".  INVALID_ARGUMENT names the word and
// those that there are.
absl::StatusOr<RoleSet> ParseRoles(const std::vector<std::string>& words);

}  // namespace reclaim::rpc

#endif  // RECLAIM_RPC_ROLE_H_
