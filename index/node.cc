#include "index/node.h"

namespace reclaim::index {

const char* ToString(NodeKind kind) {
  switch (kind) {
    case NodeKind::kBlob:
      return "blob";
    case NodeKind::kImageIndex:
      return "index";
    case NodeKind::kManifest:
      return "manifest";
    case NodeKind::kConfig:
      return "config";
    case NodeKind::kLayer:
      return "layer";
    case NodeKind::kExtent:
      return "extent";
    case NodeKind::kRepository:
      return "repository";
    case NodeKind::kTag:
      return "tag";
    case NodeKind::kContainer:
      return "container";
    case NodeKind::kSnapshot:
      return "snapshot";
    case NodeKind::kVolume:
      return "volume";
    case NodeKind::kNetwork:
      return "network";
    case NodeKind::kBuildCache:
      return "build-cache";
    case NodeKind::kLease:
      return "lease";
    case NodeKind::kPin:
      return "pin";
    case NodeKind::kUpload:
      return "upload";
  }
  return "unknown";
}

const char* ToString(RootReason reason) {
  switch (reason) {
    case RootReason::kNone:
      return "none";
    case RootReason::kTag:
      return "tag";
    case RootReason::kPin:
      return "pin";
    case RootReason::kLease:
      return "lease";
    case RootReason::kContainer:
      return "container";
    case RootReason::kGrace:
      return "grace period";
    case RootReason::kUpload:
      return "upload";
    case RootReason::kRecord:
      return "record";
    case RootReason::kOnlyName:
      return "only name";
    case RootReason::kOpaque:
      return "not understood";
    case RootReason::kInDoubt:
      return "in-doubt";
    case RootReason::kUnlinked:
      return "unlinked";
    case RootReason::kSpared:
      return "spared by the filter";
  }
  return "unknown";
}

}  // namespace reclaim::index
