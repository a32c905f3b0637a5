#include "tests/simulation/protocol_world.h"

#include <optional>
#include <utility>

#include "absl/hash/hash.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "index/engine.h"
#include "store/testing/store_tree.h"
#include "tests/simulation/blind_graph.h"
#include "tests/simulation/pausing_engine.h"

namespace reclaim::simulation {
namespace {

using store::MembershipKind;

constexpr char kFree[] = "between steps";
constexpr char kWait[] = "waiting for writers";
constexpr absl::Duration kOld = absl::Hours(1000);

oci::Digest D(const std::string& bytes) { return oci::Digest::Sha256Of(bytes); }

void PutLayer(const std::string& bytes, absl::Time time, Disk* disk) {
  disk->blobs[D(bytes)] = {bytes, time};
  disk->links[{kRepository, D(bytes), MembershipKind::kLayer}] = time;
}

void PutManifest(const std::string& bytes, absl::Time time, Disk* disk) {
  disk->blobs[D(bytes)] = {bytes, time};
  disk->links[{kRepository, D(bytes), MembershipKind::kRevision}] = time;
}

bool AnyConflict(const std::vector<Access>& some,
                 const std::vector<Access>& others) {
  for (const Access& a : some) {
    for (const Access& b : others) {
      if (Conflict(a, b)) return true;
    }
  }
  return false;
}

}  // namespace

const char* ToString(Actor actor) {
  switch (actor) {
    case Actor::kDaemon:
      return "daemon";
    case Actor::kFirstWriter:
      return "first writer";
    case Actor::kSecondWriter:
      return "second writer";
    case Actor::kCrash:
      return "crash";
  }
  return "";
}

class World::Daemon final : public gc::CollectorObserver {
 public:
  Daemon(World* world, int instance)
      : world_(*world),
        random_(static_cast<uint32_t>(instance)),
        engine_(
            &world->engine_, /*stops_at_syncs=*/false,
            [world](const std::string& step) { return world->Pause(step); }),
        store_(
            &world->disk_,
            world->scenario_.has_foreign_writers &&
                world->scenario_.scans_for_proof,
            [world](const std::string& step) { return world->Pause(step); },
            [world](std::optional<Access> access, const std::string& answer) {
              if (access) world->accesses_.push_back(*std::move(access));
              world->Observe(answer);
            }) {
    index::GraphOptions options;
    options.grace_period = absl::Hours(1);
    auto opened =
        index::ReferenceGraph::Open(&engine_, &world->clock_, options);
    RECLAIM_CHECK(opened.ok(), "the graph opens");
    graph_ = *std::move(opened);
    index::StoreRecord record;
    record.name = "s";
    record.kind = store::StoreKind::kRegistry;
    record.writers = {world->scenario_.write_duration_max,
                      world->scenario_.told_cache, ""};
    RECLAIM_CHECK(graph_->RegisterStore(record).ok(), "the store registers");
    blind_ = std::make_unique<BlindGraph>(graph_.get());
    auto collector = gc::Collector::Create(
        world->scenario_.has_guard ? graph_.get() : blind_.get(),
        &world->clock_, &random_, this);
    RECLAIM_CHECK(collector.ok(), "the collector opens");
    collector_ = *std::move(collector);
    RECLAIM_CHECK(collector_->AttachStore("s", &store_).ok(), "it attaches");
  }

  void OnItemRestored(const std::string&, const gc::PlanItem&) override {
    ++world_.restored_count_;
  }

  index::ReferenceGraph* graph() { return graph_.get(); }
  gc::Collector* collector() { return collector_.get(); }

