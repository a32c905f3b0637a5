// store/scan.h — what a walk of a store reports, and to whom.
//
// A scan reports facts in batches.  Facts are grouped into *sections*: the unit
// in which a layout can tell "nothing changed here since the last scan".  A
// section is reported either as kUnchanged, with no facts, or as kListed, with
// all of its facts; what the caller knew in a listed section and the section
// does not report any more is gone.  A section that could not be read is
// reported as kUnreadable with the reason, and then nothing in it may be judged
// gone or deletable (I5).
//
// The facts of one section may come in several batches and interleaved with
// other sections; its SectionReport comes after the last of them.
//
// When a section counts as unchanged is told in docs/decisions (scan memos).

#ifndef RECLAIM_STORE_SCAN_H_
#define RECLAIM_STORE_SCAN_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "oci/digest.h"
#include "oci/media_type.h"
#include "store/engine_facts.h"
#include "store/types.h"

namespace reclaim::store {

enum class SectionKind : uint8_t {
  kRepositories = 1,  // the list of repositories; scope is ""
  kBlobs = 2,         // scope is the place, shard the first digest byte or -1
  kTags = 3,          // scope is the repository
  kRevisions = 4,     // scope is the repository
  kLayerLinks = 5,    // scope is the repository
  kUploads = 6,       // scope is the repository
  // An engine's records; scope is "": of the whole store.
  kContainers = 7,
  kSnapshots = 8,
  kVolumes = 9,
  kNetworks = 10,
  kBuildCache = 11,
  kHolds = 12,
};

enum class SectionState : uint8_t { kListed = 1, kUnchanged, kUnreadable };

// Names a section in memos: the same in every process, for ever.
uint64_t SectionKey(SectionKind kind, absl::string_view scope, int shard);

struct SectionReport {
  SectionKind kind = SectionKind::kRepositories;
  std::string scope;
  int shard = -1;  // 0..255 for sharded blob listings, -1 for a whole place
  SectionState state = SectionState::kListed;
  absl::Status error;  // why it is unreadable; names the path

  uint64_t key() const { return SectionKey(kind, scope, shard); }
};

struct RepositoryFact {
  std::string repository;
  Place place;  // where its blobs are
};

struct BlobFact {
  Place place;
  oci::Digest digest;
  BlobStat stat;
  // The store itself says that it is a manifest or an image index: it is read
  // though no name leads to it.
  bool is_manifest = false;
};

struct TagFact {
  std::string repository;
  std::string tag;
  oci::Digest digest;
  std::string media_type;  // as an index.json declares it; "" if unknown
  absl::Time modified;     // when the tag was last set
};

struct MembershipFact {
  std::string repository;
  oci::Digest digest;
  MembershipKind kind = MembershipKind::kRevision;
  std::string media_type;  // "" if unknown
  absl::Time modified;     // when the link was made
  // A registry opened it and has not written it, or never did: its path says
  // what it is of, and no client can use it.
  bool is_empty = false;
  // An entry of an image layout that names nothing at all: its entries without
  // a name are the only handle on its content, hence roots.
  bool is_only_name = false;
};

struct UploadFact {
  std::string repository;
  std::string upload_id;
  Bytes bytes;
  absl::Time started;  // the later of its start file and its newest write
};

// A file or folder that the layout does not explain.  Kept, counted as orphan
// bytes and shown (I5).
struct StrayFact {
  std::string path;  // relative to the store's root; may be any bytes
  std::string why;   // "unknown name", "symbolic link", "device node", ...
  Bytes bytes;
};

// A fault that is not a whole section: a torn link, an impossible digest.
// Whatever `repository` and `place` name is not collected in this run.
struct ProblemFact {
  std::string path;
  absl::Status status;
  std::string repository;      // "" if the whole place is concerned
  std::optional<Place> place;  // unset if the whole store is concerned
};

struct ScanBatch {
  std::vector<RepositoryFact> repositories;
  std::vector<BlobFact> blobs;
  std::vector<TagFact> tags;
  std::vector<MembershipFact> memberships;
  std::vector<UploadFact> uploads;
  std::vector<SnapshotFact> snapshots;
  std::vector<VolumeFact> volumes;
  std::vector<NetworkFact> networks;
  std::vector<ContainerFact> containers;
  std::vector<BuildCacheFact> build_cache;
  std::vector<HoldFact> holds;
  std::vector<StrayFact> strays;
  std::vector<ProblemFact> problems;
  std::vector<SectionReport> sections;
};

// Receives a scan.  Accept() is called by several threads but never by two at
// once.  An error stops the scan, which then returns that error.
class ScanSink {
 public:
  virtual ~ScanSink() = default;
  virtual absl::Status Accept(ScanBatch batch) = 0;
  // True asks the scan to stop soon with CANCELLED.
  virtual bool IsCancelled() const = 0;
};

struct ScanRequest {
  int thread_count = 2;  // 1..64
  // The memo that an earlier scan returned, or "" to list every section.  A
  // memo of another layout, version or root is ignored, not an error.
  std::string memo;
  // The scan's start; file times at most two seconds older than the memo's
  // scan are never trusted to mean "unchanged" (coarse file-system clocks).
  absl::Time now;
  // Sections (SectionKey) to list whatever the memo says of them.
  absl::flat_hash_set<uint64_t> must_list;
  // Lists all names and links anew: what a scan that proves has to do.
  bool must_list_names = false;
};

struct ScanResult {
  std::string memo;  // opaque; give it to the next scan
  uint64_t section_count = 0;
  uint64_t unchanged_section_count = 0;
};

}  // namespace reclaim::store

#endif  // RECLAIM_STORE_SCAN_H_
