#include "tests/benchmark/population_rows.h"

#include <cstring>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/check.h"
#include "store/types.h"

namespace reclaim::benchmark {
namespace {

using index::ContentRow;
using index::NodeId;
using index::NodeKind;

constexpr uint64_t kBlockBytes = 4096;

oci::Digest DigestOf(uint64_t number) {
  char bytes[32];
  for (int i = 0; i < 4; ++i) {
    // SplitMix64's finisher: uniform, as a hash is.
    uint64_t z = number * 4 + i + 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    z ^= z >> 31;
    std::memcpy(bytes + i * 8, &z, 8);
  }
  const absl::StatusOr<oci::Digest> digest = oci::Digest::FromBytes(
      oci::DigestAlgorithm::kSha256, absl::string_view(bytes, 32));
  RECLAIM_CHECK(digest.ok(), "32 bytes are a SHA-256 digest");
  return *digest;
}

class Rows final : public PopulationSink {
 public:
  explicit Rows(RowSink* sink) : sink_(*sink) {}

  void OnRepository(const std::string& name) override {
    index::NamedRow row;
    row.id = next_++;
    row.key = {NodeKind::kRepository, kStore, "", name};
    row.place = kPlace;
    row.recorded = RecordedAt(row.id);
    sink_.OnNamed(row);
    repository_ = row.id;
    repository_name_ = name;
    members_.clear();
  }

  void OnBlob(BlobNumber blob, uint64_t size_bytes, bool is_config) override {
    ContentRow row = Begin(
        blob, is_config ? NodeKind::kConfig : NodeKind::kLayer, size_bytes);
    sink_.OnContent(row);
  }

  void OnManifest(BlobNumber manifest,
                  absl::Span<const BlobNumber> children) override {
    Put(manifest, NodeKind::kManifest, children, nullptr);
  }

  void OnIndex(BlobNumber index,
               absl::Span<const BlobNumber> manifests) override {
    Put(index, NodeKind::kImageIndex, manifests, nullptr);
  }

  void OnReferrer(BlobNumber manifest, BlobNumber subject,
                  absl::Span<const BlobNumber> children) override {
    Put(manifest, NodeKind::kManifest, children, &subject);
  }

  void OnTag(const std::string& tag, BlobNumber target) override {
    index::NamedRow row;
    row.id = next_++;
    row.key = {NodeKind::kTag, kStore, repository_name_, tag};
    row.place = kPlace;
    row.recorded = RecordedAt(row.id);
    row.targets = {ids_[target]};
    sink_.OnNamed(row);
  }

 private:
  // No two at the same instant, and all long ago.
  absl::Time RecordedAt(NodeId id) const {
    return PopulationNow() - absl::Hours(2000) + absl::Microseconds(id * 7);
  }

  ContentRow Begin(BlobNumber blob, NodeKind kind, uint64_t size_bytes) {
    if (blob >= ids_.size()) ids_.resize(blob + 1, index::kNoNode);
    ids_[blob] = next_++;
    ContentRow row;
    row.id = ids_[blob];
    row.key = {kPlace, DigestOf(blob)};
    row.kind = kind;
    row.state = index::NodeState::kPresent;
    row.store = kStore;
    row.bytes.logical_bytes = size_bytes;
    row.bytes.allocated_bytes =
        (size_bytes + kBlockBytes - 1) / kBlockBytes * kBlockBytes;
    row.stamp = 1;
    row.recorded = RecordedAt(row.id);
    return row;
  }

  void Put(BlobNumber manifest, NodeKind kind,
           absl::Span<const BlobNumber> children, const BlobNumber* subject) {
    ContentRow row = Begin(manifest, kind, 500 + 150 * children.size());
    for (const BlobNumber child : children) row.children.push_back(ids_[child]);
    if (subject != nullptr) {
      row.subject = ids_[*subject];
      row.flags = index::kReferrer;
    }
    sink_.OnContent(row);
    Join(row.id, store::MembershipKind::kRevision, row.recorded);
    if (kind == NodeKind::kImageIndex) return;
    for (const NodeId child : row.children) {
      Join(child, store::MembershipKind::kLayer, row.recorded);
    }
  }

  void Join(NodeId content, store::MembershipKind kind, absl::Time linked) {
    if (!members_.insert(content).second) return;
    index::MembershipRow row;
    row.repository = repository_;
    row.content = content;
    row.kind = kind;
    row.linked = linked;
    sink_.OnMembership(row);
  }

  RowSink& sink_;
  NodeId next_ = 0;
  std::vector<NodeId> ids_;  // by blob number
  NodeId repository_ = index::kNoNode;
  std::string repository_name_;
  absl::flat_hash_set<NodeId> members_;  // of the repository
};

}  // namespace

absl::Time PopulationNow() { return absl::FromUnixSeconds(1767323045); }

PopulationCounts TellRows(uint64_t objects, uint64_t seed, RowSink* sink) {
  PopulationOptions options;
  options.object_count = objects;
  options.seed = seed;
  return TellRows(options, sink);
}

PopulationCounts TellRows(const PopulationOptions& options, RowSink* sink) {
  Rows rows(sink);
  return Populate(options, &rows);
}

ResidentSink::ResidentSink(index::ResidentGraph* graph) : graph_(*graph) {
  graph_.PutStore(kStore, "s");
  graph_.PutPlace(kPlace, kStore, "");
  graph_.AdvanceTo(PopulationNow());
}

}  // namespace reclaim::benchmark
