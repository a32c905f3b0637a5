#include "rpc/store_condition.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "gc/collector.h"
#include "rpc/store_table.h"
#include "store/content_store.h"

namespace reclaim::rpc {
namespace {

// Of a store that is open and answers.
std::string StateOf(const ServiceParts& parts, const index::StoreRecord& record,
                    const store::StoreTraits& traits) {
  if (const auto loss = parts.graph->UnconfirmedLoss(); loss) {
    return absl::StrCat(
        "unconfirmed: nothing is deleted since the database "
        "was lost (",
        loss->why, ")");
  }
  const auto unrecovered = parts.collector->UnrecoveredStores();
  const auto why = unrecovered.find(record.name);
  if (why != unrecovered.end()) {
    return absl::StrCat("unrecovered: ", why->second);
  }
  if (record.last_scan_end == absl::InfinitePast() &&
      traits.has_foreign_writers) {
    return "never scanned";
  }
  for (const index::UnreadableScope& scope : record.unreadable_scopes) {
    if (scope.scope.empty()) return absl::StrCat("kept: ", scope.why);
  }
  if (record.unreadable_scopes.empty()) return "ready";
  const index::UnreadableScope& first = record.unreadable_scopes.front();
  return absl::StrCat("partly kept: ", first.scope, ": ", first.why);
}

}  // namespace

StoreCondition ConditionOf(const ServiceParts& parts,
                           const index::StoreRecord& record) {
  StoreCondition condition;
  const auto content = parts.stores->Content(record.name);
  if (!content.ok()) {
    condition.state = absl::StrCat(
        "unreadable: ", parts.stores->Problem(record.name).message());
    return condition;
  }
  condition.traits = (*content)->traits();
  condition.state = StateOf(parts, record, *condition.traits);
  const auto capacity = (*content)->GetCapacity();
  if (capacity.ok()) condition.capacity = *capacity;
  if (absl::IsUnavailable(capacity.status())) {
    condition.state = absl::StrCat("away: ", capacity.status().message());
  }
  return condition;
}

}  // namespace reclaim::rpc
