// tests/simulation/clients.h — clients of a registry, of whom the daemon hears
// nothing: what they do is drawn, and done one step at a time.
//
// The steps of an upload, a mount, a PUT of a manifest, and a deletion are
// those of distribution 2.8 (docs/decisions/0007-the-race.md): a file that is
// there is kept, a link is written anew, a PUT looks for the link and the file
// of each part, and a deletion takes the link away before the tags.

#ifndef RECLAIM_TESTS_SIMULATION_CLIENTS_H_
#define RECLAIM_TESTS_SIMULATION_CLIENTS_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "base/random.h"
#include "base/simulated_clock.h"
#include "tests/simulation/model_registry.h"
#include "tests/simulation/promises.h"

namespace reclaim::simulation {

// A number below `end`, which is not 0.
inline size_t Below(base::RandomSource* random, size_t end) {
  return static_cast<size_t>(random->Next() % end);
}

// Between which layers are mounted.
inline constexpr const char* kRepositories[] = {"app", "lib"};

// What all clients of a simulation share; nothing is owned.
struct ClientSite {
  Disk* disk = nullptr;
  Promises* promises = nullptr;
  const base::SimulatedClock* clock = nullptr;
  base::RandomSource* random = nullptr;
  // The manifests that they push; not empty.
  const std::vector<int>* wanted = nullptr;
};

class Client {
 public:
  explicit Client(const ClientSite& site) : site_(site) {}
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  bool IsIdle() const { return steps_.empty(); }
  // Draws what to do next, and says what.  It may be nothing.
  std::string Begin();
  // REQUIRES: !IsIdle()
  void Step();
  // He dies, or loses patience.
  void GiveUp();

  // When the request that is under way has begun to look: until it ends it may
  // name what it saw then (index::WriterTerms::write_duration_max).
  std::optional<absl::Time> looked() const { return looked_; }
  uint64_t accepted_count() const { return accepted_count_; }
  uint64_t refused_count() const { return refused_count_; }

 private:
  using StepBody = std::function<void()>;

  std::string AnyRepository();
  absl::Time Now() const { return site_.clock->Now(); }
  bool HasLayer(const std::string& repository, int content) const;

  void Then(StepBody step) { steps_.push_back(std::move(step)); }
  // Before what is left to do.
  void First(std::vector<StepBody> steps);

  // With all that it consists of.
  void Push(const std::string& repository, int manifest,
            const std::string& tag);
  void Upload(const std::string& repository, int content);
  // One PUT of a manifest whose parts should be there.
  void Put(const std::string& repository, int manifest, const std::string& tag);
  void Untag(const Disk::TagName& name);
  void DeleteManifest(const std::string& repository, int manifest);

  std::vector<StepBody> SendingSteps(const std::string& repository,
                                     int content);
  void WriteFile(int content);
  void WriteTag(const Disk::TagName& name, int manifest);
  void RemoveTag(const Disk::TagName& name);
  void Refuse();

  const ClientSite site_;
  std::deque<StepBody> steps_;
  std::optional<absl::Time> looked_;
  uint64_t accepted_count_ = 0;
  uint64_t refused_count_ = 0;
};

}  // namespace reclaim::simulation

#endif  // RECLAIM_TESTS_SIMULATION_CLIENTS_H_
