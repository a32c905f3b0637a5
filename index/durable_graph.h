// index/durable_graph.h — private: the reference graph on an engine.

#ifndef RECLAIM_INDEX_DURABLE_GRAPH_H_
#define RECLAIM_INDEX_DURABLE_GRAPH_H_

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_set.h"
#include "base/mutex.h"
#include "index/found_copies.h"
#include "index/graph_records.h"
#include "index/group_sync.h"
#include "index/operation_applier.h"
#include "index/reference_graph.h"
#include "index/resident_graph.h"
#include "index/write_set.h"
#include "oci/digest.h"

namespace reclaim::index {

class DurableGraph final : public ReferenceGraph {
 public:
  DurableGraph(Engine* engine, const base::Clock* clock,
               const GraphOptions& options)
      : engine_(engine),
        clock_(clock),
        options_(options),
        sync_(engine),
        graph_(options.grace_period, &graph_mutex_, options.scratch_folder) {}

  absl::Status Load();
  // What an earlier version recorded as held in no place is held wherever it
  // is.  After Load(): what of it lies in quarantine comes back when its store
  // is recovered (gc/held_return.h), and is not purged before.
  absl::Status HoldKnownCopies();

  absl::StatusOr<StoreId> RegisterStore(const StoreRecord& store) override;
  std::vector<StoreRecord> Stores() const override;
  absl::Status RecordScan(StoreId store, const StoreRecord& seen) override;
  absl::Status ForgetStore(absl::string_view name) override;
  void SetAdopted(absl::string_view store,
                  const AdoptedTally& adopted) override;
  absl::StatusOr<AppliedMutation> Apply(const Mutation& mutation,
                                        Durability durability) override;
  absl::StatusOr<bool> CheckExists(const ContentName& name,
                                   absl::string_view actor) override;
  absl::StatusOr<std::vector<bool>> CheckExists(
      absl::Span<const ContentName> names, absl::string_view actor) override;
  absl::StatusOr<bool> WasApplied(const std::string& request_id) override;
  absl::Status AwaitDurable() override { return sync_.Wait(sync_.last()); }
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
  absl::StatusOr<EventPage> ListEvents(uint64_t after,
                                       size_t limit) const override;
  absl::StatusOr<std::optional<std::string>> RecallAnswer(
      absl::string_view request_id) override;
  absl::Status RememberAnswer(absl::string_view request_id,
                              absl::string_view answer) override;
  std::optional<DatabaseLoss> UnconfirmedLoss() const override;
  absl::Status ConfirmLoss() override;
  Engine& engine() override { return *engine_; }
  const GraphOptions& options() const override { return options_; }

 private:
  friend class HeldOrder;

  // Where the content is that the operations name in no place.
  FoundCopies FindCopies(const Mutation& mutation) const;
  absl::StatusOr<AppliedMutation> ApplyWith(const Mutation& mutation,
                                            Durability durability,
                                            FoundCopies* copies);
  // The number of a commit, for sync_.
  using CommitNumber = uint64_t;
  struct Applied {
    AppliedMutation mutation;
    // What must be restored first; then nothing was applied.
    std::vector<NodeId> quarantined;
    CommitNumber commit = 0;
  };

