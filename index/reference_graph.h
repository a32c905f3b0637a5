// index/reference_graph.h — the reference graph: durable, exact, and in order.
//
// One ReferenceGraph stands on one Engine.  All writes go through one sequencer
// with group commit: a write is prepared against the resident graph, committed
// to the engine's log together with its event rows, then applied to the arrays
// and the counters; that is the write order, and no sync of the disk happens in
// it.  A durable write is acknowledged when a sync, shared with those beside
// it, has covered it (index/group_sync.h).  The stores are the truth, the graph
// is a cache of them that can be rebuilt (index/rebuild.h).
//
// Reads go to the arrays, and so may see a change a few milliseconds before it
// is on the disk.  Nothing wrong comes of it: commits become durable in their
// order (index/engine.h), so whatever was decided on a change and is durable
// itself has that change beneath it.  What leaves the graph as a promise waits
// for the sync: an acknowledged write, also one that changed nothing, a "yes"
// of CheckExists(), the record of a deletion before its deed (I3), an event
// row.
//
// Thread-safe.  A reader holds the read lock for as long as its GraphReader
// lives; long passes call view().Yield().  Never call Apply() while holding a
// GraphReader on the same thread (it would wait for itself; checked).

#ifndef RECLAIM_INDEX_REFERENCE_GRAPH_H_
#define RECLAIM_INDEX_REFERENCE_GRAPH_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/clock.h"
#include "index/engine.h"
#include "index/event.h"
#include "index/graph_view.h"
#include "index/mutation.h"
#include "index/node.h"
#include "index/totals.h"
#include "store/types.h"

