// index/mutation.h — a change of the graph as a value.
//
// A Mutation is a list of operations that are applied all or nothing, in order,
// in one durable commit together with their event rows.  Each operation says
// what its owner saw; the index derives everything else (edges from a
// manifest's bytes, kinds of its children, counters).
//
// Every operation is idempotent: applying it again changes nothing and writes
// no event.  Stores and places named here must have been registered
// (ReferenceGraph::RegisterStore); an unknown one is NOT_FOUND.

#ifndef RECLAIM_INDEX_MUTATION_H_
#define RECLAIM_INDEX_MUTATION_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/time/time.h"
#include "index/node.h"
#include "oci/digest.h"
#include "store/engine_facts.h"
#include "store/types.h"

namespace reclaim::index {

using Labels = std::map<std::string, std::string>;

// Names a content node by words; `place` is "" for a store with one place.
struct ContentName {
  std::string store;
  store::Place place;
  oci::Digest digest;
};

// A blob's bytes are in the store.  Turns an absent node into a present one.
// For a quarantined node see GraphWrite::Apply: it must be restored first (I4).
struct PutBlob {
  ContentName name;
  store::Bytes bytes;
  std::optional<store::Extent> extent;
  std::string media_type;              // "" if unknown
  std::optional<absl::Time> modified;  // file time; default is the apply time
  uint64_t link_count = 0;             // of `extent`, as in store::BlobStat
};

// A blob's bytes are not in the store any more (seen by a scan, or told).
struct RemoveBlob {
  ContentName name;
};

// A manifest or image index, by its bytes; implies PutBlob with their size when
// `stat` is unset.  The index parses the bytes; bytes that are no manifest, or
// one of an unknown media type, make the node opaque (kept, with all that its
// place holds) and are reported as a problem, not refused.  A digest that
// doesn't match the bytes is INVALID_ARGUMENT.
struct PutManifest {
  ContentName name;
  std::string bytes;
  std::string media_type;  // as declared by whoever names it; may be ""
  std::optional<PutBlob> stat;
};

// A manifest that can't be read or understood, or is not there though it is
// named: opaque.
struct MarkUnreadable {
  ContentName name;
  std::string why;
  // Taken back: it is a part of something and no manifest, or nothing names it
  // any more.
  bool is_mistaken = false;
};

// What an image's config says, for filters and listings.  Durable.
struct PutImageConfig {
  ContentName name;  // of the config blob
  std::optional<absl::Time> created;
  std::string os;
  std::string architecture;
  std::string variant;
  Labels labels;
};

struct PutRepository {
  std::string store;
  std::string repository;
  store::Place place;
};
struct RemoveRepository {
  std::string store;
  std::string repository;  // with its tags, members and uploads
};

// Makes or moves a tag.
struct PutTag {
  std::string store;
  std::string repository;  // registered by need
  std::string tag;
  oci::Digest digest;
  std::string media_type;
  std::optional<absl::Time> pushed;  // default is the apply time
};
struct RemoveTag {
  std::string store;
  std::string repository;
  std::string tag;
};

struct PutMembership {
  std::string store;
  std::string repository;
  oci::Digest digest;
  store::MembershipKind kind = store::MembershipKind::kRevision;
  std::string media_type;
  std::optional<absl::Time> linked;
  bool is_only_name = false;
};
struct RemoveMembership {
  std::string store;
  std::string repository;
  oci::Digest digest;
  store::MembershipKind kind = store::MembershipKind::kRevision;
};

using ContainerState = store::ContainerState;
using store::ToString;  // of a state

struct PutContainer {
  std::string store;
  std::string id;
  std::string name;
  ContainerState state = ContainerState::kUnknown;
  std::string image_reference;  // as the user wrote it: name, tag, digest
  // The image's manifest, index or config; unset: resolved from the reference
  // at apply time, and an unresolvable one is recorded without an edge.
  std::optional<oci::Digest> image;
  store::Place place;
  std::string command;
  std::optional<store::Bytes> writable;  // unset: unknown
  Labels labels;
  std::vector<std::string> volumes;
  std::vector<std::string> networks;
  std::vector<oci::Digest> mounted_images;  // images mounted as volumes: in use
  std::string snapshot;
  std::vector<store::PortMapping> ports;
  std::optional<absl::Time> created;
  std::optional<absl::Time> exited;
};
struct PutSnapshot {
  std::string store;
  std::string key;
  std::string parent;  // "" for a base
  std::optional<store::Bytes> bytes;
  Labels labels;
  std::optional<oci::Digest> image;  // manifest or config it was unpacked from
  // Configs whose layers are exactly this chain; the edges go to these
  // themselves, so that the snapshot stays while one of them stays.
  std::vector<oci::Digest> unpacked_from;
  store::Place place;
  std::optional<absl::Time> created;
};
struct PutVolume {
  std::string store;
  std::string name;
  std::string driver;
  std::optional<store::Bytes> bytes;
  Labels labels;
  bool is_anonymous = false;
  std::optional<absl::Time> created;
};
struct PutNetwork {
  std::string store;
  std::string name;
  std::string id;  // the engine's own
  std::string driver;
  std::string scope;
  Labels labels;
  bool is_predefined = false;
  std::optional<absl::Time> created;
};
struct PutBuildCache {
  std::string store;
  std::string id;
  std::string parent;
  std::string type;
  std::string description;
  std::optional<store::Bytes> bytes;
  bool is_in_use = false;
  bool is_shared = false;
  uint64_t usage_count = 0;
  std::vector<oci::Digest> layers;  // of images; they stay while it stays
  std::optional<absl::Time> created;
  std::optional<absl::Time> used;
};

// What a lease or a pin holds.
struct Target {
  std::optional<ContentName> content;
  // Or a named node; its store is the lease's.
  NodeKind kind = NodeKind::kTag;
  std::string scope;
  std::string name;
};
struct PutLease {
  std::string store;
  std::string id;
  std::string owner;  // who took it; others' leases are never deleted by us
  std::optional<absl::Time> expires;  // unset: never
  bool is_flat = false;
  Labels labels;
  std::vector<Target> targets;  // added to those it has
  // It is taken anew: ALREADY_EXISTS if there is another of the id, and
  // INVALID_ARGUMENT if it would have expired already.  One that has expired is
  // none, and gives its targets back first.
  bool is_new = false;
  // It changes the one that has this etag (LeaseEtag() of put_codec.h): ABORTED
  // if it is another by now, NOT_FOUND if it is gone or has expired.
  std::optional<std::string> etag = std::nullopt;
};
struct PutPin {
  std::string store;
  std::string id;
  std::string reason;  // the operator's words
  Target target;
  bool is_new = false;  // as of a lease
};
struct PutUpload {
  std::string store;
  std::string repository;
  std::string id;
  store::Bytes bytes;
  std::optional<absl::Time> started;
  std::optional<absl::Time> expires;
};

// Removes a named node of any kind but a repository.
struct RemoveNamed {
  std::string store;
  NodeKind kind = NodeKind::kContainer;
  std::string scope;
  std::string name;
  // Of a lease, who may end it: PERMISSION_DENIED if it is another's and has
  // not expired.  Unset: whoever asks.
  std::optional<std::string> owner = std::nullopt;
};

// A use: a pull, a container start, an existence check.  Stamps the node with
// the running epoch, so that a plan already made will spare it.
enum class UseKind : uint8_t { kPulled = 1, kStarted = 2, kExists = 3 };
struct Touch {
  ContentName name;
  // Or a tag (then `name.digest` is ignored).
  std::string repository;
  std::string tag;
  UseKind use = UseKind::kPulled;
  std::optional<absl::Time> time;
};

// Bytes in the store that no node explains (strays), as the last scan counted
// them; replaces the earlier figure of that store.
struct SetOrphans {
  std::string store;
  store::Bytes bytes;
  uint64_t count = 0;
};

using Operation =
    std::variant<PutBlob, RemoveBlob, PutManifest, MarkUnreadable,
                 PutImageConfig, PutRepository, RemoveRepository, PutTag,
                 RemoveTag, PutMembership, RemoveMembership, PutContainer,
                 PutSnapshot, PutVolume, PutNetwork, PutBuildCache, PutLease,
                 PutPin, PutUpload, RemoveNamed, Touch, SetOrphans>;

struct Mutation {
  std::vector<Operation> operations;
  // Idempotency: the same id within 24 hours answers as the first time did and
  // changes nothing.  "" for none.
  std::string request_id;
  std::string actor;  // who, for the event rows and the audit
};

struct AppliedMutation {
  uint64_t sequence = 0;       // of its last event row; grows monotonically
  bool was_replayed = false;   // request_id had been seen
  uint64_t changed_count = 0;  // operations that changed something
  std::vector<std::string> problems;  // e.g. manifests that became opaque
};

}  // namespace reclaim::index

#endif  // RECLAIM_INDEX_MUTATION_H_
