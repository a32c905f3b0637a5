#include "rpc/retained_list.h"

#include <algorithm>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "accounting/retained.h"
#include "base/status_macros.h"
#include "gc/roots.h"
#include "index/put_codec.h"
#include "rpc/convert.h"
#include "rpc/page_bytes.h"

namespace reclaim::rpc {
namespace {

using index::NodeId;

// What one row will be, before it is put into words.
struct Entry {
  size_t store = 0;  // in the list of stores
  NodeId node = index::kNoNode;
  store::Bytes bytes;
  v1::Retained row;
};

bool IsLarger(const Entry& a, const Entry& b) {
  if (a.bytes.logical_bytes != b.bytes.logical_bytes) {
    return a.bytes.logical_bytes > b.bytes.logical_bytes;
  }
  return std::tie(a.store, a.node) < std::tie(b.store, b.node);
}

std::set<v1::NodeKind> KindsOf(const v1::ListRetainedRequest& request) {
  std::set<v1::NodeKind> kinds;
  for (const int kind : request.kinds()) {
    kinds.insert(static_cast<v1::NodeKind>(kind));
  }
  if (kinds.empty()) {
    kinds = {v1::NODE_KIND_REPOSITORY, v1::NODE_KIND_TAG};
  }
  return kinds;
}

// The `count` largest entries of a store are enough for a page that ends there.
void AddEntries(const ServiceParts& parts, const index::StoreRecord& store,
                size_t number, const v1::ListRetainedRequest& request,
                size_t count, std::vector<Entry>* entries, store::Bytes* live) {
  const std::set<v1::NodeKind> kinds = KindsOf(request);
  const auto reader = parts.graph->Read();
  const index::GraphView& view = reader->view();
  const std::vector<gc::Root> roots =
      gc::CollectRoots(view, store.id,
                       {parts.clock->Now(), parts.policy.grace_period,
                        parts.policy.upload_lifetime});
  const accounting::RetainedSizes sizes =
      accounting::MakeRetainedSizes(view, roots, {});
  *live += sizes.live;
  std::vector<Entry> found;
  for (NodeId id = 0; id < sizes.node_count(); ++id) {
    const store::Bytes bytes = sizes.Of(id);
    if (bytes == store::Bytes() || !view.Exists(id) ||
        kinds.count(index::ToProto(view.kind(id))) == 0) {
      continue;
    }
    found.push_back({number, id, bytes, {}});
  }
  const size_t shown = std::min(found.size(), count);
  std::partial_sort(found.begin(),
                    found.begin() + static_cast<ptrdiff_t>(shown), found.end(),
                    IsLarger);
  found.resize(shown);
  for (Entry& entry : found) {
    *entry.row.mutable_node() = MakeNode(*reader, entry.node);
    entry.row.set_store(store.name);
    *entry.row.mutable_bytes() = ToProto(entry.bytes);
    entries->push_back(std::move(entry));
  }
}

}  // namespace

absl::StatusOr<v1::ListRetainedResponse> MakeRetainedList(
    const ServiceParts& parts, const v1::ListRetainedRequest& request) {
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
  const uint64_t end = offset + static_cast<uint64_t>(size);
  std::vector<Entry> entries;
  store::Bytes live;
  for (size_t i = 0; i < stores.size(); ++i) {
    AddEntries(parts, stores[i], i, request, end + 1, &entries, &live);
  }
  std::sort(entries.begin(), entries.end(), IsLarger);
  v1::ListRetainedResponse response;
  *response.mutable_live() = ToProto(live);
  PageBytes bytes;
  uint64_t next = offset;
  while (next < std::min<uint64_t>(end, entries.size()) &&
         bytes.Take(entries[next].row)) {
    *response.add_entries() = std::move(entries[next++].row);
  }
  if (next < entries.size()) {
    response.set_next_page_token(
        parts.tokens->Make(arguments, absl::StrCat(next)));
  }
  return response;
}

}  // namespace reclaim::rpc
