#include "index/totals.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"

namespace reclaim::index {
namespace {

// The one list of all tallies and counts: equality and text follow it.
std::vector<std::pair<const char*, Tally>> Figures(const StoreTotals& t) {
  const auto count = [](uint64_t n) { return Tally{n, {}}; };
  return {{"live", t.live},
          {"candidate", t.candidate},
          {"quarantined", t.quarantined},
          {"quarantined held", t.quarantined_held},
          {"adopted", t.adopted},
          {"adopted held", Tally{0, t.adopted_held}},
          {"orphan", t.orphan},
          {"absent", t.absent},
          {"images", count(t.image_count)},
          {"active images", count(t.active_image_count)},
          {"dangling images", count(t.dangling_image_count)},
          {"imaged", t.imaged},
          {"imaged live", t.imaged_live},
          {"imaged without tags", t.imaged_without_tags},
          {"loose", t.loose},
          {"loose live", t.loose_live},
          {"running containers", t.running_containers},
          {"running container count", count(t.running_container_count)},
          {"unused volumes", t.unused_volumes},
          {"reclaimable cache", t.reclaimable_cache},
          {"used cache", count(t.used_cache_count)},
          {"unknown sizes", count(t.unknown_size_count)},
          {"unpacked kept", t.unpacked_kept},
          {"unpacked without tags", t.unpacked_without_tags},
          {"active unpacked", count(t.active_unpacked_count)},
          {"unknown unpacked sizes", count(t.unknown_unpacked_count)},
          {"leased", t.leased}};
}

}  // namespace

bool operator==(const StoreTotals& a, const StoreTotals& b) {
  return a.by_kind == b.by_kind && a.oldest_lease == b.oldest_lease &&
         Figures(a) == Figures(b);
}

std::string ToString(const StoreTotals& totals) {
  std::string text;
  const auto append = [&](const char* name, const Tally& tally) {
    absl::StrAppend(&text, name, ": ", tally.count, " / ",
                    tally.bytes.logical_bytes, " / ",
                    tally.bytes.allocated_bytes, "\n");
  };
  for (int kind = 0; kind < kNodeKindCount; ++kind) {
    const Tally& tally = totals.by_kind[kind];
    if (tally != Tally{}) append(ToString(static_cast<NodeKind>(kind)), tally);
  }
  for (const auto& [name, tally] : Figures(totals)) {
    if (tally != Tally{}) append(name, tally);
  }
  if (totals.oldest_lease != absl::InfiniteFuture()) {
    absl::StrAppend(&text, "oldest lease: ",
                    absl::FormatTime(absl::RFC3339_full, totals.oldest_lease,
                                     absl::UTCTimeZone()),
                    "\n");
  }
  return text;
}

}  // namespace reclaim::index
