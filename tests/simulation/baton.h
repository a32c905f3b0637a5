// tests/simulation/baton.h — two threads of which one runs at a time.
//
// The runner lets the other go until it pauses or ends.  No real time passes
// unnoticed: whoever does not hold the baton stands still.

#ifndef RECLAIM_TESTS_SIMULATION_BATON_H_
#define RECLAIM_TESTS_SIMULATION_BATON_H_

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>

namespace reclaim::simulation {

class Baton {
 public:
  // `body` begins, on a thread of its own, with the first Resume().
  explicit Baton(std::function<void()> body) {
    thread_ = std::thread([this, body = std::move(body)] {
      {
        std::unique_lock<std::mutex> lock(mutex_);
        moved_.wait(lock, [this] { return holder_ == Holder::kBody; });
      }
      body();
      Give(Holder::kRunner, /*is_last=*/true);
    });
  }
  // REQUIRES: the body has ended.
  ~Baton() { thread_.join(); }
  Baton(const Baton&) = delete;
  Baton& operator=(const Baton&) = delete;

  // By the runner: lets the body go until it pauses or ends.
  void Resume() { Give(Holder::kBody, false); }
  // By the body.
  void Pause() { Give(Holder::kRunner, false); }
  bool IsBody() const { return std::this_thread::get_id() == thread_.get_id(); }
  bool has_ended() const { return has_ended_; }

 private:
  enum class Holder { kBody, kRunner };

  void Give(Holder to, bool is_last) {
    std::unique_lock<std::mutex> lock(mutex_);
    const Holder from = holder_;
    holder_ = to;
    has_ended_ = has_ended_ || is_last;
    moved_.notify_all();
    if (!is_last) moved_.wait(lock, [&] { return holder_ == from; });
  }

  std::mutex mutex_;
  std::condition_variable moved_;
  Holder holder_ = Holder::kRunner;
  bool has_ended_ = false;
  std::thread thread_;
};

}  // namespace reclaim::simulation

#endif  // RECLAIM_TESTS_SIMULATION_BATON_H_
