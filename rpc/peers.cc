#include "rpc/peers.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/mutex.h"

namespace reclaim::rpc {
namespace {

void AddNames(const grpc::AuthContext& auth, const char* property,
              const char* prefix, std::vector<std::string>* names) {
  for (const auto& name : auth.FindPropertyValues(property)) {
    names->push_back(
        absl::StrCat(prefix, absl::string_view(name.data(), name.size())));
  }
}

}  // namespace

void Peers::Note(int fd, UnixPeer peer) {
  base::MutexLock lock(&mutex_);
  unix_[fd] = std::move(peer);
}

bool Peers::FindUnix(const std::string& address, Peer* out) const {
  absl::string_view number = address;
  int fd = -1;
  if (!absl::ConsumePrefix(&number, "fd:") || !absl::SimpleAtoi(number, &fd)) {
    return false;
  }
  base::MutexLock lock(&mutex_);
  const auto it = unix_.find(fd);
  if (it == unix_.end()) return false;
  const UnixPeer& peer = it->second;
  out->actor = absl::StrCat("uid:", peer.uid);
  std::vector<std::string> names = {out->actor};
  for (const gid_t group : peer.groups) {
    names.push_back(absl::StrCat("gid:", group));
  }
  out->roles = grants_.Find(names).value_or(peer.socket_roles);
  return true;
}

Peer Peers::Certified(const grpc::AuthContext& auth) const {
  std::vector<std::string> names;
  AddNames(auth, "peer_uri", "uri:", &names);
  AddNames(auth, "x509_common_name", "cn:", &names);
  AddNames(auth, "peer_dns", "dns:", &names);
  Peer peer;
  if (!names.empty()) peer.actor = names.front();
  peer.roles = grants_.Find(names).value_or(RoleSet());
  return peer;
}

Peer Peers::PeerOf(const grpc::ServerContext& context) const {
  Peer peer;
  const std::string address = context.peer();
  if (FindUnix(address, &peer)) return peer;
  const auto auth = context.auth_context();
  if (auth != nullptr && auth->IsPeerAuthenticated()) {
    peer = Certified(*auth);
  } else {
    peer.roles = plain_roles_;
  }
  if (peer.actor.empty()) peer.actor = address;
  return peer;
}

}  // namespace reclaim::rpc
