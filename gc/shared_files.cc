#include "gc/shared_files.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <vector>

#include "absl/strings/str_cat.h"
#include "index/node.h"

namespace reclaim::gc {
namespace {

using store::Bytes;

struct SharedNames {
  std::vector<PlanItem*> items;  // in the order of the deed
  uint64_t link_count = 0;
  Bytes bytes;
};

// The names of the file that the graph knows: of those that are in quarantine a
// purge frees the bytes as well.
struct KnownNames {
  uint64_t present = 0;
  uint64_t quarantined = 0;
};

KnownNames NamesOf(const index::GraphView& view, const PlanItem& item) {
  KnownNames known;
  if (item.node == index::kNoNode || !view.Exists(item.node)) return known;
  const index::NodeId file = view.ExtentOf(item.node);
  if (file == index::kNoNode) return known;
  view.ForEachKeeper(file, [&](index::NodeId name) {
    if (view.state(name) == index::NodeState::kPresent) ++known.present;
    if (view.state(name) == index::NodeState::kQuarantined) ++known.quarantined;
    return true;
  });
  return known;
}

void TakeOff(const Bytes& bytes, PlanItem* item) {
  Bytes* from = &item->bytes;
  from->logical_bytes -= std::min(from->logical_bytes, bytes.logical_bytes);
  from->allocated_bytes -=
      std::min(from->allocated_bytes, bytes.allocated_bytes);
}

void Charge(const index::GraphView& view, const SharedNames& file) {
  PlanItem* last = file.items.back();
  const KnownNames known = NamesOf(view, *last);
  const uint64_t leaving = file.items.size() + known.quarantined;
  const bool is_blob = last->removal->kind == store::RemovalKind::kBlob;
  for (PlanItem* item : file.items) {
    if (item != last) TakeOff(file.bytes, item);
  }
  if (leaving >= file.link_count) {
    if (is_blob) last->bytes = file.bytes;
    return;
  }
  TakeOff(file.bytes, last);
  // Names of this store that stay say enough by themselves.
  if (known.present > file.items.size()) return;
  last->held += file.bytes;
  absl::StrAppend(&last->detail, last->detail.empty() ? "" : "; ",
                  "other names of its file keep the bytes on the disk");
}

}  // namespace

void ChargeSharedFiles(const index::GraphView& view,
                       absl::Span<const store::SharedFile> shared,
                       absl::Span<const size_t> items, Plan* plan) {
  if (shared.empty()) return;
  std::map<store::Extent, SharedNames> files;
  for (const store::SharedFile& name : shared) {
    SharedNames& file = files[name.file];
    file.items.push_back(&plan->items[items[name.removal]]);
    file.link_count = name.link_count;
    file.bytes = name.bytes;
  }
  for (const auto& [file, names] : files) Charge(view, names);
  store::RemovalBytes& total = plan->totals.bytes;
  total.content = {};
  total.held = {};
  for (const PlanItem& item : plan->items) {
    total.content += item.bytes;
    total.held += item.held;
  }
  if (!plan->request.target.is_set() || total.held == Bytes()) return;
  plan->target_outcome.warnings.push_back(absl::StrCat(
      total.held.allocated_bytes,
      " bytes of what goes stay on the disk, for their files have other names; "
      "scan, then plan again, and something else is chosen"));
}

}  // namespace reclaim::gc
