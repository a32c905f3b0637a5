// index/operation_applier.h — what each operation of a mutation means, as
// changes of records in a WriteSet.
//
// Private to index/.  Not thread-safe.

#ifndef RECLAIM_INDEX_OPERATION_APPLIER_H_
#define RECLAIM_INDEX_OPERATION_APPLIER_H_

#include <functional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "index/found_copies.h"
#include "index/mutation.h"
#include "index/reference_graph.h"
#include "index/write_set.h"
#include "oci/digest.h"
#include "oci/manifest.h"

namespace reclaim::index {

class OperationApplier {
 public:
  using FindStore = std::function<const StoreRecord*(const std::string& name)>;

  OperationApplier(WriteSet* set, FindStore find_store,
                   const GraphOptions& options, std::string actor)
      : set_(set),
        find_store_(std::move(find_store)),
        options_(options),
        actor_(std::move(actor)) {}

  // INVALID_ARGUMENT or NOT_FOUND name the field; the set is then unusable.
  absl::Status Apply(const Operation& operation);
  // Before the operations: they are a run's, which takes links away or gives
  // them back, and each one that is new or gone is told of by a row.  Others'
  // are not: a scan finds links by the million.
  void TellOfLinks() { tells_of_links_ = true; }
  // Before the operations: where the content is that they name and do not say
  // where; what was not looked for is looked up one by one.  Not owned.
  void UseCopies(const FoundCopies* copies) { copies_ = copies; }
  // After the operations of one mutation (held_copies.cc): lets who holds
  // something wherever it is hold what has come.
  absl::Status HoldArrived();
  // The second for all that a store has, which an earlier version held in no
  // place.
  absl::Status HoldKnown(const StoreRecord& store);

  uint64_t changed_count() const { return changed_count_; }
  const std::vector<std::string>& problems() const { return problems_; }
  // Quarantined nodes that the operations reference: they must be restored
  // first, and the mutation prepared anew (I4).
  const std::set<NodeId>& quarantined() const { return quarantined_; }

  // One overload an alternative; used by Apply().
  absl::Status operator()(const PutBlob& op);
  absl::Status operator()(const RemoveBlob& op);
  absl::Status operator()(const PutManifest& op);
  absl::Status operator()(const MarkUnreadable& op);
  absl::Status operator()(const PutImageConfig& op);
  absl::Status operator()(const PutRepository& op);
  absl::Status operator()(const RemoveRepository& op);
  absl::Status operator()(const PutTag& op);
  absl::Status operator()(const RemoveTag& op);
  absl::Status operator()(const PutMembership& op);
  absl::Status operator()(const RemoveMembership& op);
  absl::Status operator()(const PutContainer& op);
  absl::Status operator()(const PutSnapshot& op);
  absl::Status operator()(const PutVolume& op);
  absl::Status operator()(const PutNetwork& op);
  absl::Status operator()(const PutBuildCache& op);
  absl::Status operator()(const PutLease& op);
  absl::Status operator()(const PutPin& op);
  absl::Status operator()(const PutUpload& op);
  absl::Status operator()(const RemoveNamed& op);
  absl::Status operator()(const Touch& op);
  absl::Status operator()(const SetOrphans& op);

 private:
  using ContentRecord = storage::v1::ContentRecord;
  using NamedProto = storage::v1::NamedRecord;

  absl::StatusOr<const StoreRecord*> Store(const std::string& name) const;
  // Made by need.
  absl::StatusOr<PlaceId> PlaceOf(const StoreRecord& store,
                                  const store::Place& place);
  absl::StatusOr<ContentRecord*> ContentOf(const ContentName& name);
  // The repository's record, made by need in the place ""; and its place.
  absl::StatusOr<NamedProto*> RepositoryOf(const StoreRecord& store,
                                           const std::string& repository);
  // Content that something names from now on: stamps it, and notes what of its
  // closure is quarantined.
  absl::StatusOr<NodeId> Reference(const StoreRecord& store, PlaceId place,
                                   const oci::Digest& digest, NodeKind role);
  void NoteQuarantined(NodeId id);
  bool IsHistory(const Touch& op, const StoreRecord& store,
                 NodeId content) const;
  void TouchContent(const Touch& op, const StoreRecord& store,
                    ContentRecord* content);
  // What is known by the name: without a place each copy that is here or in
  // quarantine, or else what is referenced in the place "".
  absl::StatusOr<std::vector<ContentRecord*>> CopiesOf(const StoreRecord& store,
                                                       const ContentName& name);
  // The manifest that names a config: one that is here, or else in quarantine;
  // kNoNode for none.
  NodeId ManifestOf(NodeId config) const;
  // Whether a container names it, and no manifest that is here does.
  bool IsUsedWithoutManifest(NodeId config) const;
  // Where content is held of which its holder says that it is in `place`: "" is
  // that and each place that has it.
  std::vector<PlaceId> HeldIn(const StoreRecord& store, PlaceId place,
                              const oci::Digest& digest) const;
  // Lets a pin, lease, container or snapshot reference `copy` as well.
  absl::Status AddCopy(NodeId holder, NodeId copy);
  absl::Status HoldAlso(NodeId content, NodeId copy);

