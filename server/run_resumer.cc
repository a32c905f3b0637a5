#include "server/run_resumer.h"

#include <map>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "gc/run.h"

namespace reclaim::server {

RunResumer::RunResumer(gc::Collector* collector, rpc::RunBoard* board,
                       std::function<void(absl::string_view)> say)
    : collector_(collector), board_(board), say_(std::move(say)) {}

void RunResumer::Begin(const std::vector<std::string>& runs,
                       absl::Duration interval) {
  ResumeAll(runs);
  ticker_ = std::make_unique<Ticker>(interval, [this] { TryAgain(); });
}

void RunResumer::TryAgain() {
  RecoverStores();
  std::vector<std::string> runs;
  {
    base::MutexLock lock(&mutex_);
    runs.swap(failed_);
  }
  ResumeAll(runs);
}

void RunResumer::RecoverStores() {
  const std::map<std::string, std::string> before =
      collector_->UnrecoveredStores();
  const gc::Recovery again = collector_->RecoverAgain();
  const std::map<std::string, std::string> after =
      collector_->UnrecoveredStores();
  for (const auto& [name, why] : before) {
    if (after.count(name) > 0) continue;
    say_(absl::StrCat("store ", name, ": it is recovered"));
  }
  if (!again.status.ok()) {
    say_(absl::StrCat("recovery is not complete: ", again.status.message(),
                      after.empty() ? "" : "; it is tried again"));
  }
  ResumeAll(again.unfinished_runs);
}

void RunResumer::ResumeAll(const std::vector<std::string>& runs) {
  std::map<std::string, std::vector<std::string>> by_store;
  for (const std::string& id : runs) {
    const absl::StatusOr<gc::Run> run = collector_->GetRun(id);
    by_store[run.ok() ? run->store : ""].push_back(id);
  }
  for (const auto& [store, ids] : by_store) ResumeFirst(ids);
}

void RunResumer::ResumeFirst(const std::vector<std::string>& runs) {
  const std::string id = runs.front();
  const std::vector<std::string> others(runs.begin() + 1, runs.end());
  // How it ends NoteEnd() hears; it does not begin only when the daemon ends.
  board_
      ->Start([this, id, others](const gc::RunControl& control) {
        say_(absl::StrCat("the interrupted run ", id, " goes on"));
        absl::StatusOr<gc::Run> run = collector_->Resume(id, control);
        NoteEnd(id, run.status());
        if (!others.empty()) ResumeFirst(others);
        return run;
      })
      .status()
      .IgnoreError();
}

void RunResumer::NoteEnd(const std::string& id, const absl::Status& status) {
  if (status.ok()) return;
  const absl::StatusOr<gc::Run> run = collector_->GetRun(id);
  const bool may_go_on = run.ok() && run->ended == absl::InfiniteFuture();
  say_(absl::StrCat("the interrupted run ", id, " does not go on: ",
                    status.message(), may_go_on ? "; it is tried again" : ""));
  if (!may_go_on) return;
  base::MutexLock lock(&mutex_);
  failed_.push_back(id);
}

}  // namespace reclaim::server
