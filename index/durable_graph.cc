// The reference graph on an engine: the write order, and reading.

#include "index/durable_graph.h"

#include <algorithm>
#include <mutex>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "base/check.h"
#include "base/status_macros.h"

namespace reclaim::index {
namespace {

constexpr int kRestoreAttemptMax = 3;

class Reader final : public GraphReader {
 public:
  // With the shared lock on the resident graph.
  Reader(const ResidentGraph* graph, absl::Mutex* mutex, Epoch epoch,
         uint64_t sequence)
      : graph_(graph), mutex_(mutex), epoch_(epoch), sequence_(sequence) {}
  ~Reader() override { mutex_->ReaderUnlock(); }

  const GraphView& view() const override { return *graph_; }
  const StoreTotals& totals(StoreId store) const override {
    return graph_->totals(store);
  }
  bool IsLive(NodeId id) const override { return graph_->IsLive(id); }
  uint32_t ReferenceCount(NodeId id) const override {
    return graph_->ReferenceCount(id);
  }
  Epoch epoch() const override { return epoch_; }
  uint64_t sequence() const override { return sequence_; }

 private:
  const ResidentGraph* graph_;
  absl::Mutex* mutex_;
  Epoch epoch_;
  uint64_t sequence_;
};

}  // namespace

class HeldOrder final : public WriteOrder {
 public:
  explicit HeldOrder(DurableGraph* graph)
      : graph_(graph), lock_(graph->write_mutex_), reader_(graph->Read()) {}

  const GraphReader& reader() const override { return *reader_; }

  absl::Status Commit(absl::Span<const StateChange> changes,
                      absl::Span<const Operation> operations,
                      absl::Span<const RecordWrite> records,
                      absl::string_view actor) override {
    reader_.reset();
    const absl::Status status =
        graph_->CommitHeld(changes, operations, records, actor);
    reader_ = graph_->Read();
    return status;
  }

