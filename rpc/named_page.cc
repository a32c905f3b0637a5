#include "rpc/named_page.h"

#include <utility>

namespace reclaim::rpc {

NodePage ReadPage(const index::GraphView& view, const NamedList& list,
                  const std::string& position, size_t size) {
  NodePage page;
  bool is_past = position.empty();
  view.ForEachNamed(list.kind, list.store, [&](index::NodeId id) {
    const index::NamedKey key = view.named_key(id);
    if (!list.scope.empty() && key.scope != list.scope) return true;
    // No name has a control character, so this orders as (scope, name) does.
    std::string at = key.scope + '\n' + key.name;
    if (!is_past && at <= position) return true;
    is_past = true;
    if (page.ids.size() == size) {
      page.next = page.behind.empty() ? position : page.behind.back();
      return false;
    }
    page.ids.push_back(id);
    page.behind.push_back(std::move(at));
    return true;
  });
  return page;
}

}  // namespace reclaim::rpc
