// rpc/method_roles.h — which role each method asks for.
//
// The only table.  A method without a row is refused to everybody; a test walks
// all services and compares the rows with what the .proto files say.

#ifndef RECLAIM_RPC_METHOD_ROLES_H_
#define RECLAIM_RPC_METHOD_ROLES_H_

#include <optional>

#include "absl/strings/string_view.h"
#include "rpc/role.h"

namespace reclaim::rpc {

// `method` is "GraphService/Record".
std::optional<Role> RoleOf(absl::string_view method);

}  // namespace reclaim::rpc

#endif  // RECLAIM_RPC_METHOD_ROLES_H_
