#include "store/open_store.h"

#include <sys/stat.h>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/clock.h"
#include "base/status_macros.h"
#include "store/containerd_store.h"
#include "store/docker_store.h"
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

bool IsEngine(StoreKind kind) {
  return kind == StoreKind::kContainerd || kind == StoreKind::kDocker ||
         kind == StoreKind::kPodman;
}

// "/PATH?key=value&key=value"
absl::Status TakeOptions(StoreUri* uri) {
  const size_t mark = uri->path.find('?');
  if (mark == std::string::npos) return absl::OkStatus();
  const std::string query = uri->path.substr(mark + 1);
  uri->path.resize(mark);
  for (const absl::string_view pair : absl::StrSplit(query, '&')) {
    const size_t equals = pair.find('=');
    if (equals == absl::string_view::npos || equals == 0) {
      return absl::InvalidArgumentError(absl::StrCat(
          "what stands behind the '?' of a store's URI is KEY=VALUE, not \"",
          pair, "\""));
    }
    uri->options[std::string(pair.substr(0, equals))] =
        std::string(pair.substr(equals + 1));
  }
  return absl::OkStatus();
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
  } else if (scheme == "containerd") {
    out.kind = StoreKind::kContainerd;
  } else if (scheme == "docker") {
    out.kind = StoreKind::kDocker;
  } else if (scheme == "podman") {
    out.kind = StoreKind::kPodman;
  } else {
    return absl::InvalidArgumentError(absl::StrCat(
        "not a store: \"", uri,
        "\"; write image-layout:/PATH, registry:/PATH, containerd:/SOCKET, "
        "docker:/SOCKET, podman:/SOCKET, external:NAME or memory:NAME"));
  }
  if (!absl::StartsWith(rest, "/")) {
    return absl::InvalidArgumentError(
        absl::StrCat("the path of \"", uri, "\" must be absolute"));
  }
  out.path = rest;
  if (IsEngine(out.kind)) RECLAIM_RETURN_IF_ERROR(TakeOptions(&out));
  return out;
}

std::string ToString(const StoreUri& uri) {
  std::string text = absl::StrCat(ToString(uri.kind), ":", uri.path);
  char before = '?';
  for (const auto& [key, value] : uri.options) {
    absl::StrAppend(&text, std::string(1, before), key, "=", value);
    before = '&';
  }
  return text;
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
    case StoreKind::kContainerd:
      return OpenContainerdStore(uri.path, uri.options, is_read_only,
                                 base::SystemClock());
    case StoreKind::kDocker:
    case StoreKind::kPodman:
      return OpenDockerStore(uri.kind, uri.path, uri.options, is_read_only);
    default:
      return absl::UnimplementedError(
          absl::StrCat("stores of the kind ", ToString(uri.kind),
                       " cannot be opened by a URI"));
  }
}

std::string DefaultStoreName(const StoreUri& uri) {
  std::string path = uri.path;
  if (IsEngine(uri.kind)) path = std::string(absl::StripSuffix(path, ".sock"));
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
