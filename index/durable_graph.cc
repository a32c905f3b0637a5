// The reference graph on an engine: the write order, and reading.

#include "index/durable_graph.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/mutex.h"
#include "base/status_macros.h"

namespace reclaim::index {
namespace {

constexpr int kRestoreAttemptMax = 3;

class Reader final : public GraphReader {
 public:
  // With the shared lock on the resident graph.
  Reader(const ResidentGraph* graph, base::Mutex* mutex, Epoch epoch,
         uint64_t sequence)
      : graph_(graph), mutex_(mutex), epoch_(epoch), sequence_(sequence) {}
  ~Reader() override { mutex_->ReaderUnlock(); }

  const GraphView& view() const override { return *graph_; }
  const StoreTotals& totals(StoreId store) const override {
    return graph_->totals(store);
  }
  absl::Time now() const override { return graph_->now(); }
  bool IsLive(NodeId id) const override { return graph_->IsLive(id); }
  uint32_t ReferenceCount(NodeId id) const override {
    return graph_->ReferenceCount(id);
  }
  Epoch epoch() const override { return epoch_; }
  uint64_t sequence() const override { return sequence_; }

 private:
  const ResidentGraph* graph_;
  base::Mutex* mutex_;
  Epoch epoch_;
  uint64_t sequence_;
};

}  // namespace

class HeldOrder final : public WriteOrder {
 public:
  // Holds the lock for as long as it lives.
  explicit HeldOrder(DurableGraph* graph) ABSL_NO_THREAD_SAFETY_ANALYSIS
      : graph_(graph) {
    graph_->write_mutex_.Lock();
    reader_ = graph_->Read();
  }
  ~HeldOrder() override ABSL_NO_THREAD_SAFETY_ANALYSIS {
    if (reader_ == nullptr) return;
    reader_.reset();
    graph_->write_mutex_.Unlock();
  }

  const GraphReader& reader() const override {
    RECLAIM_CHECK(reader_ != nullptr, "the write order was let go");
    return *reader_;
  }

  absl::Status Commit(absl::Span<const StateChange> changes,
                      absl::Span<const Operation> operations,
                      absl::Span<const RecordWrite> records,
                      absl::string_view actor) override
      ABSL_NO_THREAD_SAFETY_ANALYSIS {
    RECLAIM_CHECK(reader_ != nullptr, "a write order commits once");
    reader_.reset();
    const absl::StatusOr<uint64_t> commit =
        graph_->CommitHeld(changes, operations, records, actor);
    // Others may write while this one waits for the disk.
    graph_->write_mutex_.Unlock();
    RECLAIM_RETURN_IF_ERROR(commit.status());
    return graph_->sync_.Wait(*commit);
  }

