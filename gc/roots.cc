#include "gc/roots.h"

namespace reclaim::gc {
namespace {

using index::NodeFields;
using index::NodeKind;
using index::NodeState;
using index::RootReason;

constexpr index::NodeId kYieldInterval = 4096;

void AddContentRoots(const index::GraphView& view, const NodeFields& f,
                     index::NodeId id, const RootOptions& options,
                     std::vector<Root>* roots) {
  if (f.kind == NodeKind::kExtent) return;
  if ((f.flags & index::kOpaque) != 0) {
    roots->push_back({id, RootReason::kOpaque});
  }
  if ((f.flags & index::kOnlyName) != 0) {
    roots->push_back({id, RootReason::kOnlyName});
  }
  if (f.state == NodeState::kPresent &&
      f.recorded + options.grace_period > options.now) {
    roots->push_back({id, RootReason::kGrace});
  }
  switch (view.DoubtAbout(id)) {
    case index::Doubt::kNone:
      break;
    case index::Doubt::kReach:
      roots->push_back({id, RootReason::kInDoubt});
      break;
    case index::Doubt::kUnlinked:
      roots->push_back({id, RootReason::kUnlinked});
      break;
  }
}

bool IsActiveUpload(const NodeFields& f, const RootOptions& options) {
  return f.recorded + options.upload_lifetime > options.now &&
         f.expires >= options.now;
}

void AddNamedRoots(const NodeFields& f, index::NodeId id,
                   const RootOptions& options, std::vector<Root>* roots) {
  switch (f.kind) {
    case NodeKind::kTag:
      if (!options.without_tags) roots->push_back({id, RootReason::kTag});
      break;
    case NodeKind::kContainer:
      roots->push_back({id, RootReason::kContainer});
      break;
    case NodeKind::kPin:
      roots->push_back({id, RootReason::kPin});
      break;
    case NodeKind::kLease:
      // An expiry that is exactly now has not passed (rule 9).
      if (f.expires >= options.now) roots->push_back({id, RootReason::kLease});
      break;
    case NodeKind::kUpload:
      if (IsActiveUpload(f, options)) {
        roots->push_back({id, RootReason::kUpload});
      }
      break;
    case NodeKind::kVolume:
    case NodeKind::kNetwork:
    case NodeKind::kBuildCache:
      roots->push_back({id, RootReason::kRecord});
      break;
    default:
      break;
  }
}

}  // namespace

std::vector<Root> CollectRoots(const index::GraphView& view,
                               index::StoreId store,
                               const RootOptions& options) {
  std::vector<Root> roots;
  for (index::NodeId id = 0; id < view.node_count(); ++id) {
    if (id % kYieldInterval == kYieldInterval - 1) view.Yield();
    if (!view.Exists(id)) continue;
    const NodeFields f = view.fields(id);
    if (f.store != store) continue;
    if (IsContent(f.kind)) {
      AddContentRoots(view, f, id, options, &roots);
    } else {
      AddNamedRoots(f, id, options, &roots);
    }
  }
  return roots;
}

}  // namespace reclaim::gc
