#include "cli/signal_watch.h"

#include <atomic>

namespace reclaim::cli {
namespace {

constexpr int kSignals[] = {SIGINT, SIGTERM, SIGHUP};

std::atomic<int> caught{0};

void Note(int number) { caught = number; }

struct sigaction Noting(int flags) {
  struct sigaction action = {};
  action.sa_handler = Note;
  action.sa_flags = flags;
  return action;
}

}  // namespace

SignalWatch::SignalWatch() {
  static_assert(sizeof(kSignals) / sizeof(kSignals[0]) == kSignalCount);
  caught = 0;
  const struct sigaction once = Noting(static_cast<int>(SA_RESETHAND));
  for (size_t i = 0; i < kSignalCount; ++i) {
    sigaction(kSignals[i], &once, &before_[i]);
  }
}

SignalWatch::~SignalWatch() {
  for (size_t i = 0; i < kSignalCount; ++i) {
    sigaction(kSignals[i], &before_[i], nullptr);
  }
  caught = 0;
}

void SignalWatch::Hold() {
  const struct sigaction always = Noting(0);
  for (const int number : kSignals) sigaction(number, &always, nullptr);
}

int SignalWatch::Caught() { return caught; }

}  // namespace reclaim::cli
