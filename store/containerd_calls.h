// store/containerd_calls.h — private to the containerd driver: the frame of one
// call: deadline, namespace, and what an error means.

#ifndef RECLAIM_STORE_CONTAINERD_CALLS_H_
#define RECLAIM_STORE_CONTAINERD_CALLS_H_

#include <chrono>
#include <iterator>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/empty.pb.h"
#include "grpcpp/grpcpp.h"

namespace reclaim::store::containerd_calls {

using google::protobuf::Empty;

// containerd answers from one local database; its collector may take long on a
// full disk.
inline constexpr std::chrono::seconds kCallPatience(15);
inline constexpr std::chrono::seconds kListPatience(120);
inline constexpr std::chrono::seconds kCollectPatience(300);
inline constexpr std::chrono::seconds kPingPatience(2);

class Call {
 public:
  // `space`: the namespace; "" for calls that have none.
  explicit Call(const std::string& space,
                std::chrono::seconds patience = kCallPatience) {
    context_.set_deadline(std::chrono::system_clock::now() + patience);
    if (!space.empty()) context_.AddMetadata("containerd-namespace", space);
  }
  grpc::ClientContext* context() { return &context_; }

 private:
  grpc::ClientContext context_;
};

// `what` names the call.
absl::Status ToStatus(const grpc::Status& status, absl::string_view what);

// All messages of a stream.
template <typename Message, typename Take>
absl::Status Drain(grpc::ClientReader<Message>* reader, absl::string_view what,
                   const Take& take) {
  Message message;
  while (reader->Read(&message)) take(&message);
  return ToStatus(reader->Finish(), what);
}

template <typename T>
std::vector<T> Taken(google::protobuf::RepeatedPtrField<T>* field) {
  return std::vector<T>(std::make_move_iterator(field->begin()),
                        std::make_move_iterator(field->end()));
}

}  // namespace reclaim::store::containerd_calls

#endif  // RECLAIM_STORE_CONTAINERD_CALLS_H_
