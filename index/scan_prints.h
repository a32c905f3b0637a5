// index/scan_prints.h — private: whether the graph still says what a section
// said.
//
// A section that looks unchanged in the store is only skipped if nobody has
// changed the graph in its place: a client that removed a tag which the store
// has, a run that was undone.  So a scan keeps a print of the facts of each
// section, and the next one compares it with the print of what the graph holds.
// A print is a sum over facts, in any order.

#ifndef RECLAIM_INDEX_SCAN_PRINTS_H_
#define RECLAIM_INDEX_SCAN_PRINTS_H_

#include <cstdint>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "index/reference_graph.h"
#include "oci/digest.h"
#include "store/scan.h"
#include "store/types.h"

namespace reclaim::index {

class SectionPrints {
 public:
  // Whether the blobs of `kind` come in sections by first byte.
  explicit SectionPrints(store::StoreKind kind)
      : has_shards_(kind == store::StoreKind::kRegistry) {}

  void AddBlob(const store::Place& place, const oci::Digest& digest,
               const store::Bytes& bytes);
  void AddTag(const std::string& repository, const std::string& tag,
              const oci::Digest& digest, absl::Time pushed);
  void AddMember(const std::string& repository, const oci::Digest& digest,
                 store::MembershipKind kind, absl::Time linked);
  void AddUpload(const std::string& repository, const std::string& id,
                 const store::Bytes& bytes, absl::Time started);
  void AddFacts(const store::ScanBatch& batch);

  // 0 for a section without facts.
  uint64_t Of(uint64_t section) const;

 private:
  void Add(uint64_t section, uint64_t fact) { prints_[section] += fact; }

  const bool has_shards_;
  absl::flat_hash_map<uint64_t, uint64_t> prints_;
};

// Of what the graph holds of a store.  O(nodes); yields.
SectionPrints PrintsOf(const ReferenceGraph& graph, const StoreRecord& store);

// What a scan leaves for the next one; durable (docs/FORMAT.md).
struct ScanMemory {
  std::string store_memo;
  absl::flat_hash_map<uint64_t, uint64_t> prints;  // by section
};
std::string SerializeScanMemory(const ScanMemory& memory);
// Damaged bytes are an empty memory.
ScanMemory ParseScanMemory(absl::string_view bytes);

// The sections of which the graph says something else by now.
absl::flat_hash_set<uint64_t> ChangedSections(const ScanMemory& memory,
                                              const SectionPrints& graph);

}  // namespace reclaim::index

#endif  // RECLAIM_INDEX_SCAN_PRINTS_H_
