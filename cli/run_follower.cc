#include "cli/run_follower.h"

#include <signal.h>

#include <algorithm>
#include <atomic>
#include <iterator>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "cli/listing.h"
#include "cli/typed_json.h"
#include "cli/units.h"
#include "reclaim/v1/collection.grpc.pb.h"

namespace reclaim::cli {
namespace {

constexpr int kBarWidth = 30;
constexpr int kProblemMax = 10;

constexpr int kSignals[] = {SIGINT, SIGTERM, SIGHUP};

// The signal that asked us to end; 0 for none.
std::atomic<int> caught{0};

// While it lives, a signal sets a number instead of ending the program.
class SignalWatch {
 public:
  SignalWatch() {
    caught = 0;
    struct sigaction action = {};
    action.sa_handler = [](int number) { caught = number; };
    for (size_t i = 0; i < std::size(kSignals); ++i) {
      sigaction(kSignals[i], &action, &before_[i]);
    }
  }
  ~SignalWatch() {
    for (size_t i = 0; i < std::size(kSignals); ++i) {
      sigaction(kSignals[i], &before_[i], nullptr);
    }
  }

 private:
  struct sigaction before_[std::size(kSignals)] = {};
};

std::string Lower(std::string word, absl::string_view prefix) {
  absl::string_view rest = word;
  absl::ConsumePrefix(&rest, prefix);
  return absl::AsciiStrToLower(rest);
}

void Draw(Session* session, const v1::Run& run) {
  if (session->json) {
    session->out() << JsonLine("status", run) << '\n' << std::flush;
    return;
  }
  if (!session->shows_progress()) return;
  const uint64_t total = run.total_count();
  std::string bar;
  if (total > 0) {
    const int filled =
        static_cast<int>(kBarWidth * std::min(run.done_count(), total) / total);
    bar =
        absl::StrCat("[", std::string(static_cast<size_t>(filled), '#'),
                     std::string(static_cast<size_t>(kBarWidth - filled), '.'),
                     "] ", run.done_count(), "/", total);
  } else {
    bar = absl::StrCat(run.done_count(), " seen");
  }
  session->err() << "\r\x1b[K" << KindWord(run.kind()) << " " << bar << " "
                 << HumanSize(run.done_bytes().logical_bytes()) << " "
                 << Safe(run.step()) << std::flush;
}

int Verdict(Session* session, const v1::Run& run) {
  if (session->shows_progress()) session->err() << "\r\x1b[K";
  for (int i = 0; i < run.problems_size() && i < kProblemMax; ++i) {
    session->err() << "reclaim: " << Safe(run.problems(i)) << '\n';
  }
  if (run.problems_size() > kProblemMax) {
    session->err() << "reclaim: and " << run.problems_size() - kProblemMax
                   << " more; `reclaim runs show " << run.id() << "`\n";
  }
  switch (run.phase()) {
    case v1::RUN_PHASE_SUCCEEDED:
      return kDone;
    case v1::RUN_PHASE_PARTIAL:
      return kPartial;
    case v1::RUN_PHASE_CANCELLED:
      session->err() << "reclaim: run " << run.id()
                     << " was cancelled; what it had done stands\n";
      return caught != 0 ? 128 + caught : static_cast<int>(kDeclined);
    default:
      return kFailed;
  }
}

}  // namespace

std::string KindWord(v1::RunKind kind) {
  return Lower(v1::RunKind_Name(kind), "RUN_KIND_");
}
std::string PhaseWord(v1::RunPhase phase) {
  return Lower(v1::RunPhase_Name(phase), "RUN_PHASE_");
}

uint64_t FreedBytes(const v1::RemovalBytes& bytes) {
  return bytes.content().logical_bytes();
}

void SayHeld(const v1::RemovalBytes& bytes, std::ostream* out) {
  if (!bytes.has_held()) return;
  *out << HumanSize(bytes.held().logical_bytes()) << " ("
       << bytes.held().allocated_bytes()
       << " bytes on disk) more leave the store and stay on the disk: their "
          "files have other names (hard links)\n";
}

int FollowRun(Session* session, v1::Run* run) {
  const auto stub = v1::CollectionService::NewStub(session->channel());
  v1::WatchRunRequest request;
  request.set_id(run->id());
  grpc::ClientContext context;
  SignalWatch watch;
  const auto reader = stub->WatchRun(&context, request);
  v1::Run state;
  bool is_asked = false;
  while (reader->Read(&state)) {
    *run = state;
    Draw(session, *run);
    if (caught == 0 || is_asked) continue;
    is_asked = true;
    v1::CancelRunRequest cancel;
    cancel.set_id(run->id());
    v1::Run cancelled;
    session->Ask(&v1::CollectionService::Stub::CancelRun, stub.get(), cancel,
                 &cancelled);
  }
  const int code = session->Check(reader->Finish());
  if (code != kDone) return code;
  return Verdict(session, *run);
}

}  // namespace reclaim::cli
