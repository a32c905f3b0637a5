// Tags, which writers use and move while a scan reads them.

#include <optional>
#include <utility>

#include "absl/status/statusor.h"
#include "base/status_macros.h"
#include "index/graph_scan.h"
#include "store/name_reader.h"

namespace reclaim::index {

// A stamp says that somebody has touched the tag since the scan began, and not
// how: a pull stamps it and knows nothing of what it names.  Taken for a
// writer's word, a pull would hide a tag that was moved before the scan, and
// with it all that the tag keeps.
void GraphScan::AddTag(const GraphView& view, const store::TagFact& fact) {
  ++report_.seen.tag_count;
  const NodeId id =
      view.FindNamed({NodeKind::kTag, record_.id, fact.repository, fact.tag});
  if (id == kNoNode) {
    ++report_.added_count;
    PutTagOf(fact);
    return;
  }
  const NodeFields fields = view.fields(id);
  const absl::Span<const NodeId> targets = view.Kept(id);
  // A layout that was moved has the same names in another place.
  const bool names_same = !targets.empty() &&
                          view.digest(targets[0]) == fact.digest &&
                          (record_.kind != store::StoreKind::kImageLayout ||
                           view.PlaceName(view.fields(targets[0]).place) ==
                               PlaceOf(view, fact.repository));
  // Times are kept to the microsecond.
  const int64_t known = absl::ToUnixMicros(fields.recorded);
  const int64_t read = absl::ToUnixMicros(fact.modified);
  if (names_same && known == read) return;
  if (fields.stamp < epoch_ || known < read) {
    PutTagOf(fact);
  } else if (!names_same) {
    disputed_tags_.push_back(fact);
  }
}

void GraphScan::PutTagOf(const store::TagFact& fact) {
  PutTag put;
  put.store = record_.name;
  put.repository = fact.repository;
  put.tag = fact.tag;
  put.digest = fact.digest;
  put.media_type = fact.media_type;
  put.pushed = fact.modified;
  Add(std::move(put));
}

// Tags of which the graph knows a later time than the scan has read: either
// somebody has moved them since, or their files were given an older time.  The
// store says which, where it can be asked.
absl::Status GraphScan::SettleTags() {
  for (const store::TagFact& fact : std::exchange(disputed_tags_, {})) {
    if (store_->names() == nullptr) continue;
    const absl::StatusOr<std::optional<store::TagFact>> again =
        store_->names()->FindTag(fact.repository, fact.tag);
    // One that can't be read is being written: that word is newer.
    if (!again.ok() || !again->has_value()) continue;
    if ((*again)->digest == fact.digest) PutTagOf(fact);
  }
  return Flush();
}

}  // namespace reclaim::index
