// gc/collector.h — plan, apply, restore, purge: the control flow of collection.
//
// The only place that decides which step comes next.  The steps themselves are
// files of their own: roots, mark, plan (pure), deletion_guard, sweep (acting).
//
//   MakePlan   begins an epoch, marks, stores a plan.  Deletes nothing (I8).
//   Apply      quarantines those items of a plan that are still dead (I1, I7);
//              before that it purges what the plan's target takes out of the
//              quarantine.
//   Restore    gives back a run, an image or a digest out of quarantine.
//   Purge      frees quarantined bytes after period and proof (I2).
//   Recover    at start: finishes or undoes what a crash interrupted (I3).  Who
//              serves others calls BeginRecovery() before, and Resume() while
//              he serves, for a sweep may have long to go.
//
// One acting run at a time a store: a second caller gets ABORTED with the id of
// the first.  Long calls run on the caller's thread and report through
// `progress`; they end at an item boundary when `is_cancelled` turns true.
// Thread-safe.

#ifndef RECLAIM_GC_COLLECTOR_H_
#define RECLAIM_GC_COLLECTOR_H_

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/clock.h"
#include "base/random.h"
#include "gc/audit.h"
#include "gc/explain.h"
#include "gc/observer.h"
#include "gc/plan.h"
#include "gc/policy.h"
#include "gc/registry_witness.h"
#include "gc/retention.h"
#include "gc/retention_survey.h"
#include "gc/rule_source.h"
#include "gc/run.h"
#include "index/hints.h"
#include "index/mutation.h"
#include "index/reference_graph.h"
#include "oci/digest.h"
#include "store/content_store.h"
#include "store/types.h"

namespace reclaim::gc {

// Payload of the ABORTED status of a busy store: the id of the run.
inline constexpr char kRunIdPayload[] = "reclaim/run_id";

// How long the records of what was done are kept.  They are trimmed in small
// steps when plans and scans begin.
struct RecordRetention {
  // Of runs that ended; but never while something of theirs is in quarantine.
  absl::Duration run_memory = absl::Hours(24 * 90);
  uint64_t run_count_max = 10'000;
  // Of plans, after they have expired.
  absl::Duration plan_memory = absl::Hours(24 * 7);
  // Plans that nobody has applied, 1 or more: beyond that the oldest go.
  uint64_t plan_count_max = 1000;
  // How long what lies in quarantine without a record (the database was lost)
  // can be restored, from when it is found: the configured period, for what was
  // promised when it was taken is not known any more (I2).
  absl::Duration quarantine_period = GcPolicy().quarantine_period;
};
// Payload of the FAILED_PRECONDITION of a plan that takes too much: the
// percent.
inline constexpr char kTooLargePayload[] = "reclaim/large_plan_percent";
// Payload of the FAILED_PRECONDITION after the database was lost: why.
inline constexpr char kUnconfirmedPayload[] = "reclaim/unconfirmed_loss";

// What BeginRecovery() found.
struct Recovery {
  // The first error; a store that is away does not stop the others.
  // ALREADY_EXISTS: something lies in the way of what was to come back, which
  // stays in quarantine; it holds up nothing else.
  absl::Status status;
  // Sweeps that were interrupted and go on: each with Resume(), those of one
  // store in this order, one after the other.
  std::vector<std::string> unfinished_runs;
};

struct RunControl {
  std::function<bool()> is_cancelled;           // may be empty
  std::function<void(const Run&)> on_progress;  // may be empty
};

// A page of plan items: `items[offset, offset + limit)`.
struct PlanPage {
  Plan plan;
  std::vector<PlanItem> items;
  uint64_t item_count = 0;
};

struct ApplyRequest {
  std::string plan_id;
  bool allow_large = false;        // past GcPolicy::large_plan_percent
  bool purge_immediately = false;  // --purge: no quarantine period, proof kept
  std::string actor;
};

// Exactly one of the members is set.
struct RestoreRequest {
  std::string store;
  std::string run_id;
  std::string reference;              // "repo:tag" of a removed tag
  std::optional<oci::Digest> digest;  // with all that it references
  std::string actor;
};

struct PurgeRequest {
  std::string store;
  std::string run_id;               // "" for every run
  bool before_period_ends = false;  // on request; proof is needed all the same
  uint64_t free_bytes = 0;          // stop when so much was freed; 0: no limit
  // Waits, up to two minutes, for the writers of what was moved just now
  // (WriterTerms::write_duration_max); otherwise that stays for a later purge.
  bool may_wait = false;
  std::string actor;
};

// One quarantined item, for listings.
struct QuarantineEntry {
  std::string run_id;
  PlanItem item;
  absl::Time quarantined;
  absl::Time restorable_until;
  std::string actor;
  // A second copy of what the store has again: it goes with the next purge.
  bool is_superseded = false;
};

class Collector {
 public:
  virtual ~Collector() = default;

