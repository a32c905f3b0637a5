// gc/store_collector.h — private to gc: the collector.
//
// collector.cc makes plans, collector_answers.cc answers questions,
// collector_runs.cc acts, collector_recovery.cc goes on after a crash.

#ifndef RECLAIM_GC_STORE_COLLECTOR_H_
#define RECLAIM_GC_STORE_COLLECTOR_H_

#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "base/mutex.h"
#include "gc/collected_store.h"
#include "gc/collector.h"
#include "gc/plan_draft.h"
#include "gc/restore.h"
#include "gc/run_store.h"
#include "index/totals.h"

namespace reclaim::gc {

// Gives the store free for the next run.
class ActingSlot {
 public:
  ActingSlot(base::Mutex* mutex, CollectedStore* site)
      : mutex_(mutex), site_(site) {}
  ~ActingSlot() {
    base::MutexLock lock(mutex_);
    site_->acting_run.clear();
  }
  ActingSlot(const ActingSlot&) = delete;
  ActingSlot& operator=(const ActingSlot&) = delete;

  CollectedStore* site() const { return site_; }

 private:
  base::Mutex* mutex_;
  CollectedStore* site_;
};

// ABORTED with the id of the run that acts there.  With the collector's lock.
absl::Status Busy(const CollectedStore& site);

class OngoingRun;

// What stands for a run while a sync is at work.
inline constexpr char kSyncRun[] = "sync";

class StoreCollector final : public Collector {
 public:
  StoreCollector(index::ReferenceGraph* graph, const base::Clock* clock,
                 base::RandomSource* random, CollectorObserver* observer,
                 const RecordRetention& retention,
                 std::unique_ptr<RunStore> runs)
      : graph_(graph),
        clock_(clock),
        period_clock_(clock),
        random_(random),
        observer_(observer != nullptr ? observer : &nobody_),
        retention_(retention),
        runs_(std::move(runs)) {
    graph_->SetRestorer(&restorer_);
    runs_->SetAdoptedListener(
        [graph](const std::string& store, const index::AdoptedTally& adopted) {
          graph->SetAdopted(store, adopted);
        });
  }
  ~StoreCollector() override { graph_->SetRestorer(nullptr); }

  void SetAudit(DeletionAudit* audit) override { audit_ = audit; }
  void SetRegistryWitness(RegistryWitness* witness) override {
    witness_ = witness;
  }
  void SetPeriodClock(const base::Clock* clock) override {
    period_clock_ = clock;
  }
  absl::Status AttachStore(absl::string_view name,
                           store::ContentStore* store) override;
  absl::Status DetachStore(absl::string_view name) override;
  std::string ActingRun(absl::string_view name) const override;
  std::vector<index::UnreadableScope> KeptScopes(
      absl::string_view name) const override;
  Recovery BeginRecovery() override;
  Recovery RecoverAgain() override;
  std::map<std::string, std::string> UnrecoveredStores() const override;
  absl::StatusOr<Run> Resume(absl::string_view run_id,
                             const RunControl& control) override;
  absl::Status RecoverStore(absl::string_view name) override;
  absl::StatusOr<Run> Scan(absl::string_view store, bool from_nothing,
                           absl::string_view actor,
                           const RunControl& control) override;
  absl::StatusOr<std::vector<index::Hint>> FollowHints(
      absl::string_view store, absl::Span<const index::Hint> hints,
      absl::string_view actor) override;
  absl::Status ReadHeld(absl::string_view store,
                        absl::Span<const index::ContentName> held,
                        absl::string_view actor) override;
  absl::Status Sync(absl::string_view store,
                    std::function<bool()> is_cancelled) override;
  absl::StatusOr<Plan> MakePlan(const PruneRequest& request,
                                const RunControl& control) override;
  absl::StatusOr<PlanPage> GetPlan(absl::string_view id, uint64_t offset,
                                   uint64_t limit) const override;
  absl::StatusOr<std::vector<Plan>> ListPlans() const override;
  absl::Status DeletePlan(absl::string_view id) override;
  absl::StatusOr<Plan> ApprovePlan(absl::string_view id,
                                   absl::string_view actor) override;
  void SetRuleSource(const RuleSource* rules) override { rules_ = rules; }
  absl::StatusOr<std::vector<TagDecision>> TestRules(
      const PruneRequest& request, absl::Span<const RuleSet> sets,
      const RunControl& control) const override;
  absl::Status CheckConfirmed() const override;
  absl::StatusOr<Run> Apply(const ApplyRequest& request,
                            const RunControl& control) override;
  absl::StatusOr<Run> Restore(const RestoreRequest& request,
                              const RunControl& control) override;
  absl::StatusOr<Run> Purge(const PurgeRequest& request,
                            const RunControl& control) override;
  absl::StatusOr<Run> GetRun(absl::string_view id) const override;
  absl::StatusOr<std::vector<Run>> ListRuns(absl::string_view before_id,
                                            size_t limit) const override;
  absl::StatusOr<std::vector<QuarantineEntry>> ListQuarantine(
      absl::string_view store, uint64_t offset, uint64_t limit) const override;
  absl::StatusOr<std::vector<QuarantineEntry>> FindQuarantined(
      absl::string_view store, const store::Place& place,
      const oci::Digest& digest) const override;
  absl::StatusOr<bool> IsPurgeDue(absl::string_view store) const override;
  absl::StatusOr<Explanation> Explain(index::NodeId node,
                                      const GcPolicy& policy,
                                      int path_count_max) const override;

