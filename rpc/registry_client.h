// rpc/registry_client.h — the one question that the daemon asks a registry.
//
// HEAD /v2/REPOSITORY/blobs/DIGEST over plain HTTP/1.1, on one connection that
// is kept: when it breaks, the conversation is over, for the next answer could
// be another process's (gc/registry_witness.h).  So the URL must be the
// registry's own, not a proxy's.

#ifndef RECLAIM_RPC_REGISTRY_CLIENT_H_
#define RECLAIM_RPC_REGISTRY_CLIENT_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "gc/registry_witness.h"

namespace reclaim::rpc {

// OK for "http://HOST:PORT" and "http://HOST"; INVALID_ARGUMENT else.
absl::Status CheckRegistryUrl(const std::string& url);

// The head of an answer.
struct AnswerHead {
  int code = 0;         // 100 to 999
  bool closes = false;  // the connection is not there for the next question
};
// `head` is up to the blank line, included.  INVALID_ARGUMENT: no HTTP/1.1.
absl::StatusOr<AnswerHead> ReadAnswerHead(absl::string_view head);

class RegistryClient final : public gc::RegistryWitness {
 public:
  // `patience` is for each connection and answer.
  explicit RegistryClient(absl::Duration patience = absl::Seconds(5));

  // What its requests are signed with.  A registry tells of each of them as of
  // a pull; by this one knows that it was nobody's use.  Nobody else can guess
  // it, and so hide what he pulls.
  const std::string& user_agent() const { return user_agent_; }

  absl::StatusOr<std::unique_ptr<gc::RegistryConversation>> Open(
      const std::string& url) override;

 private:
  const absl::Duration patience_;
  const std::string user_agent_;
};

}  // namespace reclaim::rpc

#endif  // RECLAIM_RPC_REGISTRY_CLIENT_H_
