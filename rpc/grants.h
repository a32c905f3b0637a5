// rpc/grants.h — who holds which roles.
//
// On a Unix socket the kernel names the peer's user and groups; on TCP the
// certificate names it.  A grant names one of them:
//
//   uid:1000   user 1000              cn:NAME    a certificate's common name
//   gid:100    members of group 100   dns:NAME   its DNS alternative name
//                                     uri:URI    its URI (a SPIFFE id, say)
//
// A peer of a Unix socket that no grant names holds the roles of the socket; a
// certificate that no grant names holds none (deny by default).  Several grants
// that name one peer add up.
//
// Constant after construction, so thread-safe.

#ifndef RECLAIM_RPC_GRANTS_H_
#define RECLAIM_RPC_GRANTS_H_

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "rpc/role.h"

namespace reclaim::rpc {

struct Grant {
  std::string who;
  RoleSet roles;
};

class Grants {
 public:
  Grants() = default;
  // INVALID_ARGUMENT: a name of no known form, or named twice.
  static absl::StatusOr<Grants> Create(const std::vector<Grant>& grants);

  // Of a peer that goes by all of `names`; nullopt if no grant names it.
  std::optional<RoleSet> Find(const std::vector<std::string>& names) const;

 private:
  std::map<std::string, RoleSet> roles_;
};

}  // namespace reclaim::rpc

#endif  // RECLAIM_RPC_GRANTS_H_
