// index/graph_scan.h — private: one scan of a store on its way into the graph.
//
// Receives facts, compares them with the graph, and applies the differences in
// mutations of a few hundred operations.  A manifest is put before the name
// that leads to it, so that no name ever stands without its edges.  What a
// writer touched since the scan began is left to the writer: his word is newer.
//
// Accept() is never called by two threads at once (store/scan.h).

#ifndef RECLAIM_INDEX_GRAPH_SCAN_H_
#define RECLAIM_INDEX_GRAPH_SCAN_H_

#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "index/reference_graph.h"
#include "index/scan_prints.h"
#include "index/store_scanner.h"
#include "oci/manifest.h"
#include "store/content_store.h"

namespace reclaim::index {

class GraphScan final : public store::ScanSink {
 public:
  // `epoch` was begun for this scan; the highest is of single facts.  None of
  // the pointers is owned.
  GraphScan(ReferenceGraph* graph, const StoreRecord& record,
            const store::ContentStore* store, const ScanOptions* options,
            Epoch epoch)
      : graph_(graph),
        record_(record),
        store_(store),
        options_(options),
        epoch_(epoch),
        prints_(record.kind) {}

  absl::Status Accept(store::ScanBatch batch) override;
  bool IsCancelled() const override;

  // After the last fact: reads what names lead to and nothing has read, takes
  // out of the graph what the scan has not found, and keeps what is beside an
  // image that should be there.
  absl::Status Finish();

  // ReadHeld() of index/store_scanner.h.
  absl::Status ReadHeld(absl::Span<const ContentName> held);

  ScanReport& report() { return report_; }
  // What the next scan may rely on, given what this one has relied on.
  ScanMemory Memory(const ScanMemory& last) const;
  // Scopes that were not read whole.
  std::vector<UnreadableScope> UnreadableScopes() const;

 private:
  using MemberSection = std::pair<std::string, store::MembershipKind>;
  // A manifest that a name or an index leads to.
  struct ManifestName {
    store::Place place;
    oci::Digest digest;
    std::string media_type;
    // Nothing says that it is a manifest: read as one only if it looks like it.
    bool is_guess = false;
  };

  // graph_scan.cc: facts that differ from the graph become operations.
  absl::Status AcceptBytes(const store::ScanBatch& batch);
  absl::Status AcceptManifests(const store::ScanBatch& batch);
  absl::Status AcceptNames(const store::ScanBatch& batch);
  absl::Status AcceptMembers(const store::ScanBatch& batch);
  void AcceptProblems(const store::ScanBatch& batch);
  void NoteSections(const store::ScanBatch& batch);
  void NoteUnchanged(const store::SectionReport& section);
  void AddMembership(const GraphView& view, const store::MembershipFact& fact);
  void AddUpload(const GraphView& view, const store::UploadFact& fact);
  bool IsKnownBlob(const GraphView& view, const store::BlobFact& fact) const;
  bool IsOnePlace(const store::RepositoryFact& fact);
  void MarkSeen(NodeId id);
  void MarkNamesSeen(const store::ScanBatch& batch);
  bool WasSeen(NodeId id) const { return id < seen_.size() && seen_[id]; }
  store::Place PlaceOf(const GraphView& view,
                       const std::string& repository) const;
  void AddProblem(const std::string& scope, const std::string& path,
                  const std::string& why);
  void KeepScope(const std::string& scope, const std::string& why);
  void Add(Operation operation) { pending_.push_back(std::move(operation)); }
  absl::Status Flush();
  // Or else single facts, for somebody who is answered: what can't be taken is
  // his error.
  bool IsWholeScan() const {
    return epoch_ != std::numeric_limits<Epoch>::max();
  }
  absl::Status Apply(const Mutation& mutation);
  // scan_obstacles.cc: the same, one fact after the other.
  absl::Status ApplyEach(const Mutation& mutation);

  // scan_tags.cc: tags, which are used and moved while they are read.
  void AddTag(const GraphView& view, const store::TagFact& fact);
  void PutTagOf(const store::TagFact& fact);
  absl::Status SettleTags();

  // scan_records.cc: what an engine has besides content.
  absl::Status AcceptRecords(const store::ScanBatch& batch);
  template <typename Put>
  void AddRecord(NodeKind kind, const std::string& name,
                 const std::optional<store::Bytes>& bytes, Put put);
  void AddHold(const store::HoldFact& fact);
  std::vector<Target> KnownTargets(const store::HoldFact& fact) const;
  void NoteRecordSection(const store::SectionReport& section);
  absl::Status FlushRecords(NodeKind kind);
  void FindGoneRecords();

