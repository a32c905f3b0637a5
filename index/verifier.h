// index/verifier.h — private: one verification while it goes on.

#ifndef RECLAIM_INDEX_VERIFIER_H_
#define RECLAIM_INDEX_VERIFIER_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/clock.h"
#include "index/reference_graph.h"
#include "index/verify.h"
#include "store/content_store.h"
#include "store/scan.h"

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
  absl::Status CheckCancelled() const;
  void Report(Finding finding);
  void Progress();

  // Nothing if the totals of `reader` are what Recount() gives.
  std::optional<Finding> CompareTotals(const GraphReader& reader) const;

  // Why the node is not what its record says; "" if it is.
  std::string CompareContent(const GraphView& view, absl::string_view value);
  std::string CompareNamed(const GraphView& view, absl::string_view value);
  absl::Status CheckFamily(Family family);
  absl::Status RecheckRecord(Family family, const std::string& key);
  absl::Status CheckResident();

  std::vector<FileNode> NextFiles(NodeId* next) const;
  FileNode FileOf(const GraphReader& reader, NodeId id) const;
  // Whether the node is still what it was when its file looked wrong.
  bool IsUnchanged(const FileNode& file) const;
  void CheckFile(const FileNode& file);
  void CheckData(const FileNode& file);
  // verify_edges.cc
  void CheckEdges(const FileNode& file);
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
  VerifyProgress progress_;
  VerifyReport report_;
};

}  // namespace reclaim::index

#endif  // RECLAIM_INDEX_VERIFIER_H_
