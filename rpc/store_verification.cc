// VerifyStore: findings and progress as a stream.

#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/status_macros.h"
#include "gc/collector.h"
#include "gc/plan.h"
#include "gc/run.h"
#include "index/node.h"
#include "index/verify.h"
#include "rpc/call.h"
#include "rpc/store_service.h"
#include "store/types.h"

namespace reclaim::rpc {
namespace {

constexpr absl::Duration kShortestInterval = absl::Milliseconds(100);

v1::Finding ToProto(const index::Finding& finding) {
  v1::Finding out;
  out.set_check(finding.check);
  out.set_severity(static_cast<v1::FindingSeverity>(finding.severity));
  out.set_subject(finding.subject);
  out.set_detail(finding.detail);
  out.set_advice(finding.advice);
  return out;
}

absl::StatusOr<std::vector<index::AdoptedBlob>> ListAdopted(
    const ServiceParts& parts, const std::string& store) {
  RECLAIM_ASSIGN_OR_RETURN(const std::vector<gc::QuarantineEntry> entries,
                           parts.collector->ListQuarantine(
                               store, 0, std::numeric_limits<uint64_t>::max()));
  std::vector<index::AdoptedBlob> adopted;
  for (const gc::QuarantineEntry& entry : entries) {
    const gc::PlanItem& item = entry.item;
    // The node of a second copy stands for the first.
    const bool has_node = item.node != index::kNoNode && !entry.is_superseded;
    if (has_node || !item.removal ||
        item.removal->kind != store::RemovalKind::kBlob || !item.digest) {
      continue;
    }
    const store::Bytes held = entry.is_superseded ? item.held : store::Bytes();
    adopted.push_back(
        {item.removal->place, *item.digest, item.bytes + held, held});
  }
  return adopted;
}

absl::StatusOr<index::VerifyReport> VerifyAndTell(
    const ServiceParts& parts, const std::string& store,
    const store::ContentStore* content, const index::VerifyOptions& options) {
  gc::Run run;
  run.kind = gc::RunKind::kVerify;
  run.store = store;
  run.started = parts.clock->Now();
  parts.observer->OnVerifyBegin(run);
  absl::StatusOr<index::VerifyReport> report =
      index::Verify(parts.graph, store, content, *parts.clock, options);
  run.ended = parts.clock->Now();
  run.phase = report.ok() && report->damage_count == 0
                  ? gc::RunPhase::kSucceeded
                  : gc::RunPhase::kFailed;
  parts.observer->OnVerifyEnd(run);
  return report;
}

}  // namespace

absl::Status StoreService::Verify(
    const v1::VerifyStoreRequest& request, const Caller& caller,
    grpc::ServerWriter<v1::VerifyStoreResponse>* responses) const {
  if (request.read_data()) {
    // It may take the disk for hours.
    RECLAIM_RETURN_IF_ERROR(
        Require(caller, Role::kPrune, "VerifyStore with read_data"));
  }
  RECLAIM_ASSIGN_OR_RETURN(const index::StoreRecord store,
                           parts_.stores->Find(request.name()));
  RECLAIM_ASSIGN_OR_RETURN(const store::ContentStore* content,
                           parts_.stores->Content(store.name));
  v1::VerifyStoreResponse pending;
  absl::Duration last = parts_.clock->Monotonic();
  index::VerifyOptions options;
  options.read_data = request.read_data();
  options.list_adopted = [&] { return ListAdopted(parts_, store.name); };
  options.list_kept = [&] { return parts_.collector->KeptScopes(store.name); };
  options.is_cancelled = caller.is_cancelled;
  options.on_finding = [&](const index::Finding& finding) {
    *pending.add_findings() = ToProto(finding);
    parts_.observer->OnFinding(finding.check);
  };
  options.on_progress = [&](const index::VerifyProgress& progress) {
    pending.set_done_count(progress.done_count);
    pending.set_total_count(progress.total_count);
    pending.set_done_bytes(progress.done_bytes);
    const absl::Duration now = parts_.clock->Monotonic();
    if (now - last < kShortestInterval) return;
    last = now;
    // A caller that has gone is seen by is_cancelled.
    responses->Write(pending);
    pending.clear_findings();
  };
  RECLAIM_ASSIGN_OR_RETURN(const index::VerifyReport report,
                           VerifyAndTell(parts_, store.name, content, options));
  pending.set_is_complete(true);
  pending.set_node_count(report.node_count);
  pending.set_finding_count(report.finding_count);
  pending.set_damage_count(report.damage_count);
  responses->Write(pending);
  return absl::OkStatus();
}

grpc::Status StoreService::VerifyStore(
    grpc::ServerContext* context, const v1::VerifyStoreRequest* request,
    grpc::ServerWriter<v1::VerifyStoreResponse>* responses) {
  return Call(parts_, context, {"StoreService/VerifyStore", *request},
              [&](const Caller& caller) {
                return Verify(*request, caller, responses);
              });
}

}  // namespace reclaim::rpc
