// rpc/service_parts.h — what every service stands on, and who calls.
//
// Values and pointers only; nothing is owned.

#ifndef RECLAIM_RPC_SERVICE_PARTS_H_
#define RECLAIM_RPC_SERVICE_PARTS_H_

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "accounting/history_store.h"
#include "base/clock.h"
#include "base/random.h"
#include "gc/collector.h"
#include "gc/policy.h"
#include "gc/policy_book.h"
#include "gc/run.h"
#include "gc/scheduler.h"
#include "index/reference_graph.h"
#include "rpc/page_token.h"
#include "rpc/role.h"
#include "rpc/run_board.h"
#include "rpc/store_table.h"

namespace reclaim::rpc {

// Hears of each call; metrics and logs listen.  Called from several threads.
class CallObserver {
 public:
  virtual ~CallObserver() = default;
  // `method` is "GraphService/Record".
  virtual void OnCallBegin(absl::string_view method) {}
  virtual void OnCallEnd(absl::string_view method, const absl::Status& status,
                         absl::Duration took) {}
  // A registry told of something: "push", "pull", "mount", "delete",
  // "unknown".
  virtual void OnNotification(absl::string_view action) {}
  // A verification found something; `check` is a word of index/verify.h.
  virtual void OnFinding(absl::string_view check) {}
  // A verification is no run on record; it is told of as one that succeeds if
  // it comes to its end and finds no damage.
  virtual void OnVerifyBegin(const gc::Run& run) {}
  virtual void OnVerifyEnd(const gc::Run& run) {}
};

class AuditLog;
class CallLimits;
class Peers;

// What is there once the graph is loaded: calls that are answered before read
// none of it (Server::Open()).
struct LoadedParts {
  index::ReferenceGraph* graph = nullptr;
  gc::Collector* collector = nullptr;
  gc::PolicyBook* policies = nullptr;
  gc::Scheduler* scheduler = nullptr;
  accounting::HistoryStore* history = nullptr;  // null: none is kept
  StoreTable* stores = nullptr;
  RunBoard* runs = nullptr;
  AuditLog* audit = nullptr;  // null: nobody keeps an audit
  // What requests that say nothing get.
  gc::GcPolicy policy;
  // Of filters whose instants name no zone.
  absl::TimeZone zone = absl::UTCTimeZone();
};

// And what is there from the start, and stays.
struct ServiceParts : LoadedParts {
  const base::Clock* clock = nullptr;
  base::RandomSource* random = nullptr;
  const PageTokens* tokens = nullptr;
  CallObserver* observer = nullptr;
  const Peers* peers = nullptr;
  CallLimits* limits = nullptr;
};

// One call as the services see it.
struct Caller {
  std::string actor;  // "uid:1000", a certificate's name, or the address
  RoleSet roles;
  std::function<bool()> is_cancelled;  // by the caller, or past its deadline
};

}  // namespace reclaim::rpc

#endif  // RECLAIM_RPC_SERVICE_PARTS_H_