 private:
  DurableGraph* graph_;
  std::unique_ptr<GraphReader> reader_;
};

absl::Status DurableGraph::CheckWritable() const {
  if (broken_.ok()) return sync_.status();
  return absl::UnavailableError(
      absl::StrCat("the graph is read-only since its database failed; restart "
                   "reclaimd: ",
                   broken_.message()));
}

absl::StatusOr<DurableGraph::CommitNumber> DurableGraph::CommitBatch(
    const Batch& batch) {
  const absl::Status status = engine_->Commit(batch, Durability::kBuffered);
  if (status.ok()) return sync_.Add();
  // A full disk refused the batch whole.  After anything else nobody knows
  // what is on the disk: only a new start reads it.
  if (status.code() != absl::StatusCode::kResourceExhausted) broken_ = status;
  return status;
}

absl::StatusOr<DurableGraph::CommitNumber> DurableGraph::CommitWithTimes(
    Batch batch) {
  const std::vector<NodeId> flipped = AddTimes(&batch);
  const absl::StatusOr<CommitNumber> commit = CommitBatch(batch);
  if (!commit.ok()) KeepTimes(flipped);
  return commit;
}

absl::StatusOr<DurableGraph::CommitNumber> DurableGraph::Commit(WriteSet* set) {
  // Also who changes nothing relies on what he found: on all up to here.
  if (!set->HasChanges()) return sync_.last();
  RECLAIM_RETURN_IF_ERROR(CheckSums(*set));
  set->TrimEvents(options_.event_count_max);
  RECLAIM_ASSIGN_OR_RETURN(Batch batch, set->ToBatch());
  RECLAIM_ASSIGN_OR_RETURN(const CommitNumber commit,
                           CommitWithTimes(std::move(batch)));
  state_ = set->state();
  state_.set_latest_time(ToMicros(set->now()));
  base::MutexLock lock(&graph_mutex_);
  graph_.AdvanceTo(set->now());
  set->ApplyTo(&graph_);
  sequence_ = state_.next_sequence() - 1;
  oldest_sequence_ = state_.oldest_sequence();
  return commit;
}

OperationApplier::FindStore DurableGraph::StoreFinder() const {
  return [this](const std::string& name) -> const StoreRecord* {
    for (const auto& [id, store] : stores_) {
      if (store.name == name) return &store;
    }
    return nullptr;
  };
}

absl::Status DurableGraph::HoldKnownCopies() {
  base::MutexLock order(&write_mutex_);
  WriteSet set(engine_, &graph_, state_, Now());
  OperationApplier applier(&set, StoreFinder(), options_, "");
  {
    base::ReaderMutexLock lock(&graph_mutex_);
    for (const auto& [id, store] : stores_) {
      RECLAIM_RETURN_IF_ERROR(applier.HoldKnown(store));
    }
  }
  return Commit(&set).status();
}

absl::StatusOr<DurableGraph::Applied> DurableGraph::ApplyInOrder(
    const Mutation& mutation, FoundCopies* copies) {
  base::MutexLock order(&write_mutex_);
  RECLAIM_RETURN_IF_ERROR(CheckWritable());
  const absl::Time now = Now();
  RECLAIM_ASSIGN_OR_RETURN(std::optional<AppliedMutation> replayed,
                           Replay(mutation.request_id, now));
  Applied out;
  out.commit = sync_.last();
  if (replayed) {
    out.mutation = *std::move(replayed);
    return out;
  }
  WriteSet set(engine_, &graph_, state_, now);
  OperationApplier applier(&set, StoreFinder(), options_, mutation.actor);
  {
    base::ReaderMutexLock lock(&graph_mutex_);
    copies->Follow(graph_);
    applier.UseCopies(copies);
    for (size_t i = 0; i < mutation.operations.size(); ++i) {
      const absl::Status status = applier.Apply(mutation.operations[i]);
      if (status.ok()) continue;
      return absl::Status(status.code(), absl::StrCat("operations[", i, "].",
                                                      status.message()));
    }
    RECLAIM_RETURN_IF_ERROR(applier.HoldArrived());
  }
  if (!applier.quarantined().empty()) {
    out.quarantined.assign(applier.quarantined().begin(),
                           applier.quarantined().end());
    return out;
  }
  AppliedMutation& applied = out.mutation;
  applied.changed_count = applier.changed_count();
  applied.problems = applier.problems();
  applied.sequence = set.state().next_sequence() - 1;
  if (!mutation.request_id.empty()) {
    RECLAIM_RETURN_IF_ERROR(AddAnswer(mutation.request_id, applied, &set));
    TrimRequests(now, &set);
  }
  RECLAIM_ASSIGN_OR_RETURN(out.commit, Commit(&set));
  return out;
}

FoundCopies DurableGraph::FindCopies(const Mutation& mutation) const {
  FoundCopies copies;
  const std::unique_ptr<GraphReader> reader = Read();
  for (const Operation& operation : mutation.operations) {
    copies.Want(reader->view(), operation);
  }
  copies.Look(reader->view());
  return copies;
}

absl::StatusOr<AppliedMutation> DurableGraph::Apply(const Mutation& mutation,
                                                    Durability durability) {
  FoundCopies copies = FindCopies(mutation);
  return ApplyWith(mutation, durability, &copies);
}

absl::StatusOr<AppliedMutation> DurableGraph::ApplyWith(
    const Mutation& mutation, Durability durability, FoundCopies* copies) {
  for (int attempt = 0; attempt < kRestoreAttemptMax; ++attempt) {
    RECLAIM_ASSIGN_OR_RETURN(Applied applied, ApplyInOrder(mutation, copies));
    if (applied.quarantined.empty()) {
      if (durability == Durability::kDurable) {
        RECLAIM_RETURN_IF_ERROR(sync_.Wait(applied.commit));
      }
      return std::move(applied.mutation);
    }
    Restorer* restorer = restorer_;
    if (restorer == nullptr) {
      return absl::FailedPreconditionError(
          "the content is in quarantine and nothing is there to restore it; "
          "run `reclaim restore` first");
    }
    RECLAIM_RETURN_IF_ERROR(
        restorer->RestoreNodes(applied.quarantined, mutation.actor));
  }
  return absl::AbortedError(
      "the content went back into quarantine while it was referenced; retry");
}

std::unique_ptr<GraphReader> DurableGraph::Read() const {
  const absl::Time now = clock_->Now();
  graph_mutex_.ReaderLock();
  if (graph_.IsDue(now)) {
    graph_mutex_.ReaderUnlock();
    {
      base::MutexLock lock(&graph_mutex_);
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
  Epoch epoch = 0;
  RECLAIM_ASSIGN_OR_RETURN(const CommitNumber commit, NextEpochInOrder(&epoch));
  RECLAIM_RETURN_IF_ERROR(sync_.Wait(commit));
  return epoch;
}

absl::StatusOr<DurableGraph::CommitNumber> DurableGraph::NextEpochInOrder(
    Epoch* epoch) {
  base::MutexLock order(&write_mutex_);
  RECLAIM_RETURN_IF_ERROR(CheckWritable());
  storage::v1::GraphState next = state_;
  next.set_epoch(state_.epoch() + 1);
  Batch batch;
  batch.Put(Family::kMeta, kStateKey, next.SerializeAsString());
  RECLAIM_ASSIGN_OR_RETURN(const CommitNumber commit, CommitWithTimes(batch));
  state_ = next;
  epoch_ = next.epoch();
  *epoch = next.epoch();
  return commit;
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
    if (record->has_extent()) {
      RECLAIM_ASSIGN_OR_RETURN(storage::v1::ContentRecord * extent,
                               set->ContentById(record->extent()));
      // One of the names of its file; the next scan tells how many are left.
      if (extent->link_count() > 0) {
        extent->set_link_count(extent->link_count() - 1);
      }
    }
    record->clear_extent();
  }
  return absl::OkStatus();
}

absl::StatusOr<DurableGraph::CommitNumber> DurableGraph::CommitHeld(
    absl::Span<const StateChange> changes,
    absl::Span<const Operation> operations,
    absl::Span<const RecordWrite> records, absl::string_view actor) {
  RECLAIM_RETURN_IF_ERROR(CheckWritable());
  WriteSet set(engine_, &graph_, state_, Now());
  OperationApplier applier(&set, StoreFinder(), options_, std::string(actor));
  applier.TellOfLinks();
  {
    base::ReaderMutexLock lock(&graph_mutex_);
    for (const StateChange& change : changes) {
      RECLAIM_RETURN_IF_ERROR(ChangeState(change, actor, &set));
    }
    for (const Operation& operation : operations) {
      RECLAIM_RETURN_IF_ERROR(applier.Apply(operation));
    }
    RECLAIM_RETURN_IF_ERROR(applier.HoldArrived());
  }
  for (const RecordWrite& write : records) {
    set.AddRecord(write.family, write.key, write.value);
  }
  return Commit(&set);
}

}  // namespace reclaim::index
