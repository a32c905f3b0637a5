#include "store/types.h"

#include "absl/strings/str_cat.h"

namespace reclaim::store {
namespace {

auto Key(const Removal& r) {
  return std::tie(r.kind, r.place, r.repository, r.tag, r.upload_id);
}

}  // namespace

bool operator==(const Removal& a, const Removal& b) {
  return Key(a) == Key(b) && a.digest == b.digest;
}

bool operator<(const Removal& a, const Removal& b) {
  if (Key(a) != Key(b)) return Key(a) < Key(b);
  return a.digest < b.digest;
}

std::string ToString(const Removal& removal) {
  const std::string digest = removal.digest ? removal.digest->ToString() : "";
  switch (removal.kind) {
    case RemovalKind::kTag:
      return absl::StrCat("tag ", removal.repository, ":", removal.tag);
    case RemovalKind::kRevisionLink:
      return absl::StrCat("revision ", removal.repository, "@", digest);
    case RemovalKind::kLayerLink:
      return absl::StrCat("layer link ", removal.repository, "@", digest);
    case RemovalKind::kBlob:
      return removal.place.empty()
                 ? absl::StrCat("blob ", digest)
                 : absl::StrCat("blob ", removal.place, " ", digest);
    case RemovalKind::kUpload:
      return absl::StrCat("upload ", removal.repository, " ",
                          removal.upload_id);
  }
  return "unknown removal";
}

const char* ToString(StoreKind kind) {
  switch (kind) {
    case StoreKind::kImageLayout:
      return "image-layout";
    case StoreKind::kRegistry:
      return "registry";
    case StoreKind::kMemory:
      return "memory";
    case StoreKind::kExternal:
      return "external";
    case StoreKind::kContainerd:
      return "containerd";
    case StoreKind::kDocker:
      return "docker";
  }
  return "unknown";
}

}  // namespace reclaim::store
