// That the database was lost: written with the first record of the one that
// stands in its place, so no crash comes between (or, of an older copy, before
// its mark says that it is the latest), and gone once confirmed.

#include <optional>
#include <utility>

#include "base/mutex.h"
#include "base/status_macros.h"
#include "index/durable_graph.h"
#include "index/record_encoding.h"

namespace reclaim::index {

absl::Status DurableGraph::BeginState() {
  state_.set_format_version(kFormatVersion);
  state_.set_next_sequence(1);
  state_.set_epoch(1);
  if (!options_.earlier_database.empty()) {
    state_.set_loss_found(ToMicros(Now()));
    state_.set_loss_why(options_.earlier_database);
  }
  RECLAIM_ASSIGN_OR_RETURN(std::string bytes, EncodeRecord(state_));
  Batch batch;
  batch.Put(Family::kMeta, kStateKey, std::move(bytes));
  return engine_->Commit(batch, Durability::kDurable);
}

absl::Status DurableGraph::RecordLaterDatabase() {
  if (options_.later_database.empty() || state_.has_loss_found()) {
    return absl::OkStatus();
  }
  state_.set_loss_found(ToMicros(Now()));
  state_.set_loss_why(options_.later_database);
  RECLAIM_ASSIGN_OR_RETURN(std::string bytes, EncodeRecord(state_));
  Batch batch;
  batch.Put(Family::kMeta, kStateKey, std::move(bytes));
  return engine_->Commit(batch, Durability::kDurable);
}

void DurableGraph::LoadLoss() {
  base::MutexLock lock(&loss_mutex_);
  loss_.reset();
  if (!state_.has_loss_found()) return;
  loss_ = DatabaseLoss{FromMicros(state_.loss_found()), state_.loss_why()};
}

std::optional<DatabaseLoss> DurableGraph::UnconfirmedLoss() const {
  base::MutexLock lock(&loss_mutex_);
  return loss_;
}

absl::StatusOr<DurableGraph::CommitNumber> DurableGraph::ConfirmInOrder() {
  base::MutexLock order(&write_mutex_);
  RECLAIM_RETURN_IF_ERROR(CheckWritable());
  if (!state_.has_loss_found()) return sync_.last();
  storage::v1::GraphState next = state_;
  next.clear_loss_found();
  next.clear_loss_why();
  Batch batch;
  batch.Put(Family::kMeta, kStateKey, next.SerializeAsString());
  RECLAIM_ASSIGN_OR_RETURN(const CommitNumber commit, CommitBatch(batch));
  state_ = next;
  return commit;
}

absl::Status DurableGraph::ConfirmLoss() {
  RECLAIM_ASSIGN_OR_RETURN(const CommitNumber commit, ConfirmInOrder());
  // Before it is durable nothing may go: a crash would bring the question back.
  RECLAIM_RETURN_IF_ERROR(sync_.Wait(commit));
  base::MutexLock lock(&loss_mutex_);
  loss_.reset();
  return absl::OkStatus();
}

}  // namespace reclaim::index
