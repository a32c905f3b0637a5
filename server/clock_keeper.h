// server/clock_keeper.h — the daemon's clock: the machine's, which is not
// followed when it leaps (base/leap_clock.h), and what must be known of it
// after a restart.

#ifndef RECLAIM_SERVER_CLOCK_KEEPER_H_
#define RECLAIM_SERVER_CLOCK_KEEPER_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/leap_clock.h"
#include "index/state_file.h"
#include "server/ticker.h"

namespace reclaim::server {

class ClockKeeper {
 public:
  using Say = std::function<void(absl::string_view)>;
  // By how much the daemon's time is behind the wall clock, each second.
  using Show = std::function<void(absl::Duration)>;

  // The machine's clocks and its boot.
  ClockKeeper();
  // `wall` is not owned.
  ClockKeeper(const base::Clock* wall, std::function<absl::Duration()> boot,
              std::string boot_id);
  ~ClockKeeper() { End(); }
  ClockKeeper(const ClockKeeper&) = delete;
  ClockKeeper& operator=(const ClockKeeper&) = delete;

  const base::Clock* clock() const { return &clock_; }
  // Where terms begin: LeapClock::latest().
  const base::Clock* latest() const { return clock_.latest(); }

  // Reads what lies in the data directory; from now on leaps are held back.  A
  // file that can't be read is said and is none: then the wall is believed as
  // it is.  Once.
  void Begin(const std::string& data_directory, Say say, Show show);
  // Looks at the clocks, says what has changed, and keeps the file current.
  void Tick();
  // Does so each second from now on: nobody else calls Tick() any more.
  void Run();
  // Once more, and never again.  Idempotent.
  void End();

  static std::string ToText(const base::LeapState& state);
  static absl::StatusOr<base::LeapState> Parse(absl::string_view text);

 private:
  absl::StatusOr<std::optional<base::LeapState>> Recall() const;
  void Tell(const base::LeapState& state, absl::Duration held);
  void Save(const base::LeapState& state);

  base::LeapClock clock_;
  const std::string boot_id_;
  std::string data_directory_;
  index::StateFile file_;
  Say say_;
  Show show_;
  // What was said last, and what was believed then.
  absl::Duration told_;
  absl::Time believed_;
  std::optional<base::LeapState> saved_;
  bool has_failed_ = false;
  std::unique_ptr<Ticker> ticker_;
};

}  // namespace reclaim::server

#endif  // RECLAIM_SERVER_CLOCK_KEEPER_H_
