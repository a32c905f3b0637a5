// store/event_stream.h — private to engine drivers: an engine's event stream as
// a ChangeSource.
//
// A thread follows the stream from the first AwaitChange() on and opens it
// again when it is lost.  What may have been missed meanwhile counts as a
// change.

#ifndef RECLAIM_STORE_EVENT_STREAM_H_
#define RECLAIM_STORE_EVENT_STREAM_H_

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "store/change_source.h"

namespace reclaim::store {

// What differs between engines.
class EventReader {
 public:
  virtual ~EventReader() = default;
  // Whether the engine answers at all.
  virtual absl::Status Ping() = 0;
  // Follows the stream until it is lost (the status says why) or Cancel() was
  // called.  `on_event` after each event or run of events; may be empty calls.
  virtual absl::Status Follow(const std::function<void()>& on_event) = 0;
  // Ends Follow() soon, and every later one.  From any thread.
  virtual void Cancel() = 0;
};

class EventStream final : public ChangeSource {
 public:
  explicit EventStream(std::unique_ptr<EventReader> reader)
      : reader_(std::move(reader)) {}
  ~EventStream() override;

  absl::Status AwaitChange(absl::Duration patience) override;
  void Interrupt() override;

 private:
  void Run();
  void NoteChange();

  const std::unique_ptr<EventReader> reader_;
  std::mutex mutex_;  // guards all below
  std::condition_variable turned_;
  bool is_following_ = false;
  bool has_changed_ = true;  // before the first event nothing is known
  bool looks_again_ = false;
  bool is_over_ = false;
  absl::Status lost_;  // why there is no stream; OK while there is one
  std::thread thread_;
};

}  // namespace reclaim::store

#endif  // RECLAIM_STORE_EVENT_STREAM_H_
