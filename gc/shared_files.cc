#include "gc/shared_files.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <vector>

#include "absl/strings/str_cat.h"
#include "index/node.h"

namespace reclaim::gc {
namespace {

constexpr uint64_t kYieldInterval = 1024;

using store::Bytes;

// The names of the file that the graph knows: of those that are in quarantine a
// purge frees the bytes as well.
struct KnownNames {
  uint64_t present = 0;
  uint64_t quarantined = 0;
};

KnownNames NamesOf(const index::GraphView& view, index::NodeId name) {
  KnownNames known;
  if (name == index::kNoNode || !view.Exists(name)) return known;
  const index::NodeId file = view.ExtentOf(name);
  if (file == index::kNoNode) return known;
  view.ForEachKeeper(file, [&](index::NodeId one) {
    if (view.state(one) == index::NodeState::kPresent) ++known.present;
    if (view.state(one) == index::NodeState::kQuarantined) ++known.quarantined;
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

}  // namespace

void SharedFiles::Add(const store::SharedFile& name, uint64_t number,
                      const PlanItem& item) {
  File& file = files_[name.file];
  file.items.push_back(number);
  file.last = item.node;
  file.is_blob = item.removal->kind == store::RemovalKind::kBlob;
  file.link_count = name.link_count;
  file.bytes = name.bytes;
}

void SharedFiles::Settle(const index::GraphView& view) {
  uint64_t step = 0;
  for (const auto& [id, file] : files_) {
    if (++step % kYieldInterval == 0) view.Yield();
    for (const uint64_t item : file.items) {
      if (item == file.items.back()) continue;
      charged_[item].push_back({Share::kNothing, file.is_blob, file.bytes});
    }
    const KnownNames known = NamesOf(view, file.last);
    Charged& last = charged_[file.items.back()].emplace_back(
        Charged{Share::kNothing, file.is_blob, file.bytes});
    if (file.items.size() + known.quarantined >= file.link_count) {
      last.share = Share::kAll;
    } else if (known.present <= file.items.size()) {
      // Names of this store that stay say enough by themselves.
      last.share = Share::kHeld;
    }
  }
}

void SharedFiles::ChargeOne(const Charged& charged, PlanItem* item) {
  if (charged.share == Share::kAll) {
    if (charged.is_blob) item->bytes = charged.bytes;
    return;
  }
  TakeOff(charged.bytes, item);
  if (charged.share == Share::kNothing) return;
  item->held += charged.bytes;
  absl::StrAppend(&item->detail, item->detail.empty() ? "" : "; ",
                  "other names of its file keep the bytes on the disk");
}

void SharedFiles::Charge(uint64_t first, std::vector<PlanItem>* items) const {
  const uint64_t end = first + items->size();
  for (auto it = charged_.lower_bound(first);
       it != charged_.end() && it->first < end; ++it) {
    for (const Charged& charged : it->second) {
      ChargeOne(charged, &(*items)[it->first - first]);
    }
  }
}

}  // namespace reclaim::gc
