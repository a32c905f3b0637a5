#include "base/mutex.h"

#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace reclaim::base {
namespace {

class Counter {
 public:
  void Add() {
    MutexLock lock(&mutex_);
    ++count_;
    changed_.NotifyAll();
  }
  int WaitFor(int count) {
    MutexLock lock(&mutex_);
    while (count_ < count) changed_.Wait(&mutex_);
    return count_;
  }
  bool StaysBelow(int count, absl::Duration time) {
    MutexLock lock(&mutex_);
    while (count_ < count) {
      if (changed_.WaitWithTimeout(&mutex_, time)) return count_ < count;
    }
    return false;
  }
  int Get() {
    ReaderMutexLock lock(&mutex_);
    return count_;
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  int count_ ABSL_GUARDED_BY(mutex_) = 0;
};

TEST(MutexTest, WritersDoNotLoseEachOthersChanges) {
  Counter counter;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int n = 0; n < 5000; ++n) counter.Add();
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(counter.Get(), 20000);
}

TEST(MutexTest, AWaiterSeesWhatItWaitedFor) {
  Counter counter;
  std::thread adder([&] {
    for (int n = 0; n < 100; ++n) counter.Add();
  });
  EXPECT_EQ(counter.WaitFor(100), 100);
  adder.join();
}

TEST(MutexTest, AWaitEndsWithItsTime) {
  Counter counter;
  EXPECT_TRUE(counter.StaysBelow(1, absl::Milliseconds(1)));
  counter.Add();
  EXPECT_FALSE(counter.StaysBelow(1, absl::Milliseconds(1)));
}

// A second reader comes in while the first one is there: it would wait for ever
// otherwise.
TEST(MutexTest, ReadersShare) {
  Mutex mutex;
  mutex.ReaderLock();
  std::thread other([&] {
    mutex.ReaderLock();
    mutex.ReaderUnlock();
  });
  other.join();
  mutex.ReaderUnlock();
  MutexLock lock(&mutex);
  mutex.AssertHeld();
}

}  // namespace
}  // namespace reclaim::base