 private:
  absl::StatusOr<CollectedStore*> Site(absl::string_view name) const;
  // ABORTED with the id of the run that acts there.
  absl::StatusOr<std::unique_ptr<ActingSlot>> Acquire(CollectedStore* site,
                                                      const std::string& run);
  StoredRun NewRun(RunKind kind, const CollectedStore& site,
                   absl::string_view actor) const;
  absl::StatusOr<PlanInputs> InputsFor(const CollectedStore& site) const;
  // The same; ABORTED while a run reads the store.
  absl::StatusOr<PlanInputs> InputsAtRest(const CollectedStore& site) const;
  absl::StatusOr<SpaceState> SpaceOf(const CollectedStore& site,
                                     const SpaceTarget& target) const;
  // Now and then; what fails is tried again the next time.
  void DropOldRecords();
  absl::Status ForEachPage(
      const DraftItems& items, const RunControl& control, PlanTotals* totals,
      absl::FunctionRef<absl::Status(uint64_t, std::vector<PlanItem>)> visit)
      const;
  // Measures its items and stores them, then the plan.
  absl::Status StorePlan(const CollectedStore& site, const DraftItems& items,
                         const RunControl& control, Plan* plan) const;
  absl::Status DropOldPlans();
  // Leaves room for one more (RecordRetention::plan_count_max).
  absl::Status DropSurplusPlans();
  absl::Status CheckApplicable(const StoredPlan& plan,
                               const ApplyRequest& request,
                               const CollectedStore& site) const;
  absl::StatusOr<Plan> BeginApply(const ApplyRequest& request,
                                  const CollectedStore& site, StoredRun* begun);
  absl::Status CheckSize(const Plan& plan, const CollectedStore& site) const;
  static absl::Status CheckAnswers(const CollectedStore& site);
  absl::StatusOr<Run> RunSweep(CollectedStore* site, const Plan& plan,
                               StoredRun stored, uint64_t purge_first_bytes,
                               const RunControl& control);
  absl::StatusOr<Run> RunPurge(CollectedStore* site,
                               const PurgeRequest& request,
                               const RunControl& control, absl::Status* status);
  void PurgeForRoom(CollectedStore* site, uint64_t free_bytes,
                    OngoingRun* applied, const RunControl& control);
  absl::Status PurgeAtOnce(CollectedStore* site, Run* applied,
                           const RunControl& control);
  // The plan that an interrupted run goes on with; unset if it does not.
  absl::StatusOr<std::optional<Plan>> PlanToGoOn(const StoredRun& stored) const;
  absl::StatusOr<Run> Abandon(StoredRun stored);
  // RecoverStore() while no run is at work there; notes what came of it.
  absl::Status RecoverSite(CollectedStore* site);
  // Those that RecoverAgain() is about.
  std::vector<std::string> StoresToRecover() const;
  // Takes up the interrupted runs of the stores that are meant.  `slot` may be
  // null, or keeps the only one of these.
  absl::Status TakeUpRuns(absl::FunctionRef<bool(const std::string&)> is_meant,
                          std::unique_ptr<ActingSlot> slot,
                          std::vector<std::string>* unfinished);
  // RecoverAgain() tries those of these stores that could not be taken up.
  void TakeUpLater(absl::FunctionRef<bool(const std::string&)> is_meant);
  // True if the run goes on; then its store is kept for it, by `slot` if that
  // is not null.
  absl::StatusOr<bool> TakeUp(StoredRun stored,
                              std::unique_ptr<ActingSlot>* slot);
  // Takes the store that was kept for the run, if it was; ABORTED while others
  // of that store come first.
  absl::Status TakeTurn(const std::string& run_id,
                        std::unique_ptr<ActingSlot>* slot);
  // Resume() once it is the run's turn.
  absl::StatusOr<Run> GoOn(absl::string_view run_id, const RunControl& control,
                           std::unique_ptr<ActingSlot>* slot);
  // Keeps the store for the next of its runs that go on, or gives it free.
  void HandOn(std::unique_ptr<ActingSlot> slot);

  index::ReferenceGraph* graph_;
  const base::Clock* clock_;
  const base::Clock* period_clock_;
  base::RandomSource* random_;
  CollectorObserver nobody_;
  CollectorObserver* observer_;
  std::atomic<DeletionAudit*> audit_{nullptr};
  const RecordRetention retention_;
  RegistryWitness* witness_ = nullptr;
  std::unique_ptr<RunStore> runs_;
  const RuleSource* rules_ = nullptr;
  QuarantineRestorer restorer_;
  base::Mutex approval_;       // orders what changes a stored plan
  mutable base::Mutex mutex_;  // guards also the acting_run of sites_
  absl::Time next_trim_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
  std::map<std::string, std::unique_ptr<CollectedStore>> sites_
      ABSL_GUARDED_BY(mutex_);
  // Kept, for a plan may be in the making on them.
  std::vector<std::unique_ptr<CollectedStore>> detached_
      ABSL_GUARDED_BY(mutex_);
  // The stores that wait for Resume(), by run.
  std::map<std::string, std::unique_ptr<ActingSlot>> unfinished_
      ABSL_GUARDED_BY(mutex_);
  // Runs behind one of these, by store, in their order.
  std::map<std::string, std::vector<std::string>> waiting_
      ABSL_GUARDED_BY(mutex_);
};

}  // namespace reclaim::gc

#endif  // RECLAIM_GC_STORE_COLLECTOR_H_
