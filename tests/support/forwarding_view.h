// tests/support/forwarding_view.h — another view, as it is: for views that
// differ from it in one thing.
//
// What GraphView makes of the rest (edges, bytes) is made of these methods.

#ifndef RECLAIM_TESTS_SUPPORT_FORWARDING_VIEW_H_
#define RECLAIM_TESTS_SUPPORT_FORWARDING_VIEW_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "index/graph_view.h"
#include "index/node.h"
#include "oci/digest.h"
#include "store/types.h"

namespace reclaim::tests {

class ForwardingView : public index::GraphView {
 public:
  // Not owned.
  explicit ForwardingView(const index::GraphView* view) : view_(*view) {}

  index::NodeId node_count() const override { return view_.node_count(); }
  bool Exists(index::NodeId id) const override { return view_.Exists(id); }
  index::NodeKind kind(index::NodeId id) const override {
    return view_.kind(id);
  }
  index::NodeState state(index::NodeId id) const override {
    return view_.state(id);
  }
  index::NodeFields fields(index::NodeId id) const override {
    return view_.fields(id);
  }
  absl::Span<const index::NodeId> Kept(index::NodeId id) const override {
    return view_.Kept(id);
  }
  absl::Span<const index::NodeId> Referrers(index::NodeId id) const override {
    return view_.Referrers(id);
  }
  index::NodeId ExtentOf(index::NodeId id) const override {
    return view_.ExtentOf(id);
  }
  uint64_t LinkCount(index::NodeId extent) const override {
    return view_.LinkCount(extent);
  }
  void ForEachKeeper(
      index::NodeId id,
      absl::FunctionRef<bool(index::NodeId)> visit) const override {
    view_.ForEachKeeper(id, visit);
  }
  index::NodeId FindContent(index::PlaceId place,
                            const oci::Digest& digest) const override {
    return view_.FindContent(place, digest);
  }
  index::NodeId FindNamed(const index::NamedKey& key) const override {
    return view_.FindNamed(key);
  }
  oci::Digest digest(index::NodeId id) const override {
    return view_.digest(id);
  }
  index::NamedKey named_key(index::NodeId id) const override {
    return view_.named_key(id);
  }
  index::StoreId FindStore(absl::string_view name) const override {
    return view_.FindStore(name);
  }
  std::string StoreName(index::StoreId store) const override {
    return view_.StoreName(store);
  }
  store::Place PlaceName(index::PlaceId place) const override {
    return view_.PlaceName(place);
  }
  index::StoreId PlaceStore(index::PlaceId place) const override {
    return view_.PlaceStore(place);
  }
  index::PlaceId FindPlace(index::StoreId store,
                           const store::Place& name) const override {
    return view_.FindPlace(store, name);
  }
  void ForEachPlace(
      index::StoreId store,
      absl::FunctionRef<void(index::PlaceId)> visit) const override {
    view_.ForEachPlace(store, visit);
  }
  index::DoubtUnit UnitOfDoubt(index::StoreId store) const override {
    return view_.UnitOfDoubt(store);
  }
  index::Doubt DoubtAbout(index::NodeId content) const override {
    return view_.DoubtAbout(content);
  }
  bool HasDoubt(index::PlaceId place) const override {
    return view_.HasDoubt(place);
  }
  bool IsWholeInDoubt(index::PlaceId place) const override {
    return view_.IsWholeInDoubt(place);
  }
  bool IsRepositoryInDoubt(index::NodeId repository) const override {
    return view_.IsRepositoryInDoubt(repository);
  }
  void ForEachNamed(
      index::NodeKind kind, index::StoreId store,
      absl::FunctionRef<bool(index::NodeId)> visit) const override {
    view_.ForEachNamed(kind, store, visit);
  }
  void ForEachMember(
      index::NodeId repository,
      absl::FunctionRef<bool(index::NodeId, store::MembershipKind, absl::Time)>
          visit) const override {
    view_.ForEachMember(repository, visit);
  }
  std::optional<absl::Time> LinkedAt(
      index::NodeId repository, index::NodeId content,
      store::MembershipKind kind) const override {
    return view_.LinkedAt(repository, content, kind);
  }
  void ForEachRepositoryOf(
      index::NodeId content,
      absl::FunctionRef<bool(index::NodeId)> visit) const override {
    view_.ForEachRepositoryOf(content, visit);
  }
  void Yield() const override { view_.Yield(); }

 private:
  const index::GraphView& view_;
};

}  // namespace reclaim::tests

#endif  // RECLAIM_TESTS_SUPPORT_FORWARDING_VIEW_H_
