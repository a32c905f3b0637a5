#include "gc/policy_book.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "gc/policy_book_entries.h"
#include "gc/policy_codec.h"

namespace reclaim::gc {
namespace {

using index::Batch;
using index::Durability;
using index::Family;

constexpr char kRules[] = "rules/";
constexpr char kSchedule[] = "schedule/";
constexpr char kState[] = "state/";

}  // namespace

absl::StatusOr<std::unique_ptr<PolicyBook>> PolicyBook::Open(
    index::Engine* engine, const base::Clock* clock, const FilePolicies& file) {
  std::unique_ptr<PolicyBook> book(new PolicyBook(engine, clock));
  base::MutexLock lock(&book->mutex_);
  RECLAIM_RETURN_IF_ERROR(book->Load());
  RECLAIM_RETURN_IF_ERROR(book->Take(file));
  RECLAIM_RETURN_IF_ERROR(book->OpenTenants(file.tenants));
  return book;
}

absl::Status PolicyBook::Load() {
  RECLAIM_RETURN_IF_ERROR(
      LoadAll<RuleSet>(*engine_, kRules, DecodeRuleSet, [this](RuleSet set) {
        mutex_.AssertHeld();
        rule_sets_[set.name] = std::move(set);
      }));
  return LoadAll<Schedule>(*engine_, kSchedule, DecodeSchedule,
                           [this](Schedule schedule) {
                             mutex_.AssertHeld();
                             schedules_[schedule.name] = std::move(schedule);
                           });
}

absl::Status PolicyBook::Take(const FilePolicies& file) {
  for (RuleSet set : file.rule_sets) {
    RECLAIM_RETURN_IF_ERROR(CheckRuleSet(set));
    set.is_from_file = true;
    rule_sets_[set.name] = std::move(set);
  }
  for (Schedule schedule : file.schedules) {
    RECLAIM_RETURN_IF_ERROR(CheckSchedule(schedule));
    schedule.is_from_file = true;
    const std::string name = schedule.name;
    if (!schedules_.insert_or_assign(name, std::move(schedule)).second &&
        std::count_if(file.schedules.begin(), file.schedules.end(),
                      [&](const Schedule& s) { return s.name == name; }) > 1) {
      return absl::InvalidArgumentError(
          absl::StrCat("schedule ", name, ": the name is given twice"));
    }
  }
  return absl::OkStatus();
}

absl::Status PolicyBook::Write(const std::string& key,
                               std::optional<std::string> value) {
  Batch batch;
  if (value) {
    batch.Put(Family::kPolicy, key, *std::move(value));
  } else {
    batch.Delete(Family::kPolicy, key);
  }
  return engine_->Commit(batch, Durability::kDurable);
}

std::vector<RuleSet> PolicyBook::RuleSets() const {
  base::MutexLock lock(&mutex_);
  std::vector<RuleSet> sets;
  for (const auto& [name, set] : rule_sets_) sets.push_back(set);
  std::stable_sort(sets.begin(), sets.end(),
                   [](const RuleSet& a, const RuleSet& b) {
                     return a.is_from_file && !b.is_from_file;
                   });
  return sets;
}

absl::StatusOr<RuleSet> PolicyBook::GetRuleSet(absl::string_view name) const {
  base::MutexLock lock(&mutex_);
  return FindEntry(rule_sets_, "rule set", name);
}

absl::StatusOr<RuleSet> PolicyBook::PutRuleSet(RuleSet set,
                                               absl::string_view etag) {
  RECLAIM_RETURN_IF_ERROR(CheckRuleSet(set));
  base::MutexLock lock(&mutex_);
  RECLAIM_RETURN_IF_ERROR(CheckChange(rule_sets_, "rule set", set.name, etag));
  set.changed = clock_->Now();
  RECLAIM_ASSIGN_OR_RETURN(const std::string bytes, EncodeRuleSet(set));
  RECLAIM_RETURN_IF_ERROR(Write(kRules + set.name, bytes));
  RECLAIM_ASSIGN_OR_RETURN(rule_sets_[set.name], DecodeRuleSet(bytes));
  return rule_sets_[set.name];
}

absl::Status PolicyBook::DeleteRuleSet(absl::string_view name,
                                       absl::string_view etag) {
  base::MutexLock lock(&mutex_);
  const auto it = rule_sets_.find(name);
  if (it == rule_sets_.end()) return NoSuch("rule set", name);
  RECLAIM_RETURN_IF_ERROR(CheckChange(rule_sets_, "rule set", name, etag));
  RECLAIM_RETURN_IF_ERROR(Write(kRules + it->first, std::nullopt));
  rule_sets_.erase(it);
  return absl::OkStatus();
}

std::vector<Schedule> PolicyBook::Schedules() const {
  base::MutexLock lock(&mutex_);
  std::vector<Schedule> schedules;
  for (const auto& [name, schedule] : schedules_) schedules.push_back(schedule);
  return schedules;
}

absl::StatusOr<Schedule> PolicyBook::GetSchedule(absl::string_view name) const {
  base::MutexLock lock(&mutex_);
  return FindEntry(schedules_, "schedule", name);
}

absl::StatusOr<Schedule> PolicyBook::PutSchedule(Schedule schedule,
                                                 absl::string_view etag) {
  RECLAIM_RETURN_IF_ERROR(CheckSchedule(schedule));
  base::MutexLock lock(&mutex_);
  RECLAIM_RETURN_IF_ERROR(
      CheckChange(schedules_, "schedule", schedule.name, etag));
  schedule.changed = clock_->Now();
  RECLAIM_ASSIGN_OR_RETURN(const std::string bytes, EncodeSchedule(schedule));
  RECLAIM_RETURN_IF_ERROR(Write(kSchedule + schedule.name, bytes));
  RECLAIM_ASSIGN_OR_RETURN(schedules_[schedule.name], DecodeSchedule(bytes));
  return schedules_[schedule.name];
}

absl::Status PolicyBook::DeleteSchedule(absl::string_view name,
                                        absl::string_view etag) {
  base::MutexLock lock(&mutex_);
  const auto it = schedules_.find(name);
  if (it == schedules_.end()) return NoSuch("schedule", name);
  RECLAIM_RETURN_IF_ERROR(CheckChange(schedules_, "schedule", name, etag));
  RECLAIM_RETURN_IF_ERROR(Write(kSchedule + it->first, std::nullopt));
  schedules_.erase(it);
  return absl::OkStatus();
}

absl::StatusOr<std::map<std::string, ScheduleState>> PolicyBook::LoadStates()
    const {
  std::map<std::string, ScheduleState> states;
  RECLAIM_RETURN_IF_ERROR(LoadAll<ScheduleState>(
      *engine_, kState, DecodeState, [&states](ScheduleState state) {
        states[state.name] = std::move(state);
      }));
  return states;
}

absl::Status PolicyBook::PutState(const ScheduleState& state) {
  RECLAIM_ASSIGN_OR_RETURN(std::string bytes, EncodeState(state));
  return Write(kState + state.name, std::move(bytes));
}

absl::Status PolicyBook::DeleteState(absl::string_view name) {
  return Write(absl::StrCat(kState, name), std::nullopt);
}

}  // namespace reclaim::gc