 private:
  World& world_;
  base::SeededRandom random_;
  PausingEngine engine_;
  ModelRegistry store_;
  std::unique_ptr<index::ReferenceGraph> graph_;
  std::unique_ptr<BlindGraph> blind_;
  std::unique_ptr<gc::Collector> collector_;
};

World::World(const Scenario& scenario) : scenario_(scenario) {
  const absl::Time old = clock_.Now() - kOld;
  // A live image, which the writers' configs are of; an old one without a tag;
  // an old layer that nothing references.
  PutLayer("config", old, &disk_);
  PutLayer("layer", old, &disk_);
  const std::string live = store::ImageText({D("config")});
  const std::string again = store::ImageText({D("config"), D("layer")});
  PutManifest(live, old, &disk_);
  disk_.tags[{kRepository, "live"}] = {D(live), old};
  PutManifest(again, old, &disk_);
  const std::string fresh =
      store::ImageText({D("config"), D("layer"), D("layer")});
  const std::vector<oci::Digest> blobs = {D("config"), D("layer")};
  writers_.push_back(std::make_unique<Writer>(
      scenario.writers[0], Image{"fresh", fresh, blobs, "layer"},
      scenario.registry, &disk_));
  // Beside one who pulls a tag, the other moves it.
  const char* const tag = writers_[0]->IsPull() ? "live" : "again";
  writers_.push_back(std::make_unique<Writer>(scenario.writers[1],
                                              Image{tag, again, blobs, "layer"},
                                              scenario.registry, &disk_));
  StartDaemon();
  RECLAIM_CHECK(daemon_->collector()->Scan("s", false, "setup", {}).ok(),
                "the store can be read");
  is_armed_ = true;
  baton_ = std::make_unique<Baton>([this] { RunDaemon(); });
}

World::~World() {
  is_dead_ = true;
  while (!baton_->has_ended()) baton_->Resume();
  baton_.reset();
}

void World::StartDaemon() {
  ++instance_;
  paused_at_ = kFree;
  daemon_ = std::make_unique<Daemon>(this, instance_);
}

absl::Status World::Pause(const std::string& step) {
  if (is_dead_) return absl::UnavailableError("the daemon has been killed");
  // What a writer's call makes the daemon do is one step of the writer.
  if (!is_armed_ || baton_ == nullptr || !baton_->IsBody()) {
    return absl::OkStatus();
  }
  paused_at_ = step;
  baton_->Pause();
  if (is_dead_) return absl::UnavailableError("the daemon has been killed");
  return absl::OkStatus();
}

void World::Observe(const std::string& answer) {
  observed_ = absl::HashOf(observed_, answer);
}

// A killed daemon's calls fail; what it would do next does not matter.
void World::RunDaemon() {
  if (instance_ > 1) {
    RunRecovered();
    return;
  }
  Collect();
  PurgeAll();
}

void World::RunRecovered() {
  const absl::Status recovered = daemon_->collector()->Recover();
  RECLAIM_CHECK(recovered.ok() || is_dead_, "recovery does not fail");
  PurgeAll();
}

void World::Collect() {
  gc::Collector* collector = daemon_->collector();
  gc::RunControl control;
  control.on_progress = [this](const gc::Run&) {
    // A cancelled run ends by itself.
    Pause(kFree).IgnoreError();
  };
  if (scenario_.has_foreign_writers &&
      !collector->Scan("s", false, "daemon", {}).ok()) {
    return;
  }
  gc::PruneRequest request;
  request.store = "s";
  request.verb = gc::PruneVerb::kSystem;
  request.policy.grace_period = absl::Hours(1);
  request.policy.batch_item_count = 2;
  request.policy.large_plan_percent = 100;
  const auto plan = collector->MakePlan(request, control);
  if (!plan.ok() || !Pause(kFree).ok()) return;
  gc::ApplyRequest apply;
  apply.plan_id = plan->id;
  // What fails is put right by recovery, or by the next life's.
  collector->Apply(apply, control).IgnoreError();
}

void World::PurgeAll() {
  if (!Pause(kWait).ok()) return;
  clock_.Advance(scenario_.write_duration_max);
  has_moved_time_ = true;
  gc::PurgeRequest request;
  request.store = "s";
  request.before_period_ends = true;
  gc::RunControl control;
  control.on_progress = [this](const gc::Run&) { Pause(kFree).IgnoreError(); };
  daemon_->collector()->Purge(request, control).IgnoreError();
}

// No lock of the daemon's is held: a caller would not wait.
bool World::IsFree() const {
  return baton_->has_ended() || paused_at_ == kFree || paused_at_ == kWait ||
         absl::StartsWith(paused_at_, kScanStep);
}

std::vector<Actor> World::Enabled() const {
  std::vector<Actor> enabled;
  const bool runs = !baton_->has_ended();
  bool has_window = false;
  for (const auto& writer : writers_) has_window |= writer->IsInWindow();
  // The time that it waits for is longer than any writer takes.
  const bool waits = paused_at_ == kWait && has_window &&
                     scenario_.write_duration_max > absl::ZeroDuration();
  if (runs && !waits) enabled.push_back(Actor::kDaemon);
  for (int i = 0; i < 2; ++i) {
    const Writer& writer = *writers_[i];
    if (writer.IsDone() || (writer.CallsDaemon() && !IsFree())) continue;
    enabled.push_back(i == 0 ? Actor::kFirstWriter : Actor::kSecondWriter);
  }
  if (runs && scenario_.may_crash && instance_ == 1) {
    enabled.push_back(Actor::kCrash);
  }
  return enabled;
}

void World::StepWriter(size_t number) {
  const bool calls = writers_[number]->CallsDaemon();
  writers_[number]->Step(clock_.Now(), daemon_->graph());
  if (calls) Observe(absl::StrCat("call of writer ", number));
}

// What the daemon knew is gone: lives that begin with the same records, before
// the same disk, are one, whatever came before.
void World::Crash() {
  is_dead_ = true;
  while (!baton_->has_ended()) baton_->Resume();
  baton_.reset();
  is_armed_ = false;
  daemon_.reset();
  is_dead_ = false;
  const uint64_t begin = DurableState();
  accesses_.clear();
  StartDaemon();
  RECLAIM_CHECK(accesses_.empty(), "a start reads nothing that writers write");
  daemon_step_count_ = 0;
  observed_ = begin;
  is_armed_ = true;
  baton_ = std::make_unique<Baton>([this] { RunDaemon(); });
}

std::array<bool, 2> World::WritersThatMind() const {
  std::array<bool, 2> mind = {};
  for (size_t i = 0; i < mind.size(); ++i) {
    // What a pull changes is in the graph, which each step may read.
    mind[i] = has_moved_time_ || writers_[i]->IsPull() ||
              AnyConflict(writers_[i]->LaterAccesses(), accesses_);
  }
  for (size_t i = 0; i < mind.size(); ++i) {
    bool& other = mind[1 - i];
    other = other || (mind[i] && AnyConflict(writers_[1 - i]->LaterAccesses(),
                                             writers_[i]->NextAccesses()));
  }
  return mind;
}

void World::Step(Actor actor) {
  accesses_.clear();
  has_moved_time_ = false;
  switch (actor) {
    case Actor::kDaemon:
      ++daemon_step_count_;
      baton_->Resume();
      return;
    case Actor::kFirstWriter:
    case Actor::kSecondWriter:
      StepWriter(actor == Actor::kFirstWriter ? 0 : 1);
      return;
    case Actor::kCrash:
      Crash();
      return;
  }
}

uint64_t World::DurableState() const {
  std::string text;
  for (int i = 0; i < index::kFamilyCount; ++i) {
    const absl::Status status =
        engine_.Scan(static_cast<index::Family>(i), "", "",
                     [&](absl::string_view key, absl::string_view value) {
                       absl::StrAppend(&text, i, " ", key.size(), " ", key, " ",
                                       value.size(), " ", value);
                       return true;
                     });
    RECLAIM_CHECK(status.ok(), "memory can be read");
  }
  return absl::HashOf(text);
}

uint64_t World::KeyOf(const Life& life) const {
  return absl::HashOf(disk_.ToText(), writers_[0]->ToText(),
                      writers_[1]->ToText(), life.observed, life.instance,
                      life.step_count, life.has_ended, life.paused_at,
                      absl::ToUnixMicros(clock_.Now()));
}

uint64_t World::Key() const {
  return KeyOf({observed_, instance_, daemon_step_count_, baton_->has_ended(),
                paused_at_});
}

std::optional<uint64_t> World::KeyAfter(Actor actor) {
  if (actor == Actor::kDaemon) return std::nullopt;
  if (actor == Actor::kCrash) {
    return KeyOf({DurableState(), instance_ + 1, 0, false, kFree});
  }
  Writer& writer = *writers_[actor == Actor::kFirstWriter ? 0 : 1];
  if (writer.CallsDaemon()) return std::nullopt;
  const Disk disk = disk_;
  const Writer::Progress progress = writer.progress();
  writer.Step(clock_.Now(), nullptr);
  const uint64_t key = Key();
  writer.set_progress(progress);
  disk_ = disk;
  return key;
}

std::string World::FindLoss() {
  is_armed_ = false;
  // What was found lost is found by what was promised alone; the scan repairs.
  if (scenario_.has_foreign_writers) {
    const auto scan = daemon_->collector()->Scan("s", false, "end", {});
    if (!scan.ok()) return std::string(scan.status().message());
  }
  for (const auto& writer : writers_) {
    const std::string missing = writer->Missing();
    if (!missing.empty()) return missing;
  }
  return "";
}

}  // namespace reclaim::simulation
