// I4: what a writer references comes back before he is answered.

#include <map>
#include <set>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "base/mutex.h"
#include "base/status_macros.h"
#include "gc/restore.h"

namespace reclaim::gc {
namespace {

absl::StatusOr<std::vector<QuarantineRecord>> FindContent(
    CollectedStore* site,
    const std::set<std::pair<store::Place, oci::Digest>>& names) {
  // A batch that the graph shows already is noted by the end of its deed.
  base::MutexLock deed(&site->deed);
  return RecordsOfContent(*site, names);
}

absl::Status RestoreContent(
    CollectedStore* site,
    const std::set<std::pair<store::Place, oci::Digest>>& names,
    absl::string_view actor) {
  RECLAIM_ASSIGN_OR_RETURN(std::vector<QuarantineRecord> records,
                           FindContent(site, names));
  // As long as the bytes are on record, the next reference begins anew what
  // broke off: so they come last.
  return RestoreRecords(site, std::move(records), actor, nullptr,
                        RestoreOrder::kBytesLast);
}

}  // namespace

void QuarantineRestorer::AddStore(CollectedStore* site) {
  base::MutexLock lock(&mutex_);
  sites_[site->id] = site;
}

void QuarantineRestorer::RemoveStore(index::StoreId id) {
  base::MutexLock lock(&mutex_);
  sites_.erase(id);
}

absl::Status QuarantineRestorer::RestoreNodes(
    absl::Span<const index::NodeId> nodes, absl::string_view actor) {
  std::map<CollectedStore*, std::set<std::pair<store::Place, oci::Digest>>>
      wanted;
  {
    base::MutexLock lock(&mutex_);
    // The only store that a node may be of is one that is attached.
    for (const auto& [id, site] : sites_) {
      const auto reader = site->graph->Read();
      const index::GraphView& view = reader->view();
      for (const index::NodeId node : nodes) {
        if (!view.Exists(node) || view.fields(node).store != id) continue;
        wanted[site].insert(
            {view.PlaceName(view.fields(node).place), view.digest(node)});
      }
    }
  }
  for (const auto& [site, names] : wanted) {
    const absl::Duration begin = site->clock->Monotonic();
    const absl::Status restored = RestoreContent(site, names, actor);
    site->observer->OnWriterWaited(site->name,
                                   site->clock->Monotonic() - begin);
    RECLAIM_RETURN_IF_ERROR(restored);
  }
  return absl::OkStatus();
}

}  // namespace reclaim::gc
