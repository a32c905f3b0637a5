#include "cli/run_follower.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>

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

// How often somebody looks whether a signal has come.
constexpr std::chrono::milliseconds kLook{100};

// Asks the daemon to cancel a run once a signal has come, also while nothing
// changes there: a run may wait for an hour to keep its pace.  If the daemon
// refuses, the watching ends.
class Canceller {
 public:
  // `stub` and `watching` are not owned.
  Canceller(v1::CollectionService::Stub* stub, std::string run_id,
            grpc::ClientContext* watching)
      : stub_(stub),
        run_id_(std::move(run_id)),
        watching_(watching),
        thread_([this] { Await(); }) {}
  ~Canceller() { End(); }
  Canceller(const Canceller&) = delete;
  Canceller& operator=(const Canceller&) = delete;

  // Asks no more.  How the daemon refused; OK if it did not, or was not asked.
  grpc::Status End() {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      has_ended_ = true;
    }
    ended_.notify_all();
    if (thread_.joinable()) thread_.join();
    return refusal_;
  }

 private:
  void Await() {
    std::unique_lock<std::mutex> lock(mutex_);
    while (SignalWatch::Caught() == 0) {
      if (ended_.wait_for(lock, kLook, [this] { return has_ended_; })) return;
    }
    lock.unlock();
    v1::CancelRunRequest request;
    request.set_id(run_id_);
    grpc::ClientContext context;
    v1::Run cancelled;
    refusal_ = stub_->CancelRun(&context, request, &cancelled);
    if (!refusal_.ok()) watching_->TryCancel();
  }

  v1::CollectionService::Stub* const stub_;
  const std::string run_id_;
  grpc::ClientContext* const watching_;
  grpc::Status refusal_;  // the thread's, until it has ended
  std::mutex mutex_;
  std::condition_variable ended_;
  bool has_ended_ = false;  // guarded by mutex_
  std::thread thread_;      // last: it uses the others
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
      return SignalWatch::Caught() != 0 ? 128 + SignalWatch::Caught()
                                        : static_cast<int>(kDeclined);
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
  SignalWatch watch;
  return FollowRun(session, &watch, run);
}

int FollowRun(Session* session, SignalWatch* watch, v1::Run* run) {
  watch->Hold();
  const auto stub = v1::CollectionService::NewStub(session->channel());
  v1::WatchRunRequest request;
  request.set_id(run->id());
  grpc::ClientContext context;
  const auto reader = stub->WatchRun(&context, request);
  Canceller canceller(stub.get(), run->id(), &context);
  v1::Run state;
  while (reader->Read(&state)) {
    *run = state;
    Draw(session, *run);
  }
  const grpc::Status refusal = canceller.End();
  const grpc::Status watched = reader->Finish();
  if (!refusal.ok()) {
    session->note() << "reclaim: run " << run->id() << " was not cancelled\n";
    return session->Check(refusal);
  }
  const int code = session->Check(watched);
  if (code != kDone) return code;
  return Verdict(session, *run);
}

}  // namespace reclaim::cli
