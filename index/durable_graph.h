// index/durable_graph.h — private: the reference graph on an engine.

#ifndef RECLAIM_INDEX_DURABLE_GRAPH_H_
#define RECLAIM_INDEX_DURABLE_GRAPH_H_

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_set.h"
#include "absl/synchronization/mutex.h"
#include "index/graph_records.h"
#include "index/operation_applier.h"
#include "index/reference_graph.h"
#include "index/resident_graph.h"
#include "index/write_set.h"

namespace reclaim::index {

class DurableGraph final : public ReferenceGraph {
 public:
  DurableGraph(Engine* engine, const base::Clock* clock,
               const GraphOptions& options)
      : engine_(engine),
        clock_(clock),
        options_(options),
        graph_(options.grace_period, &graph_mutex_) {}

  absl::Status Load();

  absl::StatusOr<StoreId> RegisterStore(const StoreRecord& store) override;
  std::vector<StoreRecord> Stores() const override;
  absl::Status RecordScan(StoreId store, const StoreRecord& seen) override;
  absl::Status ForgetStore(absl::string_view name) override;
  absl::StatusOr<AppliedMutation> Apply(const Mutation& mutation,
                                        Durability durability) override;
  absl::StatusOr<bool> CheckExists(const ContentName& name,
                                   absl::string_view actor) override;
  // The reader that it returns gives the lock back.
  std::unique_ptr<GraphReader> Read() const override
      ABSL_NO_THREAD_SAFETY_ANALYSIS;
  std::unique_ptr<WriteOrder> HoldWriteOrder() override;
  absl::StatusOr<Epoch> BeginEpoch() override;
  void SetRestorer(Restorer* restorer) override { restorer_ = restorer; }
  absl::StatusOr<NamedRecord> GetNamed(NodeId id) const override;
  absl::StatusOr<std::optional<PutImageConfig>> GetImageConfig(
      NodeId config) const override;
  absl::StatusOr<std::string> GetMediaType(NodeId content) const override;
  absl::StatusOr<std::vector<Event>> ListEvents(uint64_t after,
                                                size_t limit) const override;
  Engine& engine() override { return *engine_; }
  const GraphOptions& options() const override { return options_; }

 private:
  friend class HeldOrder;

  // With write_mutex_ held.
  absl::Time Now() const {
    return std::max(clock_->Now(), FromMicros(state_.latest_time()));
  }
  absl::Status CheckWritable() const;
  absl::Status Commit(const WriteSet& set, Durability durability);
  absl::StatusOr<std::optional<AppliedMutation>> Replay(
      const std::string& request_id, absl::Time now) const;
  // Sets `quarantined` instead of applying where something must be restored.
  absl::StatusOr<AppliedMutation> ApplyOnce(const Mutation& mutation,
                                            Durability durability,
                                            std::vector<NodeId>* quarantined);
  absl::Status CommitHeld(absl::Span<const StateChange> changes,
                          absl::Span<const Operation> operations,
                          absl::Span<const RecordWrite> records,
                          absl::string_view actor);
  absl::Status ChangeState(const StateChange& change, absl::string_view actor,
                           WriteSet* set) const;
  absl::Status LoadMeta();
  absl::Status LoadNodes();
  // durable_times.cc
  absl::Status LoadTimes();
  std::vector<NodeId> AddTimes(Batch* batch);
  void KeepTimes(const std::vector<NodeId>& flipped);
  OperationApplier::FindStore StoreFinder() const;

  Engine* engine_;
  const base::Clock* clock_;
  const GraphOptions options_;
  std::atomic<Restorer*> restorer_{nullptr};

  // The write order.  Taken before graph_mutex_.
  mutable std::mutex write_mutex_;
  storage::v1::GraphState state_;
  std::map<StoreId, StoreRecord> stores_;
  absl::Status broken_;  // why the graph is read-only
  // Manifests that a record says have no root (durable_times.cc).
  absl::flat_hash_set<NodeId> timed_;

  mutable absl::Mutex graph_mutex_;
  mutable ResidentGraph graph_;
  std::atomic<Epoch> epoch_{0};
  std::atomic<uint64_t> sequence_{0};
};

}  // namespace reclaim::index

#endif  // RECLAIM_INDEX_DURABLE_GRAPH_H_
