// tests/simulation/blind_graph.h — the reference graph without the deletion
// guard's eyes: whoever holds the write order sees no stamps, no times and no
// keepers.  So every item of a plan may go, as if nobody had looked again.
//
// With it an exploration must find a loss: otherwise it could not see one.

#ifndef RECLAIM_TESTS_SIMULATION_BLIND_GRAPH_H_
#define RECLAIM_TESTS_SIMULATION_BLIND_GRAPH_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "index/graph_view.h"
#include "index/reference_graph.h"

namespace reclaim::simulation {

class BlindView final : public index::GraphView {
 public:
  explicit BlindView(const index::GraphView* view) : view_(*view) {}

  index::NodeFields fields(index::NodeId id) const override {
    index::NodeFields fields = view_.fields(id);
    fields.stamp = 0;
    fields.recorded = absl::InfinitePast();
    return fields;
  }
  void ForEachKeeper(index::NodeId,
                     absl::FunctionRef<bool(index::NodeId)>) const override {}

  index::NodeId node_count() const override { return view_.node_count(); }
  bool Exists(index::NodeId id) const override { return view_.Exists(id); }
  index::NodeKind kind(index::NodeId id) const override {
    return view_.kind(id);
  }
  index::NodeState state(index::NodeId id) const override {
    return view_.state(id);
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

class BlindReader final : public index::GraphReader {
 public:
  explicit BlindReader(const index::GraphReader* reader)
      : reader_(*reader), view_(&reader->view()) {}
  const index::GraphView& view() const override { return view_; }
  const index::StoreTotals& totals(index::StoreId store) const override {
    return reader_.totals(store);
  }
  bool IsLive(index::NodeId id) const override { return reader_.IsLive(id); }
  uint32_t ReferenceCount(index::NodeId id) const override {
    return reader_.ReferenceCount(id);
  }
  index::Epoch epoch() const override { return reader_.epoch(); }
  uint64_t sequence() const override { return reader_.sequence(); }

 private:
  const index::GraphReader& reader_;
  const BlindView view_;
};

class BlindOrder final : public index::WriteOrder {
 public:
  explicit BlindOrder(std::unique_ptr<index::WriteOrder> order)
      : order_(std::move(order)),
        reader_(std::make_unique<BlindReader>(&order_->reader())) {}
  const index::GraphReader& reader() const override { return *reader_; }
  absl::Status Commit(absl::Span<const index::StateChange> changes,
                      absl::Span<const index::Operation> operations,
                      absl::Span<const index::RecordWrite> records,
                      absl::string_view actor) override {
    reader_.reset();
    return order_->Commit(changes, operations, records, actor);
  }

 private:
  std::unique_ptr<index::WriteOrder> order_;
  std::unique_ptr<BlindReader> reader_;
};

class BlindGraph final : public index::ReferenceGraph {
 public:
  // Not owned.
  explicit BlindGraph(index::ReferenceGraph* graph) : graph_(*graph) {}

  std::unique_ptr<index::WriteOrder> HoldWriteOrder() override {
    return std::make_unique<BlindOrder>(graph_.HoldWriteOrder());
  }

  absl::StatusOr<index::StoreId> RegisterStore(
      const index::StoreRecord& store) override {
    return graph_.RegisterStore(store);
  }
  std::vector<index::StoreRecord> Stores() const override {
    return graph_.Stores();
  }
  void SetAdopted(absl::string_view store,
                  const index::AdoptedTally& adopted) override {
    graph_.SetAdopted(store, adopted);
  }
  absl::Status RecordScan(index::StoreId store,
                          const index::StoreRecord& seen) override {
    return graph_.RecordScan(store, seen);
  }
  absl::Status ForgetStore(absl::string_view name) override {
    return graph_.ForgetStore(name);
  }
  absl::StatusOr<index::AppliedMutation> Apply(
      const index::Mutation& mutation, index::Durability durability) override {
    return graph_.Apply(mutation, durability);
  }
  absl::StatusOr<bool> CheckExists(const index::ContentName& name,
                                   absl::string_view actor) override {
    return graph_.CheckExists(name, actor);
  }
  absl::StatusOr<std::vector<bool>> CheckExists(
      absl::Span<const index::ContentName> names,
      absl::string_view actor) override {
    return graph_.CheckExists(names, actor);
  }
  absl::Status AwaitDurable() override { return graph_.AwaitDurable(); }
  std::unique_ptr<index::GraphReader> Read() const override {
    return graph_.Read();
  }
  absl::StatusOr<index::Epoch> BeginEpoch() override {
    return graph_.BeginEpoch();
  }
  void SetRestorer(index::Restorer* restorer) override {
    graph_.SetRestorer(restorer);
  }
  absl::StatusOr<index::NamedRecord> GetNamed(index::NodeId id) const override {
    return graph_.GetNamed(id);
  }
  absl::StatusOr<std::optional<index::PutImageConfig>> GetImageConfig(
      index::NodeId config) const override {
    return graph_.GetImageConfig(config);
  }
  absl::StatusOr<std::string> GetMediaType(
      index::NodeId content) const override {
    return graph_.GetMediaType(content);
  }
  absl::StatusOr<index::EventPage> ListEvents(uint64_t after,
                                              size_t limit) const override {
    return graph_.ListEvents(after, limit);
  }
  absl::StatusOr<bool> WasApplied(const std::string& request_id) override {
    return graph_.WasApplied(request_id);
  }
  absl::StatusOr<std::optional<std::string>> RecallAnswer(
      absl::string_view request_id) override {
    return graph_.RecallAnswer(request_id);
  }
  absl::Status RememberAnswer(absl::string_view request_id,
                              absl::string_view answer) override {
    return graph_.RememberAnswer(request_id, answer);
  }
  std::optional<index::DatabaseLoss> UnconfirmedLoss() const override {
    return graph_.UnconfirmedLoss();
  }
  absl::Status ConfirmLoss() override { return graph_.ConfirmLoss(); }
  index::Engine& engine() override { return graph_.engine(); }
  const index::GraphOptions& options() const override {
    return graph_.options();
  }

 private:
  index::ReferenceGraph& graph_;
};

}  // namespace reclaim::simulation

#endif  // RECLAIM_TESTS_SIMULATION_BLIND_GRAPH_H_
