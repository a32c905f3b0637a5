#include "rpc/policy_service.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"
#include "gc/retention_survey.h"
#include "rpc/call.h"
#include "rpc/convert.h"
#include "rpc/policy_convert.h"
#include "rpc/policy_page.h"

namespace reclaim::rpc {
namespace {

constexpr size_t kDecisionsPerMessage = 500;
constexpr size_t kNamesInMessage = 5;

// What rules are tested with: the plan that nobody makes.
gc::PruneRequest TestRequest(const ServiceParts& parts,
                             const std::string& store) {
  gc::PruneRequest request;
  request.store = store;
  request.verb = gc::PruneVerb::kRetention;
  request.policy = parts.policy;
  return request;
}

}  // namespace

grpc::Status PolicyService::SetRuleSet(grpc::ServerContext* context,
                                       const v1::SetRuleSetRequest* request,
                                       v1::RuleSet* response) {
  return CallFor(
      parts_, context, {"PolicyService/SetRuleSet", *request}, response,
      [&](const Caller& caller) { return PutRuleSet(*request, caller); });
}

absl::StatusOr<v1::RuleSet> PolicyService::PutRuleSet(
    const v1::SetRuleSetRequest& request, const Caller& caller) {
  RECLAIM_ASSIGN_OR_RETURN(gc::RuleSet set, FromProto(request.rule_set()));
  RECLAIM_RETURN_IF_ERROR(gc::CheckRuleSet(set));
  set.actor = caller.actor;
  const auto put = [&]() -> absl::StatusOr<std::string> {
    if (!set.allow_remove_all) {
      RECLAIM_RETURN_IF_ERROR(CheckThatNoneIsEmptied(set, caller));
    }
    RECLAIM_RETURN_IF_ERROR(
        parts_.policies->PutRuleSet(set, request.etag()).status());
    return set.name;
  };
  RECLAIM_ASSIGN_OR_RETURN(
      const std::string name,
      memory_.Once(caller.actor, request.request_id(), put));
  RECLAIM_ASSIGN_OR_RETURN(const gc::RuleSet stored,
                           parts_.policies->GetRuleSet(name));
  return ToProto(stored);
}

absl::Status PolicyService::CheckThatNoneIsEmptied(gc::RuleSet set,
                                                   const Caller& caller) const {
  // With the word the rules show what they would do without the restraint.
  set.allow_remove_all = true;
  gc::RunControl control;
  control.is_cancelled = caller.is_cancelled;
  for (const index::StoreRecord& store : parts_.graph->Stores()) {
    const auto decisions = parts_.collector->TestRules(
        TestRequest(parts_, store.name), {set}, control);
    // A store that is away or was never scanned has nothing to judge yet; each
    // plan leaves the newest tag all the same.
    if (absl::IsNotFound(decisions.status()) ||
        absl::IsFailedPrecondition(decisions.status())) {
      continue;
    }
    RECLAIM_RETURN_IF_ERROR(decisions.status());
    std::vector<std::string> emptied = gc::FindEmptied(*decisions);
    if (emptied.empty()) continue;
    const size_t count = emptied.size();
    emptied.resize(std::min(count, kNamesInMessage));
    return absl::FailedPreconditionError(absl::StrCat(
        "rule set ", set.name, " would take every tag of ", count,
        " repositories of the store ", store.name, ": ",
        absl::StrJoin(emptied, ", "), count > emptied.size() ? ", …" : "",
        "; narrow it, or set allow_remove_all if that is meant"));
  }
  return absl::OkStatus();
}

grpc::Status PolicyService::GetRuleSet(grpc::ServerContext* context,
                                       const v1::GetRuleSetRequest* request,
                                       v1::RuleSet* response) {
  return CallFor(parts_, context, "PolicyService/GetRuleSet", response,
                 [&](const Caller&) -> absl::StatusOr<v1::RuleSet> {
                   RECLAIM_ASSIGN_OR_RETURN(
                       const gc::RuleSet set,
                       parts_.policies->GetRuleSet(request->name()));
                   return ToProto(set);
                 });
}

grpc::Status PolicyService::ListRuleSets(grpc::ServerContext* context,
                                         const v1::ListRuleSetsRequest* request,
                                         v1::ListRuleSetsResponse* response) {
  return CallFor(parts_, context, "PolicyService/ListRuleSets", response,
                 [&](const Caller&) {
                   std::vector<gc::RuleSet> sets = parts_.policies->RuleSets();
                   std::sort(sets.begin(), sets.end(),
                             [](const gc::RuleSet& a, const gc::RuleSet& b) {
                               return a.name < b.name;
                             });
                   return PageOf<v1::ListRuleSetsResponse>(
                       parts_, *request, sets,
                       [](v1::ListRuleSetsResponse* page) {
                         return page->mutable_rule_sets();
                       });
                 });
}

grpc::Status PolicyService::DeleteRuleSet(
    grpc::ServerContext* context, const v1::DeleteRuleSetRequest* request,
    v1::DeleteRuleSetResponse*) {
  return Call(
      parts_, context, {"PolicyService/DeleteRuleSet", *request},
      [&](const Caller& caller) {
        return memory_
            .Once(caller.actor, request->request_id(),
                  [&]() -> absl::StatusOr<std::string> {
                    RECLAIM_RETURN_IF_ERROR(parts_.policies->DeleteRuleSet(
                        request->name(), request->etag()));
                    return request->name();
                  })
            .status();
      });
}

absl::StatusOr<std::vector<gc::TagDecision>> PolicyService::Test(
    const v1::TestPolicyRequest& request, const Caller& caller) const {
  RECLAIM_ASSIGN_OR_RETURN(const index::StoreRecord store,
                           parts_.stores->Find(request.store()));
  std::vector<gc::RuleSet> sets;
  if (!request.only_rule_set()) sets = parts_.policies->RuleSets();
  if (request.has_rule_set()) {
    RECLAIM_ASSIGN_OR_RETURN(gc::RuleSet set, FromProto(request.rule_set()));
    RECLAIM_RETURN_IF_ERROR(gc::CheckRuleSet(set));
    sets.erase(std::remove_if(
                   sets.begin(), sets.end(),
                   [&](const gc::RuleSet& s) { return s.name == set.name; }),
               sets.end());
    sets.push_back(std::move(set));
  }
  gc::PruneRequest prune = TestRequest(parts_, store.name);
  if (request.has_grace_period()) {
    prune.policy.grace_period = FromProto(request.grace_period());
  }
  gc::RunControl control;
  control.is_cancelled = caller.is_cancelled;
  return parts_.collector->TestRules(prune, sets, control);
}

grpc::Status PolicyService::TestPolicy(
    grpc::ServerContext* context, const v1::TestPolicyRequest* request,
    grpc::ServerWriter<v1::TestPolicyResponse>* responses) {
  return Call(parts_, context, "PolicyService/TestPolicy",
              [&](const Caller& caller) -> absl::Status {
                RECLAIM_ASSIGN_OR_RETURN(
                    const std::vector<gc::TagDecision> decisions,
                    Test(*request, caller));
                v1::TestPolicyResponse message;
                uint64_t going = 0;
                for (const gc::TagDecision& decision : decisions) {
                  going += decision.verdict.goes ? 1 : 0;
                  if (request->only_going() && !decision.verdict.goes) continue;
                  *message.add_decisions() = ToProto(decision);
                  if (static_cast<size_t>(message.decisions_size()) <
                      kDecisionsPerMessage) {
                    continue;
                  }
                  if (!responses->Write(message)) {
                    return absl::CancelledError("the caller went away");
                  }
                  message.clear_decisions();
                }
                message.set_tag_count(decisions.size());
                message.set_going_count(going);
                if (!responses->Write(message)) {
                  return absl::CancelledError("the caller went away");
                }
                return absl::OkStatus();
              });
}

grpc::Status PolicyService::ApprovePlan(grpc::ServerContext* context,
                                        const v1::ApprovePlanRequest* request,
                                        v1::Plan* response) {
  return CallFor(
      parts_, context, {"PolicyService/ApprovePlan", *request}, response,
      [&](const Caller& caller) -> absl::StatusOr<v1::Plan> {
        RECLAIM_ASSIGN_OR_RETURN(
            const gc::Plan plan,
            parts_.collector->ApprovePlan(request->plan_id(), caller.actor));
        return ToProto(plan);
      });
}

}  // namespace reclaim::rpc
