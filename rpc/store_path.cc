#include "rpc/store_path.h"

#include <sys/stat.h>
#include <sys/types.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "store/types.h"

namespace reclaim::rpc {
namespace {

// As the kernel has it; more of them go round in a circle.
constexpr int kLinkCountMax = 40;

// The components of a path, the first one last.
std::vector<std::string> Reversed(const std::string& path) {
  std::vector<std::string> parts = absl::StrSplit(path, '/', absl::SkipEmpty());
  std::reverse(parts.begin(), parts.end());
  return parts;
}

// Not realpath(3), which gives nothing for a path that leads nowhere now, and
// not weakly_canonical, which leaves a link to what is away as it is.
std::string ResolvePath(const std::string& path) {
  std::string resolved;
  std::vector<std::string> left = Reversed(path);
  int link_count = 0;
  while (!left.empty()) {
    const std::string part = std::move(left.back());
    left.pop_back();
    if (part == ".") continue;
    if (part == "..") {
      resolved.resize(resolved.empty() ? 0 : resolved.rfind('/'));
      continue;
    }
    const std::string next = absl::StrCat(resolved, "/", part);
    std::error_code error;
    const std::string target = std::filesystem::read_symlink(next, error);
    if (error || ++link_count > kLinkCountMax) {
      resolved = next;
      continue;
    }
    if (absl::StartsWith(target, "/")) resolved.clear();
    const std::vector<std::string> parts = Reversed(target);
    left.insert(left.end(), parts.begin(), parts.end());
  }
  return resolved.empty() ? "/" : resolved;
}

// What a folder is, by whatever path: one may be mounted at several.
std::optional<std::pair<dev_t, ino_t>> IdentityOf(const std::string& folder) {
  struct stat found = {};
  if (stat(folder.c_str(), &found) != 0) return std::nullopt;
  return std::make_pair(found.st_dev, found.st_ino);
}

bool IsWithin(std::string inner, const std::string& outer) {
  if (absl::StartsWith(inner, outer)) return true;
  const auto identity = IdentityOf(outer);  // none if its disk is away
  while (identity && !inner.empty()) {
    if (IdentityOf(inner) == identity) return true;
    inner.pop_back();  // the slash
    inner.erase(inner.rfind('/') + 1);
  }
  return false;
}

}  // namespace

store::StoreUri Resolved(store::StoreUri uri) {
  // Those that are no paths are names.
  if (absl::StartsWith(uri.path, "/")) uri.path = ResolvePath(uri.path);
  return uri;
}

std::string FolderOf(absl::string_view uri) {
  constexpr absl::string_view kRegistryTail = "/docker/registry/v2";
  absl::StatusOr<store::StoreUri> parsed = store::ParseStoreUri(uri);
  if (!parsed.ok() || (parsed->kind != store::StoreKind::kRegistry &&
                       parsed->kind != store::StoreKind::kImageLayout)) {
    return "";
  }
  const store::StoreKind kind = parsed->kind;
  const std::string resolved = Resolved(*std::move(parsed)).path;
  absl::string_view folder = resolved;
  absl::ConsumeSuffix(&folder, "/");  // of the root
  if (kind == store::StoreKind::kRegistry) {
    absl::ConsumeSuffix(&folder, kRegistryTail);
  }
  return absl::StrCat(folder, "/");
}

bool AreNested(const std::string& a, const std::string& b) {
  return !a.empty() && !b.empty() && (IsWithin(a, b) || IsWithin(b, a));
}

bool IsThere(const store::StoreUri& uri) {
  return !absl::StartsWith(uri.path, "/") || IdentityOf(uri.path).has_value();
}

}  // namespace reclaim::rpc
