// index/node.h — the nodes of the reference graph, and what is known of each.
//
// Content nodes are named by (place, digest) and never change: a manifest's
// out-edges are what its bytes say.  Named nodes (tags, containers, ...) come
// and go.  A digest that something references but that no store holds is a node
// in state kAbsent: zero bytes, edges kept, so children can arrive in any
// order.

#ifndef RECLAIM_INDEX_NODE_H_
#define RECLAIM_INDEX_NODE_H_

#include <cstdint>
#include <limits>
#include <string>
#include <utility>

#include "absl/time/time.h"
#include "oci/digest.h"

namespace reclaim::index {

// Dense, in order of arrival, never reused while the daemon runs.  Also the key
// of the node's durable records.
using NodeId = uint32_t;
inline constexpr NodeId kNoNode = std::numeric_limits<NodeId>::max();

// One collection run or plan; grows by one at each Begin; durable.
using Epoch = uint32_t;

// A store or a place within it, interned; durable.  kNoPlace names nothing.
using StoreId = uint16_t;
using PlaceId = uint32_t;
inline constexpr PlaceId kNoPlace = std::numeric_limits<PlaceId>::max();

// Values are stored on disk: never renumber.
enum class NodeKind : uint8_t {
  kBlob = 0,  // content whose role nothing has told yet
  kImageIndex = 1,
  kManifest = 2,
  kConfig = 3,
  kLayer = 4,
  kExtent = 5,  // the bytes of a file with several names in one store
  // Named nodes.
  kRepository = 16,
  kTag = 17,
  kContainer = 18,
  kSnapshot = 19,
  kVolume = 20,
  kNetwork = 21,
  kBuildCache = 22,
  kLease = 23,
  kPin = 24,
  kUpload = 25,
};
inline constexpr int kNodeKindCount = 26;
const char* ToString(NodeKind kind);
constexpr bool IsContent(NodeKind kind) {
  return static_cast<uint8_t>(kind) < 16;
}
// Manifests and image indexes: content that has out-edges.
constexpr bool IsManifestLike(NodeKind kind) {
  return kind == NodeKind::kManifest || kind == NodeKind::kImageIndex;
}

// Values are stored on disk: never renumber.
enum class NodeState : uint8_t {
  kAbsent = 0,       // referenced, but no bytes here
  kPresent = 1,      // bytes here (named nodes are always kPresent)
  kQuarantined = 2,  // bytes in quarantine: hidden, restorable
};

// Facts about a node that are bits.  Stored on disk: never renumber.
enum NodeFlag : uint16_t {
  // A manifest of unknown media type, one that could not be read, or one that
  // is named, not there, and was never read: what it keeps is unknown, so
  // nothing that it might reach is collected (I5; how far that goes says
  // DoubtUnit).
  kOpaque = 1 << 0,
  // A manifest with a subject: a referrer (OCI).
  kReferrer = 1 << 1,
  // A container that runs, is paused or restarts.
  kRunning = 1 << 2,
  // A volume created without a name; a build-cache record that others share.
  kAnonymous = 1 << 3,
  kShared = 1 << 4,
  // In use by its owner (build cache), whatever the graph says.
  kInUse = 1 << 5,
  // A flat lease: keeps its targets, not what they reference.
  kFlat = 1 << 6,
  // An untagged entry of a layout that names nothing: a root.
  kOnlyName = 1 << 7,
  // Predefined by the engine (the networks bridge, host, none): never pruned.
  kPredefined = 1 << 8,
  // Nobody told how large it is: counts zero bytes, and is counted.
  kUnknownSize = 1 << 9,
};

// Name of a content node.
struct ContentKey {
  PlaceId place = kNoPlace;
  oci::Digest digest;
  friend bool operator==(const ContentKey& a, const ContentKey& b) {
    return a.place == b.place && a.digest == b.digest;
  }
  template <typename H>
  friend H AbslHashValue(H h, const ContentKey& k) {
    return H::combine(std::move(h), k.place, k.digest);
  }
};

// Name of a named node: unique in (kind, store, scope).  `scope` is the
// repository for tags and uploads, else "".
struct NamedKey {
  NodeKind kind = NodeKind::kTag;
  StoreId store = 0;
  std::string scope;
  std::string name;
  friend bool operator==(const NamedKey& a, const NamedKey& b) {
    return a.kind == b.kind && a.store == b.store && a.scope == b.scope &&
           a.name == b.name;
  }
  template <typename H>
  friend H AbslHashValue(H h, const NamedKey& k) {
    return H::combine(std::move(h), k.kind, k.store, k.scope, k.name);
  }
};

// Why a node is a root.  A closed set: it is a metric label and a word that
// `why` prints.  Stored on disk in plans: never renumber.
enum class RootReason : uint8_t {
  kNone = 0,
  kTag = 1,
  kPin = 2,
  kLease = 3,
  kContainer = 4,
  kGrace = 5,      // younger than the grace period
  kUpload = 6,     // an upload in progress, within its expiry
  kRecord = 7,     // volumes, networks, build cache: they stand for themselves
  kOnlyName = 8,   // see NodeFlag::kOnlyName
  kOpaque = 9,     // a manifest that is not understood, for itself
  kSpared = 10,    // a candidate that a filter or a rule left out of this plan
  kInDoubt = 11,   // an opaque manifest may reference it: Doubt::kReach
  kUnlinked = 12,  // itself alone, not what it references: Doubt::kUnlinked
};
const char* ToString(RootReason reason);

// How far the doubt goes that an opaque manifest casts (docs/decisions/0009).
enum class DoubtUnit : uint8_t {
  kPlace = 0,  // it may reference anything beside it
  // A registry: a manifest is accepted in a repository, and served from it,
  // only with what that repository links.
  kRepository = 1,
};

// Whether an opaque manifest may reference some content.
enum class Doubt : uint8_t {
  kNone = 0,
  kReach = 1,  // its place, or a repository that links it, is in doubt
  // It is here and no repository links it, while some repository beside it is
  // in doubt: a link may have been lost with the manifest.
  kUnlinked = 2,
};

}  // namespace reclaim::index

#endif  // RECLAIM_INDEX_NODE_H_
