#include "cli/prune_warning.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cli/listing.h"

namespace reclaim::cli {
namespace {

constexpr char kQuestion[] = "Are you sure you want to continue?";

std::string SystemWarning(const v1::CreatePlanRequest& request) {
  std::string text = "WARNING! This will remove:\n";
  if (request.verb() == v1::PRUNE_VERB_RETENTION) {
    absl::StrAppend(&text, "  - all tags that the retention rules let go\n");
  }
  absl::StrAppend(&text,
                  "  - all stopped containers\n"
                  "  - all networks not used by at least one container\n");
  if (request.with_volumes()) {
    absl::StrAppend(
        &text,
        "  - all anonymous volumes not used by at least one container\n");
  }
  absl::StrAppend(
      &text,
      request.all_images()
          ? "  - all images without at least one container associated to them\n"
          : "  - all dangling images\n",
      request.all_images() ? "  - all build cache\n"
                           : "  - unused build cache\n");
  if (!request.filters().empty()) {
    std::vector<std::string> filters(request.filters().begin(),
                                     request.filters().end());
    std::sort(filters.begin(), filters.end());
    absl::StrAppend(&text, "\n  Items to be pruned will be filtered with:\n");
    for (const std::string& filter : filters) {
      absl::StrAppend(&text, "  - ", filter, "\n");
    }
  }
  return absl::StrCat(text, "\n", kQuestion);
}

// What one verb alone removes; nullptr for the whole system.
const char* Removed(const v1::CreatePlanRequest& request) {
  switch (request.verb()) {
    case v1::PRUNE_VERB_IMAGES:
      return "all dangling images.\n";
    case v1::PRUNE_VERB_ALL_IMAGES:
      return "all images without at least one container associated to "
             "them.\n";
    case v1::PRUNE_VERB_CONTAINERS:
      return "all stopped containers.\n";
    case v1::PRUNE_VERB_VOLUMES:
      return request.all_volumes()
                 ? "all local volumes not used by at least one container.\n"
                 : "anonymous local volumes not used by at least one "
                   "container.\n";
    case v1::PRUNE_VERB_NETWORKS:
      return "all custom networks not used by at least one container.\n";
    case v1::PRUNE_VERB_BUILD_CACHE:
      // One line, as Docker has it.
      if (request.has_target()) {
        return "unused build cache, no more than the target needs. ";
      }
      return request.all_cache() ? "all build cache. "
                                 : "all dangling build cache. ";
    default:
      return nullptr;
  }
}

std::string NamedWarning(const v1::CreatePlanRequest& request) {
  std::string text = "WARNING! This will remove, with what only they keep:\n";
  for (const std::string& name : request.references()) {
    absl::StrAppend(&text, "  - ", Safe(name), "\n");
  }
  return absl::StrCat(text, kQuestion);
}

}  // namespace

std::string PruneWarning(const v1::CreatePlanRequest& request) {
  const bool is_for_cache = request.verb() == v1::PRUNE_VERB_BUILD_CACHE;
  if (request.has_target() && !is_for_cache) {
    return absl::StrCat(
        "WARNING! This will remove images and other content, no more than the "
        "target needs.\n",
        kQuestion);
  }
  if (!request.references().empty()) return NamedWarning(request);
  const char* removed = Removed(request);
  if (removed == nullptr) return SystemWarning(request);
  return absl::StrCat("WARNING! This will remove ", removed, kQuestion);
}

}  // namespace reclaim::cli
