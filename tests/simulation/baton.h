// tests/simulation/baton.h — two stacks of which one runs at a time.
//
// The runner lets the other go until it pauses or ends.  Both are of one
// thread: a handover is a jump, which no other load of the machine delays.
// With two threads an exploration waited for the scheduler most of the time.

#ifndef RECLAIM_TESTS_SIMULATION_BATON_H_
#define RECLAIM_TESTS_SIMULATION_BATON_H_

#include <ucontext.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <utility>

#include "base/check.h"

namespace reclaim::simulation {

class Baton {
 public:
  // `body` begins, on a stack of its own, with the first Resume().
  explicit Baton(std::function<void()> body)
      : body_(std::move(body)), stack_(new char[kStackBytes]) {
    RECLAIM_CHECK(getcontext(&body_context_) == 0, "a context can be had");
    body_context_.uc_stack.ss_sp = stack_.get();
    body_context_.uc_stack.ss_size = kStackBytes;
    body_context_.uc_link = &runner_context_;
    makecontext(&body_context_, &Baton::Begin, 0);
  }
  // REQUIRES: the body has ended, or never begun.
  ~Baton() = default;
  Baton(const Baton&) = delete;
  Baton& operator=(const Baton&) = delete;

  // By the runner: lets the body go until it pauses or ends.
  void Resume() {
    RECLAIM_CHECK(!is_body_ && !has_ended_, "the body can go on");
    is_body_ = true;
    Beginning() = this;
    RECLAIM_CHECK(swapcontext(&runner_context_, &body_context_) == 0,
                  "the body has the stack");
  }
  // By the body.
  void Pause() {
    RECLAIM_CHECK(is_body_, "the body pauses");
    is_body_ = false;
    RECLAIM_CHECK(swapcontext(&body_context_, &runner_context_) == 0,
                  "the runner has the stack");
  }
  bool IsBody() const { return is_body_; }
  bool has_ended() const { return has_ended_; }

 private:
  static constexpr size_t kStackBytes = size_t{2} << 20;

  // Who begins: a context takes no pointer along.
  static Baton*& Beginning() {
    static Baton* baton = nullptr;
    return baton;
  }
  static void Begin() {
    Baton* const baton = Beginning();
    baton->body_();
    baton->has_ended_ = true;
    baton->is_body_ = false;
    // Goes on with the runner (uc_link).
  }

  const std::function<void()> body_;
  const std::unique_ptr<char[]> stack_;
  ucontext_t runner_context_ = {};
  ucontext_t body_context_ = {};
  bool is_body_ = false;
  bool has_ended_ = false;
};

}  // namespace reclaim::simulation

#endif  // RECLAIM_TESTS_SIMULATION_BATON_H_
