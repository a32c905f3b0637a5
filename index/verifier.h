// index/verifier.h — private: one verification while it goes on.

#ifndef RECLAIM_INDEX_VERIFIER_H_
#define RECLAIM_INDEX_VERIFIER_H_

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "index/known_referrers.h"
#include "index/reference_graph.h"
#include "index/verify.h"
#include "oci/manifest.h"
#include "reclaim/storage/v1/storage.pb.h"
#include "store/content_store.h"
#include "store/scan.h"
#include "store/types.h"

namespace reclaim::index {

class Verifier {
 public:
  Verifier(ReferenceGraph* graph, const StoreRecord& store,
           const store::ContentStore* content, const base::Clock* clock,
           const VerifyOptions* options)
      : graph_(graph),
        store_(store),
        content_(content),
        clock_(clock),
        options_(*options) {}

  void CheckScopes();
  void CheckDoubts();
  absl::Status CheckCounters();
  absl::Status CheckAdopted();
  absl::Status CheckRecords();
  absl::Status CheckFiles();
  // How many more there were of what Remark() has told a hundred of.
  void SumUpRemarks();
  const VerifyReport& report() const { return report_; }

 private:
  struct FileNode {
    NodeId id = kNoNode;
    NodeKind kind = NodeKind::kBlob;
    NodeState state = NodeState::kAbsent;
    store::Place place;
    oci::Digest digest;
    store::Bytes bytes;
    bool is_live = false;
    bool is_opaque = false;
  };

  static std::string NameOf(const store::Place& place,
                            const oci::Digest& digest);
  // Of any node: how people call it.
  static std::string NameOf(const GraphView& view, NodeId id);
  absl::Status CheckCancelled() const;
  void Report(Finding finding);
  // The same for what is no damage and may be of everything in a store, so that
  // it does not crowd out what is.
  void Remark(Finding finding);
  void Progress();

  // Nothing if the totals of `reader` are what Recount() gives.
  std::optional<Finding> CompareTotals(const GraphReader& reader) const;

  // Why the node or link is not what its record says; "" if it is.
  std::string CompareContent(const GraphView& view, absl::string_view key,
                             absl::string_view value) const;
  std::string CompareNamed(const GraphView& view, absl::string_view key,
                           absl::string_view value) const;
  std::string CompareMembership(const GraphView& view, absl::string_view key,
                                absl::string_view value) const;
  std::string CompareRecord(const GraphView& view, Family family,
                            absl::string_view key,
                            absl::string_view value) const;
  absl::Status CheckFamily(Family family);
  absl::Status RecheckRecord(Family family, const std::string& key);

  // verify_resident.cc
  struct KnownNode {
    NodeId id = kNoNode;
    NodeKind kind = NodeKind::kBlob;
    absl::Time recorded = absl::InfinitePast();  // unless it is absent
  };
  struct Referral {
    NodeId subject = kNoNode;
    NodeId referrer = kNoNode;
  };
  // Some nodes from *next on, and the referrers of those.
  std::vector<KnownNode> NextNodes(NodeId* next,
                                   std::vector<Referral>* referrals) const;
  absl::Status CheckResident();
  absl::Status CheckNode(const KnownNode& node);
  absl::Status CheckReferral(const Referral& referral);
  absl::Status CheckLinks();
  absl::Status CheckLinksOf(NodeId repository);
  absl::Status RecheckLink(NodeId repository, NodeId content,
                           store::MembershipKind kind);

  // verify_notes.cc
  void NoteTime(NodeId id, absl::Time time, absl::string_view what);
  // Of a node with the record that it has.
  void NoteRecord(const KnownNode& node, absl::string_view value);
  void NoteContent(const KnownNode& node, absl::string_view value);
  void NoteBase(NodeId id, const std::string& snapshot, absl::string_view what);
  void NoteImage(NodeId config, const storage::v1::ImageConfigRecord& said);
  void NotePackedImages();

  std::vector<FileNode> NextFiles(NodeId* next) const;
  FileNode FileOf(const GraphReader& reader, NodeId id) const;
  // Whether the node is still what it was when its file looked wrong.
  bool IsUnchanged(const FileNode& file) const;
  void CheckFile(const FileNode& file);
  // Its file is not there: `why`.
  void TellMissing(const FileNode& file, std::string why);
  void CheckData(const FileNode& file);
  // verify_edges.cc
  void CheckEdges(const FileNode& file);
  // Whose referrer it is, or kNoNode.
  NodeId SubjectOf(const GraphView& view, NodeId id) const;
  // "" if the graph has the edges of the manifest.
  std::string CompareEdges(const FileNode& file,
                           const oci::Manifest& manifest) const;
  void CheckDeclaredSizes(const FileNode& file, const oci::Manifest& manifest);
  void NoteEmbedded(const FileNode& file, absl::string_view manifest);
  // Whether all that lists the file embeds its content.
  bool IsEmbedded(const FileNode& file) const;
  void CheckChildren(const FileNode& file);
  bool HasPlainChild(NodeId index) const;
  bool IsUnread(const store::Place& place, const oci::Digest& digest) const;
  absl::Status CheckQuarantine(const std::vector<FileNode>& files);
  void CheckEmptyLinks(const std::vector<store::MembershipFact>& links);
  absl::Status CheckUnknown();

  ReferenceGraph* graph_;
  const StoreRecord store_;
  const store::ContentStore* content_;
  const base::Clock* clock_;
  const VerifyOptions& options_;
  std::vector<AdoptedBlob> adopted_;
  // What differs by it is asked again after Forget().
  mutable KnownReferrers referrers_;
  VerifyProgress progress_;
  VerifyReport report_;
  std::map<std::string, uint64_t> remarks_;  // by check
  // Images are unpacked to snapshots here.
  bool has_snapshots_ = false;
  std::set<std::string> unpacked_platforms_;
  // Platform and name of those that are not.
  std::vector<std::pair<std::string, std::string>> packed_images_;
};

}  // namespace reclaim::index

#endif  // RECLAIM_INDEX_VERIFIER_H_