  static absl::StatusOr<std::unique_ptr<Collector>> Create(
      index::ReferenceGraph* graph, const base::Clock* clock,
      base::RandomSource* random, CollectorObserver* observer,
      const RecordRetention& retention = {});

  // Hears of each deletion before it is done (I9).  Before any run; not owned.
  virtual void SetAudit(DeletionAudit* audit) = 0;

  // Who asks registries about their caches (gc/registry_witness.h); nullptr for
  // nobody.  Before the first store is attached.  Not owned.
  virtual void SetRegistryWitness(RegistryWitness* witness) = 0;

  // Where the period of a quarantine begins: never behind the clock, and ahead
  // of it while that is held back (base/leap_clock.h).  The clock itself unless
  // set.  Before the first store is attached.  Not owned.
  virtual void SetPeriodClock(const base::Clock* clock) = 0;

  // Stores are attached once; not owned.
  virtual absl::Status AttachStore(absl::string_view name,
                                   store::ContentStore* store) = 0;

  // The owner keeps the store open all the same: a plan may be in the making
  // on it, and is refused when it is applied.  ABORTED while a run is at
  // work there; FAILED_PRECONDITION while something of it is in quarantine;
  // NOT_FOUND.
  virtual absl::Status DetachStore(absl::string_view name) = 0;

  // Id of the run at work on a store; "" if none (or no such store).
  virtual std::string ActingRun(absl::string_view name) const = 0;

  // What the last scan of a store could not read whole.  Waits for a sync to
  // end.  While a run is at work it may be its scan that keeps the whole store,
  // so that is left out; and all for no such store.
  virtual std::vector<index::UnreadableScope> KeptScopes(
      absl::string_view name) const = 0;

  // Ends or undoes the step in which each store was interrupted, and abandons
  // the runs that do not go on; call after all stores are attached.  The stores
  // of those that do are busy (ABORTED with the run's id) until Resume() has
  // ended them.
  virtual Recovery BeginRecovery() = 0;
  // The same once more for UnrecoveredStores(), for those that RecoverStore()
  // has recovered since and for those whose runs could not all be taken up,
  // beside whoever is served.  One where a run is at work waits for the next
  // time.
  virtual Recovery RecoverAgain() = 0;
  // The stores whose recovery did not come to its end, and why: what was in the
  // midst of something stays where it is, and their interrupted runs wait.
  virtual std::map<std::string, std::string> UnrecoveredStores() const = 0;
  // Goes on with a sweep of BeginRecovery(), or abandons it if its plan has
  // gone or expired meanwhile.  FAILED_PRECONDITION: the run was not
  // interrupted; NOT_FOUND; otherwise as Apply(), ABORTED before its turn too.
  virtual absl::StatusOr<Run> Resume(absl::string_view run_id,
                                     const RunControl& control) = 0;
  // Both, for who serves nobody meanwhile.
  absl::Status Recover();

  // For a store that was attached later: takes up what lies in its quarantine
  // and no record knows, and ends what was interrupted.  ABORTED while a run is
  // at work there; ALREADY_EXISTS as in Recovery.
  virtual absl::Status RecoverStore(absl::string_view name) = 0;

  // Walks a store into the graph (index/store_scanner.h) as a run.
  virtual absl::StatusOr<Run> Scan(absl::string_view store, bool from_nothing,
                                   absl::string_view actor,
                                   const RunControl& control) = 0;

