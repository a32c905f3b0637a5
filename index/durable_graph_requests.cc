// What requests were answered, so that a repeated one gets the same answer.

#include <algorithm>
#include <utility>

#include "base/status_macros.h"
#include "index/durable_graph.h"
#include "index/record_encoding.h"

namespace reclaim::index {

using storage::v1::RequestRecord;

absl::StatusOr<std::optional<RequestRecord>> DurableGraph::FindRequest(
    RequestKind kind, absl::string_view request_id, absl::Time now) const {
  const absl::Time oldest = now - options_.request_memory;
  const uint32_t last = RequestPeriod(oldest);
  for (uint32_t period = RequestPeriod(now);; --period) {
    RECLAIM_ASSIGN_OR_RETURN(
        const std::optional<std::string> value,
        engine_->Get(Family::kRequest, RequestKey(period, kind, request_id)));
    if (value) {
      RECLAIM_ASSIGN_OR_RETURN(
          RequestRecord record,
          ParseRecord<RequestRecord>(Family::kRequest, *value));
      if (FromMicros(record.time()) < oldest) break;
      return std::optional<RequestRecord>(std::move(record));
    }
    if (period == last) break;
  }
  return std::optional<RequestRecord>();
}

absl::StatusOr<std::optional<AppliedMutation>> DurableGraph::Replay(
    const std::string& request_id, absl::Time now) const {
  if (request_id.empty()) return std::optional<AppliedMutation>();
  RECLAIM_ASSIGN_OR_RETURN(
      const std::optional<RequestRecord> record,
      FindRequest(RequestKind::kMutation, request_id, now));
  if (!record) return std::optional<AppliedMutation>();
  AppliedMutation applied;
  applied.sequence = record->sequence();
  applied.changed_count = record->changed_count();
  applied.was_replayed = true;
  applied.problems.assign(record->problems().begin(), record->problems().end());
  return std::optional<AppliedMutation>(std::move(applied));
}

absl::StatusOr<bool> DurableGraph::WasApplied(const std::string& request_id) {
  std::optional<AppliedMutation> applied;
  {
    base::MutexLock order(&write_mutex_);
    RECLAIM_ASSIGN_OR_RETURN(applied, Replay(request_id, Now()));
  }
  if (!applied) return false;
  RECLAIM_RETURN_IF_ERROR(AwaitDurable());
  return true;
}

absl::Status DurableGraph::AddAnswer(const std::string& request_id,
                                     const AppliedMutation& applied,
                                     WriteSet* set) {
  RequestRecord record;
  record.set_time(ToMicros(set->now()));
  record.set_sequence(applied.sequence);
  record.set_changed_count(applied.changed_count);
  for (const std::string& problem : applied.problems) {
    record.add_problems(problem);
  }
  RECLAIM_ASSIGN_OR_RETURN(std::string bytes, EncodeRecord(record));
  set->AddRecord(
      Family::kRequest,
      RequestKey(RequestPeriod(set->now()), RequestKind::kMutation, request_id),
      std::move(bytes));
  return absl::OkStatus();
}

void DurableGraph::TrimRequests(absl::Time now, WriteSet* set) {
  const uint32_t oldest = RequestPeriod(now - options_.request_memory);
  if (oldest <= oldest_request_period_) return;
  oldest_request_period_ = oldest;
  set->AddTrim(Family::kRequest, RequestKey(oldest, RequestKind(0), ""));
}

absl::StatusOr<std::optional<std::string>> DurableGraph::RecallAnswer(
    absl::string_view request_id) {
  base::MutexLock order(&write_mutex_);
  RECLAIM_ASSIGN_OR_RETURN(
      const std::optional<RequestRecord> record,
      FindRequest(RequestKind::kAnswer, request_id, Now()));
  if (!record) return std::optional<std::string>();
  return std::optional<std::string>(record->begun_id());
}

absl::Status DurableGraph::RememberAnswer(absl::string_view request_id,
                                          absl::string_view answer) {
  RECLAIM_ASSIGN_OR_RETURN(const CommitNumber commit,
                           RememberInOrder(request_id, answer));
  return sync_.Wait(commit);
}

absl::StatusOr<DurableGraph::CommitNumber> DurableGraph::RememberInOrder(
    absl::string_view request_id, absl::string_view answer) {
  base::MutexLock order(&write_mutex_);
  RECLAIM_RETURN_IF_ERROR(CheckWritable());
  const absl::Time now = Now();
  WriteSet set(engine_, &graph_, state_, now);
  RequestRecord record;
  record.set_time(ToMicros(now));
  record.set_begun_id(std::string(answer));
  RECLAIM_ASSIGN_OR_RETURN(std::string bytes, EncodeRecord(record));
  set.AddRecord(
      Family::kRequest,
      RequestKey(RequestPeriod(now), RequestKind::kAnswer, request_id),
      std::move(bytes));
  TrimRequests(now, &set);
  return Commit(&set);
}

}  // namespace reclaim::index
