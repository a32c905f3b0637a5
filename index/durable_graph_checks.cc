// "Is this here?", which is answered with a promise.

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "index/durable_graph.h"
#include "index/found_copies.h"

namespace reclaim::index {
namespace {

constexpr uint32_t Bit(NodeState state) { return 1 << static_cast<int>(state); }

absl::StatusOr<StoreId> FindStore(const GraphView& view,
                                  const std::string& name) {
  const StoreId store = view.FindStore(name);
  if (store != kNoStore) return store;
  return absl::NotFoundError(
      absl::StrCat("store \"", name, "\" is not registered"));
}

// Whether each is in one of `states`, wherever that is if no place is said.
absl::StatusOr<std::vector<bool>> AreIn(const GraphView& view,
                                        absl::Span<const ContentName> names,
                                        const FoundCopies& copies,
                                        uint32_t states) {
  const auto is_in = [&](NodeId id) {
    return id != kNoNode && view.Exists(id) &&
           (states & Bit(view.state(id))) != 0;
  };
  std::vector<bool> are_in;
  are_in.reserve(names.size());
  for (const ContentName& name : names) {
    RECLAIM_ASSIGN_OR_RETURN(const StoreId store, FindStore(view, name.store));
    const std::vector<NodeId>* anywhere =
        name.place.empty() ? copies.Find(store, name.digest) : nullptr;
    if (anywhere != nullptr) {
      are_in.push_back(std::any_of(anywhere->begin(), anywhere->end(), is_in));
      continue;
    }
    are_in.push_back(is_in(
        view.FindContent(view.FindPlace(store, name.place), name.digest)));
  }
  return are_in;
}

}  // namespace

absl::StatusOr<std::vector<bool>> DurableGraph::CheckExists(
    absl::Span<const ContentName> names, absl::string_view actor) {
  FoundCopies copies;
  std::vector<bool> are_here;
  {
    const std::unique_ptr<GraphReader> reader = Read();
    const GraphView& view = reader->view();
    for (const ContentName& name : names) {
      RECLAIM_ASSIGN_OR_RETURN(const StoreId store,
                               FindStore(view, name.store));
      if (name.place.empty()) copies.Want(store, name.digest);
    }
    copies.Look(view);
    copies.Follow(view);
    RECLAIM_ASSIGN_OR_RETURN(are_here, AreIn(view, names, copies,
                                             Bit(NodeState::kPresent) |
                                                 Bit(NodeState::kQuarantined)));
  }
  Mutation mutation;
  mutation.actor = std::string(actor);
  for (size_t i = 0; i < names.size(); ++i) {
    if (!are_here[i]) continue;
    Touch touch;
    touch.name = names[i];
    touch.use = UseKind::kExists;
    mutation.operations.push_back(std::move(touch));
  }
  if (mutation.operations.empty()) return are_here;
  RECLAIM_RETURN_IF_ERROR(
      ApplyWith(mutation, Durability::kDurable, &copies).status());
  // A purge may have come between: what is said is what is there now, of what
  // was promised.
  const std::unique_ptr<GraphReader> reader = Read();
  RECLAIM_ASSIGN_OR_RETURN(
      std::vector<bool> exist,
      AreIn(reader->view(), names, copies, Bit(NodeState::kPresent)));
  for (size_t i = 0; i < names.size(); ++i) {
    exist[i] = exist[i] && are_here[i];
  }
  return exist;
}

absl::StatusOr<bool> DurableGraph::CheckExists(const ContentName& name,
                                               absl::string_view actor) {
  RECLAIM_ASSIGN_OR_RETURN(const std::vector<bool> exist,
                           CheckExists(absl::MakeConstSpan(&name, 1), actor));
  return static_cast<bool>(exist[0]);
}

}  // namespace reclaim::index
