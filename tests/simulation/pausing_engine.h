// tests/simulation/pausing_engine.h — an engine that stops before each commit,
// and takes none once the daemon above it is dead.

#ifndef RECLAIM_TESTS_SIMULATION_PAUSING_ENGINE_H_
#define RECLAIM_TESTS_SIMULATION_PAUSING_ENGINE_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/status_macros.h"
#include "index/engine.h"

namespace reclaim::simulation {

class PausingEngine final : public index::Engine {
 public:
  // UNAVAILABLE ends the step without effect.
  using Pause = std::function<absl::Status(const std::string& step)>;

  // `engine` is not owned.  Where nothing is lost that was not synced, a stop
  // before a sync shows nothing that one before the next commit does not.
  PausingEngine(index::Engine* engine, bool stops_at_syncs, Pause pause)
      : engine_(*engine),
        stops_at_syncs_(stops_at_syncs),
        pause_(std::move(pause)) {}

  absl::StatusOr<std::optional<std::string>> Get(
      index::Family family, absl::string_view key) const override {
    return engine_.Get(family, key);
  }
  absl::Status Scan(index::Family family, absl::string_view prefix,
                    absl::string_view from, Visitor visit) const override {
    return engine_.Scan(family, prefix, from, visit);
  }
  absl::Status ScanBackwards(index::Family family, absl::string_view prefix,
                             absl::string_view before,
                             Visitor visit) const override {
    return engine_.ScanBackwards(family, prefix, before, visit);
  }
  absl::Status Commit(const index::Batch& batch,
                      index::Durability durability) override {
    RECLAIM_RETURN_IF_ERROR(pause_("commit"));
    return engine_.Commit(batch, durability);
  }
  absl::Status Sync() override {
    if (stops_at_syncs_) RECLAIM_RETURN_IF_ERROR(pause_("sync"));
    return engine_.Sync();
  }
  uint64_t ApproximateBytes() const override {
    return engine_.ApproximateBytes();
  }

 private:
  index::Engine& engine_;
  const bool stops_at_syncs_;
  const Pause pause_;
};

}  // namespace reclaim::simulation

#endif  // RECLAIM_TESTS_SIMULATION_PAUSING_ENGINE_H_
