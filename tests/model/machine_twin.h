// tests/model/machine_twin.h — what the service must do, the slow and obvious
// way.  FOR TESTS ONLY: the twin of state_machine_test.
//
// Sets of small numbers and sweeps that are repeated until nothing changes; it
// shares no code with index or gc.  Time is in hours.

#ifndef RECLAIM_TESTS_MODEL_MACHINE_TWIN_H_
#define RECLAIM_TESTS_MODEL_MACHINE_TWIN_H_

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "oci/digest.h"

namespace reclaim::tests {

// One piece of content that may be pushed.
struct MachineContent {
  std::string bytes;
  oci::Digest digest;
  bool is_manifest = false;
  std::vector<int> children;  // config, layers; manifests of an index
  int subject = -1;
};

// Five images over shared layers, two indexes (of which parts may be missing),
// a referrer of an image and one of an index.
const std::vector<MachineContent>& AllMachineContent();
// Those of them that are manifests.
const std::vector<int>& MachineManifests();

class MachineTwin {
 public:
  struct Run {
    std::set<int> items;  // in its quarantine
    int64_t begun_hours = 0;
    // Copies that wait for their purge: somebody has written the same anew.
    std::set<int> superseded;
    // Also there, but found without a record of it: it can be restored, comes
    // back with the next scan if something names it, and else is purged after
    // a period of its own; no node stands for it.
    std::set<int> strangers;
    int64_t found_hours = 0;
  };

  // With all that an image consists of; of an index the manifest alone.  A
  // reference to what is in quarantine gives that back.
  void Push(int manifest, const std::string& tag);
  void Untag(const std::string& tag);
  void Pin(int content);
  void Unpin(int content) { pins_.erase(content); }
  void Lease(int content, int64_t hours);
  void Advance(int64_t hours) { now_hours_ += hours; }
  void Prune();
  void Restore(size_t run);
  void Purge(int64_t quarantine_hours);  // 0: at once
  // Pins and leases are nowhere but in the database; so is what the graph knows
  // of the quarantine.
  void LoseDatabase();

  std::set<int> Reached() const;
  std::set<int> Dead() const;
  bool Quarantines(int content) const;
  // Whether something is in quarantine beside what the graph knows of.
  bool HasCopies() const;
  bool CanRestore(size_t run) const {
    return run < runs_.size() &&
           (!runs_[run].items.empty() || !runs_[run].strangers.empty());
  }
  // Present or in quarantine.
  bool Holds(int content) const {
    return present_.count(content) != 0 || Quarantines(content);
  }
  uint64_t LogicalBytes(const std::set<int>& contents) const;
  uint64_t AllocatedBytes(const std::set<int>& contents) const;

  const std::set<int>& present() const { return present_; }
  const std::map<std::string, int>& tags() const { return tags_; }
  const std::set<int>& pins() const { return pins_; }
  const std::vector<Run>& runs() const { return runs_; }
  std::set<int> quarantined() const;

 private:
  // With what it references and, if asked, what refers to that.
  std::set<int> MadeOf(int content, bool with_referrers) const;
  // From every run that holds it as an item; of strangers those of one run, or
  // of all (nullptr).
  void TakeBack(int content, const Run* also_strangers_of);
  void GiveBack(int content, bool with_referrers,
                const Run* also_strangers_of = nullptr);
  std::set<int> StrangersThatReturn(size_t run) const;
  // Whether a stranger is missed: a root reaches it, or what is here lists it.
  bool IsNamed(int content) const;
  // What each scan does.
  void ReturnNamed();
  void Reach(int content, std::set<int>* reached) const;
  // Also what is not present.
  std::set<int> ReachedAnywhere() const;

  std::set<int> present_;
  std::set<int> known_;  // of which the database has seen the bytes
  std::map<std::string, int> tags_;
  std::set<int> pins_;
  std::map<int, int64_t> leases_;  // content to the hour at which it ends
  std::vector<Run> runs_;
  int64_t now_hours_ = 0;
};

}  // namespace reclaim::tests

#endif  // RECLAIM_TESTS_MODEL_MACHINE_TWIN_H_
