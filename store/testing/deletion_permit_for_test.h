// store/testing/deletion_permit_for_test.h — a permit for the tests of stores,
// which stand below the guard that makes real ones.
//
//   store.Purge(DeletionPermitForTest::Make(), "run-1", removals);

#ifndef RECLAIM_STORE_TESTING_DELETION_PERMIT_FOR_TEST_H_
#define RECLAIM_STORE_TESTING_DELETION_PERMIT_FOR_TEST_H_

#include "store/deletion_permit.h"

namespace reclaim::store {

class DeletionPermitForTest {
 public:
  // One permit for the whole program: it is not copyable and says nothing.
  static const DeletionPermit& Make() {
    static const DeletionPermit kPermit;
    return kPermit;
  }
};

}  // namespace reclaim::store

#endif  // RECLAIM_STORE_TESTING_DELETION_PERMIT_FOR_TEST_H_
