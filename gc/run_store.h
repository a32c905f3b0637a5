// gc/run_store.h — plans, runs and quarantine entries, kept durably.
//
// They lie in families of the graph's engine (index/engine.h), so that an entry
// and the change of the graph that it belongs to can be one commit (I3): the
// ...Write() functions give what index::WriteOrder::Commit() takes along.  What
// is in quarantine is indexed in memory by content, for I4 asks for it.
//
// Thread-safe.  Errors are those of the engine; DATA_LOSS for damaged records.

#ifndef RECLAIM_GC_RUN_STORE_H_
#define RECLAIM_GC_RUN_STORE_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/mutex.h"
#include "gc/quarantine_index.h"
#include "gc/records.h"
#include "index/engine.h"
#include "index/reference_graph.h"
#include "index/totals.h"
#include "store/types.h"

namespace reclaim::gc {

// Entries that change with one commit.
struct QuarantineChanges {
  std::vector<QuarantineRecord> put;
  std::vector<QuarantineKey> removed;
};

// Stores the items of a plan as they are made, then the plan, which stands only
// with all of its items.  What was stored of a plan that was not finished goes
// with the writer, or, after a crash, when the store is opened.  Not
// thread-safe.
class PlanWriter {
 public:
  // Neither is owned; `id` is that of the plan.
  PlanWriter(index::Engine* engine, std::string id)
      : engine_(engine), id_(std::move(id)) {}
  ~PlanWriter();
  PlanWriter(const PlanWriter&) = delete;
  PlanWriter& operator=(const PlanWriter&) = delete;

  absl::Status Add(std::vector<PlanItem> items);
  // Durable when it returns.
  absl::Status Finish(const Plan& plan);

 private:
  absl::Status PutChunks(size_t chunk_size_min);

  index::Engine* engine_;
  const std::string id_;
  std::vector<PlanItem> items_;  // that are in no chunk yet
  uint64_t chunk_count_ = 0;
  bool has_written_ = false;
  bool is_finished_ = false;
};

class RunStore {
 public:
  // Loads the index.  `engine` is not owned.
  static absl::StatusOr<std::unique_ptr<RunStore>> Open(index::Engine* engine);

  // Plans.  Items are stored in chunks, so that a page costs what it holds.
  std::unique_ptr<PlanWriter> NewPlan(std::string id);
  // The plan's own record, anew; its items stand.
  absl::Status UpdatePlan(const StoredPlan& plan);
  // NOT_FOUND.
  absl::StatusOr<StoredPlan> GetPlan(absl::string_view id) const;
  absl::StatusOr<std::vector<PlanItem>> GetItems(absl::string_view id,
                                                 uint64_t offset,
                                                 uint64_t limit) const;
  absl::StatusOr<std::vector<StoredPlan>> ListPlans() const;  // newest first
  absl::Status DeletePlan(absl::string_view id);              // NOT_FOUND

  // Runs.
  absl::StatusOr<StoredRun> GetRun(absl::string_view id) const;  // NOT_FOUND
  // Newest first, at most `limit`, after `before_id` unless "".
  absl::StatusOr<std::vector<StoredRun>> ListRuns(absl::string_view before_id,
                                                  size_t limit) const;
  absl::Status PutRun(const StoredRun& run);
  // Forgets runs that ended before `cutoff`, and the oldest beyond `count_max`:
  // at most a hundred a call, never one that runs or that has something in
  // quarantine.
  absl::Status DropOldRuns(absl::Time cutoff, uint64_t count_max);
  // A run begins to apply a plan: both records in one commit.
  absl::Status BeginApply(const StoredPlan& plan, const StoredRun& run);
  // This and the other ...Write(): INVALID_ARGUMENT as in gc/records.h.
  static absl::StatusOr<index::RecordWrite> RunWrite(const StoredRun& run);

  // Quarantine.
  static absl::StatusOr<std::vector<index::RecordWrite>> QuarantineWrites(
      const QuarantineChanges& changes);
  // After the commit that held the writes.
  void Note(const QuarantineChanges& changes);
  // NOT_FOUND.
  absl::StatusOr<QuarantineRecord> GetQuarantine(
      const QuarantineKey& key) const;
  // Entries of a store, in the order of runs and items, one at a time until
  // `visit` returns false: there may be millions.
  absl::Status ForEachQuarantined(
      absl::string_view store,
      absl::FunctionRef<bool(QuarantineRecord)> visit) const;
  // Those that are wanted, as a list.
  absl::StatusOr<std::vector<QuarantineRecord>> ListQuarantine(
      absl::string_view store,
      absl::FunctionRef<bool(const QuarantineRecord&)> is_wanted) const;
  // Entries (bytes and links) that concern a digest in a place.
  absl::StatusOr<std::vector<QuarantineRecord>> FindQuarantined(
      const std::string& store, const store::Place& place,
      const oci::Digest& digest) const;

  // Blobs that no node of the graph stands for as being in quarantine (found
  // there without a record, or second copies), of one store: counted by
  // index::ReferenceGraph::SetAdopted(), to which each change is told.  Of
  // bytes that other names hold, those of second copies alone: what was found
  // may have its names in the store itself, where its bytes count.
  index::AdoptedTally Adopted(const std::string& store) const;
  // From now on; must not call back.
  using AdoptedListener =
      std::function<void(const std::string& store, const index::AdoptedTally&)>;
  void SetAdoptedListener(AdoptedListener listener);

  // Of a registry's cache of descriptors; nothing is known if nothing was put.
  absl::StatusOr<CacheEvidence> GetEvidence(index::StoreId store) const;
  static absl::StatusOr<index::RecordWrite> EvidenceWrite(
      index::StoreId store, const CacheEvidence& evidence);

 private:
  explicit RunStore(index::Engine* engine) : engine_(engine) {}
  absl::Status Load();
  // The items of plans that a crash has cut off.
  absl::Status DropTornPlans();
  bool HasQuarantine(const std::string& run_id) const;
  void NoteOne(const QuarantineRecord& record)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ForgetAdopted(const QuarantineKey& key)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void TellAdopted();

  index::Engine* engine_;
  mutable base::Mutex mutex_;
  QuarantineIndex quarantine_ ABSL_GUARDED_BY(mutex_);
  // Blobs that count there, and their sums by store.
  struct AdoptedBlob {
    std::string store;
    store::Bytes bytes;
    store::Bytes held;  // a part of them
  };
  std::map<QuarantineKey, AdoptedBlob> adopted_blobs_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, index::AdoptedTally> adopted_ ABSL_GUARDED_BY(mutex_);
  std::set<std::string> untold_ ABSL_GUARDED_BY(mutex_);  // stores
  // Told in the order of the changes; before `mutex_`.
  base::Mutex telling_;
  AdoptedListener listener_ ABSL_GUARDED_BY(telling_);
};

}  // namespace reclaim::gc

#endif  // RECLAIM_GC_RUN_STORE_H_
