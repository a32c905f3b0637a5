// store/types.h — the words that a content store and its callers share.
//
// Values only.  All sizes are bytes.  "Logical" bytes are st_size, "allocated"
// bytes are st_blocks * 512; the two are never added to each other.

#ifndef RECLAIM_STORE_TYPES_H_
#define RECLAIM_STORE_TYPES_H_

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "oci/digest.h"

namespace reclaim::store {

// The size that a client may give one thing, 1 EiB, and the sum that the sizes
// of all that is recorded in one store may come to, 4 EiB; more is refused, and
// changes nothing (SEMANTICS, case 74).  So a sum in which everything of a
// store counts once is below 2^63, whatever it is a sum of, and three of those
// fit into 64 bits.
inline constexpr uint64_t kSizeMax = uint64_t{1} << 60;
inline constexpr uint64_t kSizeSumMax = uint64_t{1} << 62;

// A sum that would not fit stays at the largest value.
constexpr uint64_t AddSaturated(uint64_t a, uint64_t b) {
  const uint64_t room = std::numeric_limits<uint64_t>::max() - a;
  return a + (b < room ? b : room);
}

// A pair of the two measures of the same bytes.  Sums saturate.  Those in which
// everything of a store counts once never get so far (kSizeSumMax); one of many
// stores, or in which a layer counts for each image that has it, may.
struct Bytes {
  uint64_t logical_bytes = 0;
  uint64_t allocated_bytes = 0;

  Bytes& operator+=(const Bytes& other) {
    logical_bytes = AddSaturated(logical_bytes, other.logical_bytes);
    allocated_bytes = AddSaturated(allocated_bytes, other.allocated_bytes);
    return *this;
  }
  friend Bytes operator+(Bytes a, const Bytes& b) { return a += b; }
  friend bool operator==(const Bytes& a, const Bytes& b) {
    return a.logical_bytes == b.logical_bytes &&
           a.allocated_bytes == b.allocated_bytes;
  }
  friend bool operator!=(const Bytes& a, const Bytes& b) { return !(a == b); }
};

// The file behind a blob when it has more than one name.  Two blobs with equal
// extents share their bytes, which are counted once within one file system.
struct Extent {
  uint64_t device = 0;
  uint64_t inode = 0;
  friend bool operator==(const Extent& a, const Extent& b) {
    return a.device == b.device && a.inode == b.inode;
  }
  friend bool operator<(const Extent& a, const Extent& b) {
    return std::tie(a.device, a.inode) < std::tie(b.device, b.inode);
  }
  template <typename H>
  friend H AbslHashValue(H h, const Extent& e) {
    return H::combine(std::move(h), e.device, e.inode);
  }
};

// A place is one content-addressed namespace within a store: the same digest in
// two places is two copies.  A registry and an image layout have the single
// place "".  A folder of image layouts has one place a layout, named by its
// path below the store's root; there the repository has the same name.
using Place = std::string;

// What a store knows of one blob that is present.
struct BlobStat {
  Bytes bytes;
  std::optional<Extent> extent;  // set iff the file has several links
  absl::Time modified;
  // How many these are, wherever they lie.  0: nobody knows, or just one.
  uint64_t link_count = 0;
};

// How a digest is a member of a repository (a link file, or an entry of an
// image layout's index.json that has no name).
enum class MembershipKind : uint8_t {
  kRevision = 1,  // a manifest pushed to the repository
  kLayer = 2,     // a layer or config uploaded to or mounted in the repository
};

// One thing that a store can take away.  Which fields are set follows from the
// kind; the others are empty.
// Values are stored on disk: never renumber.
enum class RemovalKind : uint8_t {
  kTag = 1,           // repository, tag, digest (what the tag named)
  kRevisionLink = 2,  // repository, digest; includes the tag-history links
  kLayerLink = 3,     // repository, digest
  kBlob = 4,          // place, digest
  kUpload = 5,        // repository, upload_id
  // An engine's records: place, and `name` as the scan reported it.
  kContainer = 6,
  kNetwork = 7,
  kVolume = 8,
  kSnapshot = 9,
  kBuildCache = 10,
};
constexpr bool IsEngineRecord(RemovalKind kind) {
  return kind >= RemovalKind::kContainer;
}
// When in a run its turn is (I3): what uses goes before what is used, names
// before links before bytes, so that a crash leaves only leaks.  Restoring goes
// the other way.
int DeedStage(RemovalKind kind);

struct Removal {
  RemovalKind kind = RemovalKind::kBlob;
  Place place;
  std::string repository;
  std::string tag;
  std::string upload_id;
  std::string name;                   // of an engine's record
  std::optional<oci::Digest> digest;  // unset for uploads and records
};

// Equality and order (by DeedStage() first).
bool operator==(const Removal& a, const Removal& b);
bool operator<(const Removal& a, const Removal& b);
std::string ToString(const Removal& removal);

// Bytes of a set of removals.  Content is blobs and uploads; metadata is link
// files and the folders that become empty with them.  Both are what the disk
// gives.
struct RemovalBytes {
  Bytes content;
  Bytes metadata;
  // Content that stays on the disk for other names of its files.
  Bytes held = {};
  RemovalBytes& operator+=(const RemovalBytes& other) {
    content += other.content;
    metadata += other.metadata;
    held += other.held;
    return *this;
  }
  Bytes total() const { return content + metadata; }
};

// A file of a removal that has several names.
struct SharedFile {
  size_t removal = 0;  // by number in what was asked about
  Extent file;
  uint64_t link_count = 0;
  Bytes bytes;
};

// What a set of removals comes to.
struct Measurement : RemovalBytes {
  Measurement() = default;
  // NOLINTNEXTLINE(google-explicit-constructor): of a store without links.
  Measurement(const RemovalBytes& bytes) : RemovalBytes(bytes) {}

