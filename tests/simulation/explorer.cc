#include "tests/simulation/explorer.h"

#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace reclaim::simulation {
namespace {

class Explorer {
 public:
  Explorer(const Scenario& scenario, uint64_t run_max)
      : scenario_(scenario), run_max_(run_max) {}

  Exploration Run() {
    todo_.push_back({});
    while (!todo_.empty() && out_.loss.empty()) {
      if (out_.run_count == run_max_) return std::move(out_);
      std::vector<Actor> path = std::move(todo_.back());
      todo_.pop_back();
      RunPath(std::move(path));
    }
    out_.is_complete = out_.loss.empty();
    out_.state_count = seen_.size();
    return std::move(out_);
  }

 private:
  // Repeats `path` and goes on to the end, or to a state that is known.
  void RunPath(std::vector<Actor> path) {
    ++out_.run_count;
    World world(scenario_);
    for (const Actor actor : path) world.Step(actor);
    out_.step_count += path.size();
    while (true) {
      if (!seen_.insert(world.Key()).second) return;
      const std::vector<Actor> enabled = world.Enabled();
      if (enabled.empty()) break;
      for (size_t i = enabled.size(); i-- > 1;) {
        todo_.push_back(path);
        todo_.back().push_back(enabled[i]);
      }
      path.push_back(enabled[0]);
      world.Step(enabled[0]);
      ++out_.step_count;
    }
    Judge(&world, path);
  }

  void Judge(World* world, const std::vector<Actor>& path) {
    ++out_.end_count;
    for (const int number : {0, 1}) {
      if (world->writer(number).is_accepted()) ++out_.accepted_count;
      if (world->writer(number).is_refused()) ++out_.refused_count;
    }
    if (world->has_crashed()) ++out_.crashed_count;
    out_.loss = world->FindLoss();
    if (world->restored_count() > 0) ++out_.restored_count;
    if (!out_.loss.empty()) Trace(path);
  }

  void Trace(const std::vector<Actor>& path) {
    World world(scenario_);
    for (const Actor actor : path) {
      out_.path.push_back(actor == Actor::kDaemon
                              ? absl::StrCat("daemon: ", world.next_step())
                              : ToString(actor));
      world.Step(actor);
    }
  }

  const Scenario scenario_;
  const uint64_t run_max_;
  Exploration out_;
  absl::flat_hash_set<uint64_t> seen_;
  std::vector<std::vector<Actor>> todo_;
};

}  // namespace

Exploration Explore(const Scenario& scenario, uint64_t run_max) {
  return Explorer(scenario, run_max).Run();
}

std::string ToString(const Exploration& exploration) {
  std::string text = absl::StrCat(
      exploration.state_count, " states, ", exploration.run_count, " runs, ",
      exploration.step_count, " steps, ", exploration.end_count,
      " ends: ", exploration.accepted_count, " promises, ",
      exploration.refused_count, " refusals, ", exploration.crashed_count,
      " with a crash, ", exploration.restored_count, " with a restore",
      exploration.is_complete ? "" : "; not complete");
  if (exploration.loss.empty()) return text;
  return absl::StrCat(text, "; lost: ", exploration.loss, "\n  ",
                      absl::StrJoin(exploration.path, "\n  "));
}

}  // namespace reclaim::simulation
