#include "rpc/peers.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/mutex.h"

namespace reclaim::rpc {

void Peers::Note(int fd, uid_t uid) {
  base::MutexLock lock(&mutex_);
  uids_[fd] = uid;
}

std::string Peers::ActorOf(const grpc::ServerContext& context) const {
  const std::string peer = context.peer();
  absl::string_view number = peer;
  int fd = -1;
  if (absl::ConsumePrefix(&number, "fd:") && absl::SimpleAtoi(number, &fd)) {
    base::MutexLock lock(&mutex_);
    const auto it = uids_.find(fd);
    if (it != uids_.end()) return absl::StrCat("uid:", it->second);
  }
  const auto auth = context.auth_context();
  if (auth != nullptr && auth->IsPeerAuthenticated()) {
    for (const auto& name : auth->FindPropertyValues("x509_common_name")) {
      return absl::StrCat("cn:", absl::string_view(name.data(), name.size()));
    }
  }
  return peer;
}

}  // namespace reclaim::rpc
