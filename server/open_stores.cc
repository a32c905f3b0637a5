#include "server/open_stores.h"

#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"

namespace reclaim::server {
namespace {

// The first of these runs of one store, then the others.
void ResumeFirst(std::vector<std::string> runs, gc::Collector* collector,
                 rpc::RunBoard* board,
                 const std::function<void(absl::string_view)>& say) {
  const std::string id = runs.front();
  const std::vector<std::string> others(runs.begin() + 1, runs.end());
  const absl::StatusOr<gc::Run> begun = board->Start(
      [id, others, collector, board, say](const gc::RunControl& control) {
        absl::StatusOr<gc::Run> run = collector->Resume(id, control);
        if (!others.empty()) ResumeFirst(others, collector, board, say);
        return run;
      });
  say(begun.ok() ? absl::StrCat("the interrupted run ", id, " goes on")
                 : absl::StrCat("the interrupted run ", id,
                                " does not go on: ", begun.status().message()));
}

}  // namespace

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

void ResumeRuns(const std::vector<std::string>& runs, gc::Collector* collector,
                rpc::RunBoard* board,
                const std::function<void(absl::string_view)>& say) {
  std::map<std::string, std::vector<std::string>> by_store;
  for (const std::string& id : runs) {
    const absl::StatusOr<gc::Run> run = collector->GetRun(id);
    by_store[run.ok() ? run->store : ""].push_back(id);
  }
  for (auto& [store, ids] : by_store) {
    ResumeFirst(std::move(ids), collector, board, say);
  }
}

}  // namespace reclaim::server