namespace reclaim::index {

struct GraphOptions {
  // Content younger than this is a root (reason kGrace) for the counters; a
  // plan may use another period.  0 s to 10 years.
  absl::Duration grace_period = absl::Hours(24);
  // How long a request id is remembered.
  absl::Duration request_memory = absl::Hours(24);
  // An upload without an expiry of its own is a root for so long.
  absl::Duration upload_lifetime = absl::Hours(168);
  // Event rows kept; older ones are trimmed along with later commits.
  uint64_t event_count_max = 10'000'000;
  // How it is known that there was a database before, "" if there was none: a
  // new one then stands for one that was lost (DatabaseLoss).  Of no meaning
  // for a database that is there.
  std::string earlier_database;
  // How it is known that the database that is there is not the latest
  // (DatabaseMark), "" if nothing says so: what came since was lost.  Of no
  // meaning for a new one.
  std::string later_database;
  // A folder for what need not be in memory and is of no use afterwards: 32
  // bytes a node in a file without a name (index/digest_shelf.h).  "" keeps
  // that in memory.
  std::string scratch_folder;
};

// The database was lost and made anew, or an older copy was put in its place.
// The stores tell again what they hold, but what was recorded here alone (pins,
// leases, containers, times of use, rules of the API) is gone, and may have
// kept what now looks like garbage.
struct DatabaseLoss {
  absl::Time found;
  std::string why;
};

// A repository or place, or "" for the whole store.
struct UnreadableScope {
  std::string scope;
  std::string why;
};

// Whether a registry answers from a memory of descriptors instead of the disk
// (distribution's `cache: blobdescriptor`).  Stored: never renumber.
enum class DescriptorCache : uint8_t {
  kUnknown = 0,  // one that may forget in part is assumed
  kNone = 1,     // the operator says so
  kMemory = 2,   // in the registry's process: it forgets all or nothing
};

// Who else writes to a store, and what has to be waited for before bytes are
// freed there.  Durable.
struct WriterTerms {
  // The longest time that passes from a writer's last look at content (it is
  // there, nothing needs to be written) to the name that he gives it: for a
  // registry the handling of one PUT of a manifest, for tools that copy into an
  // image layout a whole copy.  0 s to 10 years.
  absl::Duration write_duration_max = absl::Minutes(1);
  DescriptorCache descriptor_cache = DescriptorCache::kUnknown;
  // Of the registry itself: "http://HOST:PORT"; "" if it can't be asked.
  std::string registry_url;
};

struct StoreRecord {
  StoreId id = kNoStore;
  std::string name;  // [a-z0-9][a-z0-9._-]{0,62}
  store::StoreKind kind = store::StoreKind::kMemory;
  std::string uri;
  bool knows_containers = false;
  bool is_read_only = false;  // nothing is ever deleted there
  WriterTerms writers;
  // What the last scan left for the next (index/scan_prints.h); null for
  // nothing.  Shared: it may be megabytes.
  std::shared_ptr<const std::string> scan_memo;
  absl::Time last_scan_begin = absl::InfinitePast();  // never scanned
  absl::Time last_scan_end = absl::InfinitePast();
  Epoch last_scan_epoch = 0;
  // What the last scan could not read whole: nothing there is judged (I5).
  std::vector<UnreadableScope> unreadable_scopes;
};

// A named node as it was put; which alternative follows from its kind.
using NamedRecord =
    std::variant<PutRepository, PutTag, PutContainer, PutSnapshot, PutVolume,
                 PutNetwork, PutBuildCache, PutLease, PutPin, PutUpload>;

// A durable record of another module, written in the same commit as a change.
struct RecordWrite {
  Family family = Family::kMeta;
  std::string key;
  std::optional<std::string> value;  // unset deletes
};

// Changes that only gc may ask for, with a guard in hand (see WriteOrder).
struct StateChange {
  NodeId node = kNoNode;
  NodeState to = NodeState::kQuarantined;  // kPresent restores; kAbsent purges
  std::string run_id;
  std::string detail;  // rule and reason, for the event row
};

// Moves quarantined bytes back; gc provides it.  Called without any lock.
// Returns when the nodes are kPresent in the graph, or an error.
class Restorer {
 public:
  virtual ~Restorer() = default;
  virtual absl::Status RestoreNodes(absl::Span<const NodeId> nodes,
                                    absl::string_view actor) = 0;
};

// A consistent read of the graph.
class GraphReader {
 public:
  virtual ~GraphReader() = default;
  virtual const GraphView& view() const = 0;
  // Totals as of now (grace and leases that have ended meanwhile are settled).
  virtual const StoreTotals& totals(StoreId store) const = 0;
  // The latest time that the graph has gone by, which the totals are settled
  // for: ahead of a clock that was set back.
  virtual absl::Time now() const = 0;
  // Whether the counters say that some root reaches `id`.
  virtual bool IsLive(NodeId id) const = 0;
  // Number of live keepers plus roots of `id` by the counters.
  virtual uint32_t ReferenceCount(NodeId id) const = 0;
  virtual Epoch epoch() const = 0;
  virtual uint64_t sequence() const = 0;
};

// The write order, held.  What is decided while a WriteOrder is alive stays
// true until Commit(): no other write comes between.  Keep it for one small
// batch, never across store I/O that may be slow (I10).
class WriteOrder {
 public:
  virtual ~WriteOrder() = default;
  virtual const GraphReader& reader() const = 0;
  // Commits durably, and lets the order go: once, also if it fails.  Events for
  // the changes are added.  The reader is gone afterwards.
  virtual absl::Status Commit(absl::Span<const StateChange> changes,
                              absl::Span<const Operation> operations,
                              absl::Span<const RecordWrite> records,
                              absl::string_view actor) = 0;
};

class ReferenceGraph {
 public:
  virtual ~ReferenceGraph() = default;

  // Opens the graph in `engine` and loads it.  DATA_LOSS if records are
  // damaged: rebuild.  FAILED_PRECONDITION if a later version wrote them.
  // Neither pointer is owned.
  static absl::StatusOr<std::unique_ptr<ReferenceGraph>> Open(
      Engine* engine, const base::Clock* clock, const GraphOptions& options);

