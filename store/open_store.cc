#include "store/open_store.h"

#include <sys/stat.h>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "store/external_store.h"
#include "store/image_layout_store.h"
#include "store/memory_store.h"
#include "store/registry_store.h"

namespace reclaim::store {
namespace {

bool Exists(const std::string& path) {
  struct stat st;
  return stat(path.c_str(), &st) == 0;
}

}  // namespace

absl::StatusOr<StoreUri> ParseStoreUri(absl::string_view uri) {
  StoreUri out;
  const size_t colon = uri.find(':');
  const absl::string_view scheme = uri.substr(0, colon);
  if (absl::StartsWith(uri, "/")) {
    out.path = std::string(uri);
    out.kind = Exists(out.path + "/docker/registry/v2") ||
                       absl::EndsWith(out.path, "/docker/registry/v2")
                   ? StoreKind::kRegistry
                   : StoreKind::kImageLayout;
    return out;
  }
  const std::string rest(
      colon == absl::string_view::npos ? "" : uri.substr(colon + 1));
  if (scheme == "image-layout") {
    out.kind = StoreKind::kImageLayout;
  } else if (scheme == "registry") {
    out.kind = StoreKind::kRegistry;
  } else if (scheme == "external") {
    out.kind = StoreKind::kExternal;
    out.path = rest;
    return out;
  } else if (scheme == "memory") {
    out.kind = StoreKind::kMemory;
    out.path = rest;
    return out;
  } else {
    return absl::InvalidArgumentError(absl::StrCat(
        "not a store: \"", uri,
        "\"; write image-layout:/PATH, registry:/PATH, external:NAME or "
        "memory:NAME"));
  }
  if (!absl::StartsWith(rest, "/")) {
    return absl::InvalidArgumentError(
        absl::StrCat("the path of \"", uri, "\" must be absolute"));
  }
  out.path = rest;
  return out;
}

absl::StatusOr<std::unique_ptr<ContentStore>> OpenStore(const StoreUri& uri,
                                                        bool is_read_only) {
  switch (uri.kind) {
    case StoreKind::kImageLayout:
      return OpenImageLayoutStore(uri.path, is_read_only);
    case StoreKind::kRegistry:
      return OpenRegistryStore(uri.path, is_read_only);
    case StoreKind::kExternal:
      return MakeExternalStore();
    case StoreKind::kMemory:
      return OpenMemoryStore(MemoryContentOf(uri.path), is_read_only);
    default:
      return absl::UnimplementedError(
          absl::StrCat("stores of the kind ", ToString(uri.kind),
                       " cannot be opened by a URI"));
  }
}

std::string DefaultStoreName(const StoreUri& uri) {
  std::string path = uri.path;
  while (!path.empty() && path.back() == '/') path.pop_back();
  std::string name;
  for (const char c : path.substr(path.rfind('/') + 1)) {
    const char lower = absl::ascii_tolower(static_cast<unsigned char>(c));
    const bool is_legal =
        absl::ascii_isalnum(lower) ||
        (!name.empty() && (lower == '.' || lower == '_' || lower == '-'));
    if (is_legal) name += lower;
  }
  if (name.size() > 63) name.resize(63);
  return name.empty() ? ToString(uri.kind) : name;
}

}  // namespace reclaim::store