  absl::Status SetBytes(ContentRecord* record, const PutBlob& op);
  struct Edge {
    NodeId node = kNoNode;
    oci::Digest digest;
    NodeKind role = NodeKind::kBlob;
  };
  absl::StatusOr<std::vector<Edge>> EdgesOf(const StoreRecord& store,
                                            const oci::Manifest& manifest,
                                            const ContentRecord& record);
  absl::Status SetEdges(const StoreRecord& store, const oci::Manifest& manifest,
                        ContentRecord* record);
  absl::StatusOr<std::vector<NodeId>> Targets(
      const StoreRecord& store, const std::vector<Target>& targets);
  absl::StatusOr<std::vector<NodeId>> KeptTargets(const StoreRecord& store,
                                                  const NamedProto& record,
                                                  const v1::Lease& lease);
  // Each in the places that HeldIn() says.
  absl::Status AddContent(const StoreRecord& store, PlaceId place,
                          const oci::Digest& digest,
                          std::vector<NodeId>* targets);
  absl::Status AddImage(const StoreRecord& store, PlaceId place,
                        const oci::Digest& digest, std::vector<NodeId>* images);
  absl::Status AddMounted(const StoreRecord& store, PlaceId place,
                          const oci::Digest& digest,
                          std::vector<NodeId>* images);
  // All that a container references; its images in `images` as well.
  absl::StatusOr<std::vector<NodeId>> ContainerTargets(
      const StoreRecord& store, const PutContainer& op,
      std::vector<NodeId>* images);
  // A container's start, end and removal are uses of its images.
  absl::Status UseImages(const std::vector<NodeId>& images);
  // Containers that named a volume, network or snapshot before it was known.
  absl::Status ReconnectContainers(const StoreRecord& store, NodeKind kind,
                                   const std::string& name);
  // Begins a put of a named node: its record and what it was before.
  struct NamedPut {
    NamedProto* record = nullptr;
    std::string before;
  };
  absl::StatusOr<NamedPut> BeginNamed(const StoreRecord& store, NodeKind kind,
                                      const std::string& scope,
                                      const std::string& name);
  void FinishNamed(const StoreRecord& store, const NamedPut& put,
                   std::vector<NodeId> targets);
  void SetSize(NamedProto* record, const std::optional<store::Bytes>& bytes);
  static void SetFlag(NamedProto* record, NodeFlag flag, bool is_set);
  // One that has expired is none: null.
  absl::StatusOr<NamedProto*> FindLease(const StoreRecord& store,
                                        const std::string& id);
  absl::StatusOr<bool> IsLeaseThere(const StoreRecord& store,
                                    const PutLease& op);
  absl::Status CheckOwner(const StoreRecord& store, const RemoveNamed& op);
  absl::Status RemoveByKey(const StoreRecord& store, const NamedKey& key);
  // The tags and uploads of a repository, those made in this set included.
  absl::StatusOr<std::vector<NamedKey>> NamesIn(const StoreRecord& store,
                                                const std::string& repository);

  // Reports a changed content record, given its serialization before.
  void FinishContent(const ContentRecord& record, const std::string& before,
                     EventKind kind);
  Event EventOf(const StoreRecord& store, EventKind kind,
                const NamedProto& record) const;
  Event ContentEvent(EventKind kind, const ContentRecord& record) const;
  void AddContentEvent(EventKind kind, const ContentRecord& record,
                       std::string detail);
  // Of content in the scope of a repository, if links are told of.
  void AddLinkEvent(EventKind kind, const std::string& repository,
                    store::MembershipKind link, const ContentRecord& content);

  WriteSet* set_;
  FindStore find_store_;
  const GraphOptions& options_;
  std::string actor_;
  uint64_t changed_count_ = 0;
  std::vector<std::string> problems_;
  std::set<NodeId> quarantined_;
  const FoundCopies* copies_ = nullptr;
  bool tells_of_links_ = false;
  // The targets of records that AddCopy() has added to.
  absl::flat_hash_map<NodeId, absl::flat_hash_set<NodeId>> targets_of_;
  std::vector<NodeId> arrived_;  // content that was not there before
  std::vector<std::pair<NodeId, NodeId>> configured_;  // manifest, its config
  bool has_new_uses_ = false;  // a container references something new
};

}  // namespace reclaim::index

#endif  // RECLAIM_INDEX_OPERATION_APPLIER_H_