  // Stores.  Registering one again with the same kind changes its uri only.
  virtual absl::StatusOr<StoreId> RegisterStore(const StoreRecord& store) = 0;
  virtual std::vector<StoreRecord> Stores() const = 0;
  virtual absl::Status RecordScan(StoreId store, const StoreRecord& seen) = 0;
  virtual absl::Status ForgetStore(absl::string_view name) = 0;
  // Counts what lies in a store's quarantine without a node, from now on.  Not
  // durable: whoever keeps its records says so anew.  Unknown stores are
  // ignored.
  virtual void SetAdopted(absl::string_view store,
                          const AdoptedTally& adopted) = 0;

  // Applies a mutation: all or nothing, durable when it returns OK with
  // kDurable.  A new reference to a quarantined node restores it first (I4).
  // Errors: INVALID_ARGUMENT, NOT_FOUND (store), OUT_OF_RANGE (all sizes
  // of a store together would be more than store::kSizeSumMax),
  // RESOURCE_EXHAUSTED (disk full), after which nothing has changed;
  // UNAVAILABLE (the engine failed; the graph is read-only until it has been
  // reopened).
  virtual absl::StatusOr<AppliedMutation> Apply(const Mutation& mutation,
                                                Durability durability) = 0;

  // "Is this blob here?"  A true answer is a promise: the node is stamped with
  // the running epoch, durably, before this returns.  Quarantined content is
  // restored first.
  virtual absl::StatusOr<bool> CheckExists(const ContentName& name,
                                           absl::string_view actor) = 0;
  // The same for many names with few syncs; one answer a name, in order.
  virtual absl::StatusOr<std::vector<bool>> CheckExists(
      absl::Span<const ContentName> names, absl::string_view actor) = 0;

  // Whether a mutation with this id was applied lately and would be answered as
  // it was then; what it did is durable by now.  False for "".
  virtual absl::StatusOr<bool> WasApplied(const std::string& request_id) = 0;

  // Returns when all that was applied before the call is durable.
  virtual absl::Status AwaitDurable() = 0;

  virtual std::unique_ptr<GraphReader> Read() const = 0;
  virtual std::unique_ptr<WriteOrder> HoldWriteOrder() = 0;

  // Starts a new epoch, durably: from now on the write barrier stamps with it.
  virtual absl::StatusOr<Epoch> BeginEpoch() = 0;

  virtual void SetRestorer(Restorer* restorer) = 0;

  // Details that the arrays do not hold; read from the engine.
  virtual absl::StatusOr<NamedRecord> GetNamed(NodeId id) const = 0;
  virtual absl::StatusOr<std::optional<PutImageConfig>> GetImageConfig(
      NodeId config) const = 0;
  virtual absl::StatusOr<std::string> GetMediaType(NodeId content) const = 0;

  // Event rows with sequence > `after`, ascending, at most `limit`; durable
  // ones only.
  virtual absl::StatusOr<EventPage> ListEvents(uint64_t after,
                                               size_t limit) const = 0;

  // The answers of requests that are no mutations (a plan made, a run begun),
  // remembered durably as long as those of Apply() and under the same ids.
  virtual absl::StatusOr<std::optional<std::string>> RecallAnswer(
      absl::string_view request_id) = 0;
  virtual absl::Status RememberAnswer(absl::string_view request_id,
                                      absl::string_view answer) = 0;

  // Set from the moment in which a lost database is made anew until somebody
  // confirms; gc deletes nothing meanwhile.  Durable.
  virtual std::optional<DatabaseLoss> UnconfirmedLoss() const = 0;
  // What had been recorded is recorded again, or not needed.  OK if there is
  // nothing to confirm.
  virtual absl::Status ConfirmLoss() = 0;

  virtual Engine& engine() = 0;
  virtual const GraphOptions& options() const = 0;
};

}  // namespace reclaim::index

#endif  // RECLAIM_INDEX_REFERENCE_GRAPH_H_
