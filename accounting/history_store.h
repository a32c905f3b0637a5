// accounting/history_store.h — usage over time, kept in the graph's engine.
//
// A store's rows lie under its name, so that one that is forgotten and comes
// back has its past.  What is older than a resolution remembers goes with the
// next sample.
//
// Thread-safe for readers; one writer at a time.

#ifndef RECLAIM_ACCOUNTING_HISTORY_STORE_H_
#define RECLAIM_ACCOUNTING_HISTORY_STORE_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "accounting/history.h"
#include "index/engine.h"

namespace reclaim::accounting {

class HistoryStore {
 public:
  // `engine` is not owned.
  explicit HistoryStore(index::Engine* engine) : engine_(engine) {}

  // Adds one sample at all resolutions, in one commit.  Errors of the engine;
  // DATA_LOSS for a damaged row.
  absl::Status Add(absl::string_view store, const UsageSample& sample);

  // Buckets that begin at `from` or later, ascending.
  absl::StatusOr<std::vector<UsageBucket>> List(absl::string_view store,
                                                Resolution resolution,
                                                absl::Time from) const;

 private:
  absl::Status AddAt(absl::string_view store, Resolution resolution,
                     const UsageSample& sample, index::Batch* batch);

  index::Engine* engine_;
};

}  // namespace reclaim::accounting

#endif  // RECLAIM_ACCOUNTING_HISTORY_STORE_H_