  absl::Time Now() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(write_mutex_) {
    return std::max(clock_->Now(), FromMicros(state_.latest_time()));
  }
  absl::Status CheckWritable() const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(write_mutex_);
  // OUT_OF_RANGE if all sizes of a store would be too large (size_sums.cc).
  absl::Status CheckSums(const WriteSet& set) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(write_mutex_);
  // Into the engine's log, not yet synced: nobody is answered before
  // sync_.Wait() of the number, without the write order.
  absl::StatusOr<CommitNumber> CommitBatch(const Batch& batch)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(write_mutex_);
  // The same, and into the arrays.
  absl::StatusOr<CommitNumber> Commit(WriteSet* set)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(write_mutex_);
  // What is remembered of a request; unset if nothing is.
  absl::StatusOr<std::optional<storage::v1::RequestRecord>> FindRequest(
      RequestKind kind, absl::string_view request_id, absl::Time now) const;
  absl::StatusOr<std::optional<AppliedMutation>> Replay(
      const std::string& request_id, absl::Time now) const;
  static absl::Status AddAnswer(const std::string& request_id,
                                const AppliedMutation& applied, WriteSet* set);
  // What is too old goes with the first request of each period.
  void TrimRequests(absl::Time now, WriteSet* set)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(write_mutex_);
  absl::StatusOr<CommitNumber> RememberInOrder(absl::string_view request_id,
                                               absl::string_view answer);
  absl::StatusOr<Applied> ApplyInOrder(const Mutation& mutation,
                                       FoundCopies* copies);
  absl::StatusOr<CommitNumber> CommitHeld(
      absl::Span<const StateChange> changes,
      absl::Span<const Operation> operations,
      absl::Span<const RecordWrite> records, absl::string_view actor)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(write_mutex_);
  absl::StatusOr<CommitNumber> PutStoreInOrder(StoreRecord* record);
  absl::StatusOr<CommitNumber> RecordScanInOrder(StoreId store,
                                                 const StoreRecord& seen);
  absl::StatusOr<Batch> ForgetBatch(StoreId store) const;
  absl::StatusOr<CommitNumber> ForgetInOrder(absl::string_view name);
  absl::StatusOr<CommitNumber> NextEpochInOrder(Epoch* epoch);
  absl::Status ChangeState(const StateChange& change, absl::string_view actor,
                           WriteSet* set) const;
  absl::Status LoadMeta() ABSL_EXCLUSIVE_LOCKS_REQUIRED(write_mutex_);
  absl::Status LoadNodes() ABSL_EXCLUSIVE_LOCKS_REQUIRED(write_mutex_);
  // Empty if the record can't be read.
  oci::Digest RecordedDigest(NodeId id) const;
  // database_loss.cc
  absl::Status BeginState() ABSL_EXCLUSIVE_LOCKS_REQUIRED(write_mutex_);
  absl::Status RecordLaterDatabase()
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(write_mutex_);
  void LoadLoss() ABSL_EXCLUSIVE_LOCKS_REQUIRED(write_mutex_);
  absl::StatusOr<CommitNumber> ConfirmInOrder();
  // durable_times.cc
  absl::Status LoadTimes() ABSL_EXCLUSIVE_LOCKS_REQUIRED(write_mutex_);
  std::vector<NodeId> AddTimes(Batch* batch)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(write_mutex_);
  void KeepTimes(const std::vector<NodeId>& flipped)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(write_mutex_);
  absl::StatusOr<CommitNumber> CommitWithTimes(Batch batch)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(write_mutex_);
  OperationApplier::FindStore StoreFinder() const;

  Engine* engine_;
  const base::Clock* clock_;
  const GraphOptions options_;
  std::atomic<Restorer*> restorer_{nullptr};

  // The write order.  Taken before graph_mutex_; nobody waits for the disk's
  // sync while he holds it.
  mutable base::Mutex write_mutex_;
  storage::v1::GraphState state_ ABSL_GUARDED_BY(write_mutex_);
  // Changed with both locks held, read with either.
  std::map<StoreId, StoreRecord> stores_;
  // Request records of periods before this one were trimmed.
  uint32_t oldest_request_period_ ABSL_GUARDED_BY(write_mutex_) = 0;
  absl::Status broken_ ABSL_GUARDED_BY(write_mutex_);  // why it is read-only
  mutable GroupSync sync_;
  // Manifests that a record says have no root (durable_times.cc).
  absl::flat_hash_set<NodeId> timed_ ABSL_GUARDED_BY(write_mutex_);

  mutable base::Mutex loss_mutex_;
  std::optional<DatabaseLoss> loss_ ABSL_GUARDED_BY(loss_mutex_);

  mutable base::Mutex graph_mutex_;
  mutable ResidentGraph graph_;
  std::atomic<Epoch> epoch_{0};
  std::atomic<uint64_t> sequence_{0};
  std::atomic<uint64_t> oldest_sequence_{1};
};

}  // namespace reclaim::index

#endif  // RECLAIM_INDEX_DURABLE_GRAPH_H_
