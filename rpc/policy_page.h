// rpc/policy_page.h — private to rpc/policy_service: one page of a list.

#ifndef RECLAIM_RPC_POLICY_PAGE_H_
#define RECLAIM_RPC_POLICY_PAGE_H_

#include <string>

#include "absl/status/statusor.h"
#include "base/status_macros.h"
#include "rpc/page_token.h"
#include "rpc/service_parts.h"

namespace reclaim::rpc {

// One page of values that come by name; `add` puts one into the response.
template <typename Response, typename Request, typename Values, typename Add>
absl::StatusOr<Response> PageOf(const ServiceParts& parts,
                                const Request& request, const Values& values,
                                Add add) {
  RECLAIM_ASSIGN_OR_RETURN(const int size, PageSize(request.page_size()));
  const std::string arguments = TokenArguments(request);
  RECLAIM_ASSIGN_OR_RETURN(const std::string after,
                           parts.tokens->Read(arguments, request.page_token()));
  Response response;
  std::string last;
  int count = 0;
  for (const auto& value : values) {
    if (value.name <= after && !after.empty()) continue;
    if (count == size) {
      response.set_next_page_token(parts.tokens->Make(arguments, last));
      break;
    }
    RECLAIM_RETURN_IF_ERROR(add(value, &response));
    last = value.name;
    ++count;
  }
  return response;
}

}  // namespace reclaim::rpc

#endif  // RECLAIM_RPC_POLICY_PAGE_H_
