// store/containerd_events.h — private to the containerd driver: its event
// stream.

#ifndef RECLAIM_STORE_CONTAINERD_EVENTS_H_
#define RECLAIM_STORE_CONTAINERD_EVENTS_H_

#include <functional>
#include <mutex>

#include "absl/status/status.h"
#include "store/containerd_client.h"
#include "store/event_stream.h"

namespace reclaim::store {

class ContainerdEvents final : public EventReader {
 public:
  // Not owned.
  explicit ContainerdEvents(const ContainerdClient* client) : client_(client) {}

  absl::Status Ping() override { return client_->Ping(); }
  absl::Status Follow(const std::function<void()>& on_event) override;
  void Cancel() override;

 private:
  const ContainerdClient* client_;
  std::mutex mutex_;  // guards both below
  bool is_cancelled_ = false;
  grpc::ClientContext* context_ = nullptr;
};

}  // namespace reclaim::store

#endif  // RECLAIM_STORE_CONTAINERD_EVENTS_H_
