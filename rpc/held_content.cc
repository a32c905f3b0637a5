#include "rpc/held_content.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "gc/collector.h"
#include "index/engine.h"
#include "index/graph_view.h"
#include "index/node.h"
#include "index/reference_graph.h"
#include "oci/digest.h"
#include "oci/name.h"

namespace reclaim::rpc {
namespace {

// So many pairs of a digest and a place are looked for on the disk: seconds.
constexpr uint64_t kLookupMax = 1'000'000;
constexpr uint64_t kYieldInterval = 4096;

using HeldByStore = std::map<std::string, std::vector<index::ContentName>>;

// The digests by which an operation holds content, by store.
class HeldDigests {
 public:
  void operator()(const index::PutPin& pin) { Add(pin.target); }
  void operator()(const index::PutLease& lease) {
    for (const index::Target& target : lease.targets) Add(target);
  }
  void operator()(const index::PutContainer& put) {
    const auto reference = oci::ParseReference(put.image_reference);
    if (put.image) {
      Add(index::ContentName{put.store, put.place, *put.image});
    } else if (reference.ok() && reference->digest) {
      Add(index::ContentName{put.store, put.place, *reference->digest});
    }
    // These need not lie beside the container's own.
    for (const oci::Digest& mounted : put.mounted_images) {
      Add(index::ContentName{put.store, "", mounted});
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

HeldByStore HeldBy(const index::Mutation& mutation) {
  HeldDigests digests;
  for (const index::Operation& operation : mutation.operations) {
    std::visit(digests, operation);
  }
  return digests.held();
}

// Content that a client holds, as the graph has it; or that has none yet.
struct Copy {
  index::ContentName name;
  index::NodeId node = index::kNoNode;
};

// Where `name` is held.
std::vector<Copy> CopiesOf(const index::GraphView& view,
                           const index::ContentName& name) {
  const index::StoreId store = view.FindStore(name.store);
  std::vector<Copy> copies;
  const auto add = [&](index::PlaceId place) {
    copies.push_back({{name.store, view.PlaceName(place), name.digest},
                      view.FindContent(place, name.digest)});
  };
  if (name.place.empty()) {
    view.ForEachPlace(store, add);
  } else if (const index::PlaceId place = view.FindPlace(store, name.place);
             place != index::kNoPlace) {
    add(place);
  }
  if (copies.empty()) copies.push_back({name, index::kNoNode});
  return copies;
}

// What of the copies has to be read.  Most of it is known: then nobody has to
// wait for the store.
void AddUnread(const index::GraphView& view, const std::vector<Copy>& copies,
               std::vector<index::ContentName>* unread) {
  std::vector<index::ContentName> unseen;
  bool is_here = false;
  for (const Copy& copy : copies) {
    if (copy.node == index::kNoNode ||
        view.state(copy.node) == index::NodeState::kAbsent) {
      unseen.push_back(copy.name);
      continue;
    }
    is_here = true;
    if (view.kind(copy.node) != index::NodeKind::kManifest ||
        (view.fields(copy.node).flags & index::kOpaque) != 0) {
      unread->push_back(copy.name);
    }
  }
  // It may have come since the last scan, anywhere.
  if (!is_here) unread->insert(unread->end(), unseen.begin(), unseen.end());
}

}  // namespace

absl::Status CheckHeld(const ServiceParts& parts,
                       const index::Mutation& mutation) {
  for (const auto& [store, held] : HeldBy(mutation)) {
    uint64_t place_count = 0;
    {
      const auto reader = parts.graph->Read();
      const index::GraphView& view = reader->view();
      view.ForEachPlace(view.FindStore(store),
                        [&](index::PlaceId) { ++place_count; });
    }
    const uint64_t open_count = std::count_if(
        held.begin(), held.end(),
        [](const index::ContentName& name) { return name.place.empty(); });
    if (place_count < 2 || open_count * place_count <= kLookupMax) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        "place: ", open_count, " digests that may be in any of the ",
        place_count, " places of the store ", store,
        " are too many at once; say where they are, or send fewer"));
  }
  return absl::OkStatus();
}

absl::Status ReadHeldContent(const ServiceParts& parts,
                             const index::Mutation& mutation) {
  for (const auto& [store, held] : HeldBy(mutation)) {
    std::vector<index::ContentName> unknown;
    {
      const auto reader = parts.graph->Read();
      const index::GraphView& view = reader->view();
      uint64_t looked_at = 0;
      for (const index::ContentName& name : held) {
        const std::vector<Copy> copies = CopiesOf(view, name);
        AddUnread(view, copies, &unknown);
        looked_at += copies.size();
        if (looked_at >= kYieldInterval) {
          looked_at = 0;
          view.Yield();
        }
      }
    }
    if (unknown.empty()) continue;
    RECLAIM_RETURN_IF_ERROR(
        parts.collector->ReadHeld(store, unknown, mutation.actor));
  }
  return absl::OkStatus();
}

}  // namespace reclaim::rpc
