#include "tests/simulation/explorer.h"

#include <array>
#include <cstdio>
#include <optional>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace reclaim::simulation {
namespace {

constexpr uint64_t kProgressRuns = 10000;

bool CallsDaemon(const Scenario& scenario) {
  return scenario.writers[0] == WriterKind::kRecords ||
         scenario.writers[1] == WriterKind::kRecords;
}

class Explorer {
 public:
  Explorer(const Scenario& scenario, uint64_t run_max)
      : scenario_(scenario),
        run_max_(run_max),
        may_reduce_(!CallsDaemon(scenario)) {}

  Exploration Run() {
    todo_.emplace_back();
    while (!todo_.empty() && out_.loss.empty()) {
      if (out_.run_count == run_max_) return std::move(out_);
      const Todo next = std::move(todo_.back());
      todo_.pop_back();
      RunPath(next);
      if (out_.run_count % kProgressRuns == 0) ShowProgress();
    }
    out_.is_complete = out_.loss.empty();
    out_.state_count = seen_.size();
    return std::move(out_);
  }

 private:
  struct Todo {
    std::vector<Actor> path;
    bool is_known = false;  // the state that it leads to is in seen_
  };

  // For whoever waits: depth first, what is left to do grows and shrinks.
  void ShowProgress() const {
    fprintf(stderr, "  %llu runs, %llu states, %llu paths to go on with\n",
            static_cast<unsigned long long>(out_.run_count),
            static_cast<unsigned long long>(seen_.size()),
            static_cast<unsigned long long>(todo_.size()));
  }

  // Repeats a path and goes on to the end, or to a state that is known.
  void RunPath(const Todo& todo) {
    ++out_.run_count;
    World world(scenario_);
    std::vector<Actor> path = todo.path;
    for (const Actor actor : path) world.Step(actor);
    out_.step_count += path.size();
    bool is_known = todo.is_known;
    while (is_known || seen_.insert(world.Key()).second) {
      is_known = false;
      const std::vector<Actor> enabled = world.Enabled();
      if (enabled.empty()) {
        Judge(&world, path);
        return;
      }
      GoOn(&world, enabled, &path);
    }
  }

  // Takes the first choice and leaves the others to be done.
  void GoOn(World* world, const std::vector<Actor>& enabled,
            std::vector<Actor>* path) {
    std::vector<std::optional<uint64_t>> keys(enabled.size());
    for (size_t i = 1; i < enabled.size(); ++i) {
      keys[i] = world->KeyAfter(enabled[i]);
    }
    world->Step(enabled[0]);
    ++out_.step_count;
    std::array<bool, 2> must_try = {true, true};
    if (may_reduce_ && enabled[0] == Actor::kDaemon) {
      must_try = world->WritersThatMind();
    }
    for (size_t i = enabled.size(); i-- > 1;) {
      if (enabled[i] == Actor::kFirstWriter && !must_try[0]) continue;
      if (enabled[i] == Actor::kSecondWriter && !must_try[1]) continue;
      if (keys[i] && !seen_.insert(*keys[i]).second) continue;
      todo_.push_back({*path, keys[i].has_value()});
      todo_.back().path.push_back(enabled[i]);
    }
    path->push_back(enabled[0]);
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
  const bool may_reduce_;
  Exploration out_;
  absl::flat_hash_set<uint64_t> seen_;
  std::vector<Todo> todo_;
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
