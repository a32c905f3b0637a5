// tests/support/forwarding_graph.h — another graph, as it is: for graphs whose
// readers or writers see another one.

#ifndef RECLAIM_TESTS_SUPPORT_FORWARDING_GRAPH_H_
#define RECLAIM_TESTS_SUPPORT_FORWARDING_GRAPH_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "index/reference_graph.h"

namespace reclaim::tests {

class ForwardingReader : public index::GraphReader {
 public:
  // Not owned.
  explicit ForwardingReader(const index::GraphReader* reader)
      : reader_(*reader) {}
  const index::GraphView& view() const override { return reader_.view(); }
  const index::StoreTotals& totals(index::StoreId store) const override {
    return reader_.totals(store);
  }
  absl::Time now() const override { return reader_.now(); }
  bool IsLive(index::NodeId id) const override { return reader_.IsLive(id); }
  uint32_t ReferenceCount(index::NodeId id) const override {
    return reader_.ReferenceCount(id);
  }
  index::Epoch epoch() const override { return reader_.epoch(); }
  uint64_t sequence() const override { return reader_.sequence(); }

 private:
  const index::GraphReader& reader_;
};

class ForwardingGraph : public index::ReferenceGraph {
 public:
  // Not owned.
  explicit ForwardingGraph(index::ReferenceGraph* graph) : graph_(*graph) {}

  std::unique_ptr<index::WriteOrder> HoldWriteOrder() override {
    return graph_.HoldWriteOrder();
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

}  // namespace reclaim::tests

#endif  // RECLAIM_TESTS_SUPPORT_FORWARDING_GRAPH_H_
