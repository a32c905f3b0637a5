#include "base/mutex.h"

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define RECLAIM_TSAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define RECLAIM_TSAN 1
#endif

#ifdef RECLAIM_TSAN
#include <sanitizer/tsan_interface.h>
#endif

namespace reclaim::base {
namespace {

// What the sanitizer must hear around each operation.  Between "pre" and "post"
// it looks at nothing that the thread does.
#ifdef RECLAIM_TSAN
void OnCreate(void* mutex) {
  __tsan_mutex_create(mutex, __tsan_mutex_not_static);
}
void OnDestroy(void* mutex) {
  __tsan_mutex_destroy(mutex, __tsan_mutex_not_static);
}
void BeforeLock(void* mutex) { __tsan_mutex_pre_lock(mutex, 0); }
void AfterLock(void* mutex) { __tsan_mutex_post_lock(mutex, 0, 0); }
void BeforeUnlock(void* mutex) { __tsan_mutex_pre_unlock(mutex, 0); }
void AfterUnlock(void* mutex) { __tsan_mutex_post_unlock(mutex, 0); }
void BeforeReaderLock(void* mutex) {
  __tsan_mutex_pre_lock(mutex, __tsan_mutex_read_lock);
}
void AfterReaderLock(void* mutex) {
  __tsan_mutex_post_lock(mutex, __tsan_mutex_read_lock, 0);
}
void BeforeReaderUnlock(void* mutex) {
  __tsan_mutex_pre_unlock(mutex, __tsan_mutex_read_lock);
}
void AfterReaderUnlock(void* mutex) {
  __tsan_mutex_post_unlock(mutex, __tsan_mutex_read_lock);
}
#else
void OnCreate(void*) {}
void OnDestroy(void*) {}
void BeforeLock(void*) {}
void AfterLock(void*) {}
void BeforeUnlock(void*) {}
void AfterUnlock(void*) {}
void BeforeReaderLock(void*) {}
void AfterReaderLock(void*) {}
void BeforeReaderUnlock(void*) {}
void AfterReaderUnlock(void*) {}
#endif

}  // namespace

Mutex::Mutex() { OnCreate(this); }
Mutex::~Mutex() { OnDestroy(this); }

void Mutex::Lock() {
  BeforeLock(this);
  mutex_.Lock();
  AfterLock(this);
}

void Mutex::Unlock() {
  BeforeUnlock(this);
  mutex_.Unlock();
  AfterUnlock(this);
}

void Mutex::ReaderLock() {
  BeforeReaderLock(this);
  mutex_.ReaderLock();
  AfterReaderLock(this);
}

void Mutex::ReaderUnlock() {
  BeforeReaderUnlock(this);
  mutex_.ReaderUnlock();
  AfterReaderUnlock(this);
}

// The wait itself is inside the library, where the sanitizer sees nothing; for
// it the lock is given back and taken again.
void CondVar::Wait(Mutex* mutex) {
  BeforeUnlock(mutex);
  AfterUnlock(mutex);
  BeforeLock(mutex);
  changed_.Wait(&mutex->mutex_);
  AfterLock(mutex);
}

bool CondVar::WaitWithTimeout(Mutex* mutex, absl::Duration timeout) {
  BeforeUnlock(mutex);
  AfterUnlock(mutex);
  BeforeLock(mutex);
  const bool has_passed = changed_.WaitWithTimeout(&mutex->mutex_, timeout);
  AfterLock(mutex);
  return has_passed;
}

}  // namespace reclaim::base