 private:
  DurableGraph* graph_;
  std::unique_lock<std::mutex> lock_;
  std::unique_ptr<GraphReader> reader_;
};

absl::Status DurableGraph::CheckWritable() const {
  if (broken_.ok()) return absl::OkStatus();
  return absl::UnavailableError(
      absl::StrCat("the graph is read-only since its database failed; restart "
                   "reclaimd: ",
                   broken_.message()));
}

absl::Status DurableGraph::Commit(const WriteSet& set, Durability durability) {
  if (!set.HasChanges()) return absl::OkStatus();
  Batch batch = set.ToBatch(options_.event_count_max);
  const std::vector<NodeId> flipped = AddTimes(&batch);
  const absl::Status status = engine_->Commit(batch, durability);
  if (!status.ok()) {
    KeepTimes(flipped);
    // A full disk refused the batch whole.  After anything else nobody knows
    // what is on the disk: only a new start reads it.
    if (status.code() != absl::StatusCode::kResourceExhausted) {
      broken_ = status;
    }
    return status;
  }
  state_ = set.state();
  state_.set_latest_time(ToMicros(set.now()));
  absl::MutexLock lock(&graph_mutex_);
  graph_.AdvanceTo(set.now());
  set.ApplyTo(&graph_);
  sequence_ = state_.next_sequence() - 1;
  return absl::OkStatus();
}

OperationApplier::FindStore DurableGraph::StoreFinder() const {
  return [this](const std::string& name) -> const StoreRecord* {
    for (const auto& [id, store] : stores_) {
      if (store.name == name) return &store;
    }
    return nullptr;
  };
}

absl::StatusOr<std::optional<AppliedMutation>> DurableGraph::Replay(
    const std::string& request_id, absl::Time now) const {
  if (request_id.empty()) return std::optional<AppliedMutation>();
  RECLAIM_ASSIGN_OR_RETURN(const std::optional<std::string> value,
                           engine_->Get(Family::kRequest, request_id));
  if (!value) return std::optional<AppliedMutation>();
  RECLAIM_ASSIGN_OR_RETURN(
      const storage::v1::RequestRecord record,
      ParseRecord<storage::v1::RequestRecord>(Family::kRequest, *value));
  if (FromMicros(record.time()) + options_.request_memory < now) {
    return std::optional<AppliedMutation>();
  }
  AppliedMutation applied;
  applied.sequence = record.sequence();
  applied.changed_count = record.changed_count();
  applied.was_replayed = true;
  applied.problems.assign(record.problems().begin(), record.problems().end());
  return std::optional<AppliedMutation>(std::move(applied));
}

absl::StatusOr<AppliedMutation> DurableGraph::ApplyOnce(
    const Mutation& mutation, Durability durability,
    std::vector<NodeId>* quarantined) {
  std::lock_guard<std::mutex> order(write_mutex_);
  RECLAIM_RETURN_IF_ERROR(CheckWritable());
  const absl::Time now = Now();
  RECLAIM_ASSIGN_OR_RETURN(std::optional<AppliedMutation> replayed,
                           Replay(mutation.request_id, now));
  if (replayed) return *std::move(replayed);
  WriteSet set(engine_, &graph_, state_, now);
  OperationApplier applier(&set, StoreFinder(), options_, mutation.actor);
  {
    absl::ReaderMutexLock lock(&graph_mutex_);
    for (size_t i = 0; i < mutation.operations.size(); ++i) {
      const absl::Status status = applier.Apply(mutation.operations[i]);
      if (status.ok()) continue;
      return absl::Status(status.code(), absl::StrCat("operations[", i, "].",
                                                      status.message()));
    }
  }
  if (!applier.quarantined().empty()) {
    quarantined->assign(applier.quarantined().begin(),
                        applier.quarantined().end());
    return AppliedMutation();
  }
  AppliedMutation applied;
  applied.changed_count = applier.changed_count();
  applied.problems = applier.problems();
  applied.sequence = set.state().next_sequence() - 1;
  if (!mutation.request_id.empty()) {
    storage::v1::RequestRecord record;
    record.set_time(ToMicros(now));
    record.set_sequence(applied.sequence);
    record.set_changed_count(applied.changed_count);
    for (const std::string& problem : applied.problems) {
      record.add_problems(problem);
    }
    set.AddRecord(Family::kRequest, mutation.request_id,
                  record.SerializeAsString());
  }
  RECLAIM_RETURN_IF_ERROR(Commit(set, durability));
  return applied;
}

absl::StatusOr<AppliedMutation> DurableGraph::Apply(const Mutation& mutation,
                                                    Durability durability) {
  for (int attempt = 0; attempt < kRestoreAttemptMax; ++attempt) {
    std::vector<NodeId> quarantined;
    absl::StatusOr<AppliedMutation> applied =
        ApplyOnce(mutation, durability, &quarantined);
    if (!applied.ok() || quarantined.empty()) return applied;
    Restorer* restorer = restorer_;
    if (restorer == nullptr) {
      return absl::FailedPreconditionError(
          "the content is in quarantine and nothing is there to restore it; "
          "run `reclaim restore` first");
    }
    RECLAIM_RETURN_IF_ERROR(
        restorer->RestoreNodes(quarantined, mutation.actor));
  }
  return absl::AbortedError(
      "the content went back into quarantine while it was referenced; retry");
}

absl::StatusOr<bool> DurableGraph::CheckExists(const ContentName& name,
                                               absl::string_view actor) {
  {
    const std::unique_ptr<GraphReader> reader = Read();
    const StoreId store = reader->view().FindStore(name.store);
    if (store == kNoStore) {
      return absl::NotFoundError(
          absl::StrCat("store \"", name.store, "\" is not registered"));
    }
    const PlaceId place = graph_.FindPlace(store, name.place);
    const NodeId id = reader->view().FindContent(place, name.digest);
    if (id == kNoNode || reader->view().state(id) == NodeState::kAbsent) {
      return false;
    }
  }
  Mutation mutation;
  mutation.actor = std::string(actor);
  Touch touch;
  touch.name = name;
  touch.use = UseKind::kExists;
  mutation.operations.push_back(touch);
  RECLAIM_RETURN_IF_ERROR(Apply(mutation, Durability::kDurable).status());
  // A purge may have come between: what is said is what is there now.
  const std::unique_ptr<GraphReader> reader = Read();
  const PlaceId place =
      graph_.FindPlace(reader->view().FindStore(name.store), name.place);
  const NodeId id = reader->view().FindContent(place, name.digest);
  return id != kNoNode && reader->view().state(id) == NodeState::kPresent;
}

std::unique_ptr<GraphReader> DurableGraph::Read() const {
  const absl::Time now = clock_->Now();
  graph_mutex_.ReaderLock();
  if (graph_.IsDue(now)) {
    graph_mutex_.ReaderUnlock();
    {
      absl::MutexLock lock(&graph_mutex_);
      graph_.AdvanceTo(now);
    }
    graph_mutex_.ReaderLock();
  }
  return std::make_unique<Reader>(&graph_, &graph_mutex_, epoch_.load(),
                                  sequence_.load());
}

std::unique_ptr<WriteOrder> DurableGraph::HoldWriteOrder() {
  return std::make_unique<HeldOrder>(this);
}

absl::StatusOr<Epoch> DurableGraph::BeginEpoch() {
  std::lock_guard<std::mutex> order(write_mutex_);
  RECLAIM_RETURN_IF_ERROR(CheckWritable());
  storage::v1::GraphState next = state_;
  next.set_epoch(state_.epoch() + 1);
  Batch batch;
  batch.Put(Family::kMeta, kStateKey, next.SerializeAsString());
  const std::vector<NodeId> flipped = AddTimes(&batch);
  const absl::Status status = engine_->Commit(batch, Durability::kDurable);
  if (!status.ok()) {
    KeepTimes(flipped);
    return status;
  }
  state_ = next;
  epoch_ = next.epoch();
  return next.epoch();
}

absl::Status DurableGraph::ChangeState(const StateChange& change,
                                       absl::string_view actor,
                                       WriteSet* set) const {
  RECLAIM_ASSIGN_OR_RETURN(storage::v1::ContentRecord * record,
                           set->ContentById(change.node));
  const NodeState from = static_cast<NodeState>(record->state());
  if (from == change.to) return absl::OkStatus();
  RECLAIM_CHECK(
      change.to != NodeState::kAbsent || from == NodeState::kQuarantined,
      "only quarantined bytes are purged (I2)");
  record->set_state(static_cast<uint32_t>(change.to));
  // What was given back is wanted: plans that are older spare it.
  if (change.to == NodeState::kPresent) record->set_stamp(set->epoch());
  Event event;
  event.kind = change.to == NodeState::kQuarantined ? EventKind::kQuarantined
               : change.to == NodeState::kPresent   ? EventKind::kRestored
                                                    : EventKind::kPurged;
  event.node_kind = static_cast<NodeKind>(record->kind());
  event.store = graph_.StoreName(static_cast<StoreId>(record->store()));
  event.place = graph_.PlaceName(record->place());
  event.digest = graph_.digest(change.node);
  event.bytes = {record->logical_bytes(), record->allocated_bytes()};
  event.actor = std::string(actor);
  event.run_id = change.run_id;
  event.detail = change.detail;
  set->AddEvent(std::move(event));
  if (change.to == NodeState::kAbsent) {
    record->set_logical_bytes(0);
    record->set_allocated_bytes(0);
    record->clear_extent();
  }
  return absl::OkStatus();
}

absl::Status DurableGraph::CommitHeld(absl::Span<const StateChange> changes,
                                      absl::Span<const Operation> operations,
                                      absl::Span<const RecordWrite> records,
                                      absl::string_view actor) {
  RECLAIM_RETURN_IF_ERROR(CheckWritable());
  WriteSet set(engine_, &graph_, state_, Now());
  OperationApplier applier(&set, StoreFinder(), options_, std::string(actor));
  {
    absl::ReaderMutexLock lock(&graph_mutex_);
    for (const StateChange& change : changes) {
      RECLAIM_RETURN_IF_ERROR(ChangeState(change, actor, &set));
    }
    for (const Operation& operation : operations) {
      RECLAIM_RETURN_IF_ERROR(applier.Apply(operation));
    }
  }
  for (const RecordWrite& write : records) {
    set.AddRecord(write.family, write.key, write.value);
  }
  return Commit(set, Durability::kDurable);
}

}  // namespace reclaim::index
