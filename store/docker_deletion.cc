#include "store/docker_deletion.h"

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "store/docker_images.h"

namespace reclaim::store {

absl::Status DockerDeletion::DeleteTag(const Removal& removal) const {
  const std::string name = JoinDockerName(removal.repository, removal.tag);
  const auto expected = manifests_.find(*removal.digest);
  if (expected == manifests_.end()) {
    return absl::AbortedError(
        absl::StrCat(name, ": what it named is not known any more; scan"));
  }
  RECLAIM_ASSIGN_OR_RETURN(const DockerListedImage now, api_.FindImage(name));
  if (now.id != expected->second) {
    return absl::AbortedError(
        absl::StrCat(name, " names ", now.id.ToString(), " now"));
  }
  return api_.DeleteImage(name);
}

// Only what has no name: the engine would drop one that came meanwhile.
absl::Status DockerDeletion::DeleteUnnamed(const oci::Digest& id) const {
  RECLAIM_ASSIGN_OR_RETURN(const DockerListedImage now,
                           api_.FindImage(id.ToString()));
  if (!now.tags.empty()) {
    return absl::AbortedError(absl::StrCat("it has the name ", now.tags[0]));
  }
  return api_.DeleteImage(id.ToString());
}

absl::Status DockerDeletion::Delete(const Removal& removal) const {
  switch (removal.kind) {
    case RemovalKind::kContainer:
      return api_.DeleteContainer(removal.name);
    case RemovalKind::kVolume:
      return api_.DeleteVolume(removal.name);
    case RemovalKind::kNetwork:
      return api_.DeleteNetwork(removal.name);
    case RemovalKind::kBuildCache:
      return api_.DeleteBuildCache(removal.name);
    case RemovalKind::kTag:
      return DeleteTag(removal);
    case RemovalKind::kBlob:
      return absl::OkStatus();  // with its image
    default:
      return absl::InvalidArgumentError(absl::StrCat(
          "the engine has no such thing to take away: ", ToString(removal)));
  }
}

// The engine refuses a parent while its child is there: again, until a round
// changes nothing.
void DockerDeletion::DeleteImages(absl::Span<const Removal> removals,
                                  std::vector<RemovalOutcome>* outcomes) const {
  std::vector<size_t> left;
  for (size_t i = 0; i < removals.size(); ++i) {
    if (removals[i].kind == RemovalKind::kBlob &&
        manifests_.count(*removals[i].digest) > 0) {
      left.push_back(i);
    }
  }
  bool has_changed = true;
  while (!left.empty() && has_changed) {
    std::vector<size_t> refused;
    for (const size_t i : left) {
      const absl::Status status =
          DeleteUnnamed(manifests_.at(*removals[i].digest));
      // With its last name it went already.
      (*outcomes)[i].status =
          absl::IsNotFound(status) ? absl::OkStatus() : status;
      if (absl::IsAborted(status)) refused.push_back(i);
    }
    has_changed = refused.size() < left.size();
    left = std::move(refused);
  }
}

absl::StatusOr<std::vector<RemovalOutcome>> DockerDeletion::Run(
    absl::Span<const Removal> removals,
    const std::function<absl::StatusOr<std::set<oci::Digest>>()>& still_there) {
  std::vector<RemovalOutcome> outcomes(removals.size());
  for (size_t i = 0; i < removals.size(); ++i) {
    outcomes[i].status = Delete(removals[i]);
  }
  DeleteImages(removals, &outcomes);
  RECLAIM_ASSIGN_OR_RETURN(const std::set<oci::Digest> left, still_there());
  for (size_t i = 0; i < removals.size(); ++i) {
    if (removals[i].kind != RemovalKind::kBlob || !outcomes[i].status.ok() ||
        left.count(*removals[i].digest) == 0) {
      continue;
    }
    outcomes[i].status = absl::AbortedError(absl::StrCat(
        "an image of the engine still has ", removals[i].digest->ToString()));
  }
  return outcomes;
}

}  // namespace reclaim::store
