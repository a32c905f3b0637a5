#include "rpc/prune_terms.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "gc/filter.h"
#include "index/reference_graph.h"
#include "rpc/convert.h"
#include "rpc/subject.h"
#include "rpc/target_convert.h"

namespace reclaim::rpc {
namespace {

constexpr int kReferenceCountMax = 10000;
constexpr int kFilterCountMax = 1000;

absl::Status ReadPolicy(const v1::CreatePlanRequest& request,
                        gc::GcPolicy* policy) {
  if (request.has_grace_period()) {
    policy->grace_period = FromProto(request.grace_period());
  }
  if (request.has_quarantine_period()) {
    policy->quarantine_period = FromProto(request.quarantine_period());
  }
  if (request.pace_bytes_per_second() > 0) {
    policy->pace_bytes_per_second = request.pace_bytes_per_second();
  }
  return policy->Validate();
}

absl::Status ReadReferences(const v1::CreatePlanRequest& request,
                            const ServiceParts& parts, const std::string& store,
                            gc::PruneRequest* prune) {
  if (request.references().empty()) return absl::OkStatus();
  RECLAIM_ASSIGN_OR_RETURN(const index::StoreRecord record,
                           parts.stores->Find(store));
  const auto reader = parts.graph->Read();
  for (const std::string& text : request.references()) {
    RECLAIM_ASSIGN_OR_RETURN(std::string whole,
                             WholeDigest(reader->view(), record.id, text));
    prune->only_references.push_back(std::move(whole));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<gc::PruneRequest> MakePruneRequest(
    const v1::CreatePlanRequest& request, const ServiceParts& parts,
    const std::string& store, const Caller& caller) {
  gc::PruneRequest prune;
  prune.store = store;
  prune.actor = caller.actor;
  prune.policy = parts.policy;
  if (request.verb() < v1::PRUNE_VERB_IMAGES ||
      request.verb() > v1::PRUNE_VERB_RETENTION) {
    return absl::InvalidArgumentError("verb: is not set or not known");
  }
  prune.verb = static_cast<gc::PruneVerb>(request.verb());
  prune.all_images = request.all_images();
  prune.with_volumes = request.with_volumes();
  prune.all_volumes = request.all_volumes();
  prune.all_cache = request.all_cache();
  prune.containers_are_complete = request.containers_are_complete();
  if (request.references_size() > kReferenceCountMax ||
      request.filters_size() > kFilterCountMax ||
      request.configured_filters_size() > kFilterCountMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("references, filters: more than ", kReferenceCountMax,
                     " references or ", kFilterCountMax, " filters"));
  }
  RECLAIM_RETURN_IF_ERROR(ReadReferences(request, parts, store, &prune));
  prune.force = request.force();
  const std::vector<std::string> typed(request.filters().begin(),
                                       request.filters().end());
  const std::vector<std::string> configured(
      request.configured_filters().begin(), request.configured_filters().end());
  RECLAIM_ASSIGN_OR_RETURN(
      prune.filter, gc::ParseFilter(typed, configured, gc::TargetOf(prune.verb),
                                    parts.clock->Now(), parts.zone));
  if (request.has_target()) {
    RECLAIM_ASSIGN_OR_RETURN(prune.target, FromProto(request.target()));
  }
  RECLAIM_RETURN_IF_ERROR(ReadPolicy(request, &prune.policy));
  return prune;
}

}  // namespace reclaim::rpc
