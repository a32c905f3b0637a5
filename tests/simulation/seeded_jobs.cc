// The lives of the daemon, and what it is at.

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/check.h"
#include "gc/collector.h"
#include "gc/plan.h"
#include "gc/prune_request.h"
#include "gc/run.h"
#include "index/engine.h"
#include "index/testing/lossy_engine.h"
#include "tests/simulation/baton.h"
#include "tests/simulation/promises.h"
#include "tests/simulation/seeded_daemon.h"
#include "tests/simulation/seeded_world.h"

namespace reclaim::simulation {
namespace {

constexpr char kActor[] = "simulation";
constexpr char kBetween[] = "between steps";
constexpr absl::Duration kQuarantinePeriod = absl::Hours(2);

absl::Status Killed() {
  return absl::UnavailableError("the daemon has been killed");
}

// With all of it durable.
std::unique_ptr<index::LossyEngine> CopyOf(const index::Engine& engine) {
  index::Batch batch;
  for (int i = 0; i < index::kFamilyCount; ++i) {
    const auto family = static_cast<index::Family>(i);
    const absl::Status status = engine.Scan(
        family, "", "", [&](absl::string_view key, absl::string_view value) {
          batch.Put(family, std::string(key), std::string(value));
          return true;
        });
    RECLAIM_CHECK(status.ok(), "memory can be read");
  }
  auto copy = std::make_unique<index::LossyEngine>();
  const absl::Status status = copy->Commit(batch, index::Durability::kDurable);
  RECLAIM_CHECK(status.ok(), "memory takes every commit");
  return copy;
}

}  // namespace

void SeededWorld::StartDaemon() {
  SeededDaemon::Site site;
  site.engine = engine_.get();
  site.disk = &disk_;
  site.clock = &clock_;
  site.deeds = &counts_.deeds;
  site.seed = options_.seed * 64 + ++life_;
  site.has_guard = options_.has_guard;
  site.scans_for_proof = options_.scans_for_proof;
  daemon_ = std::make_unique<SeededDaemon>(
      site, [this](const std::string& step, bool is_free) {
        return Pause(step, is_free);
      });
  counted_ = {0, absl::InfinitePast()};
  const absl::Status opened = daemon_->Open();
  if (!opened.ok()) {
    Fail(absl::StrCat("the daemon does not start: ", opened.ToString()));
  }
}

void SeededWorld::Crash() {
  const bool loses_power = Below(2) == 0;
  Trace(loses_power ? "power cut" : "crash");
  is_dead_ = true;
  EndJobs();
  daemon_.reset();
  is_dead_ = false;
  const size_t unsynced = engine_->unsynced_count();
  const size_t survivors = loses_power ? Below(unsynced + 1) : unsynced;
  engine_ = CopyOf(*engine_->AfterPowerCut(survivors));
  ++counts_.crashes;
  if (loses_power) ++counts_.power_cuts;
  StartDaemon();
  if (!failure_.empty()) return;
  CheckAcknowledged();
  is_recovering_ = true;
  Start("recovery", &SeededWorld::DoRecover);
}

absl::Status SeededWorld::Pause(const std::string& step, bool is_free) {
  if (is_dead_) return Killed();
  // What a caller makes the daemon do is one step.
  if (running_ == nullptr) return absl::OkStatus();
  running_->paused_at = step;
  running_->is_free = is_free;
  running_->baton->Pause();
  return is_dead_ ? Killed() : absl::OkStatus();
}

// While one holds a lock the others wait: they are of one thread.
SeededWorld::Job* SeededWorld::NextJob() {
  if (jobs_.empty()) return nullptr;
  for (const auto& job : jobs_) {
    if (!job->is_free) return job.get();
  }
  return jobs_[Below(jobs_.size())].get();
}

bool SeededWorld::Resume(Job* job) {
  Trace(job->name, ": ", job->paused_at);
  ++counts_.daemon_steps;
  running_ = job;
  job->baton->Resume();
  running_ = nullptr;
  if (!job->baton->has_ended()) return true;
  jobs_.erase(std::find_if(jobs_.begin(), jobs_.end(),
                           [job](const auto& it) { return it.get() == job; }));
  return false;
}

void SeededWorld::Start(const char* name, JobBody body) {
  auto job = std::make_unique<Job>();
  Job* const begun = job.get();
  begun->name = name;
  begun->paused_at = "begins";
  begun->baton =
      std::make_unique<Baton>([this, begun, body] { (this->*body)(begun); });
  jobs_.push_back(std::move(job));
  Resume(begun);
}

// REQUIRES: is_dead_, so that none of them pauses.
void SeededWorld::EndJobs() {
  while (!jobs_.empty()) Resume(NextJob());
}

bool SeededWorld::IsFree() const {
  return !is_recovering_ &&
         std::all_of(jobs_.begin(), jobs_.end(),
                     [](const auto& job) { return job->is_free; });
}

gc::RunControl SeededWorld::ControlOf(Job* job) {
  gc::RunControl control;
  control.is_cancelled = [this, job] { return is_dead_ || job->is_cancelled; };
  control.on_progress = [this](const gc::Run&) {
    // A killed daemon's next step fails.
    Pause(kBetween, /*is_free=*/true).IgnoreError();
  };
  return control;
}

bool SeededWorld::ScanNow(const gc::RunControl& control) {
  const Promises::Sight before = promises_.Look();
  const bool from_nothing = Below(4) == 0;
  const auto run =
      daemon_->collector()->Scan(kStore, from_nothing, kActor, control);
  if (!Note("scan", run.status())) return false;
  // Some of it may be of an image that is not whole: that is a problem told.
  if (run->phase != gc::RunPhase::kSucceeded &&
      run->phase != gc::RunPhase::kPartial) {
    return false;
  }
  promises_.Seen(before, clock_.Now());
  return true;
}

std::string SeededWorld::PlanNow(const gc::RunControl& control) {
  gc::PruneRequest request;
  request.store = kStore;
  request.verb = gc::PruneVerb::kSystem;
  request.policy.grace_period = kGrace;
  request.policy.quarantine_period = kQuarantinePeriod;
  request.policy.batch_item_count = static_cast<uint32_t>(1 + Below(4));
  request.policy.large_plan_percent = 100;
  request.actor = kActor;
  const auto plan = daemon_->collector()->MakePlan(request, control);
  if (!Note("plan", plan.status())) return "";
  plans_.push_back(plan->id);
  return plan->id;
}

bool SeededWorld::ApplyNow(const std::string& plan,
                           const gc::RunControl& control) {
  gc::ApplyRequest request;
  request.plan_id = plan;
  request.actor = kActor;
  const auto run = daemon_->collector()->Apply(request, control);
  if (!Note("apply", run.status())) return false;
  applied_.push_back(run->id);
  return true;
}

bool SeededWorld::PurgeNow(bool before_period_ends,
                           const gc::RunControl& control) {
  gc::PurgeRequest request;
  request.store = kStore;
  request.before_period_ends = before_period_ends;
  request.actor = kActor;
  const auto run = daemon_->collector()->Purge(request, control);
  return Note("purge", run.status());
}

void SeededWorld::DoScan(Job* job) { ScanNow(ControlOf(job)); }

void SeededWorld::DoCollect(Job* job) {
  const gc::RunControl control = ControlOf(job);
  if (Below(3) > 0 && !ScanNow(control)) return;
  if (!Pause(kBetween, /*is_free=*/true).ok()) return;
  const std::string plan = PlanNow(control);
  if (plan.empty() || !Pause(kBetween, /*is_free=*/true).ok()) return;
  ApplyNow(plan, control);
}

void SeededWorld::DoPlan(Job* job) { PlanNow(ControlOf(job)); }

void SeededWorld::DoApply(Job* job) {
  if (plans_.empty()) return;
  const std::string plan = plans_[Below(plans_.size())];
  ApplyNow(plan, ControlOf(job));
}

void SeededWorld::DoRestore(Job* job) {
  gc::RestoreRequest request;
  request.store = kStore;
  request.actor = kActor;
  if (!applied_.empty() && Below(2) == 0) {
    request.run_id = applied_[Below(applied_.size())];
  } else {
    request.digest = ContentOf(AnyContent()).digest;
  }
  Note("restore",
       daemon_->collector()->Restore(request, ControlOf(job)).status());
}

void SeededWorld::DoPurge(Job* job) {
  PurgeNow(/*before_period_ends=*/Below(2) == 0, ControlOf(job));
}

void SeededWorld::DoRecover(Job* job) {
  const gc::Recovery recovery = daemon_->collector()->BeginRecovery();
  if (is_dead_) return;
  if (!recovery.status.ok()) {
    return Fail(absl::StrCat("recovery: ", recovery.status.ToString()));
  }
  is_recovering_ = false;
  const gc::RunControl control = ControlOf(job);
  for (const std::string& run : recovery.unfinished_runs) {
    if (!Pause(kBetween, /*is_free=*/true).ok()) return;
    Note("resume", daemon_->collector()->Resume(run, control).status());
  }
}

}  // namespace reclaim::simulation
