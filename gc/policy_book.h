// gc/policy_book.h — rule sets, schedules and their states, tenants and quotas,
// kept.
//
// What came over the API is durable in the graph's engine; what the daemon's
// file says is given anew at each start and can't be changed here.  Both are
// held in memory, checked, by name.
//
// Thread-safe.  Errors are those of the engine; DATA_LOSS for damaged records.

#ifndef RECLAIM_GC_POLICY_BOOK_H_
#define RECLAIM_GC_POLICY_BOOK_H_

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "gc/retention.h"
#include "gc/rule_source.h"
#include "gc/schedule.h"
#include "gc/tenants.h"
#include "index/engine.h"

namespace reclaim::gc {

// What the daemon's file says.
struct FilePolicies {
  std::vector<RuleSet> rule_sets;
  std::vector<Schedule> schedules;
  TenantSettings tenants;
};

class PolicyBook final : public RuleSource {
 public:
  // INVALID_ARGUMENT: `file`.  A name that is in the file as well as in the
  // engine means the file's.  Not owned.
  static absl::StatusOr<std::unique_ptr<PolicyBook>> Open(
      index::Engine* engine, const base::Clock* clock,
      const FilePolicies& file);

  std::vector<RuleSet> RuleSets() const override;
  std::shared_ptr<const TenantBook> Tenants() const override;
  absl::StatusOr<RuleSet> GetRuleSet(absl::string_view name) const;
  // Checks and stores; the answer has its etag.  `etag` "" is whatever stands.
  // INVALID_ARGUMENT; ABORTED: another etag; FAILED_PRECONDITION: the file's.
  absl::StatusOr<RuleSet> PutRuleSet(RuleSet set, absl::string_view etag);
  absl::Status DeleteRuleSet(absl::string_view name, absl::string_view etag);

  std::vector<Schedule> Schedules() const;  // by name
  absl::StatusOr<Schedule> GetSchedule(absl::string_view name) const;
  absl::StatusOr<Schedule> PutSchedule(Schedule schedule,
                                       absl::string_view etag);
  absl::Status DeleteSchedule(absl::string_view name, absl::string_view etag);

  // By name.  INVALID_ARGUMENT is what TenantBook::Create() refuses.
  std::vector<Tenant> ListTenants() const;
  absl::StatusOr<Tenant> GetTenant(absl::string_view name) const;
  absl::StatusOr<Tenant> PutTenant(Tenant tenant, absl::string_view etag);
  absl::Status DeleteTenant(absl::string_view name, absl::string_view etag);

  std::vector<RepositoryQuota> ListQuotas() const;
  absl::StatusOr<RepositoryQuota> GetQuota(absl::string_view name) const;
  absl::StatusOr<RepositoryQuota> PutQuota(RepositoryQuota quota,
                                           absl::string_view etag);
  absl::Status DeleteQuota(absl::string_view name, absl::string_view etag);

  // By name; of schedules that are gone as well, until they are removed.
  absl::StatusOr<std::map<std::string, ScheduleState>> LoadStates() const;
  absl::Status PutState(const ScheduleState& state);
  absl::Status DeleteState(absl::string_view name);

 private:
  template <typename Value>
  using EntryMap = std::map<std::string, Value, std::less<>>;
  struct Tenancy {
    EntryMap<Tenant> tenants;
    EntryMap<RepositoryQuota> quotas;
  };

  PolicyBook(index::Engine* engine, const base::Clock* clock)
      : engine_(engine), clock_(clock) {}
  absl::Status Load() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status Take(const FilePolicies& file)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status Write(const std::string& key, std::optional<std::string> value);
  absl::Status OpenTenants(const TenantSettings& file)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<std::shared_ptr<const TenantBook>> Compile(
      const Tenancy& tenancy) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status Change(Tenancy tenancy, const std::string& key,
                      std::optional<std::string> bytes)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The calls about both, of whichever `map` holds.
  template <typename Value>
  std::vector<Value> List(EntryMap<Value> Tenancy::*map) const;
  template <typename Value>
  absl::StatusOr<Value> Get(EntryMap<Value> Tenancy::*map,
                            absl::string_view name) const;
  template <typename Value>
  absl::StatusOr<Value> Put(EntryMap<Value> Tenancy::*map, Value value,
                            absl::string_view etag);
  template <typename Value>
  absl::Status Delete(EntryMap<Value> Tenancy::*map, absl::string_view name,
                      absl::string_view etag);

  index::Engine* engine_;
  const base::Clock* clock_;
  mutable base::Mutex mutex_;
  EntryMap<RuleSet> rule_sets_ ABSL_GUARDED_BY(mutex_);
  EntryMap<Schedule> schedules_ ABSL_GUARDED_BY(mutex_);
  Tenancy tenancy_ ABSL_GUARDED_BY(mutex_);
  // The names that the file gives, in its order.
  std::vector<std::string> file_tenants_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::string> file_quotas_ ABSL_GUARDED_BY(mutex_);
  // Compiled from both; never null once open.
  std::shared_ptr<const TenantBook> book_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace reclaim::gc

#endif  // RECLAIM_GC_POLICY_BOOK_H_
