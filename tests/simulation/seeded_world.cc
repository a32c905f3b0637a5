// What is drawn, and what must hold.

#include "tests/simulation/seeded_world.h"

#include <algorithm>
#include <iterator>

#include "index/graph_view.h"
#include "index/node.h"
#include "index/recount.h"
#include "index/reference_graph.h"
#include "index/totals.h"
#include "tests/model/machine_twin.h"

namespace reclaim::simulation {
namespace {

constexpr absl::Duration kOld = absl::Hours(1000);
constexpr absl::Duration kQuietTime = absl::Hours(3);
constexpr size_t kWantedCount = 4;
constexpr size_t kClientCount = 3;
constexpr size_t kJobMax = 2;
constexpr size_t kCrashMax = 2;
constexpr int kEndlessSteps = 100000;

// Somebody came first, or what was asked for is not there any more.
bool IsAnswer(const absl::Status& status) {
  return absl::IsAborted(status) || absl::IsCancelled(status) ||
         absl::IsFailedPrecondition(status) || absl::IsNotFound(status);
}

}  // namespace

SeededWorld::SeededWorld(const SeedOptions& options)
    : options_(options), random_(options.seed) {
  disk_.repositories.clear();
  for (const char* name : kRepositories) disk_.repositories.insert(name);
  const std::vector<int>& manifests = tests::MachineManifests();
  while (wanted_.size() < kWantedCount) {
    wanted_.push_back(manifests[Below(manifests.size())]);
  }
  PutOldContent();
  while (clients_.size() < kClientCount) {
    clients_.push_back(std::make_unique<Client>(
        ClientSite{&disk_, &promises_, &clock_, &random_, &wanted_}));
  }
  crashes_left_ = Below(kCrashMax + 1);
  StartDaemon();
  if (failure_.empty() && !ScanNow({})) Fail("the store can't be read");
}

SeededWorld::~SeededWorld() {
  is_dead_ = true;
  EndJobs();
}

int SeededWorld::AnyContent() {
  if (Below(2) == 0) return wanted_[Below(wanted_.size())];
  return static_cast<int>(Below(tests::AllMachineContent().size()));
}

void SeededWorld::PutOld(const std::string& repository, int manifest) {
  const absl::Time old = clock_.Now() - kOld;
  std::vector<int> contents = {manifest};
  for (const int child : ContentOf(manifest).children) {
    if (ContentOf(child).is_manifest) {
      PutOld(repository, child);
    } else {
      contents.push_back(child);
    }
  }
  for (const int content : contents) {
    const tests::MachineContent& of = ContentOf(content);
    disk_.blobs.try_emplace(of.digest, Disk::File{of.bytes, old});
    disk_.links[LinkTo(repository, content)] = old;
  }
}

// Some of it garbage, which clients may want.
void SeededWorld::PutOldContent() {
  for (const int manifest : wanted_) {
    if (Below(4) == 0) continue;
    const std::string repository =
        kRepositories[Below(std::size(kRepositories))];
    PutOld(repository, manifest);
    if (Below(2) == 0 || ContentOf(manifest).subject >= 0) continue;
    const Disk::TagName name(repository, absl::StrCat("t", Below(3)));
    disk_.tags[name] = {ContentOf(manifest).digest, clock_.Now() - kOld};
    promises_.Tagged(name);
  }
}

void SeededWorld::Fail(const std::string& what) {
  if (is_dead_ || !failure_.empty()) return;
  failure_ = what;
  Trace("FAILED: ", what);
}

bool SeededWorld::Note(absl::string_view what, const absl::Status& status) {
  if (is_dead_) return false;
  if (!status.ok() && !IsAnswer(status)) {
    Fail(absl::StrCat(what, ": ", status.ToString()));
  }
  return status.ok();
}

void SeededWorld::Step() {
  const size_t draw = Below(100);
  if (draw < 40 && ResumeJob()) return;
  if (draw >= 40 && draw < 68) return StepClient();
  if (draw >= 68 && draw < 77 && CallDaemon()) return;
  if (draw >= 77 && draw < 87 && BeginJob()) return;
  if (draw >= 87 && draw < 97 && PassTime()) return;
  if (draw >= 97 && crashes_left_ > 0) {
    --crashes_left_;
    return Crash();
  }
  if (!ResumeJob()) BeginJob();
}

// One as often as several.
size_t SeededWorld::Some(size_t most) {
  return Below(2) == 0 ? 1 : 1 + Below(most);
}

bool SeededWorld::ResumeJob() {
  Job* const job = NextJob();
  if (job == nullptr) return false;
  const size_t step_count = Some(10);
  for (size_t i = 0; i < step_count && failure_.empty(); ++i) {
    if (!Resume(job)) return true;
    CheckDisk();
  }
  return true;
}

bool SeededWorld::BeginJob() {
  struct Choice {
    const char* name;
    JobBody body;
  };
  static constexpr Choice kChoices[] = {
      {"collection", &SeededWorld::DoCollect},
      {"collection", &SeededWorld::DoCollect},
      {"collection", &SeededWorld::DoCollect},
      {"scan", &SeededWorld::DoScan},
      {"plan", &SeededWorld::DoPlan},
      {"apply", &SeededWorld::DoApply},
      {"restore", &SeededWorld::DoRestore},
      {"purge", &SeededWorld::DoPurge},
      {"purge", &SeededWorld::DoPurge},
  };
  if (jobs_.size() >= kJobMax || !IsFree()) return false;
  const Choice& choice = kChoices[Below(std::size(kChoices))];
  Start(choice.name, choice.body);
  return true;
}

void SeededWorld::StepClient() {
  const size_t number = Below(clients_.size());
  Client* const client = clients_[number].get();
  if (client->IsIdle()) {
    Trace("client ", number, " ", client->Begin());
  } else if (Below(50) == 0) {
    Trace("client ", number, " gives up");
    client->GiveUp();
  }
  const size_t step_count = Some(6);
  for (size_t i = 0; i < step_count && !client->IsIdle(); ++i) {
    Trace("client ", number);
    client->Step();
  }
}

// No client takes longer than the operator has said.
bool SeededWorld::MayPass(absl::Duration step) const {
  return std::all_of(clients_.begin(), clients_.end(), [&](const auto& client) {
    return !client->looked() ||
           clock_.Now() + step < *client->looked() + kWriteDurationMax;
  });
}

bool SeededWorld::PassTime() {
  static constexpr int kSeconds[] = {1, 10, 70, 20 * 60, 65 * 60, 3 * 60 * 60};
  absl::Duration step = absl::Seconds(kSeconds[Below(std::size(kSeconds))]);
  if (!MayPass(step)) step = absl::Seconds(1);
  if (!MayPass(step)) return false;
  Trace("time: ", absl::FormatDuration(step));
  clock_.Advance(step);
  return true;
}

bool SeededWorld::IsQuarantined(int content) const {
  const auto reader = daemon_->graph()->Read();
  const index::GraphView& view = reader->view();
  const index::PlaceId place = view.FindPlace(view.FindStore(kStore), "");
  const index::NodeId id =
      place == index::kNoPlace
          ? index::kNoNode
          : view.FindContent(place, ContentOf(content).digest);
  return id != index::kNoNode &&
         view.state(id) == index::NodeState::kQuarantined;
}

void SeededWorld::CheckDisk() {
  if (!failure_.empty()) return;
  const std::string broken = promises_.Check(clock_.Now());
  if (!broken.empty()) Fail(broken);
}

void SeededWorld::CheckAll() {
  CheckDisk();
  if (failure_.empty() && IsFree()) CheckGraph();
}

// The counters are a recount (I6), and what the graph has is here.
void SeededWorld::CheckGraph() {
  const auto reader = daemon_->graph()->Read();
  const index::GraphView& view = reader->view();
  const absl::Time now = std::max(clock_.Now(), reader->now());
  const std::pair<uint64_t, absl::Time> at(reader->sequence(), now);
  if (at == counted_) return;
  counted_ = at;
  ++counts_.recounts;
  const index::StoreId store = view.FindStore(kStore);
  const index::StoreTotals totals = reader->totals(store);
  index::RecountInputs inputs;
  inputs.store = store;
  inputs.now = now;
  inputs.grace_period = kGrace;
  inputs.orphans = totals.orphan;
  inputs.adopted = totals.adopted;
  inputs.adopted_held = totals.adopted_held;
  const index::StoreTotals recounted = index::Recount(view, inputs);
  if (totals != recounted) {
    return Fail(absl::StrCat("the counters are no recount:\n",
                             index::ToString(totals), "recounted:\n",
                             index::ToString(recounted)));
  }
  const index::PlaceId place = view.FindPlace(store, "");
  for (const tests::MachineContent& content : tests::AllMachineContent()) {
    if (place == index::kNoPlace) return;
    const index::NodeId id = view.FindContent(place, content.digest);
    if (id == index::kNoNode || view.state(id) != index::NodeState::kPresent ||
        disk_.blobs.count(content.digest) > 0) {
      continue;
    }
    return Fail(absl::StrCat("the graph has ", content.digest.Short(),
                             ", which is not there"));
  }
}

// Nobody else is at work, and no period is longer than each of these times.
void SeededWorld::CollectQuietly() {
  Trace("a quiet collection");
  clock_.Advance(kQuietTime);
  if (!ScanNow({})) return Fail("a quiet scan does not end");
  const std::string plan = PlanNow({});
  if (plan.empty()) return Fail("no plan is made when all is quiet");
  if (!ApplyNow(plan, {})) return Fail("a quiet sweep does not end");
  clock_.Advance(kQuietTime);
  if (!PurgeNow(/*before_period_ends=*/false, {})) {
    return Fail("a quiet purge does not end");
  }
}

void SeededWorld::CheckEnd() {
  const std::string left = promises_.CheckEnd(clock_.Now());
  if (!left.empty()) return Fail(left);
  const auto reader = daemon_->graph()->Read();
  const index::GraphView& view = reader->view();
  const index::StoreId store = view.FindStore(kStore);
  const index::StoreTotals totals = reader->totals(store);
  if (totals.quarantined.count > 0) {
    return Fail("the graph counts what is in no quarantine");
  }
  const index::PlaceId place = view.FindPlace(store, "");
  for (const auto& [digest, file] : disk_.blobs) {
    const index::NodeId id = view.FindContent(place, digest);
    if (id != index::kNoNode && view.state(id) == index::NodeState::kPresent) {
      continue;
    }
    return Fail(absl::StrCat("the graph does not know ", digest.Short(),
                             ", which is there"));
  }
}

void SeededWorld::Settle() {
  for (int i = 0; !jobs_.empty() && failure_.empty(); ++i) {
    if (i == kEndlessSteps) return Fail("the daemon does not come to an end");
    Resume(NextJob());
    CheckAll();
  }
  for (const auto& client : clients_) {
    while (!client->IsIdle() && failure_.empty()) {
      client->Step();
      CheckDisk();
    }
  }
  for (int i = 0; i < 2 && failure_.empty(); ++i) {
    CollectQuietly();
    CheckAll();
  }
  if (failure_.empty()) CheckEnd();
}

SeedEnd SeededWorld::Run() {
  const size_t choice_count = 150 + Below(150);
  for (size_t i = 0; i < choice_count && failure_.empty(); ++i) {
    Step();
    CheckAll();
  }
  if (failure_.empty()) Settle();
  for (const auto& client : clients_) {
    counts_.accepted += client->accepted_count();
    counts_.refused += client->refused_count();
  }
  return {failure_, counts_, trace_};
}

SeedCounts& SeedCounts::operator+=(const SeedCounts& other) {
  daemon_steps += other.daemon_steps;
  crashes += other.crashes;
  power_cuts += other.power_cuts;
  calls += other.calls;
  recounts += other.recounts;
  accepted += other.accepted;
  refused += other.refused;
  deeds.moved += other.deeds.moved;
  deeds.restored += other.deeds.restored;
  deeds.freed += other.deeds.freed;
  return *this;
}

std::string ToString(const SeedCounts& counts) {
  return absl::StrCat(
      counts.daemon_steps, " steps of the daemon, ", counts.calls, " calls, ",
      counts.crashes, " crashes (", counts.power_cuts, " of the machine), ",
      counts.accepted, " tags accepted, ", counts.refused,
      " requests refused, ", counts.deeds.moved, " things moved, ",
      counts.deeds.restored, " given back, ", counts.deeds.freed, " freed; ",
      counts.recounts, " recounts");
}

}  // namespace reclaim::simulation
