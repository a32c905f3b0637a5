// index/write_set.h — a change in preparation.
//
// Records are read through it, changed in it, and then committed to the engine
// in one batch and put into the resident graph as rows.  Until then nobody sees
// them: an operation that fails leaves nothing behind.
//
// Not thread-safe; lives while the write order is held.

#ifndef RECLAIM_INDEX_WRITE_SET_H_
#define RECLAIM_INDEX_WRITE_SET_H_

#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/container/node_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "index/engine.h"
#include "index/event.h"
#include "index/graph_records.h"
#include "index/record_encoding.h"
#include "index/resident_graph.h"
#include "reclaim/storage/v1/storage.pb.h"
#include "store/types.h"

namespace reclaim::index {

class WriteSet {
 public:
  // None is owned; `state` is copied and advanced here.
  WriteSet(const Engine* engine, const ResidentGraph* graph,
           const storage::v1::GraphState& state, absl::Time now);

  absl::Time now() const { return now_; }
  Epoch epoch() const { return state_.epoch(); }
  const storage::v1::GraphState& state() const { return state_; }
  const ResidentGraph& graph() const { return *graph_; }

  // The pointers stay valid while the set lives.
  // The record of a node of content; made absent if there is none yet.
  absl::StatusOr<storage::v1::ContentRecord*> Content(
      StoreId store, PlaceId place, const oci::Digest& digest);
  // nullptr if there is none.
  absl::StatusOr<storage::v1::ContentRecord*> FindContent(
      PlaceId place, const oci::Digest& digest);
  absl::StatusOr<storage::v1::ContentRecord*> ContentById(NodeId id);
  // The extent of a file with several names; made if there is none.
  absl::StatusOr<storage::v1::ContentRecord*> Extent(
      StoreId store, const store::Extent& extent);

  absl::StatusOr<storage::v1::NamedRecord*> FindNamed(const NamedKey& key);
  absl::StatusOr<storage::v1::NamedRecord*> NamedById(NodeId id);
  // REQUIRES: FindNamed(key) is nullptr.
  storage::v1::NamedRecord* AddNamed(const NamedKey& key);
  void RemoveNamed(NodeId id);
  // All of a kind in a store, those made in this set included.
  std::vector<NodeId> ListNamed(NodeKind kind, StoreId store) const;
  // The names of these kinds in one scope, ascending by kind and name, those
  // made in this set included.  The cost is what the scope holds, and once what
  // this set has made.
  std::vector<NamedKey> NamesIn(absl::Span<const NodeKind> kinds, StoreId store,
                                const std::string& scope) const;
  // Named nodes that reference `content`, as this set has it.  The cost is one
  // step for each node that references it, and for each named one in this set.
  std::vector<NodeId> NamedKeepers(NodeId content) const;

  std::optional<storage::v1::MembershipRecord> FindMembership(
      NodeId repository, NodeId content, store::MembershipKind kind) const;
  void PutMembership(const storage::v1::MembershipRecord& record);
  void RemoveMembership(NodeId repository, NodeId content,
                        store::MembershipKind kind);
  // All of a repository, those made in this set included.
  void RemoveMembershipsOf(NodeId repository);

  void SetOrphans(StoreId store, const Tally& orphans);
  PlaceId AddPlace(StoreId store, const store::Place& name);
  PlaceId FindPlace(StoreId store, const store::Place& name) const;
  void AddEvent(Event event);
  void AddRecord(Family family, std::string key,
                 std::optional<std::string> value);

  // All records of a family with a key below `end` go.
  void AddTrim(Family family, std::string end);

  // Content records that were touched in kPresent, kAbsent, ... order by id.
  bool HasChanges() const;
  // What this set adds to the sum of all sizes of each store, and what it takes
  // off it.  Reads the graph.
  struct Growth {
    store::Bytes more;
    store::Bytes less;
  };
  std::map<StoreId, Growth> SizeGrowth() const;
  // Rows of events beyond `count_max`, oldest first: as many as this set adds,
  // and some more while there are too many.
  void TrimEvents(uint64_t count_max);
  // INVALID_ARGUMENT if a name or text is not UTF-8 (index/record_encoding.h).
  absl::StatusOr<Batch> ToBatch() const;
  void ApplyTo(ResidentGraph* graph) const;

 private:
  template <typename Record>
  struct Entry {
    Record record;
    std::string original;  // CanonicalBytes(); "" for a new one
    bool is_removed = false;
    bool IsChanged() const {
      return is_removed || CanonicalBytes(record) != original;
    }
  };
  using ContentEntry = Entry<storage::v1::ContentRecord>;
  using NamedEntry = Entry<storage::v1::NamedRecord>;
  using MembershipTuple = std::tuple<NodeId, NodeId, store::MembershipKind>;

  NodeId NewNodeId();

  const Engine* engine_;
  const ResidentGraph* graph_;
  storage::v1::GraphState state_;
  absl::Time now_;
  std::map<NodeId, ContentEntry> content_;
  std::map<NodeId, NamedEntry> named_;
  absl::node_hash_map<ContentKey, NodeId> new_content_;
  std::map<std::pair<StoreId, store::Extent>, NodeId> new_extents_;
  absl::node_hash_map<NamedKey, NodeId> new_named_;
  std::map<MembershipTuple, std::optional<storage::v1::MembershipRecord>>
      memberships_;
  std::map<std::pair<StoreId, store::Place>, PlaceId> new_places_;
  std::map<StoreId, Tally> orphans_;
  std::vector<Event> events_;
  uint64_t trim_begin_ = 0;  // event rows [trim_begin_, trim_end_) go
  uint64_t trim_end_ = 0;
  std::vector<Batch::Entry> records_;
};

}  // namespace reclaim::index

#endif  // RECLAIM_INDEX_WRITE_SET_H_
