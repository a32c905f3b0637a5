// tests/simulation/explorer.h — every interleaving of a scenario.
//
// Depth first, by replay: a path is the list of who went when; a run repeats a
// path from the beginning and goes on with the first choice that has not been
// made.  A state that was met before is not gone on from (World::Key), and is
// not even repeated where its key can be told beforehand (World::KeyAfter).
//
// Not repeated, as they lead to no other end: what a writer of a registry might
// do before a step of the daemon, where none of the steps that he has left
// reads or changes what that one changes, or the other way round
// (World::WritersThatMind). The daemon's step, a crash before it and the
// writers who mind are a persistent set: nothing that the others do enables,
// disables or changes one of those.
//
// What the model leaves out of real systems:
// - Steps between steps.  A registry opens a link or tag, then writes it: here
//   that is one step (the empty file in between: gc/collector_doubt_test and
//   gc/restore_test).  A section of a scan is read at one instant.  A look at
//   the blobs of a manifest is one step but in the scenarios with
//   `looks_in_steps`.  What a writer's call makes the daemon do is one step.
// - Who.  No writer dies midway, nor does a registry; no client deletes, and
//   none mounts, for there is one repository; two writers, each once.
//   seeded_world.h has these, drawn, and tests/registry_race, as chance will
//   have it.
// - What.  One collection, and one crash, of the daemon alone (seeded_world.h
//   has more of both, and leases, pins, restores, old plans and power cuts); a
//   cache of descriptors that never forgets, hence no proof that one has
//   (gc/canary_watch_test); a disk that neither fails nor loses what was not
//   synced (tests/faults, index/power_cut_test).
//
// Source: stateless model checking with state hashing and persistent sets, as
// in VeriSoft (Godefroid 1997), with the hash of what was observed for the
// state of code that can't be copied.

#ifndef RECLAIM_TESTS_SIMULATION_EXPLORER_H_
#define RECLAIM_TESTS_SIMULATION_EXPLORER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "tests/simulation/protocol_world.h"

namespace reclaim::simulation {

struct Exploration {
  uint64_t run_count = 0;
  uint64_t state_count = 0;
  uint64_t step_count = 0;
  uint64_t end_count = 0;  // runs that came to an end that is new
  // Ends by what happened.
  uint64_t accepted_count = 0;
  uint64_t refused_count = 0;
  uint64_t crashed_count = 0;
  uint64_t restored_count = 0;  // at which something had been restored
  bool is_complete = false;
  // The first loss: what is missing, and who went when.
  std::string loss;
  std::vector<std::string> path;
};

// Ends at the first loss, or after `run_max` runs.
Exploration Explore(const Scenario& scenario, uint64_t run_max);

std::string ToString(const Exploration& exploration);

}  // namespace reclaim::simulation

#endif  // RECLAIM_TESTS_SIMULATION_EXPLORER_H_
