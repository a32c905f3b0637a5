#include "rpc/disk_usage.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "accounting/disk_usage.h"
#include "accounting/unpacked_usage.h"
#include "base/status_macros.h"
#include "rpc/convert.h"
#include "rpc/store_condition.h"

namespace reclaim::rpc {
namespace {

v1::StoreUsage ToProto(const accounting::DiskUsage& usage) {
  v1::StoreUsage out;
  for (const accounting::UsageRow& row : usage.rows) {
    v1::UsageRow* to = out.add_rows();
    to->set_type(row.type);
    to->set_total_count(row.total_count);
    to->set_active_count(row.active_count);
    *to->mutable_bytes() = rpc::ToProto(row.bytes);
    *to->mutable_reclaimable() = rpc::ToProto(row.reclaimable);
    to->set_unknown_size_count(row.unknown_size_count);
  }
  *out.mutable_live() = rpc::ToProto(usage.live);
  *out.mutable_candidate() = rpc::ToProto(usage.candidate);
  *out.mutable_quarantined() = rpc::ToProto(usage.quarantined);
  *out.mutable_orphan() = rpc::ToProto(usage.orphan);
  // Candidates are what no root reaches, young content being a root.
  *out.mutable_reclaimable_now() = rpc::ToProto(usage.candidate.bytes);
  *out.mutable_content() = rpc::ToProto(usage.content);
  *out.mutable_unpacked() = rpc::ToProto(usage.unpacked);
  out.set_image_count(usage.image_count);
  out.set_dangling_image_count(usage.dangling_image_count);
  out.set_tag_count(usage.tag_count);
  out.set_repository_count(usage.repository_count);
  return out;
}

bool KnowsContainers(const ServiceParts& parts,
                     const index::StoreRecord& record) {
  if (record.knows_containers) return true;
  const auto content = parts.stores->Content(record.name);
  return content.ok() && (*content)->traits().knows_containers;
}

uint64_t ContainerCount(const index::StoreTotals& totals) {
  return totals.by_kind[static_cast<size_t>(index::NodeKind::kContainer)].count;
}

void AddDisk(const ServiceParts& parts, const index::StoreRecord& record,
             v1::StoreUsage* usage) {
  usage->set_store(record.name);
  SetTime(record.last_scan_begin,
          [&] { return usage->mutable_last_scan_time(); });
  const StoreCondition condition = ConditionOf(parts, record);
  usage->set_state(condition.state);
  if (!condition.capacity) return;
  usage->set_capacity_bytes(condition.capacity->capacity_bytes);
  usage->set_available_bytes(condition.capacity->available_bytes);
}

}  // namespace

absl::StatusOr<v1::GetDiskUsageResponse> MakeDiskUsage(
    const ServiceParts& parts, const v1::GetDiskUsageRequest& request) {
  std::vector<index::StoreRecord> stores = parts.graph->Stores();
  if (!request.store().empty()) {
    RECLAIM_ASSIGN_OR_RETURN(const index::StoreRecord store,
                             parts.stores->Find(request.store()));
    stores = {store};
  }
  v1::GetDiskUsageResponse response;
  std::vector<bool> knows_containers;
  for (const index::StoreRecord& store : stores) {
    knows_containers.push_back(KnowsContainers(parts, store));
  }
  std::vector<accounting::DiskUsage> usages;
  {
    // One reader: all figures are of one moment.
    const absl::Time now = parts.clock->Now();
    const auto reader = parts.graph->Read();
    response.set_sequence(reader->sequence());
    for (size_t i = 0; i < stores.size(); ++i) {
      const index::StoreTotals& totals = reader->totals(stores[i].id);
      usages.push_back(accounting::MakeDiskUsage(
          totals, knows_containers[i] || ContainerCount(totals) > 0));
      if (usages.back().unpacked.count > 0) {
        usages.back().rows.push_back(
            accounting::UnpackedUsage(reader->view(), stores[i].id, now));
      }
    }
  }
  for (size_t i = 0; i < stores.size(); ++i) {
    v1::StoreUsage usage = ToProto(usages[i]);
    AddDisk(parts, stores[i], &usage);
    *response.add_stores() = std::move(usage);
  }
  *response.mutable_total() = ToProto(accounting::AddUp(usages));
  return response;
}

}  // namespace reclaim::rpc
