// rpc/policy_page.h — private to rpc/policy_service: one page of a list.

#ifndef RECLAIM_RPC_POLICY_PAGE_H_
#define RECLAIM_RPC_POLICY_PAGE_H_

#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "base/status_macros.h"
#include "rpc/page_bytes.h"
#include "rpc/page_token.h"
#include "rpc/policy_convert.h"
#include "rpc/service_parts.h"

namespace reclaim::rpc {

// One page of values that come by name, in `rows` of the response.
template <typename Response, typename Request, typename Values, typename Rows>
absl::StatusOr<Response> PageOf(const ServiceParts& parts,
                                const Request& request, const Values& values,
                                Rows rows) {
  RECLAIM_ASSIGN_OR_RETURN(const int size, PageSize(request.page_size()));
  const std::string arguments = TokenArguments(request);
  RECLAIM_ASSIGN_OR_RETURN(const std::string after,
                           parts.tokens->Read(arguments, request.page_token()));
  Response response;
  std::string last;
  PageBytes bytes;
  for (const auto& value : values) {
    if (value.name <= after && !after.empty()) continue;
    auto row = ToProto(value);
    if (rows(&response)->size() == size || !bytes.Take(row)) {
      response.set_next_page_token(parts.tokens->Make(arguments, last));
      break;
    }
    *rows(&response)->Add() = std::move(row);
    last = value.name;
  }
  return response;
}

}  // namespace reclaim::rpc

#endif  // RECLAIM_RPC_POLICY_PAGE_H_
