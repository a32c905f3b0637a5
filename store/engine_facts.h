// store/engine_facts.h — what a container engine reports besides content.
//
// Values only.  Names are unique in a store: an engine that has namespaces puts
// them into the name (see the driver).  Sizes are bytes; unset means that the
// engine does not tell, which is never counted as a figure.

#ifndef RECLAIM_STORE_ENGINE_FACTS_H_
#define RECLAIM_STORE_ENGINE_FACTS_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "oci/digest.h"
#include "store/types.h"

namespace reclaim::store {

using LabelMap = std::map<std::string, std::string>;

// Values are stored on disk: never renumber.
enum class ContainerState : uint8_t {
  kUnknown = 0,  // counts as use, and as running
  kCreated = 1,
  kRunning = 2,
  kPaused = 3,
  kRestarting = 4,
  kExited = 5,
  kDead = 6,
  kRemoving = 7,
};
const char* ToString(ContainerState state);

// Of a container; `host_port` 0: not published.
struct PortMapping {
  std::string host_ip;
  uint32_t host_port = 0;
  uint32_t container_port = 0;
  std::string protocol;  // "tcp"
};

struct ContainerFact {
  std::string id;
  Place place;
  std::string name;
  ContainerState state = ContainerState::kUnknown;
  std::string image_reference;       // as the user wrote it
  std::optional<oci::Digest> image;  // manifest, index or config
  std::string command;
  // The layer of its own.  An engine that keeps it as a snapshot does not
  // report that snapshot: the bytes are the container's.
  std::optional<Bytes> writable;
  LabelMap labels;
  std::string snapshot;  // what its own layer stands on
  std::vector<std::string> volumes;
  std::vector<std::string> networks;
  std::vector<oci::Digest> mounted_images;
  std::vector<PortMapping> ports;
  std::optional<absl::Time> created;
  std::optional<absl::Time> exited;
};

// An unpacked layer.  Parents are reported before their children.
struct SnapshotFact {
  std::string key;
  Place place;
  std::string parent;  // "" for a base
  std::optional<Bytes> bytes;
  LabelMap labels;
  // Manifests or configs that were unpacked to exactly this.
  std::vector<oci::Digest> images;
  std::optional<absl::Time> created;
};

struct VolumeFact {
  std::string name;
  std::string driver;
  std::optional<Bytes> bytes;
  LabelMap labels;
  bool is_anonymous = false;
  std::optional<absl::Time> created;
};

struct NetworkFact {
  std::string name;
  std::string driver;
  LabelMap labels;
  bool is_predefined = false;
  std::optional<absl::Time> created;
  std::string id = {};
  std::string scope = {};  // "local", "global", "swarm"
};

// Parents are reported before their children.
struct BuildCacheFact {
  std::string id;
  std::string parent;
  std::string type;
  std::string description;
  std::optional<Bytes> bytes;
  bool is_in_use = false;
  bool is_shared = false;
  uint64_t usage_count = 0;
  // Layers of images that it has, or may have, as well.
  std::vector<oci::Digest> layers;
  std::optional<absl::Time> created;
  std::optional<absl::Time> used;
};

// Something that a foreign lease, label or pin names.
struct HeldThing {
  std::optional<oci::Digest> digest;  // content in `place`
  Place place;
  std::string snapshot;    // or a snapshot by its key
  std::string repository;  // or a tag
  std::string tag;
};

// A root that the engine's other clients have set: their lease, a label that
// makes a root or an edge, a pinned image.  Never deleted by us.
struct HoldFact {
  std::string id;
  std::string owner;  // for a person: which client, lease or label
  std::optional<absl::Time> expires;
  bool is_flat = false;
  LabelMap labels;
  std::vector<HeldThing> targets;
};

// Ids of holds begin with this; nobody else may record such a lease.
inline constexpr char kHoldPrefix[] = "engine/";

}  // namespace reclaim::store

#endif  // RECLAIM_STORE_ENGINE_FACTS_H_
