// rpc/store_table.h — the open stores by name.
//
// The graph and a file beside the database (rpc/store_list.h) remember which
// stores there are; the table opens them and attaches them to the collector.  A
// store that can't be opened (a disk that is away) stays listed with the
// reason, and is tried again by Open().
//
// Thread-safe.  A ContentStore lives as long as the table.

#ifndef RECLAIM_RPC_STORE_TABLE_H_
#define RECLAIM_RPC_STORE_TABLE_H_

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/mutex.h"
#include "gc/collector.h"
#include "index/reference_graph.h"
#include "rpc/store_list.h"
#include "store/content_store.h"
#include "store/open_store.h"
#include "store/types.h"

namespace reclaim::rpc {

class StoreTable {
 public:
  // Nothing is owned.  `list` is the stores' file beside the database; null
  // where nothing but the graph remembers them.
  StoreTable(index::ReferenceGraph* graph, gc::Collector* collector,
             StoreList* list = nullptr)
      : graph_(graph), collector_(collector), list_(list) {}

  // Opens a store, remembers it durably and attaches it.  Again with the same
  // name and kind: the settings change; a path that moves needs a restart
  // (FAILED_PRECONDITION).  INVALID_ARGUMENT (name, URI, terms), ALREADY_EXISTS
  // (the name or the path is another store's, or lies in its tree or around
  // it), NOT_FOUND, FAILED_PRECONDITION (not a store).  Of a store that is
  // known and can't be opened now the settings change all the same.
  absl::StatusOr<index::StoreRecord> Register(const StoreSettings& settings);

  // At start, before OpenAll(): the stores that the file knows and the graph
  // does not, for the database was lost, are registered again.  Returns their
  // names: nobody has read them into the graph.
  absl::StatusOr<std::vector<std::string>> Recall();
  // At start: all that the graph remembers.  Failures are per store: Problem().
  void OpenAll();
  // At start: what the graph remembers and the file does not is written there.
  absl::Status UpdateList();
  // Tries again what could not be opened, and recovers what lies in its
  // quarantine.  OK if it is open.
  absl::Status Open(absl::string_view name);

  // Forgets a store and its part of the graph; its bytes stay.
  absl::Status Forget(absl::string_view name);

  // "" means the only store; NOT_FOUND or INVALID_ARGUMENT (several) says so.
  absl::StatusOr<index::StoreRecord> Find(absl::string_view name) const;
  // The open store; UNAVAILABLE with the reason if it could not be opened.
  absl::StatusOr<store::ContentStore*> Content(absl::string_view name) const;
  // Why it is not open; OK if it is.
  absl::Status Problem(absl::string_view name) const;

  // Called with each store that is open now or is opened later, from the
  // opening thread; must not call back.
  using OpenedListener = std::function<void(const std::string& name,
                                            store::ContentStore* content)>;
  void SetOpenedListener(OpenedListener listener);

 private:
  struct Entry {
    store::ContentStore* content = nullptr;
    absl::Status problem;
  };

  // Opens it and tells the listener.
  absl::Status OpenLocked(const index::StoreRecord& record)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status AttachLocked(const index::StoreRecord& record)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void TellLocked(const std::string& name)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // NOT_FOUND: the name is another store's, or this one's by a path that leads
  // nowhere while it is away.
  absl::Status CheckPath(const StoreSettings& settings,
                         const std::string& name) const;
  // What is said of a store that is known holds also if it can't be opened now:
  // read-only above all.  Of one that is known by another URI, and may be
  // another one, only that.  Returns `why`.
  absl::Status RememberAwayLocked(const StoreSettings& settings,
                                  const absl::Status& why)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  store::StoreKind KindOf(const store::StoreUri& uri) const;
  // In the file first: a crash in between leaves a store too many, never one
  // that was acknowledged and is known to nobody.
  absl::StatusOr<index::StoreRecord> RememberLocked(index::StoreRecord record)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status RecoverLocked(const std::string& name)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  index::ReferenceGraph* graph_;
  gc::Collector* collector_;
  StoreList* list_;
  mutable base::Mutex mutex_;
  OpenedListener listener_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, Entry> entries_ ABSL_GUARDED_BY(mutex_);
  // All that were ever open: calls may still read a forgotten one.
  std::vector<std::unique_ptr<store::ContentStore>> opened_
      ABSL_GUARDED_BY(mutex_);
};

}  // namespace reclaim::rpc

#endif  // RECLAIM_RPC_STORE_TABLE_H_
