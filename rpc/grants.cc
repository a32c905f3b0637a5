#include "rpc/grants.h"

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace reclaim::rpc {
namespace {

bool IsNumbered(const std::string& who) {
  uint32_t number = 0;
  return (absl::StartsWith(who, "uid:") || absl::StartsWith(who, "gid:")) &&
         absl::SimpleAtoi(who.substr(4), &number) &&
         absl::StrCat(number) == who.substr(4);
}

bool IsNamed(const std::string& who) {
  return (absl::StartsWith(who, "cn:") && who.size() > 3) ||
         ((absl::StartsWith(who, "dns:") || absl::StartsWith(who, "uri:")) &&
          who.size() > 4);
}

}  // namespace

absl::StatusOr<Grants> Grants::Create(const std::vector<Grant>& grants) {
  Grants out;
  for (const Grant& grant : grants) {
    if (!IsNumbered(grant.who) && !IsNamed(grant.who)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "\"", grant.who,
          "\" names nobody; write uid:NUMBER, gid:NUMBER, cn:NAME, dns:NAME "
          "or uri:URI"));
    }
    if (!out.roles_.emplace(grant.who, grant.roles).second) {
      return absl::InvalidArgumentError(
          absl::StrCat("\"", grant.who, "\" has two grants; make them one"));
    }
  }
  return out;
}

std::optional<RoleSet> Grants::Find(
    const std::vector<std::string>& names) const {
  std::optional<RoleSet> found;
  for (const std::string& name : names) {
    const auto it = roles_.find(name);
    if (it == roles_.end()) continue;
    if (!found) found.emplace();
    *found |= it->second;
  }
  return found;
}

}  // namespace reclaim::rpc
