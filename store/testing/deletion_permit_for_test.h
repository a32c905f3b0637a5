// store/testing/deletion_permit_for_test.h — a permit without a guard.

#ifndef RECLAIM_STORE_TESTING_DELETION_PERMIT_FOR_TEST_H_
#define RECLAIM_STORE_TESTING_DELETION_PERMIT_FOR_TEST_H_

#include "absl/time/time.h"
#include "store/deletion_permit.h"

namespace reclaim::store {

class DeletionPermitForTest {
 public:
  DeletionPermitForTest() = default;
  explicit DeletionPermitForTest(absl::Time planned) {
    permit_.planned_ = planned;
  }
  const DeletionPermit& operator*() const { return permit_; }

 private:
  DeletionPermit permit_;
};

}  // namespace reclaim::store

#endif  // RECLAIM_STORE_TESTING_DELETION_PERMIT_FOR_TEST_H_
