#include "rpc/method_roles.h"

namespace reclaim::rpc {
namespace {

struct MethodRole {
  const char* method;
  Role role;
};

constexpr MethodRole kMethodRoles[] = {
    {"AuditService/ListAudit", Role::kAdmin},
    {"AuditService/VerifyAudit", Role::kAdmin},
    {"CollectionService/CreatePlan", Role::kRead},
    {"CollectionService/GetPlan", Role::kRead},
    {"CollectionService/ListPlans", Role::kRead},
    {"CollectionService/ListPlanItems", Role::kRead},
    {"CollectionService/DeletePlan", Role::kPrune},
    {"CollectionService/ApplyPlan", Role::kPrune},
    {"CollectionService/Restore", Role::kPrune},
    {"CollectionService/Purge", Role::kPrune},
    {"CollectionService/GetRun", Role::kRead},
    {"CollectionService/ListRuns", Role::kRead},
    {"CollectionService/WatchRun", Role::kRead},
    {"CollectionService/CancelRun", Role::kPrune},
    {"CollectionService/ListQuarantine", Role::kRead},
    {"CollectionService/WatchEvents", Role::kRead},
    {"GraphService/Record", Role::kRecord},
    {"GraphService/RecordStream", Role::kRecord},
    {"GraphService/CheckBlobs", Role::kRecord},
    {"GraphService/GetNode", Role::kRead},
    {"GraphService/ListNodes", Role::kRead},
    {"GraphService/Explain", Role::kRead},
    {"LeaseService/CreateLease", Role::kRecord},
    {"LeaseService/UpdateLease", Role::kRecord},
    {"LeaseService/DeleteLease", Role::kRecord},
    {"LeaseService/GetLease", Role::kRead},
    {"LeaseService/ListLeases", Role::kRead},
    {"LeaseService/CreatePin", Role::kAdmin},
    {"LeaseService/DeletePin", Role::kAdmin},
    {"LeaseService/ListPins", Role::kRead},
    {"PolicyService/SetRuleSet", Role::kAdmin},
    {"PolicyService/GetRuleSet", Role::kRead},
    {"PolicyService/ListRuleSets", Role::kRead},
    {"PolicyService/DeleteRuleSet", Role::kAdmin},
    {"PolicyService/TestPolicy", Role::kRead},
    {"PolicyService/SetSchedule", Role::kAdmin},
    {"PolicyService/GetSchedule", Role::kRead},
    {"PolicyService/ListSchedules", Role::kRead},
    {"PolicyService/DeleteSchedule", Role::kAdmin},
    {"PolicyService/RunSchedule", Role::kPrune},
    {"PolicyService/PauseSchedule", Role::kPrune},
    {"PolicyService/ResumeSchedule", Role::kPrune},
    {"PolicyService/ApprovePlan", Role::kPrune},
    {"PolicyService/SetTenant", Role::kAdmin},
    {"PolicyService/GetTenant", Role::kRead},
    {"PolicyService/ListTenants", Role::kRead},
    {"PolicyService/DeleteTenant", Role::kAdmin},
    {"PolicyService/SetRepositoryQuota", Role::kAdmin},
    {"PolicyService/GetRepositoryQuota", Role::kRead},
    {"PolicyService/ListRepositoryQuotas", Role::kRead},
    {"PolicyService/DeleteRepositoryQuota", Role::kAdmin},
    {"StoreService/RegisterStore", Role::kAdmin},
    {"StoreService/ForgetStore", Role::kAdmin},
    {"StoreService/ListStores", Role::kRead},
    {"StoreService/GetStore", Role::kRead},
    {"StoreService/ScanStore", Role::kRecord},
    {"StoreService/ConfirmLoss", Role::kAdmin},
    {"StoreService/VerifyStore", Role::kRead},
    {"UsageService/GetDiskUsage", Role::kRead},
    {"UsageService/ListImages", Role::kRead},
    {"UsageService/ListContainers", Role::kRead},
    {"UsageService/ListVolumes", Role::kRead},
    {"UsageService/ListNetworks", Role::kRead},
    {"UsageService/ListBuildCache", Role::kRead},
    {"UsageService/ListUsage", Role::kRead},
    {"UsageService/GetImageHistory", Role::kRead},
    {"UsageService/GetTree", Role::kRead},
    {"UsageService/WhatIf", Role::kRead},
    {"UsageService/ListRetained", Role::kRead},
    {"UsageService/GetUsageHistory", Role::kRead},
};

}  // namespace

std::optional<Role> RoleOf(absl::string_view method) {
  for (const MethodRole& row : kMethodRoles) {
    if (method == row.method) return row.role;
  }
  return std::nullopt;
}

}  // namespace reclaim::rpc
