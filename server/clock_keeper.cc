#include "server/clock_keeper.h"

#include <time.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"
#include "server/readiness.h"

namespace reclaim::server {
namespace {

using base::LeapClock;
using base::LeapDoubt;
using base::LeapState;

constexpr char kHeader[] = "reclaim-clock 1\n";
constexpr size_t kBytesMax = 4096;
constexpr absl::Duration kInterval = absl::Seconds(1);
// What a power cut may leave unknown of how far the clock had come.
constexpr absl::Duration kSaveInterval = absl::Minutes(5);
// Where less is free it belongs to others: a collection that frees some.
constexpr uint64_t kFreeBytesMin = uint64_t{4} << 20;

absl::Duration SinceBoot() {
  struct timespec now = {};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return absl::DurationFromTimespec(now);
}

// Under the unit nothing of /proc but processes is there, so the unit says it.
std::string BootId() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string id;
  if (file >> id) return id;
  const char* const told = std::getenv("RECLAIM_BOOT_ID");
  // One word as well: it stands on a line of the file.
  std::istringstream(told != nullptr ? told : "") >> id;
  return id;
}

std::string Shown(absl::Duration span) {
  return absl::FormatDuration(absl::Trunc(span, absl::Seconds(1)));
}

// Whether a restart would know something else.
bool AreAlike(const LeapState& one, const LeapState& other) {
  if (one.boot_id != other.boot_id || one.origin != other.origin ||
      one.settles_until != other.settles_until ||
      one.doubt.has_value() != other.doubt.has_value()) {
    return false;
  }
  if (!one.doubt) return true;
  return one.doubt->since == other.doubt->since &&
         absl::AbsDuration(one.doubt->lowest - other.doubt->lowest) <
             LeapClock::kSlack &&
         absl::AbsDuration(one.doubt->highest - other.doubt->highest) <
             LeapClock::kSlack;
}

// The numbers after `word` on a line; empty if it is another line.
std::vector<int64_t> NumbersOf(absl::string_view word, absl::string_view line) {
  std::vector<int64_t> numbers;
  if (!absl::ConsumePrefix(&line, word)) return numbers;
  for (const absl::string_view field : absl::StrSplit(line, ' ')) {
    int64_t number = 0;
    if (!absl::SimpleAtoi(field, &number)) return {};
    numbers.push_back(number);
  }
  return numbers;
}

absl::Status NotWhole() { return absl::DataLossError("it is not whole"); }

}  // namespace

ClockKeeper::ClockKeeper()
    : ClockKeeper(base::SystemClock(), SinceBoot, BootId()) {}

ClockKeeper::ClockKeeper(const base::Clock* wall,
                         std::function<absl::Duration()> boot,
                         std::string boot_id)
    : clock_(wall, std::move(boot)), boot_id_(std::move(boot_id)) {}

std::string ClockKeeper::ToText(const LeapState& state) {
  std::string text =
      absl::StrCat(kHeader, "boot ", state.boot_id, "\n", "clock ",
                   absl::ToInt64Microseconds(state.boot), " ",
                   absl::ToUnixMicros(state.origin), " ",
                   absl::ToUnixMicros(state.settles_until), "\n");
  if (state.doubt) {
    absl::StrAppend(&text, "doubt ",
                    absl::ToInt64Microseconds(state.doubt->since), " ",
                    absl::ToUnixMicros(state.doubt->lowest), " ",
                    absl::ToUnixMicros(state.doubt->highest), "\n");
  }
  return text + index::SumLine(text);
}

