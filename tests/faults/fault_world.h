// tests/faults/fault_world.h — a store, a graph and a collector that live
// through faults, and the oracle of what must hold then.

#ifndef RECLAIM_TESTS_FAULTS_FAULT_WORLD_H_
#define RECLAIM_TESTS_FAULTS_FAULT_WORLD_H_

#include <map>
#include <set>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "gc/collector_fixture.h"
#include "store/types.h"

namespace reclaim::gc {

class FaultWorld : public CollectorFixture {
 public:
  enum class Step { kScan, kApply, kRestore, kPurge, kRecover };

  void TestBody() override {}

  // A tree with garbage in it, brought to just before `step`.
  void Begin(store::StoreKind kind, Step step);
  // The step itself.  An error is an answer, like any other.
  absl::Status Take(Step step);

  // Right after the step, whatever became of it: nothing that is live was
  // touched, and nobody says of anything that it is gone or here if it isn't.
  void ExpectNothingLost();
  // A new start without faults, then a whole collection: it ends clean, and
  // leaves the live content alone.
  void ExpectRecovery();

 private:
  using Item = std::pair<store::RunId, store::Removal>;

  static int CrashCommit(store::StoreKind kind);
  void CrashAt(int commit);
  absl::Status TryRestart();
  absl::Status ApplyNow();
  absl::Status PurgeAll();
  std::set<Item> InFolder() const;
  std::set<Item> OnRecord() const;
  void ExpectLiveFiles() const;
  void ExpectPresentIsThere() const;
  void ExpectCleanVerification();

  // path -> digest of its bytes, of every file that the tag needs.
  std::map<std::string, std::string> live_;
  std::set<Item> on_record_before_;
  std::string run_id_;
};

const char* ToString(FaultWorld::Step step);

}  // namespace reclaim::gc

#endif  // RECLAIM_TESTS_FAULTS_FAULT_WORLD_H_
