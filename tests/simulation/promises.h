// tests/simulation/promises.h — what writers and callers were promised, and
// whether it holds.  The oracle of the seeded simulation.
//
// The slow and obvious way: sets of small numbers over the catalogue of
// tests/model/machine_twin.h, a walk from each promise, and a look at the disk.
// It shares no code with index or gc, and knows of the graph only what that has
// answered.
//
// After each step:
// - Tags are as their writers left them.
// - Of what a tag names that a registry accepted, the bytes and the links that
//   it looked at are in their place or in quarantine: whoever took them away
//   has not freed them, also if he could not know of the tag.
// - What the collector knows to be kept is in its place: all that is below a
//   tag which a scan has seen, a pin, a lease that has not expired, or content
//   of which the daemon has said that it is here (for as long as the grace).
// - So is what a writer has uploaded within the grace period.
//
// A tag promises nothing while the link to its manifest is gone that a client
// has deleted: no registry serves it.

#ifndef RECLAIM_TESTS_SIMULATION_PROMISES_H_
#define RECLAIM_TESTS_SIMULATION_PROMISES_H_

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "absl/time/time.h"
#include "tests/model/machine_twin.h"
#include "tests/simulation/model_registry.h"

namespace reclaim::simulation {

// Young content is kept for so long.
inline constexpr absl::Duration kGrace = absl::Hours(1);

// By its number in the catalogue.
const tests::MachineContent& ContentOf(int content);
// The link by which a repository serves it.
Disk::LinkName LinkTo(const std::string& repository, int content);

class Promises {
 public:
  // Whether the graph has some content in quarantine; asked between steps.
  using IsQuarantined = std::function<bool(int content)>;

  // `disk` is not owned.
  Promises(const Disk* disk, IsQuarantined is_quarantined)
      : disk_(*disk), is_quarantined_(std::move(is_quarantined)) {}

  // What writers have just done to the disk.
  void Uploaded(int content, absl::Time now) { uploaded_[content] = now; }
  void Linked(const Disk::LinkName& manifest) { deleted_.erase(manifest); }
  void Unlinked(const Disk::LinkName& manifest);
  void Tagged(const Disk::TagName& name);
  void Untagged(const Disk::TagName& name);

  // What stands when a scan begins.
  struct Sight {
    uint64_t serial = 0;  // of the last change by a writer
    std::set<Disk::LinkName> revisions;
    std::set<int> manifests;  // in their place
  };
  Sight Look() const;
  // It has ended: what has stood all the time is known to the graph.
  void Seen(const Sight& before, absl::Time now);

  // The daemon has acknowledged that `holder` (a lease, a pin, an answer) holds
  // it until then; again for another time.
  void Hold(const std::string& holder, int content, absl::Time until);
  void LetGo(const std::string& holder) { holds_.erase(holder); }

  // What is broken first; "" if nothing is.
  std::string Check(absl::Time now);
  // Besides, when all is quiet and collected: everything that is kept is in its
  // place, and nothing else is anywhere.
  std::string CheckEnd(absl::Time now) const;

 private:
  struct Held {
    int content = 0;
    absl::Time until;
    std::set<int> here;  // what has to stay in its place
  };

  bool IsHere(int content) const;
  bool IsAway(int content) const;  // in quarantine
  bool IsAway(const Disk::LinkName& link) const;
  bool IsServed(const Disk::TagName& name, int manifest) const {
    return deleted_.count(LinkTo(name.first, manifest)) == 0;
  }
  // What is kept with it, as far as the graph has to know.
  std::set<int> KnownBelow(int content) const;
  // What of that is in its place; notes what is in quarantine still (I4).
  std::set<int> Given(int content, const std::string& holder);
  void ForgetLost();
  // What of a tag is missing.
  std::string Missing(const Disk::TagName& name, int manifest,
                      bool may_be_away) const;
  std::string CheckTags() const;
  std::string CheckKept(absl::Time now);

  const Disk& disk_;
  const IsQuarantined is_quarantined_;
  uint64_t serial_ = 0;
  std::map<Disk::TagName, Disk::Tag> tags_;
  std::map<Disk::TagName, uint64_t> tag_changes_;  // the serial of the last
  // Links to manifests that clients have deleted: the serial of the last time,
  // and those that nobody has written since.
  std::map<Disk::LinkName, uint64_t> deletions_;
  std::set<Disk::LinkName> deleted_;
  std::map<int, absl::Time> uploaded_;
  // Manifests that the graph has read.
  std::set<int> known_;
  std::map<Disk::TagName, std::set<int>> told_;  // as `here` of what is held
  std::map<std::string, Held> holds_;
  std::string broken_;
};

}  // namespace reclaim::simulation

#endif  // RECLAIM_TESTS_SIMULATION_PROMISES_H_