  // scan_manifests.cc: reading manifests and configs.
  absl::Status ReadManifests(std::vector<ManifestName> names);
  void ReadManifest(const ManifestName& name, std::vector<ManifestName>* more);
  void AddManifest(const ManifestName& name, std::string bytes,
                   const store::BlobStat& stat,
                   std::vector<ManifestName>* more);
  static void FollowChild(const ManifestName& name,
                          const oci::Manifest& manifest,
                          const oci::Descriptor& child,
                          std::vector<ManifestName>* more);
  bool IsGuessWrong(const ManifestName& name, absl::string_view bytes) const;
  bool IsOpaque(const ManifestName& name) const;
  absl::StatusOr<std::optional<PutImageConfig>> ReadConfig(
      const store::Place& place, const oci::Digest& digest);
  void PutUnreadable(const ManifestName& name, const std::string& why);
  void PutUnreadableKeepers(const store::Place& place,
                            const oci::Digest& config, const std::string& why);

  // scan_missing.cc: manifests that are named, not there, and were never read.
  void DoubtMissing();
  std::vector<ContentName> FindMissing();
  // Of an image layout, what it lacks and another one of the store has.
  struct Lacking {
    ContentName name;
    store::Place found_in;
  };
  bool IsLacking(const GraphView& view, NodeId id) const;
  std::vector<Lacking> FindLacking() const;
  void KeepShared();

  // scan_unread.cc: what the names of a store lead to and the graph does not
  // know whole: a blob may have come, or become readable, since.
  absl::Status ReadUnread();
  absl::Status ReadHeldNodes(const std::vector<NodeId>& held);
  absl::Status ReadGuesses(std::vector<ManifestName> guesses);
  absl::Status ReadDoubtful();
  absl::Status ReadLate();
  std::vector<NodeId> NamedContent() const;
  std::vector<NodeId> HeldContent() const;
  std::vector<NodeId> DoubtfulContent();
  std::vector<NodeId> UnreadBelow(const std::vector<NodeId>& tops) const;
  std::vector<ManifestName> NamesOf(const std::vector<NodeId>& nodes) const;
  // False if the graph knows the manifest and what it leads to, one level deep.
  bool NeedsReading(const ManifestName& name) const;
  bool NeedsReading(const GraphView& view, NodeId id) const;

  // scan_removals.cc: what is gone.
  absl::Status RemoveMembers(const MemberSection& section);
  // What is present in the graph and was not found.
  std::vector<ContentName> UnseenBlobs();
  // Of these, what the store says is not there.
  std::vector<ContentName> FindGoneBlobs();
  std::vector<ContentName> NamesBeside(
      const std::vector<ContentName>& gone) const;
  void PutLinksLeft(const std::vector<ContentName>& names);
  void KeepPlace(const store::Place& place, const std::string& why);
  bool IsExplained(const store::Place& place) const {
    return explained_places_.count(place) > 0;
  }
  void FindGoneNames();
  using BlobSections = std::set<std::pair<store::Place, int>>;
  static bool IsIn(const BlobSections& sections, const store::Place& place,
                   const oci::Digest& digest);

  ReferenceGraph* graph_;
  const StoreRecord record_;
  const store::ContentStore* store_;
  const ScanOptions* options_;
  const Epoch epoch_;

  ScanReport report_;
  std::map<std::string, std::string> kept_scopes_;
  std::vector<Operation> pending_;
  std::map<std::string, store::Place> places_;  // of repositories
  std::vector<bool> seen_;                      // by node id
  // Read in this scan: as manifests, as guesses, as configs.  What one of these
  // says of bytes is no answer to another's question.
  using ReadSet = absl::flat_hash_set<std::pair<store::Place, oci::Digest>>;
  ReadSet read_;
  ReadSet guessed_;
  ReadSet read_configs_;
  std::vector<store::TagFact> disputed_tags_;
  std::vector<ManifestName> missing_;  // manifests that were not there
  // In doubt since an earlier scan, and absent.
  std::vector<NodeId> absent_doubts_;
  std::vector<std::pair<store::Place, oci::Digest>> late_configs_;

  // Which sections were listed, and which are not to be judged.
  bool has_listed_repositories_ = false;
  bool has_listed_blobs_ = false;
  std::set<std::pair<store::Place, int>> unjudged_blobs_;
  std::set<std::pair<store::Place, int>> unchanged_blobs_;  // of these
  // Places that the scan has found, in whatever state; and others of which the
  // graph knows content that is still there.
  std::set<store::Place> explained_places_;
  std::set<store::Place> unexplained_places_;
  std::set<std::string> listed_tags_;
  std::set<std::string> listed_uploads_;
  std::vector<uint64_t> listed_;     // keys of sections
  std::vector<uint64_t> unchanged_;  // the same
  SectionPrints prints_;             // of the facts of listed sections
  std::set<NodeKind> listed_records_;
  std::vector<std::string> record_names_;  // of the batch at hand
  std::map<MemberSection, absl::flat_hash_set<oci::Digest>> members_;
};

}  // namespace reclaim::index

#endif  // RECLAIM_INDEX_GRAPH_SCAN_H_
