#include "server/open_stores.h"

#include "absl/strings/str_cat.h"

namespace reclaim::server {

absl::Status OpenStores(const StoreOpening& opening,
                        absl::FunctionRef<void(absl::string_view)> say) {
  if (const auto loss = opening.graph->UnconfirmedLoss(); loss) {
    say(absl::StrCat("the database was lost (", loss->why,
                     "); nothing is deleted until what it alone knew is "
                     "recorded again and `reclaim store confirm` says so"));
  }
  opening.stores->OpenAll();
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
  for (const index::StoreRecord& store : opening.graph->Stores()) {
    const absl::Status problem = opening.stores->Problem(store.name);
    if (!problem.ok()) {
      say(absl::StrCat("store ", store.name,
                       " is not open: ", problem.message()));
    }
  }
  const absl::Status recovered = opening.collector->Recover();
  if (!recovered.ok()) {
    say(absl::StrCat("recovery is not complete: ", recovered.message(),
                     "; what it concerns stays in quarantine"));
  }
  if (!opening.is_rebuilt) return absl::OkStatus();
  for (const index::StoreRecord& store : opening.graph->Stores()) {
    const auto scan = opening.collector->Scan(store.name, true, "rebuild", {});
    if (!scan.ok()) {
      say(absl::StrCat("store ", store.name,
                       " could not be scanned: ", scan.status().message()));
    }
  }
  return absl::OkStatus();
}

}  // namespace reclaim::server
