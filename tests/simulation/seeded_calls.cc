// Calls of the daemon, between its steps.

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "index/engine.h"
#include "index/graph_view.h"
#include "index/mutation.h"
#include "index/node.h"
#include "index/reference_graph.h"
#include "tests/simulation/promises.h"
#include "tests/simulation/seeded_daemon.h"
#include "tests/simulation/seeded_world.h"

namespace reclaim::simulation {
namespace {

constexpr char kActor[] = "caller";

index::ContentName NameOf(int content) {
  return {kStore, "", ContentOf(content).digest};
}

index::Target TargetOf(int content) {
  index::Target target;
  target.content = NameOf(content);
  return target;
}

}  // namespace

bool SeededWorld::CallDaemon() {
  if (!IsFree()) return false;
  switch (Below(8)) {
    case 0:
    case 1:
      TakeLease();
      break;
    case 2:
      RenewLease();
      break;
    case 3:
      EndLease();
      break;
    case 4:
      TakePin();
      break;
    case 5:
      EndPin();
      break;
    case 6:
      Ask();
      break;
    default:
      CancelJob();
      break;
  }
  return true;
}

bool SeededWorld::Record(absl::string_view what, index::Operation operation) {
  index::Mutation mutation;
  mutation.actor = kActor;
  mutation.operations.push_back(std::move(operation));
  ++counts_.calls;
  return Note(
      what,
      daemon_->graph()->Apply(mutation, index::Durability::kDurable).status());
}

// As the services do before they record who holds it.
bool SeededWorld::ReadHeld(int content) {
  const index::ContentName name = NameOf(content);
  return Note("a look at what is held",
              daemon_->collector()->ReadHeld(
                  kStore, absl::MakeConstSpan(&name, 1), kActor));
}

void SeededWorld::TakeLease() {
  const int content = AnyContent();
  const std::string id = absl::StrCat("lease", ++name_count_);
  index::PutLease lease;
  lease.store = kStore;
  lease.id = id;
  lease.owner = kActor;
  lease.expires =
      clock_.Now() + absl::Hours(1) * static_cast<int>(1 + Below(5));
  lease.targets.push_back(TargetOf(content));
  const absl::Time until = *lease.expires;
  Trace("takes ", id, " of ", content);
  if (!ReadHeld(content) || !Record("lease", std::move(lease))) return;
  leases_[id] = {content, until};
  promises_.Hold(id, content, until);
}

// One that has not expired.
void SeededWorld::RenewLease() {
  if (leases_.empty()) return;
  const auto chosen =
      std::next(leases_.begin(), static_cast<ptrdiff_t>(Below(leases_.size())));
  const auto& [id, before] = *chosen;
  if (before.until < clock_.Now()) return;
  index::PutLease lease;
  lease.store = kStore;
  lease.id = id;
  lease.owner = kActor;
  // So that none outlives the quiet at the end.
  const absl::Time until =
      std::max(before.until, clock_.Now() + absl::Hours(5));
  lease.expires = until;
  Trace("renews ", id);
  if (!Record("renewal", std::move(lease))) return;
  chosen->second.until = until;
  promises_.Hold(id, before.content, until);
}

void SeededWorld::EndLease() {
  if (leases_.empty()) return;
  const auto chosen =
      std::next(leases_.begin(), static_cast<ptrdiff_t>(Below(leases_.size())));
  const std::string id = chosen->first;
  Trace("ends ", id);
  const bool has_ended =
      Record("end of a lease",
             index::RemoveNamed{kStore, index::NodeKind::kLease, "", id});
  if (!has_ended) return;
  leases_.erase(chosen);
  ended_.insert(id);
  promises_.LetGo(id);
}

void SeededWorld::TakePin() {
  const int content = AnyContent();
  const std::string id = absl::StrCat("pin", ++name_count_);
  index::PutPin pin;
  pin.store = kStore;
  pin.id = id;
  pin.reason = kActor;
  pin.target = TargetOf(content);
  Trace("takes ", id, " of ", content);
  if (!ReadHeld(content) || !Record("pin", std::move(pin))) return;
  pins_[id] = content;
  promises_.Hold(id, content, absl::InfiniteFuture());
}

void SeededWorld::EndPin() {
  if (pins_.empty()) return;
  const auto chosen =
      std::next(pins_.begin(), static_cast<ptrdiff_t>(Below(pins_.size())));
  const std::string id = chosen->first;
  Trace("ends ", id);
  const bool has_ended = Record(
      "unpin", index::RemoveNamed{kStore, index::NodeKind::kPin, "", id});
  if (!has_ended) return;
  pins_.erase(chosen);
  ended_.insert(id);
  promises_.LetGo(id);
}

// A yes is a promise, for as long as the grace period.
void SeededWorld::Ask() {
  const int content = AnyContent();
  const index::ContentName name = NameOf(content);
  Trace("asks for ", content);
  ++counts_.calls;
  const absl::StatusOr<bool> is_here =
      daemon_->graph()->CheckExists(name, kActor);
  if (!Note("question", is_here.status()) || !*is_here) return;
  if (disk_.blobs.count(name.digest) == 0) {
    return Fail(absl::StrCat("the daemon says that ", content, " is here"));
  }
  promises_.Hold(absl::StrCat("answer", content), content,
                 clock_.Now() + kGrace - absl::Seconds(1));
}

void SeededWorld::CancelJob() {
  if (jobs_.empty() || Below(2) == 0) return;
  Job* const job = jobs_[Below(jobs_.size())].get();
  Trace("cancels the ", job->name);
  job->is_cancelled = true;
}

// What was acknowledged before a crash is there after it, and what was ended
// stays ended.
void SeededWorld::CheckAcknowledged() {
  const auto reader = daemon_->graph()->Read();
  const index::GraphView& view = reader->view();
  const index::StoreId store = view.FindStore(kStore);
  const auto find = [&](index::NodeKind kind, const std::string& id) {
    return view.FindNamed({kind, store, "", id});
  };
  for (const auto& [id, content] : pins_) {
    if (find(index::NodeKind::kPin, id) == index::kNoNode) {
      return Fail(absl::StrCat(id, " was acknowledged, and is gone"));
    }
  }
  for (const auto& [id, lease] : leases_) {
    if (lease.until < clock_.Now()) continue;
    const index::NodeId node = find(index::NodeKind::kLease, id);
    if (node == index::kNoNode || view.fields(node).expires != lease.until) {
      return Fail(absl::StrCat(id, " is not as it was acknowledged"));
    }
  }
  for (const std::string& id : ended_) {
    if (find(index::NodeKind::kPin, id) != index::kNoNode ||
        find(index::NodeKind::kLease, id) != index::kNoNode) {
      return Fail(absl::StrCat(id, " was ended, and is there"));
    }
  }
}

}  // namespace reclaim::simulation