absl::StatusOr<LeapState> ClockKeeper::Parse(absl::string_view text) {
  const size_t sum = text.rfind(index::kSumMark);
  if (sum == absl::string_view::npos ||
      text.substr(sum) != index::SumLine(text.substr(0, sum)) ||
      !absl::ConsumePrefix(&text, kHeader)) {
    return NotWhole();
  }
  const std::vector<absl::string_view> lines = absl::StrSplit(text, '\n');
  absl::string_view boot = lines[0];
  if (!absl::ConsumePrefix(&boot, "boot ") || lines.size() < 3) {
    return NotWhole();
  }
  LeapState state;
  state.boot_id = std::string(boot);
  const std::vector<int64_t> clock = NumbersOf("clock ", lines[1]);
  if (clock.size() != 3) return NotWhole();
  state.boot = absl::Microseconds(clock[0]);
  state.origin = absl::FromUnixMicros(clock[1]);
  state.settles_until = absl::FromUnixMicros(clock[2]);
  if (absl::StartsWith(lines[2], index::kSumMark)) return state;
  const std::vector<int64_t> doubt = NumbersOf("doubt ", lines[2]);
  if (doubt.size() != 3 || doubt[1] > doubt[2]) return NotWhole();
  state.doubt =
      LeapDoubt{absl::Microseconds(doubt[0]), absl::FromUnixMicros(doubt[1]),
                absl::FromUnixMicros(doubt[2])};
  return state;
}

absl::StatusOr<std::optional<LeapState>> ClockKeeper::Recall() const {
  RECLAIM_ASSIGN_OR_RETURN(const std::optional<std::string> text,
                           index::ReadStateFile(file_, kBytesMax));
  if (!text) return std::optional<LeapState>();
  RECLAIM_ASSIGN_OR_RETURN(LeapState state, Parse(*text));
  return std::optional<LeapState>(std::move(state));
}

void ClockKeeper::Begin(const std::string& data_directory, Say say, Show show) {
  data_directory_ = data_directory;
  file_ = {data_directory + "/clock", "what is known of the clock"};
  say_ = std::move(say);
  show_ = std::move(show);
  absl::StatusOr<std::optional<LeapState>> earlier = Recall();
  if (!earlier.ok()) {
    say_(absl::StrCat("the file ", file_.path, ": ", earlier.status().message(),
                      "; the wall clock is taken to be right"));
    earlier = std::optional<LeapState>();
  }
  clock_.Begin(boot_id_, *earlier);
  believed_ = clock_.State().origin;
  Tick();
}

void ClockKeeper::Run() {
  ticker_ = std::make_unique<Ticker>(kInterval, [this] { Tick(); });
}

void ClockKeeper::End() {
  if (say_ == nullptr) return;
  ticker_.reset();
  saved_.reset();
  Tick();
  say_ = nullptr;
}

void ClockKeeper::Tick() {
  const absl::Duration held = clock_.HeldBack();
  const LeapState state = clock_.State();
  show_(held);
  Tell(state, held);
  Save(state);
}

void ClockKeeper::Tell(const LeapState& state, absl::Duration held) {
  const bool is_taken_on = state.origin > believed_;
  believed_ = state.origin;
  if (absl::AbsDuration(held - told_) < LeapClock::kNotable) return;
  if (held > told_) {
    say_(absl::StrCat(
        "the wall clock is ", Shown(held),
        " ahead of what the time since boot allows: it was set forward, or the "
        "machine was off for long; leases, grace, quarantine and plans end by "
        "the time without that until it has stood for a day "
        "(docs/OPERATING.md, \"ReclaimClockHeldBack\")"));
  } else if (is_taken_on) {
    say_(
        absl::StrCat("the wall clock has stood for a day and is taken to be "
                     "right: the daemon's time is set forward by ",
                     Shown(told_ - held)));
  } else {
    say_(absl::StrCat("the wall clock was set back by ", Shown(told_ - held),
                      "; the leap forward is forgotten"));
  }
  told_ = held;
}

void ClockKeeper::Save(const LeapState& state) {
  if (saved_ && AreAlike(*saved_, state) &&
      state.boot - saved_->boot < kSaveInterval) {
    return;
  }
  if (FreeBytes(data_directory_) < kFreeBytesMin) return;
  const absl::Status status = index::ReplaceStateFile(file_, ToText(state));
  if (!status.ok() && !has_failed_) {
    say_(absl::StrCat(status.message(),
                      "; until it can be written, a leap of the clock may be "
                      "taken on by a restart"));
  }
  has_failed_ = !status.ok();
  if (status.ok()) saved_ = state;
}

}  // namespace reclaim::server
