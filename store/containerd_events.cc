#include "store/containerd_events.h"

#include <string>

namespace reclaim::store {

absl::Status ContainerdEvents::Follow(const std::function<void()>& on_event) {
  grpc::ClientContext context;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (is_cancelled_) return absl::CancelledError("cancelled");
    context_ = &context;
  }
  auto reader = client_->Subscribe(&context);
  ctrd::events::v1::Envelope event;
  while (reader->Read(&event)) on_event();
  const grpc::Status status = reader->Finish();
  std::lock_guard<std::mutex> lock(mutex_);
  context_ = nullptr;
  return absl::UnavailableError(std::string(status.error_message()));
}

void ContainerdEvents::Cancel() {
  std::lock_guard<std::mutex> lock(mutex_);
  is_cancelled_ = true;
  if (context_ != nullptr) context_->TryCancel();
}

}  // namespace reclaim::store
