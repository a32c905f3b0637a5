#include "server/open_stores.h"

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"

namespace reclaim::server {

absl::StatusOr<std::vector<std::string>> OpenStores(
    const StoreOpening& opening,
    absl::FunctionRef<void(absl::string_view)> say) {
  if (const auto loss = opening.graph->UnconfirmedLoss(); loss) {
    say(absl::StrCat("the database was lost (", loss->why,
                     "); nothing is deleted until what it alone knew is "
                     "recorded again and `reclaim store confirm` says so"));
  }
  RECLAIM_ASSIGN_OR_RETURN(const std::vector<std::string> recalled,
                           opening.stores->Recall());
  if (!recalled.empty()) {
    say(absl::StrCat("the database does not know the stores ",
                     absl::StrJoin(recalled, ", "),
                     ", which the list of stores has; they are registered "
                     "again and scanned"));
  }
  // Before those that are remembered are opened as they were: what is read-only
  // in the configuration is so from this start on.
  for (const rpc::StoreSettings& store : opening.config->stores) {
    const auto registered = opening.stores->Register(store);
    if (registered.ok()) continue;
    const auto code = registered.status().code();
    // A store that is away must not take the others with it.
    if (code == absl::StatusCode::kInvalidArgument ||
        code == absl::StatusCode::kAlreadyExists) {
      return registered.status();
    }
    say(absl::StrCat("store ", store.uri, ": ", registered.status().message(),
                     "; the others go on"));
  }
  opening.stores->OpenAll();
  for (const index::StoreRecord& store : opening.graph->Stores()) {
    const absl::Status problem = opening.stores->Problem(store.name);
    if (!problem.ok()) {
      say(absl::StrCat("store ", store.name,
                       " is not open: ", problem.message()));
    }
  }
  gc::Recovery recovery = opening.collector->BeginRecovery();
  if (!recovery.status.ok()) {
    say(absl::StrCat("recovery is not complete: ", recovery.status.message(),
                     "; what it concerns stays in quarantine"));
  }
  for (const auto& [store, why] : opening.collector->UnrecoveredStores()) {
    say(absl::StrCat("store ", store, " is not recovered: ", why,
                     "; it is tried again"));
  }
  const absl::Status listed = opening.stores->UpdateList();
  if (!listed.ok()) {
    say(absl::StrCat(listed.message(),
                     "; a store that it lacks is lost with the database"));
  }
  const std::set<std::string> unread(recalled.begin(), recalled.end());
  for (const index::StoreRecord& store : opening.graph->Stores()) {
    if (!opening.is_rebuilt && unread.count(store.name) == 0) continue;
    const auto scan = opening.collector->Scan(store.name, true, "rebuild", {});
    if (!scan.ok()) {
      say(absl::StrCat("store ", store.name,
                       " could not be scanned: ", scan.status().message()));
    }
  }
  return std::move(recovery.unfinished_runs);
}

}  // namespace reclaim::server
