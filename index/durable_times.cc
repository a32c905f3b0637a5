// Since when manifests have had no root: durable, so that a restart forgets
// nothing that a rule counts from.
//
// The arrays know it at once; the records follow with the next commit, in the
// same batch.  A crash between loses what the last commit changed: such a
// manifest counts as unreferenced since the next start, later than it was and
// never earlier.  For a record that says too early would have to outlive the
// commit that made the manifest live *and* the next one, and with that one it
// is deleted or overwritten.

#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "base/status_macros.h"
#include "index/durable_graph.h"

namespace reclaim::index {
namespace {

constexpr char kTimePrefix[] = "since/";

std::string TimeKey(NodeId id) { return kTimePrefix + IdKey(id); }

}  // namespace

// Returns what was taken along, for KeepTimes() if the commit fails.
std::vector<NodeId> DurableGraph::AddTimes(Batch* batch) {
  {
    // Most commits have none; then nobody is made to wait.
    base::ReaderMutexLock lock(&graph_mutex_);
    if (!graph_.has_flipped()) return {};
  }
  base::MutexLock lock(&graph_mutex_);
  const absl::flat_hash_set<NodeId> flipped = graph_.TakeFlipped();
  for (const NodeId id : flipped) {
    const absl::Time since = graph_.Exists(id)
                                 ? graph_.fields(id).unreferenced_since
                                 : absl::InfiniteFuture();
    if (since == absl::InfiniteFuture()) {
      if (timed_.erase(id) > 0) batch->Delete(Family::kMeta, TimeKey(id));
      continue;
    }
    timed_.insert(id);
    storage::v1::UnreferencedRecord record;
    record.set_id(id);
    record.set_since(ToMicros(since));
    batch->Put(Family::kMeta, TimeKey(id), record.SerializeAsString());
  }
  return std::vector<NodeId>(flipped.begin(), flipped.end());
}

void DurableGraph::KeepTimes(const std::vector<NodeId>& flipped) {
  base::MutexLock lock(&graph_mutex_);
  for (const NodeId id : flipped) {
    graph_.NoteFlipped(id);
    timed_.insert(id);  // there may be a record: deleting it twice is harmless
  }
}

// With both locks held.  What the records and the arrays do not agree on is
// written with the next commit.
absl::Status DurableGraph::LoadTimes() {
  absl::flat_hash_set<NodeId> open;
  for (NodeId id = 0; id < graph_.node_count(); ++id) {
    if (graph_.Exists(id) && IsManifestLike(graph_.kind(id)) &&
        !graph_.IsLive(id)) {
      open.insert(id);
    }
  }
  absl::Status status;
  // The analysis does not see the lock within the visitor.
  absl::flat_hash_set<NodeId> timed;
  RECLAIM_RETURN_IF_ERROR(engine_->Scan(
      Family::kMeta, kTimePrefix, "",
      [&](absl::string_view, absl::string_view value) {
        const auto record =
            ParseRecord<storage::v1::UnreferencedRecord>(Family::kMeta, value);
        status = record.status();
        if (!record.ok()) return false;
        const NodeId id = record->id();
        timed.insert(id);
        if (open.erase(id) > 0) {
          graph_.RestoreUnreferenced(id, FromMicros(record->since()));
        } else {
          open.insert(id);  // it is live, or gone: the record goes
        }
        return true;
      }));
  RECLAIM_RETURN_IF_ERROR(status);
  timed_ = std::move(timed);
  graph_.TakeFlipped();  // loading made these
  for (const NodeId id : open) graph_.NoteFlipped(id);
  return absl::OkStatus();
}

}  // namespace reclaim::index