  std::vector<SharedFile> shared;  // content alone
};

// What became of one removal.
struct RemovalOutcome {
  // OK; NOT_FOUND (it was not there: nothing to do, never an error of a run);
  // ALREADY_EXISTS (restore found the name taken: what stands there stays);
  // ABORTED (it is not what the plan saw, or is in use now: it stays);
  // anything else is a failure of this item alone.
  absl::Status status;
  RemovalBytes bytes;  // moved or freed by this item
  // Of ALREADY_EXISTS: the logical bytes of its content that are in quarantine.
  uint64_t quarantined_size = 0;
};

// Which run put something in quarantine.  Not a path: letters, digits and '-'.
using RunId = std::string;

// One thing found in a store's quarantine.
struct QuarantinedItem {
  RunId run_id;
  Removal removal;
  RemovalBytes bytes;
};

enum class StoreKind : uint8_t {
  kImageLayout = 1,
  kRegistry = 2,
  kMemory = 3,
  kExternal = 4,
  kContainerd = 5,
  kDocker = 6,
  kPodman = 7,
};
const char* ToString(StoreKind kind);

// What a store can and cannot do.  Constant while the store is open.
struct StoreTraits {
  StoreKind kind = StoreKind::kMemory;
  // Deletion goes through a quarantine from which Restore() works.
  bool has_quarantine = false;
  // Others may write while the service runs: purge needs the proof scan.
  bool has_foreign_writers = false;
  // The store itself reports containers, so "unused" can be judged; its records
  // (RemovalKind) are taken away through it.
  bool knows_containers = false;
  // Nothing can be given back: Quarantine() leaves everything where it is, and
  // Purge() is the deletion.  A plan says so, and its items are purged at once.
  bool deletes_for_good = false;
  // The outcome of Purge() says what the disk gave for each item's content.
  bool measures_purges = false;
  bool is_read_only = false;
};

// The file system below a store.  available <= capacity always holds (clamped).
struct Capacity {
  uint64_t capacity_bytes = 0;
  uint64_t available_bytes = 0;
  uint64_t inode_count = 0;
  uint64_t available_inode_count = 0;
};

}  // namespace reclaim::store

#endif  // RECLAIM_STORE_TYPES_H_
