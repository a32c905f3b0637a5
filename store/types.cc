#include "store/types.h"

#include <functional>
#include <tuple>

#include "absl/strings/str_cat.h"

namespace reclaim::store {
namespace {

auto Key(const Removal& r) {
  return std::make_tuple(DeedStage(r.kind), r.kind, std::cref(r.place),
                         std::cref(r.repository), std::cref(r.tag),
                         std::cref(r.upload_id), std::cref(r.name));
}

std::string RecordName(const char* kind, const Removal& removal) {
  return removal.place.empty()
             ? absl::StrCat(kind, " ", removal.name)
             : absl::StrCat(kind, " ", removal.place, " ", removal.name);
}

}  // namespace

int DeedStage(RemovalKind kind) {
  switch (kind) {
    case RemovalKind::kContainer:
    case RemovalKind::kNetwork:
    case RemovalKind::kVolume:
      return 0;
    case RemovalKind::kTag:
      return 1;
    case RemovalKind::kRevisionLink:
      return 2;
    case RemovalKind::kLayerLink:
      return 3;
    case RemovalKind::kBlob:
      return 4;
    case RemovalKind::kUpload:
      return 5;
    case RemovalKind::kSnapshot:
      return 6;
    case RemovalKind::kBuildCache:
      return 7;
  }
  return 0;
}

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
    case RemovalKind::kContainer:
      return RecordName("container", removal);
    case RemovalKind::kNetwork:
      return RecordName("network", removal);
    case RemovalKind::kVolume:
      return RecordName("volume", removal);
    case RemovalKind::kSnapshot:
      return RecordName("snapshot", removal);
    case RemovalKind::kBuildCache:
      return RecordName("build cache", removal);
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
    case StoreKind::kPodman:
      return "podman";
  }
  return "unknown";
}

}  // namespace reclaim::store