  // Looks at what somebody says has changed (index/hints.h), between batches
  // of a sweep: also while a run is at work.  Returns what is worth a second
  // look.  Errors as there.
  virtual absl::StatusOr<std::vector<index::Hint>> FollowHints(
      absl::string_view store, absl::Span<const index::Hint> hints,
      absl::string_view actor) = 0;

  // The same because the store has said that it changed: without a run of its
  // own.  Who plans or acts there meanwhile waits for its end.  ABORTED while a
  // run is at work there: its end is soon enough.
  virtual absl::Status Sync(absl::string_view store,
                            std::function<bool()> is_cancelled) = 0;

  // Reads what is held by its digest and no scan has read (ReadHeld() of
  // index/store_scanner.h), between batches of a sweep.  OK for a store that is
  // not attached or has no bytes here.
  virtual absl::Status ReadHeld(absl::string_view store,
                                absl::Span<const index::ContentName> held,
                                absl::string_view actor) = 0;

  // Its items are in the database alone: GetPlan() gives them in pages.
  virtual absl::StatusOr<Plan> MakePlan(const PruneRequest& request,
                                        const RunControl& control) = 0;
  virtual absl::StatusOr<PlanPage> GetPlan(absl::string_view id,
                                           uint64_t offset,
                                           uint64_t limit) const = 0;
  // Newest first.
  virtual absl::StatusOr<std::vector<Plan>> ListPlans() const = 0;
  virtual absl::Status DeletePlan(absl::string_view id) = 0;
  // Lets a plan that waits for approval be applied.  NOT_FOUND;
  // PERMISSION_DENIED: `actor` made it or asked for it; FAILED_PRECONDITION:
  // it does not wait, has expired or was applied.
  virtual absl::StatusOr<Plan> ApprovePlan(absl::string_view id,
                                           absl::string_view actor) = 0;

  // Whence plans take their retention rules and quotas; not owned, outlives the
  // collector, set before the first plan.
  virtual void SetRuleSource(const RuleSource* rules) = 0;
  // What `sets` say of each tag of a store; stores nothing (I8).
  virtual absl::StatusOr<std::vector<TagDecision>> TestRules(
      const PruneRequest& request, absl::Span<const RuleSet> sets,
      const RunControl& control) const = 0;

  // What Apply() and Purge() ask first: FAILED_PRECONDITION with
  // kUnconfirmedPayload while nobody has confirmed the loss of the database
  // (ReferenceGraph::UnconfirmedLoss()), for what kept content may be lost.
  virtual absl::Status CheckConfirmed() const = 0;

  // FAILED_PRECONDITION: expired, applied already, not approved, or too large
  // (then with the payload kTooLargePayload); NOT_FOUND.
  virtual absl::StatusOr<Run> Apply(const ApplyRequest& request,
                                    const RunControl& control) = 0;
  virtual absl::StatusOr<Run> Restore(const RestoreRequest& request,
                                      const RunControl& control) = 0;
  virtual absl::StatusOr<Run> Purge(const PurgeRequest& request,
                                    const RunControl& control) = 0;

  virtual absl::StatusOr<Run> GetRun(absl::string_view id) const = 0;
  // Newest first, at most `limit`, beginning after `before_id` if not "".
  virtual absl::StatusOr<std::vector<Run>> ListRuns(absl::string_view before_id,
                                                    size_t limit) const = 0;
  virtual absl::StatusOr<std::vector<QuarantineEntry>> ListQuarantine(
      absl::string_view store, uint64_t offset, uint64_t limit) const = 0;
  // What of it is about one content: bytes and links, newest first.
  virtual absl::StatusOr<std::vector<QuarantineEntry>> FindQuarantined(
      absl::string_view store, const store::Place& place,
      const oci::Digest& digest) const = 0;
  // Whether a purge would find something whose period is over.
  virtual absl::StatusOr<bool> IsPurgeDue(absl::string_view store) const = 0;

  virtual absl::StatusOr<Explanation> Explain(index::NodeId node,
                                              const GcPolicy& policy,
                                              int path_count_max) const = 0;
};

}  // namespace reclaim::gc

#endif  // RECLAIM_GC_COLLECTOR_H_
