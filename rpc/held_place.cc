#include "rpc/held_place.h"

#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "base/status_macros.h"
#include "index/graph_view.h"
#include "index/node.h"
#include "index/reference_graph.h"
#include "oci/digest.h"
#include "store/types.h"

namespace reclaim::rpc {
namespace {

using index::GraphView;
using index::NodeId;
using Places = std::set<store::Place>;

constexpr NodeId kYieldInterval = 4096;
constexpr size_t kShownMax = 5;

struct Located {
  Places places;            // that have the content
  bool has_places = false;  // it is a folder of layouts
};

// The whole graph is walked, which happens to folders of layouts alone, and to
// requests that do not say where.
Located Locate(const GraphView& view, index::StoreId store,
               const oci::Digest& digest) {
  Located located;
  for (NodeId id = 0; id < view.node_count(); ++id) {
    if (id % kYieldInterval == kYieldInterval - 1) view.Yield();
    if (!view.Exists(id) || !index::IsContent(view.kind(id)) ||
        view.kind(id) == index::NodeKind::kExtent ||
        view.state(id) == index::NodeState::kAbsent) {
      continue;
    }
    const index::NodeFields fields = view.fields(id);
    if (fields.store != store) continue;
    if (!located.has_places) {
      located.has_places = !view.PlaceName(fields.place).empty();
    }
    if (view.digest(id) == digest) {
      located.places.insert(view.PlaceName(fields.place));
    }
  }
  return located;
}

class PlaceFiller {
 public:
  explicit PlaceFiller(const index::ReferenceGraph* graph) : graph_(graph) {
    for (const index::StoreRecord& store : graph->Stores()) {
      if (store.kind == store::StoreKind::kImageLayout) {
        layouts_.insert(store.name);
        const bool is_known = store.last_scan_end != absl::InfinitePast();
        if (!is_known) unread_.insert(store.name);
      }
    }
  }

  absl::Status operator()(index::PutLease& lease) const {
    std::vector<index::Target> placed;
    for (index::Target& target : lease.targets) {
      if (!IsOpen(lease.store, &target)) {
        placed.push_back(std::move(target));
        continue;
      }
      RECLAIM_ASSIGN_OR_RETURN(const Places places, FindSome(*target.content));
      for (const store::Place& place : places) {
        placed.push_back(target);
        placed.back().content->place = place;
      }
    }
    lease.targets = std::move(placed);
    return absl::OkStatus();
  }
  absl::Status operator()(index::PutPin& pin) const {
    if (!IsOpen(pin.store, &pin.target)) return absl::OkStatus();
    index::ContentName& name = *pin.target.content;
    RECLAIM_ASSIGN_OR_RETURN(const Places places, FindSome(name));
    RECLAIM_ASSIGN_OR_RETURN(name.place, OnlyOne(name, places));
    return absl::OkStatus();
  }
  absl::Status operator()(index::PutContainer& put) const {
    return PlaceImage(put.store, put.image, &put.place);
  }
  absl::Status operator()(index::PutSnapshot& put) const {
    return PlaceImage(put.store, put.image, &put.place);
  }
  template <typename Other>
  absl::Status operator()(Other&) const {
    return absl::OkStatus();
  }

 private:
  // Whether it is content of which nobody has said where it is.
  bool IsOpen(const std::string& store, index::Target* target) const {
    if (!target->content) return false;
    if (target->content->store.empty()) target->content->store = store;
    return target->content->place.empty() &&
           layouts_.count(target->content->store) > 0;
  }

  Located Find(const index::ContentName& name) const {
    const auto reader = graph_->Read();
    const GraphView& view = reader->view();
    return Locate(view, view.FindStore(name.store), name.digest);
  }

  // At least one.
  absl::StatusOr<Places> FindSome(const index::ContentName& name) const {
    Located located = Find(name);
    if (!located.places.empty()) return std::move(located.places);
    // The store itself is the one layout; of one that nobody has read it is not
    // known.
    if (!located.has_places && unread_.count(name.store) == 0) {
      return Places{""};
    }
    return absl::FailedPreconditionError(absl::StrCat(
        "no layout of the store ", name.store, " has ", name.digest.ToString(),
        "; scan the store, or name the layout that will have it (place)"));
  }

  static absl::StatusOr<store::Place> OnlyOne(const index::ContentName& name,
                                              const Places& places) {
    if (places.size() == 1) return *places.begin();
    std::vector<std::string> shown;
    for (const store::Place& place : places) {
      if (shown.size() == kShownMax) break;
      shown.push_back(place.empty() ? "\"\"" : place);
    }
    return absl::FailedPreconditionError(absl::StrCat(
        name.digest.ToString(), " is in ", places.size(),
        " layouts of the store ", name.store, ": ", absl::StrJoin(shown, ", "),
        places.size() > shown.size() ? ", ..." : "",
        "; name one of them (place), each by itself"));
  }

  // A container may be of an image that the store does not have.
  absl::Status PlaceImage(const std::string& store,
                          const std::optional<oci::Digest>& image,
                          store::Place* place) const {
    if (!image || !place->empty() || layouts_.count(store) == 0) {
      return absl::OkStatus();
    }
    const index::ContentName name{store, "", *image};
    const Places places = Find(name).places;
    if (places.empty()) return absl::OkStatus();
    RECLAIM_ASSIGN_OR_RETURN(*place, OnlyOne(name, places));
    return absl::OkStatus();
  }

  const index::ReferenceGraph* graph_;
  std::set<std::string> layouts_;
  std::set<std::string> unread_;
};

}  // namespace

absl::Status FillPlaces(const ServiceParts& parts, index::PutLease* put) {
  return PlaceFiller(parts.graph)(*put);
}

absl::Status FillPlaces(const ServiceParts& parts, index::PutPin* put) {
  return PlaceFiller(parts.graph)(*put);
}

absl::Status FillPlaces(const ServiceParts& parts, index::Mutation* mutation) {
  const PlaceFiller filler(parts.graph);
  for (index::Operation& operation : mutation->operations) {
    RECLAIM_RETURN_IF_ERROR(std::visit(filler, operation));
  }
  return absl::OkStatus();
}

}  // namespace reclaim::rpc
