// rpc/named_page.h — one page of the named nodes of a kind.
//
// Ascending by scope and name.  Pure; the position is opaque to callers of the
// API (rpc/page_token.h).

#ifndef RECLAIM_RPC_NAMED_PAGE_H_
#define RECLAIM_RPC_NAMED_PAGE_H_

#include <cstddef>
#include <string>
#include <vector>

#include "index/graph_view.h"
#include "index/node.h"

namespace reclaim::rpc {

struct NodePage {
  std::vector<index::NodeId> ids;
  // For each of them the position behind it, for pages that end earlier.
  std::vector<std::string> behind;
  std::string next;  // the position of the next page; "" at the end
};

struct NamedList {
  index::StoreId store = index::kNoStore;
  index::NodeKind kind = index::NodeKind::kTag;
  std::string scope;  // "" for all
};

// At most `size` nodes after `position`.
NodePage ReadPage(const index::GraphView& view, const NamedList& list,
                  const std::string& position, size_t size);

}  // namespace reclaim::rpc

#endif  // RECLAIM_RPC_NAMED_PAGE_H_
