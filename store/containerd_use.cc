#include "store/containerd_use.h"

#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"
#include "store/containerd_names.h"
#include "store/containerd_quarantine.h"
#include "store/containerd_scan.h"

namespace reclaim::store {
namespace {

using containerd_leases::ExpiryOf;
using containerd_leases::Thing;
using ctrd::containers::v1::Container;
using ctrd::images::v1::Image;

absl::Status InUse(absl::string_view what, absl::string_view why) {
  return absl::AbortedError(absl::StrCat(what, " ", why));
}

}  // namespace

absl::Status ContainerdUse::CheckUsers(const std::string& space,
                                       const std::string& name) const {
  RECLAIM_ASSIGN_OR_RETURN(const std::vector<Container> users,
                           client_.ListContainers(space, name));
  for (const Container& user : users) {
    if (user.image() != name) continue;
    const auto task = client_.GetTask(space, user.id());
    if (!task.ok() && !absl::IsNotFound(task.status())) return task.status();
    if (task.ok() && task->status() != ctrd::tasks::v1::STOPPED) {
      return InUse(name, absl::StrCat("is the image of the container ",
                                      user.id(), ", which runs"));
    }
    if (permit_.is_forced()) continue;
    return InUse(name,
                 absl::StrCat("is the image of the container ", user.id()));
  }
  return absl::OkStatus();
}

absl::StatusOr<ContainerdUse::Held> ContainerdUse::ListHeld(
    const std::string& space) const {
  RECLAIM_ASSIGN_OR_RETURN(const std::vector<ctrd::leases::v1::Lease> leases,
                           client_.ListLeases(space));
  Held held;
  for (const ctrd::leases::v1::Lease& lease : leases) {
    if (ContainerdQuarantine::IsOurs(lease)) continue;
    // One that ends exactly now has not ended (SEMANTICS.md, rule 9).
    const std::optional<absl::Time> expiry = ExpiryOf(lease);
    if (expiry && *expiry < now_) continue;
    const auto resources = client_.ListResources(space, lease.id());
    if (absl::IsNotFound(resources.status())) continue;  // over meanwhile
    RECLAIM_RETURN_IF_ERROR(resources.status());
    for (const auto& resource : *resources) {
      held.emplace(std::make_pair(resource.type(), resource.id()), lease.id());
    }
  }
  return held;
}

absl::Status ContainerdUse::CheckLeases(const std::string& space,
                                        const std::string& type,
                                        const std::string& id) {
  auto known = held_.find(space);
  if (known == held_.end()) {
    RECLAIM_ASSIGN_OR_RETURN(Held held, ListHeld(space));
    known = held_.emplace(space, std::move(held)).first;
  }
  const auto lease = known->second.find({type, id});
  if (lease == known->second.end()) return absl::OkStatus();
  return InUse(id, absl::StrCat("is held by the lease ", lease->second));
}

absl::Status ContainerdUse::CheckImage(const std::string& space,
                                       const Image& image) {
  if (IsSincePlan(TimeOf(image.updated_at()))) {
    return InUse(image.name(), "was pulled or written since the plan");
  }
  if (IsPinned(image.labels())) return InUse(image.name(), "is pinned");
  if (!collects_kubelet_ && image.labels().contains(kKubeletImageLabel)) {
    return InUse(image.name(), "is a kubelet's, which collects its own");
  }
  RECLAIM_RETURN_IF_ERROR(
      CheckLeases(space, "content", image.target().digest()));
  return CheckUsers(space, image.name());
}

absl::Status ContainerdUse::CheckContainer(const std::string& space,
                                           const Container& container,
                                           bool* has_task) const {
  const std::string& id = container.id();
  if (IsSincePlan(TimeOf(container.created_at()))) {
    return InUse(id, "is another container than the one of the plan");
  }
  if (container.labels().contains(kKubeletLabel)) {
    return InUse(id, "is a container of a kubelet's pod");
  }
  const auto task = client_.GetTask(space, id);
  if (!task.ok() && !absl::IsNotFound(task.status())) return task.status();
  *has_task = task.ok();
  if (task.ok() && task->status() != ctrd::tasks::v1::STOPPED) {
    return InUse(absl::StrCat("the container ", id),
                 "has a task that is not stopped");
  }
  return absl::OkStatus();
}

absl::Status ContainerdUse::CheckThing(const Thing& thing) {
  RECLAIM_RETURN_IF_ERROR(CheckLeases(thing.space, thing.type, thing.id));
  bool is_root = false;
  absl::string_view snapshotter = thing.type;
  if (absl::ConsumePrefix(&snapshotter, "snapshots/")) {
    RECLAIM_ASSIGN_OR_RETURN(
        const ctrd::snapshots::v1::Info info,
        client_.StatSnapshot(thing.space, std::string(snapshotter), thing.id));
    is_root = info.labels().contains(kRootLabel);
  } else {
    RECLAIM_ASSIGN_OR_RETURN(const ctrd::content::v1::Info info,
                             client_.GetContent(thing.space, thing.id));
    is_root = info.labels().contains(kRootLabel);
  }
  if (!is_root) return absl::OkStatus();
  return InUse(thing.id, absl::StrCat("has the label ", kRootLabel));
}

}  // namespace reclaim::store
