#include "rpc/held_content.h"

#include <map>
#include <string>
#include <variant>
#include <vector>

#include "base/status_macros.h"
#include "gc/collector.h"
#include "index/engine.h"
#include "index/graph_view.h"
#include "index/node.h"
#include "index/reference_graph.h"
#include "oci/digest.h"

namespace reclaim::rpc {
namespace {

using HeldByStore = std::map<std::string, std::vector<index::ContentName>>;

// The digests by which an operation holds content, by store.
class HeldDigests {
 public:
  void operator()(const index::PutPin& pin) { Add(pin.target); }
  void operator()(const index::PutLease& lease) {
    for (const index::Target& target : lease.targets) Add(target);
  }
  void operator()(const index::PutContainer& put) {
    if (put.image) {
      Add(index::ContentName{put.store, put.place, *put.image});
    }
    for (const oci::Digest& mounted : put.mounted_images) {
      Add(index::ContentName{put.store, put.place, mounted});
    }
  }
  void operator()(const index::PutSnapshot& put) {
    if (put.image) {
      Add(index::ContentName{put.store, put.place, *put.image});
    }
  }
  template <typename Other>
  void operator()(const Other&) {}

  const HeldByStore& held() const { return held_; }

 private:
  void Add(const index::Target& target) {
    if (target.content) Add(*target.content);
  }
  void Add(const index::ContentName& name) {
    held_[name.store].push_back(name);
  }

  HeldByStore held_;
};

// Most of it is known: then nobody has to wait for the store.
bool IsKnown(const index::GraphView& view, const index::ContentName& name) {
  const index::PlaceId place =
      view.FindPlace(view.FindStore(name.store), name.place);
  if (place == index::kNoPlace) return false;
  const index::NodeId id = view.FindContent(place, name.digest);
  return id != index::kNoNode && view.kind(id) == index::NodeKind::kManifest &&
         (view.fields(id).flags & index::kOpaque) == 0;
}

}  // namespace

absl::Status ReadHeldContent(const ServiceParts& parts,
                             const index::Mutation& mutation) {
  HeldDigests digests;
  for (const index::Operation& operation : mutation.operations) {
    std::visit(digests, operation);
  }
  for (const auto& [store, held] : digests.held()) {
    std::vector<index::ContentName> unknown;
    {
      const auto reader = parts.graph->Read();
      for (const index::ContentName& name : held) {
        if (!IsKnown(reader->view(), name)) unknown.push_back(name);
      }
    }
    if (unknown.empty()) continue;
    RECLAIM_RETURN_IF_ERROR(
        parts.collector->ReadHeld(store, unknown, mutation.actor));
  }
  return absl::OkStatus();
}

absl::Status Hold(const ServiceParts& parts, const index::Mutation& mutation) {
  RECLAIM_RETURN_IF_ERROR(
      parts.graph->Apply(mutation, index::Durability::kDurable).status());
  return ReadHeldContent(parts, mutation);
}

}  // namespace reclaim::rpc
