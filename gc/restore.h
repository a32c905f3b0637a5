// gc/restore.h — private to gc: giving back what lies in quarantine.
//
// Bytes first, then links, then names (the reverse of the sweep), and in each
// batch the store first and the graph after: a name never stands before what it
// leads to (I3).  Restoring twice does nothing the second time.

#ifndef RECLAIM_GC_RESTORE_H_
#define RECLAIM_GC_RESTORE_H_

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/mutex.h"
#include "gc/collected_store.h"
#include "gc/collector.h"
#include "gc/ongoing_run.h"
#include "index/graph_view.h"
#include "index/reference_graph.h"
#include "oci/digest.h"

namespace reclaim::gc {

// Numbers of entries that were found in a quarantine folder without a record
// lie above those of any plan.
inline constexpr uint64_t kFirstAdopted = uint64_t{1} << 40;

// kBytesFirst: bytes, links, names, so that whatever is back is whole.
// kBytesLast: so that as long as something of some content is not back, its
// bytes are still on record and the next reference asks for all of it again.
// Ends at the first failure of the store; what merely lies in the way of one
// entry (ALREADY_EXISTS) holds back that, and with a link the bytes.
enum class RestoreOrder { kBytesFirst, kBytesLast };

// Whether it can be given back: it is, or may be, in quarantine.
bool IsRestorable(const QuarantineRecord& record);

// Gives back `records`, in any order.  `run` may be null (a writer waits, I4):
// then the first failure is returned; with a run, failures are its problems.
absl::Status RestoreRecords(CollectedStore* site,
                            std::vector<QuarantineRecord> records,
                            absl::string_view actor, OngoingRun* run,
                            RestoreOrder order = RestoreOrder::kBytesFirst);

// Adds what the content of a digest is made of: itself, what it references and
// its referrers.  Yields.
void AddClosure(const index::GraphView& view, index::NodeId top,
                std::set<std::pair<store::Place, oci::Digest>>* closure);

// What lies in quarantine of some content but tags: the bytes and the links to
// them.  A batch that is under way may be on record in part; whoever must not
// miss it holds the deed.
absl::StatusOr<std::vector<QuarantineRecord>> RecordsOfContent(
    const CollectedStore& site,
    const std::set<std::pair<store::Place, oci::Digest>>& contents);

// Undoes the intents of a run that have no outcome; of every run for "".
absl::Status UndoIntents(CollectedStore* site, absl::string_view run_id,
                         absl::string_view actor);

// The entries that a request means.  NOT_FOUND if nothing of it is in
// quarantine; INVALID_ARGUMENT unless it names one thing.
absl::StatusOr<std::vector<QuarantineRecord>> SelectForRestore(
    const CollectedStore& site, const RestoreRequest& request);

// I4: what a writer references comes back before he is answered.  Links come
// with their content, for a writer who saw the link relies on it.
class QuarantineRestorer final : public index::Restorer {
 public:
  // Stores are added before any writer runs; not owned.
  void AddStore(CollectedStore* site);
  void RemoveStore(index::StoreId id);
  absl::Status RestoreNodes(absl::Span<const index::NodeId> nodes,
                            absl::string_view actor) override;

 private:
  base::Mutex mutex_;
  std::map<index::StoreId, CollectedStore*> sites_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace reclaim::gc

#endif  // RECLAIM_GC_RESTORE_H_
