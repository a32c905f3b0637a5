// store/deletion_permit.h — the proof that a deletion was checked.
//
// A function that takes bytes or names away asks for a DeletionPermit.  Only
// gc::DeletionGuard can make one, and it makes one only while it holds the
// write order and has just repeated every check (I1).  The compiler thereby
// refuses any other caller: check-then-delete without a re-check has nowhere to
// live.
//
// It also carries the moment of the plan: a name that a writer has written
// since then is not the name that was judged, even if it names the same.

#ifndef RECLAIM_STORE_DELETION_PERMIT_H_
#define RECLAIM_STORE_DELETION_PERMIT_H_

#include "absl/time/time.h"

namespace reclaim::gc {
class DeletionGuard;
}  // namespace reclaim::gc

namespace reclaim::store {

class DeletionPermitForTest;

// Not copyable: a permit does not outlive the guard that made it.
class DeletionPermit {
 public:
  DeletionPermit(const DeletionPermit&) = delete;
  DeletionPermit& operator=(const DeletionPermit&) = delete;

  // Names with a later file time stay (ABORTED).
  absl::Time planned() const { return planned_; }

  // The caller named what is to go, and said that a container that does not run
  // may lose its image's last name (SEMANTICS.md, case 16).
  bool is_forced() const { return is_forced_; }

 private:
  friend class ::reclaim::gc::DeletionGuard;
  friend class DeletionPermitForTest;
  DeletionPermit() = default;

  absl::Time planned_ = absl::InfiniteFuture();
  bool is_forced_ = false;
};

}  // namespace reclaim::store

#endif  // RECLAIM_STORE_DELETION_PERMIT_H_
