// gc/plan.h — what a sweep would do, decided once and never again.
//
// A Plan is data: it can be printed, sent, stored and compared.  A preview is a
// plan that nobody applies, so preview and deed cannot disagree (I7, I8).

#ifndef RECLAIM_GC_PLAN_H_
#define RECLAIM_GC_PLAN_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "gc/prune_request.h"
#include "gc/space_target.h"
#include "index/graph_view.h"
#include "index/node.h"
#include "index/reference_graph.h"
#include "oci/digest.h"
#include "store/types.h"

namespace reclaim::gc {

// Why an item goes.  Stored on disk, a metric label: never renumber.
enum class DoomReason : uint8_t {
  kUnreferenced = 1,     // no root reaches it
  kDangling = 2,         // an image with no tag and no keeper
  kUnused = 3,           // its tag is dropped: no container uses the image
  kStopped = 4,          // a container that does not run
  kNoContainer = 5,      // a volume or network that no container references
  kCacheUnused = 6,      // build cache neither in use nor shared
  kUntaggedLink = 7,     // a repository's link to a manifest it does not keep
  kUnusedLayerLink = 8,  // a repository's link to a layer it does not keep
  kAbandonedUpload = 9,
  kSubjectGone = 10,  // a referrer whose subject goes or went
  kNamed = 11,        // the caller named it
  kRetention = 12,    // a tag that a retention rule lets go
};
const char* ToString(DoomReason reason);

inline constexpr size_t kLinkedByMax = 16;

struct PlanItem {
  // The node that goes; kNoNode for link items that have no node of their own.
  index::NodeId node = index::kNoNode;
  index::NodeKind kind = index::NodeKind::kBlob;
  // What the store is asked to take away; for named nodes that are no part of a
  // store's files (containers, volumes, ...) only `scope` and `name` are set.
  std::optional<store::Removal> removal;
  std::string scope;
  std::string name;
  std::optional<oci::Digest> digest;
  // What the disk gets from this item; items of one plan never count a byte
  // twice.
  store::Bytes bytes;
  store::Bytes held;  // as in store::RemovalBytes
  DoomReason reason = DoomReason::kUnreferenced;
  std::string detail;  // for a person: rule, last keeper, "listed by sha256:…"
  // Of a blob in a registry: the repositories that linked it when the plan was
  // made; empty for none, and for more than kLinkedByMax.  Its links go before
  // it does, and only they tell which doubts concern it (decisions/0009).
  std::vector<std::string> linked_by;
  absl::Time last_used;           // InfinitePast() if never
  absl::Time unreferenced_since;  // InfiniteFuture() if a root is dropped
};

// What messages and SkippedItem call an item: "tag app:v1", "blob sha256:…", a
// name.  One of a plan's items alone has it.
std::string SubjectOf(const PlanItem& item);

struct PlanTotals {
  uint64_t item_count = 0;
  uint64_t blob_count = 0;
  uint64_t image_count = 0;
  store::RemovalBytes bytes;  // exact for the union of the items
};

// Content that would be an item if no build cache had it, or might have it, as
// well: it goes with the cache.  Not in the totals.
struct CachedContent {
  uint64_t blob_count = 0;
  store::Bytes bytes;
};

// A scope that is not collected, and why (I5).
struct KeptScope {
  std::string scope;  // place, repository, or "" for the whole store
  std::string why;
};

// All of a plan but its items.
struct Plan {
  std::string id;  // 16 lower-case hex digits
  std::string store;
  index::StoreId store_id = index::kNoStore;
  index::Epoch epoch = 0;  // begun with this plan; the guard compares stamps
  PruneRequest request;    // as resolved: the filter's instants are in it
  absl::Time created;
  // A name whose file is younger than this may be another one than the plan
  // saw: the begin of the scan that the plan rests on.
  absl::Time names_seen;
  absl::Time expires;
  PlanTotals totals;
  std::vector<KeptScope> kept_scopes;
  CachedContent cached;
  TargetOutcome target_outcome;  // of request.target
  // The content that the caller named, or whose name goes.  Not stored.
  std::vector<index::NodeId> asked;
  // The run that applied it; "" if none has.  Filled in when it is read.
  std::string run_id;
  // Who approved it, if it needs that; "" while it waits.  Filled in likewise.
  std::string approver;
  absl::Time approved = absl::InfinitePast();
};

// A plan with its items, all of them in memory: what a test looks at, and what
// a question about a few names needs.  A prune goes by a gc::PlanDraft
// (gc/plan_draft.h): it may be larger than memory.
struct WholePlan : Plan {
  // In the order of the deed: named nodes, tags, links, then bytes; within a
  // kind by name.  Equal inputs give equal plans.
  std::vector<PlanItem> items;
};

class RetentionRules;
class TenantBook;

// Details that a view does not hold (labels, creation times).
class DetailSource {
 public:
  virtual ~DetailSource() = default;
  virtual absl::StatusOr<index::NamedRecord> GetNamed(
      index::NodeId id) const = 0;
  virtual absl::StatusOr<std::optional<index::PutImageConfig>> GetImageConfig(
      index::NodeId config) const = 0;
};

struct PlanInputs {
  const index::GraphView* view = nullptr;
  const DetailSource* details = nullptr;
  index::StoreId store = index::kNoStore;
  bool store_knows_containers = false;
  // The store is an engine: its records are taken away through it.
  bool store_holds_records = false;
  // Taking a tag away leaves an entry without a name behind (image layouts):
  // where the content goes, that entry is an item as well.
  bool tags_leave_entries = false;
  // Scopes that the last scan could not read whole.
  std::vector<KeptScope> unreadable_scopes;
  // Retention rules of the store (gc/retention.h); null for none.  Not owned.
  const RetentionRules* rules = nullptr;
  // Quotas (gc/tenants.h); null for none.  Not owned.
  const TenantBook* tenants = nullptr;
  // What a target is held against.
  SpaceState space;
  absl::Time now;
  absl::Time names_seen;  // see Plan
  std::function<bool()> is_cancelled;
};

// Decides a plan.  Pure: `id`, `epoch`, `expires` and the metadata bytes are
// filled in by the collector.  FAILED_PRECONDITION when "unused" can't be
// judged (the message says what the caller may do); any error means no plan.
absl::StatusOr<WholePlan> MakePlan(const PlanInputs& inputs,
                                   const PruneRequest& request);

}  // namespace reclaim::gc

#endif  // RECLAIM_GC_PLAN_H_
