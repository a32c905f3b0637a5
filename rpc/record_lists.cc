#include "rpc/record_lists.h"

#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "rpc/convert.h"

namespace reclaim::rpc {
namespace {

using index::NodeId;
using index::NodeKind;

// What the resident graph says of one.
struct Found {
  NodeId id;
  absl::Time recorded;
  uint64_t keeper_count;
};

// One page of records of a kind, over one store or all of them.
struct RecordPage {
  std::vector<index::NamedRecord> records;
  std::vector<absl::Time> recorded;
  std::vector<uint64_t> keeper_counts;
  std::string next_token;
};

template <typename Request>
absl::StatusOr<RecordPage> ReadRecords(const ServiceParts& parts,
                                       const Request& request, NodeKind kind) {
  RECLAIM_ASSIGN_OR_RETURN(const int size, PageSize(request.page_size()));
  const std::string arguments = TokenArguments(request);
  RECLAIM_ASSIGN_OR_RETURN(const std::string position,
                           parts.tokens->Read(arguments, request.page_token()));
  uint64_t offset = 0;
  if (!position.empty() && !absl::SimpleAtoi(position, &offset)) {
    return absl::InvalidArgumentError("page_token: not ours");
  }
  std::vector<index::StoreRecord> stores = parts.graph->Stores();
  if (!request.store().empty()) {
    RECLAIM_ASSIGN_OR_RETURN(const index::StoreRecord store,
                             parts.stores->Find(request.store()));
    stores = {store};
  }
  std::vector<Found> found;
  uint64_t number = 0;
  {
    const auto reader = parts.graph->Read();
    const index::GraphView& view = reader->view();
    for (const index::StoreRecord& store : stores) {
      view.ForEachNamed(kind, store.id, [&](NodeId id) {
        if (number++ < offset) return true;
        if (found.size() == static_cast<size_t>(size)) return false;
        uint64_t keepers = 0;
        view.ForEachKeeper(id, [&](NodeId keeper) {
          keepers += view.kind(keeper) == NodeKind::kContainer ? 1 : 0;
          return true;
        });
        found.push_back({id, view.fields(id).recorded, keepers});
        return true;
      });
    }
  }
  RecordPage page;
  for (const Found& one : found) {
    absl::StatusOr<index::NamedRecord> record = parts.graph->GetNamed(one.id);
    if (absl::IsNotFound(record.status())) continue;  // it went meanwhile
    RECLAIM_RETURN_IF_ERROR(record.status());
    page.records.push_back(*std::move(record));
    page.recorded.push_back(one.recorded);
    page.keeper_counts.push_back(one.keeper_count);
  }
  if (number > offset + found.size()) {
    page.next_token = parts.tokens->Make(
        arguments, absl::StrCat(offset + static_cast<uint64_t>(found.size())));
  }
  return page;
}

absl::Time Or(const std::optional<absl::Time>& time, absl::Time otherwise) {
  return time.value_or(otherwise);
}

}  // namespace

absl::StatusOr<v1::ListContainersResponse> ListContainers(
    const ServiceParts& parts, const v1::ListContainersRequest& request) {
  RECLAIM_ASSIGN_OR_RETURN(const RecordPage page,
                           ReadRecords(parts, request, NodeKind::kContainer));
  v1::ListContainersResponse response;
  for (size_t i = 0; i < page.records.size(); ++i) {
    const auto& put = std::get<index::PutContainer>(page.records[i]);
    v1::Container* out = response.add_containers();
    out->set_store(put.store);
    out->set_id(put.id);
    out->set_name(put.name);
    out->set_image_reference(put.image_reference);
    if (put.image) out->set_image_digest(put.image->ToString());
    out->set_command(put.command);
    out->set_state(index::ToString(put.state));
    out->set_volume_count(put.volumes.size());
    if (put.writable) out->set_writable_bytes(put.writable->logical_bytes);
    SetTime(Or(put.created, page.recorded[i]),
            [&] { return out->mutable_create_time(); });
    if (put.exited) {
      SetTime(*put.exited, [&] { return out->mutable_exit_time(); });
    }
    out->mutable_labels()->insert(put.labels.begin(), put.labels.end());
    for (const auto& port : put.ports) {
      v1::PortMapping* mapping = out->add_ports();
      mapping->set_host_ip(port.host_ip);
      mapping->set_host_port(port.host_port);
      mapping->set_container_port(port.container_port);
      mapping->set_protocol(port.protocol);
    }
  }
  response.set_next_page_token(page.next_token);
  return response;
}

absl::StatusOr<v1::ListVolumesResponse> ListVolumes(
    const ServiceParts& parts, const v1::ListVolumesRequest& request) {
  RECLAIM_ASSIGN_OR_RETURN(const RecordPage page,
                           ReadRecords(parts, request, NodeKind::kVolume));
  v1::ListVolumesResponse response;
  for (size_t i = 0; i < page.records.size(); ++i) {
    const auto& put = std::get<index::PutVolume>(page.records[i]);
    v1::Volume* out = response.add_volumes();
    out->set_store(put.store);
    out->set_name(put.name);
    out->set_driver(put.driver);
    out->set_link_count(page.keeper_counts[i]);
    if (put.bytes) out->set_size_bytes(put.bytes->logical_bytes);
    out->set_is_anonymous(put.is_anonymous);
    out->mutable_labels()->insert(put.labels.begin(), put.labels.end());
    SetTime(Or(put.created, page.recorded[i]),
            [&] { return out->mutable_create_time(); });
  }
  response.set_next_page_token(page.next_token);
  return response;
}

absl::StatusOr<v1::ListNetworksResponse> ListNetworks(
    const ServiceParts& parts, const v1::ListNetworksRequest& request) {
  RECLAIM_ASSIGN_OR_RETURN(const RecordPage page,
                           ReadRecords(parts, request, NodeKind::kNetwork));
  v1::ListNetworksResponse response;
  for (size_t i = 0; i < page.records.size(); ++i) {
    const auto& put = std::get<index::PutNetwork>(page.records[i]);
    v1::Network* out = response.add_networks();
    out->set_store(put.store);
    out->set_name(put.name);
    out->set_id(put.id);
    out->set_driver(put.driver);
    out->set_scope(put.scope);
    out->set_container_count(page.keeper_counts[i]);
    out->set_is_predefined(put.is_predefined);
    out->mutable_labels()->insert(put.labels.begin(), put.labels.end());
    SetTime(Or(put.created, page.recorded[i]),
            [&] { return out->mutable_create_time(); });
  }
  response.set_next_page_token(page.next_token);
  return response;
}

absl::StatusOr<v1::ListBuildCacheResponse> ListBuildCache(
    const ServiceParts& parts, const v1::ListBuildCacheRequest& request) {
  RECLAIM_ASSIGN_OR_RETURN(const RecordPage page,
                           ReadRecords(parts, request, NodeKind::kBuildCache));
  v1::ListBuildCacheResponse response;
  for (size_t i = 0; i < page.records.size(); ++i) {
    const auto& put = std::get<index::PutBuildCache>(page.records[i]);
    v1::BuildCache* out = response.add_records();
    out->set_store(put.store);
    out->set_id(put.id);
    out->set_type(put.type);
    out->set_description(put.description);
    if (put.bytes) out->set_size_bytes(put.bytes->logical_bytes);
    SetTime(Or(put.created, page.recorded[i]),
            [&] { return out->mutable_create_time(); });
    if (put.used) {
      SetTime(*put.used, [&] { return out->mutable_last_used_time(); });
    }
    out->set_usage_count(put.usage_count);
    out->set_is_shared(put.is_shared);
    out->set_is_in_use(put.is_in_use);
  }
  response.set_next_page_token(page.next_token);
  return response;
}

}  // namespace reclaim::rpc
