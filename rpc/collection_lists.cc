// Pages of a plan's items, of runs and of the quarantine.

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "rpc/collection_service.h"
#include "rpc/convert.h"
#include "rpc/page_bytes.h"
#include "rpc/page_token.h"

namespace reclaim::rpc {
namespace {

absl::StatusOr<uint64_t> ReadOffset(const PageTokens& tokens,
                                    const std::string& arguments,
                                    const std::string& token) {
  RECLAIM_ASSIGN_OR_RETURN(const std::string position,
                           tokens.Read(arguments, token));
  uint64_t offset = 0;
  if (!position.empty() && !absl::SimpleAtoi(position, &offset)) {
    return absl::InvalidArgumentError("page_token: not ours");
  }
  return offset;
}

v1::QuarantineEntry ToRow(const gc::QuarantineEntry& entry,
                          const std::string& store) {
  v1::QuarantineEntry row;
  row.set_run_id(entry.run_id);
  *row.mutable_item() = ToProto(entry.item, store);
  SetTime(entry.quarantined, [&] { return row.mutable_quarantine_time(); });
  SetTime(entry.restorable_until,
          [&] { return row.mutable_restorable_until_time(); });
  row.set_actor(entry.actor);
  return row;
}

}  // namespace

absl::StatusOr<v1::ListPlanItemsResponse> CollectionService::Items(
    const v1::ListPlanItemsRequest& request) const {
  RECLAIM_ASSIGN_OR_RETURN(const int size, PageSize(request.page_size()));
  const std::string arguments = TokenArguments(request);
  RECLAIM_ASSIGN_OR_RETURN(
      const uint64_t offset,
      ReadOffset(*parts_.tokens, arguments, request.page_token()));
  RECLAIM_ASSIGN_OR_RETURN(
      const gc::PlanPage page,
      parts_.collector->GetPlan(request.id(), offset,
                                static_cast<uint64_t>(size)));
  v1::ListPlanItemsResponse response;
  PageBytes bytes;
  uint64_t next = offset;
  for (const gc::PlanItem& item : page.items) {
    v1::PlanItem row = ToProto(item, page.plan.store);
    if (!bytes.Take(row)) break;
    *response.add_items() = std::move(row);
    ++next;
  }
  if (next < page.item_count && !page.items.empty()) {
    response.set_next_page_token(
        parts_.tokens->Make(arguments, absl::StrCat(next)));
  }
  return response;
}

absl::StatusOr<v1::ListRunsResponse> CollectionService::Runs(
    const v1::ListRunsRequest& request) const {
  RECLAIM_ASSIGN_OR_RETURN(const int size, PageSize(request.page_size()));
  const std::string arguments = TokenArguments(request);
  RECLAIM_ASSIGN_OR_RETURN(
      std::string before, parts_.tokens->Read(arguments, request.page_token()));
  v1::ListRunsResponse response;
  PageBytes bytes;
  for (;;) {
    RECLAIM_ASSIGN_OR_RETURN(
        const std::vector<gc::Run> runs,
        parts_.collector->ListRuns(before, static_cast<size_t>(size)));
    for (const gc::Run& run : runs) {
      const bool is_asked_for =
          request.store().empty() || run.store == request.store();
      if (is_asked_for) {
        RECLAIM_ASSIGN_OR_RETURN(v1::Run out, RunById(run.id));
        // A list stays short; GetRun has them.
        out.clear_skipped();
        if (!bytes.Take(out)) {
          response.set_next_page_token(parts_.tokens->Make(arguments, before));
          return response;
        }
        *response.add_runs() = std::move(out);
      }
      before = run.id;
      if (response.runs_size() == size) {
        response.set_next_page_token(parts_.tokens->Make(arguments, before));
        return response;
      }
    }
    if (runs.size() < static_cast<size_t>(size)) return response;
  }
}

absl::StatusOr<v1::ListQuarantineResponse> CollectionService::Quarantine(
    const v1::ListQuarantineRequest& request) const {
  RECLAIM_ASSIGN_OR_RETURN(const int size, PageSize(request.page_size()));
  RECLAIM_ASSIGN_OR_RETURN(const index::StoreRecord store,
                           parts_.stores->Find(request.store()));
  const std::string arguments = TokenArguments(request);
  RECLAIM_ASSIGN_OR_RETURN(
      const uint64_t offset,
      ReadOffset(*parts_.tokens, arguments, request.page_token()));
  RECLAIM_ASSIGN_OR_RETURN(
      const std::vector<gc::QuarantineEntry> entries,
      parts_.collector->ListQuarantine(store.name, offset,
                                       static_cast<uint64_t>(size) + 1));
  v1::ListQuarantineResponse response;
  PageBytes bytes;
  uint64_t next = offset;
  for (const gc::QuarantineEntry& entry : entries) {
    v1::QuarantineEntry row = ToRow(entry, store.name);
    if (response.entries_size() == size || !bytes.Take(row)) {
      response.set_next_page_token(
          parts_.tokens->Make(arguments, absl::StrCat(next)));
      break;
    }
    *response.add_entries() = std::move(row);
    ++next;
  }
  return response;
}

}  // namespace reclaim::rpc
