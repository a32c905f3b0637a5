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
#include "rpc/page_bytes.h"

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

// Nodes of a kind, of one store or all of them, and where they stand.
struct FoundPage {
  std::vector<Found> found;
  std::string arguments;
  uint64_t offset = 0;
  bool has_more = false;
};

template <typename Request>
absl::StatusOr<FoundPage> FindRecords(const ServiceParts& parts,
                                      const Request& request, NodeKind kind) {
  RECLAIM_ASSIGN_OR_RETURN(const int size, PageSize(request.page_size()));
  FoundPage page;
  page.arguments = TokenArguments(request);
  RECLAIM_ASSIGN_OR_RETURN(
      const std::string position,
      parts.tokens->Read(page.arguments, request.page_token()));
  if (!position.empty() && !absl::SimpleAtoi(position, &page.offset)) {
    return absl::InvalidArgumentError("page_token: not ours");
  }
  std::vector<index::StoreRecord> stores = parts.graph->Stores();
  if (!request.store().empty()) {
    RECLAIM_ASSIGN_OR_RETURN(const index::StoreRecord store,
                             parts.stores->Find(request.store()));
    stores = {store};
  }
  uint64_t number = 0;
  const auto reader = parts.graph->Read();
  const index::GraphView& view = reader->view();
  for (const index::StoreRecord& store : stores) {
    view.ForEachNamed(kind, store.id, [&](NodeId id) {
      if (number++ < page.offset) return true;
      if (page.found.size() == static_cast<size_t>(size)) return false;
      uint64_t keepers = 0;
      view.ForEachKeeper(id, [&](NodeId keeper) {
        keepers += view.kind(keeper) == NodeKind::kContainer ? 1 : 0;
        return true;
      });
      page.found.push_back({id, view.fields(id).recorded, keepers});
      return true;
    });
  }
  page.has_more = number > page.offset + page.found.size();
  return page;
}

// Puts what `make` says of each record into `rows` of the response.
template <typename Response, typename Request, typename Make, typename Rows>
absl::StatusOr<Response> ListRecords(const ServiceParts& parts,
                                     const Request& request, NodeKind kind,
                                     Make make, Rows rows) {
  RECLAIM_ASSIGN_OR_RETURN(FoundPage page, FindRecords(parts, request, kind));
  Response response;
  PageBytes bytes;
  uint64_t next = page.offset;
  for (const Found& one : page.found) {
    absl::StatusOr<index::NamedRecord> record = parts.graph->GetNamed(one.id);
    if (!absl::IsNotFound(record.status())) {  // else it went meanwhile
      RECLAIM_RETURN_IF_ERROR(record.status());
      auto row = make(*record, one);
      if (!bytes.Take(row)) {
        page.has_more = true;
        break;
      }
      *rows(&response)->Add() = std::move(row);
    }
    ++next;
  }
  if (page.has_more) {
    response.set_next_page_token(
        parts.tokens->Make(page.arguments, absl::StrCat(next)));
  }
  return response;
}

absl::Time Or(const std::optional<absl::Time>& time, absl::Time otherwise) {
  return time.value_or(otherwise);
}

v1::Container ContainerRow(const index::NamedRecord& record,
                           const Found& found) {
  const auto& put = std::get<index::PutContainer>(record);
  v1::Container out;
  out.set_store(put.store);
  out.set_id(put.id);
  out.set_name(put.name);
  out.set_image_reference(put.image_reference);
  if (put.image) out.set_image_digest(put.image->ToString());
  out.set_command(put.command);
  out.set_state(index::ToString(put.state));
  out.set_volume_count(put.volumes.size());
  if (put.writable) out.set_writable_bytes(put.writable->logical_bytes);
  SetTime(Or(put.created, found.recorded),
          [&] { return out.mutable_create_time(); });
  if (put.exited) {
    SetTime(*put.exited, [&] { return out.mutable_exit_time(); });
  }
  out.mutable_labels()->insert(put.labels.begin(), put.labels.end());
  for (const auto& port : put.ports) {
    v1::PortMapping* mapping = out.add_ports();
    mapping->set_host_ip(port.host_ip);
    mapping->set_host_port(port.host_port);
    mapping->set_container_port(port.container_port);
    mapping->set_protocol(port.protocol);
  }
  return out;
}

v1::Volume VolumeRow(const index::NamedRecord& record, const Found& found) {
  const auto& put = std::get<index::PutVolume>(record);
  v1::Volume out;
  out.set_store(put.store);
  out.set_name(put.name);
  out.set_driver(put.driver);
  out.set_link_count(found.keeper_count);
  if (put.bytes) out.set_size_bytes(put.bytes->logical_bytes);
  out.set_is_anonymous(put.is_anonymous);
  out.mutable_labels()->insert(put.labels.begin(), put.labels.end());
  SetTime(Or(put.created, found.recorded),
          [&] { return out.mutable_create_time(); });
  return out;
}

v1::Network NetworkRow(const index::NamedRecord& record, const Found& found) {
  const auto& put = std::get<index::PutNetwork>(record);
  v1::Network out;
  out.set_store(put.store);
  out.set_name(put.name);
  out.set_id(put.id);
  out.set_driver(put.driver);
  out.set_scope(put.scope);
  out.set_container_count(found.keeper_count);
  out.set_is_predefined(put.is_predefined);
  out.mutable_labels()->insert(put.labels.begin(), put.labels.end());
  SetTime(Or(put.created, found.recorded),
          [&] { return out.mutable_create_time(); });
  return out;
}

v1::BuildCache CacheRow(const index::NamedRecord& record, const Found& found) {
  const auto& put = std::get<index::PutBuildCache>(record);
  v1::BuildCache out;
  out.set_store(put.store);
  out.set_id(put.id);
  out.set_type(put.type);
  out.set_description(put.description);
  if (put.bytes) out.set_size_bytes(put.bytes->logical_bytes);
  SetTime(Or(put.created, found.recorded),
          [&] { return out.mutable_create_time(); });
  if (put.used) {
    SetTime(*put.used, [&] { return out.mutable_last_used_time(); });
  }
  out.set_usage_count(put.usage_count);
  out.set_is_shared(put.is_shared);
  out.set_is_in_use(put.is_in_use);
  return out;
}

}  // namespace

absl::StatusOr<v1::ListContainersResponse> ListContainers(
    const ServiceParts& parts, const v1::ListContainersRequest& request) {
  return ListRecords<v1::ListContainersResponse>(
      parts, request, NodeKind::kContainer, &ContainerRow,
      [](auto* response) { return response->mutable_containers(); });
}

absl::StatusOr<v1::ListVolumesResponse> ListVolumes(
    const ServiceParts& parts, const v1::ListVolumesRequest& request) {
  return ListRecords<v1::ListVolumesResponse>(
      parts, request, NodeKind::kVolume, &VolumeRow,
      [](auto* response) { return response->mutable_volumes(); });
}

absl::StatusOr<v1::ListNetworksResponse> ListNetworks(
    const ServiceParts& parts, const v1::ListNetworksRequest& request) {
  return ListRecords<v1::ListNetworksResponse>(
      parts, request, NodeKind::kNetwork, &NetworkRow,
      [](auto* response) { return response->mutable_networks(); });
}

absl::StatusOr<v1::ListBuildCacheResponse> ListBuildCache(
    const ServiceParts& parts, const v1::ListBuildCacheRequest& request) {
  return ListRecords<v1::ListBuildCacheResponse>(
      parts, request, NodeKind::kBuildCache, &CacheRow,
      [](auto* response) { return response->mutable_records(); });
}

}  // namespace reclaim::rpc
