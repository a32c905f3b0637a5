// Bytes by repository, by store or by tenant.

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "accounting/repository_usage.h"
#include "base/status_macros.h"
#include "gc/graph_details.h"
#include "gc/mark.h"
#include "gc/policy_book.h"
#include "gc/roots.h"
#include "gc/tenants.h"
#include "rpc/convert.h"
#include "rpc/disk_usage.h"
#include "rpc/page_bytes.h"

namespace reclaim::rpc {
namespace {

store::Bytes FromProto(const v1::Bytes& bytes) {
  return {bytes.logical_bytes(), bytes.allocated_bytes()};
}

// What roots other than tags keep.
absl::StatusOr<gc::LiveSet> KeptWithoutTags(const ServiceParts& parts,
                                            const index::GraphView& view,
                                            index::StoreId store) {
  gc::RootOptions options;
  options.now = parts.clock->Now();
  options.grace_period = parts.policy.grace_period;
  options.upload_lifetime = parts.policy.upload_lifetime;
  options.without_tags = true;
  return gc::Mark(view, gc::CollectRoots(view, store, options), {});
}

// Both arguments outlive the answer.
accounting::Judgement JudgeBy(const index::GraphReader& reader,
                              const gc::LiveSet& kept) {
  accounting::Judgement judge;
  judge.is_live = [&reader](index::NodeId id) { return reader.IsLive(id); };
  judge.is_kept_otherwise = [&kept](index::NodeId id) {
    return kept.Contains(id);
  };
  return judge;
}

absl::Status AddTenants(const ServiceParts& parts,
                        const index::StoreRecord& store,
                        std::vector<v1::GroupUsage>* groups,
                        store::Bytes* unattributed) {
  const gc::GraphDetails details(parts.graph);
  const auto book = parts.policies->Tenants();
  const auto reader = parts.graph->Read();
  const index::GraphView& view = reader->view();
  RECLAIM_ASSIGN_OR_RETURN(const std::vector<gc::TagGroup> tenants,
                           book->Tenants(view, details, store.id));
  RECLAIM_ASSIGN_OR_RETURN(const gc::LiveSet kept,
                           KeptWithoutTags(parts, view, store.id));
  std::vector<std::vector<index::NodeId>> tags;
  for (const gc::TagGroup& tenant : tenants) tags.push_back(tenant.tags);
  const accounting::GroupShares shares =
      accounting::ShareGroups(view, store.id, tags, JudgeBy(*reader, kept));
  for (size_t i = 0; i < tenants.size(); ++i) {
    const accounting::GroupUsage& usage = shares.groups[i];
    v1::GroupUsage group;
    group.set_store(store.name);
    group.set_name(tenants[i].name);
    group.set_tag_count(usage.tag_count);
    *group.mutable_reachable() = ToProto(usage.reachable);
    *group.mutable_exclusive() = ToProto(usage.exclusive);
    *group.mutable_apportioned() = ToProto(usage.apportioned);
    if (tenants[i].quota_bytes) group.set_quota_bytes(*tenants[i].quota_bytes);
    groups->push_back(std::move(group));
  }
  *unattributed += shares.unattributed;
  return absl::OkStatus();
}

absl::Status AddRepositories(const ServiceParts& parts,
                             const index::StoreRecord& store,
                             std::vector<v1::GroupUsage>* groups,
                             store::Bytes* unattributed) {
  const auto book = parts.policies->Tenants();
  const auto reader = parts.graph->Read();
  const index::GraphView& view = reader->view();
  RECLAIM_ASSIGN_OR_RETURN(const gc::LiveSet kept,
                           KeptWithoutTags(parts, view, store.id));
  const accounting::StoreShares shares =
      accounting::ShareStore(view, store.id, JudgeBy(*reader, kept));
  for (const accounting::RepositoryUsage& usage : shares.repositories) {
    v1::GroupUsage group;
    group.set_store(store.name);
    group.set_name(view.named_key(usage.repository).name);
    group.set_tag_count(usage.tag_count);
    *group.mutable_reachable() = ToProto(usage.reachable);
    *group.mutable_exclusive() = ToProto(usage.exclusive);
    *group.mutable_apportioned() = ToProto(usage.apportioned);
    const auto quota = book->QuotaOf(group.name());
    if (quota) group.set_quota_bytes(*quota);
    groups->push_back(std::move(group));
  }
  *unattributed += shares.unattributed;
  return absl::OkStatus();
}

// A store shares nothing with another: all its live bytes are its own.
void AddStore(const ServiceParts& parts, const index::StoreRecord& store,
              std::vector<v1::GroupUsage>* groups) {
  const auto reader = parts.graph->Read();
  const index::StoreTotals& totals = reader->totals(store.id);
  v1::GroupUsage group;
  group.set_store(store.name);
  group.set_name(store.name);
  group.set_tag_count(
      totals.by_kind[static_cast<size_t>(index::NodeKind::kTag)].count);
  *group.mutable_reachable() = ToProto(totals.live);
  *group.mutable_exclusive() = ToProto(totals.live);
  *group.mutable_apportioned() = ToProto(totals.live.bytes);
  groups->push_back(std::move(group));
}

bool IsLarger(const v1::GroupUsage& a, const v1::GroupUsage& b) {
  const uint64_t a_bytes = FromProto(a.apportioned()).logical_bytes;
  const uint64_t b_bytes = FromProto(b.apportioned()).logical_bytes;
  if (a_bytes != b_bytes) return a_bytes > b_bytes;
  return std::make_pair(a.store(), a.name()) <
         std::make_pair(b.store(), b.name());
}

absl::StatusOr<std::vector<index::StoreRecord>> StoresOf(
    const ServiceParts& parts, const std::string& name) {
  if (name.empty()) return parts.graph->Stores();
  RECLAIM_ASSIGN_OR_RETURN(index::StoreRecord store, parts.stores->Find(name));
  return std::vector<index::StoreRecord>{std::move(store)};
}

}  // namespace

absl::StatusOr<v1::ListUsageResponse> MakeUsageList(
    const ServiceParts& parts, const v1::ListUsageRequest& request) {
  RECLAIM_ASSIGN_OR_RETURN(const int size, PageSize(request.page_size()));
  const std::string arguments = TokenArguments(request);
  RECLAIM_ASSIGN_OR_RETURN(const std::string position,
                           parts.tokens->Read(arguments, request.page_token()));
  uint64_t offset = 0;
  if (!position.empty() && !absl::SimpleAtoi(position, &offset)) {
    return absl::InvalidArgumentError("page_token: not ours");
  }
  if (request.by() != v1::USAGE_GROUPING_REPOSITORY &&
      request.by() != v1::USAGE_GROUPING_STORE &&
      request.by() != v1::USAGE_GROUPING_TENANT) {
    return absl::InvalidArgumentError("by: is not set or not known");
  }
  RECLAIM_ASSIGN_OR_RETURN(const std::vector<index::StoreRecord> stores,
                           StoresOf(parts, request.store()));
  std::vector<v1::GroupUsage> groups;
  store::Bytes unattributed;
  for (const index::StoreRecord& store : stores) {
    if (request.by() == v1::USAGE_GROUPING_STORE) {
      AddStore(parts, store, &groups);
      continue;
    }
    const auto add = request.by() == v1::USAGE_GROUPING_TENANT
                         ? &AddTenants
                         : &AddRepositories;
    RECLAIM_RETURN_IF_ERROR(add(parts, store, &groups, &unattributed));
  }
  std::sort(groups.begin(), groups.end(), IsLarger);
  v1::ListUsageResponse response;
  *response.mutable_unattributed() = ToProto(unattributed);
  const uint64_t end =
      std::min<uint64_t>(groups.size(), offset + static_cast<uint64_t>(size));
  PageBytes bytes;
  uint64_t next = offset;
  while (next < end && bytes.Take(groups[next])) {
    *response.add_groups() = std::move(groups[next++]);
  }
  if (next < groups.size()) {
    response.set_next_page_token(
        parts.tokens->Make(arguments, absl::StrCat(next)));
  }
  return response;
}

}  // namespace reclaim::rpc
