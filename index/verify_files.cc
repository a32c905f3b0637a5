// The graph against the files of the store.

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/utf8.h"
#include "index/verifier.h"
#include "store/name_reader.h"
#include "store/scan.h"

namespace reclaim::index {
namespace {

constexpr size_t kFilesAtOnce = 1024;
constexpr char kScanAdvice[] = "scan the store: `reclaim scan`";

// Blobs that the graph does not know, and what could not be read.
class UnknownSink final : public store::ScanSink {
 public:
  UnknownSink(ReferenceGraph* graph, StoreId store,
              const VerifyOptions* options)
      : graph_(graph), store_(store), options_(*options) {}

  absl::Status Accept(store::ScanBatch batch) override {
    const auto reader = graph_->Read();
    const GraphView& view = reader->view();
    for (const store::BlobFact& blob : batch.blobs) {
      const NodeId id =
          view.FindContent(view.FindPlace(store_, blob.place), blob.digest);
      if (id != kNoNode && view.state(id) == NodeState::kPresent) continue;
      unknown.push_back(blob);
    }
    for (const store::MembershipFact& link : batch.memberships) {
      if (link.is_empty) empty_links.push_back(link);
    }
    for (const store::ProblemFact& problem : batch.problems) {
      unreadable.emplace_back(problem.path,
                              std::string(problem.status.message()));
    }
    for (const store::SectionReport& section : batch.sections) {
      if (section.state != store::SectionState::kUnreadable) continue;
      unreadable.emplace_back(section.scope,
                              std::string(section.error.message()));
    }
    return absl::OkStatus();
  }
  bool IsCancelled() const override {
    return options_.is_cancelled && options_.is_cancelled();
  }

  std::vector<store::BlobFact> unknown;
  std::vector<store::MembershipFact> empty_links;
  std::vector<std::pair<std::string, std::string>> unreadable;

 private:
  ReferenceGraph* graph_;
  const StoreId store_;
  const VerifyOptions& options_;
};

}  // namespace

std::string Verifier::NameOf(const store::Place& place,
                             const oci::Digest& digest) {
  return absl::StrCat(digest.ToString(), place.empty() ? "" : " in ", place);
}

Verifier::FileNode Verifier::FileOf(const GraphReader& reader,
                                    NodeId id) const {
  const GraphView& view = reader.view();
  const NodeFields fields = view.fields(id);
  FileNode file;
  file.id = id;
  file.kind = fields.kind;
  file.state = fields.state;
  file.place = view.PlaceName(fields.place);
  file.digest = view.digest(id);
  file.bytes = fields.bytes;
  if (const NodeId extent = view.ExtentOf(id); extent != kNoNode) {
    file.bytes = view.fields(extent).bytes;
  }
  file.is_live = reader.IsLive(id);
  file.is_opaque = (fields.flags & kOpaque) != 0;
  return file;
}

std::vector<Verifier::FileNode> Verifier::NextFiles(NodeId* next) const {
  std::vector<FileNode> files;
  const auto reader = graph_->Read();
  const GraphView& view = reader->view();
  for (; *next < view.node_count() && files.size() < kFilesAtOnce; ++*next) {
    const NodeId id = *next;
    if (!view.Exists(id) || !IsContent(view.kind(id)) ||
        view.kind(id) == NodeKind::kExtent ||
        view.fields(id).store != store_.id ||
        view.state(id) == NodeState::kAbsent) {
      continue;
    }
    files.push_back(FileOf(*reader, id));
  }
  if (files.empty()) *next = view.node_count();
  return files;
}

bool Verifier::IsUnchanged(const FileNode& file) const {
  const auto reader = graph_->Read();
  if (!reader->view().Exists(file.id)) return false;
  const FileNode now = FileOf(*reader, file.id);
  return now.state == file.state && now.bytes == file.bytes;
}

void Verifier::CheckFile(const FileNode& file) {
  for (int attempt = 0;; ++attempt) {
    const auto stat = content_->Stat(file.place, file.digest);
    if (stat.ok() && stat->bytes == file.bytes) return;
    if (!IsUnchanged(file)) return;
    if (attempt == 0) continue;
    if (!stat.ok()) {
      TellMissing(file, std::string(stat.status().message()));
      return;
    }
    Report({"size-differs", FindingSeverity::kWarning,
            NameOf(file.place, file.digest),
            absl::StrCat("recorded ", file.bytes.logical_bytes, " (",
                         file.bytes.allocated_bytes, " on disk), found ",
                         stat->bytes.logical_bytes, " (",
                         stat->bytes.allocated_bytes, " on disk)"),
            kScanAdvice});
    return;
  }
}

void Verifier::TellMissing(const FileNode& file, std::string why) {
  const std::string subject = NameOf(file.place, file.digest);
  if (IsEmbedded(file)) {
    Remark({"embedded-data", FindingSeverity::kNote, subject,
            absl::StrCat(why, "; what lists it has all of it"), kScanAdvice});
    return;
  }
  Finding finding;
  finding.check = "missing-blob";
  finding.severity =
      file.is_live ? FindingSeverity::kDamage : FindingSeverity::kWarning;
  finding.subject = subject;
  finding.detail = std::move(why);
  finding.advice = kScanAdvice;
  if (file.is_live) {
    finding.advice =
        "something that is used lacks it: push it again, or `reclaim "
        "restore` it if it is in quarantine";
  }
  Report(std::move(finding));
}

void Verifier::CheckData(const FileNode& file) {
  const absl::Status status = content_->VerifyDigest(file.place, file.digest);
  progress_.done_bytes += file.bytes.logical_bytes;
  if (absl::IsDataLoss(status) && IsUnchanged(file)) {
    Report({"digest-mismatch", FindingSeverity::kDamage,
            NameOf(file.place, file.digest), std::string(status.message()),
            "the bytes are not what their name says: push the content again"});
  }
  if (IsManifestLike(file.kind) && !file.is_opaque && status.ok()) {
    CheckEdges(file);
  }
}

absl::Status Verifier::CheckQuarantine(const std::vector<FileNode>& files) {
  if (files.empty() && adopted_.empty()) return absl::OkStatus();
  RECLAIM_ASSIGN_OR_RETURN(const auto items, content_->ListQuarantine());
  std::set<std::pair<store::Place, oci::Digest>> held;
  for (const store::QuarantinedItem& item : items) {
    if (item.removal.kind == store::RemovalKind::kBlob && item.removal.digest) {
      held.insert({item.removal.place, *item.removal.digest});
    }
  }
  for (const FileNode& file : files) {
    if (held.count({file.place, file.digest}) > 0 || !IsUnchanged(file)) {
      continue;
    }
    Report({"missing-quarantine", FindingSeverity::kWarning,
            NameOf(file.place, file.digest),
            "its bytes are not in the quarantine, so they can't be restored",
            kScanAdvice});
  }
  for (const AdoptedBlob& blob : adopted_) {
    if (held.count({blob.place, blob.digest}) > 0) continue;
    Report({"missing-quarantine", FindingSeverity::kWarning,
            NameOf(blob.place, blob.digest),
            "its bytes are not in the quarantine, so they can't be restored",
            "restart reclaimd: it looks there anew"});
  }
  return absl::OkStatus();
}

// They count as whole ones, for their paths say what they are of; but who pulls
// by one fails.
void Verifier::CheckEmptyLinks(
    const std::vector<store::MembershipFact>& links) {
  const store::NameReader* names = content_->names();
  if (names == nullptr) return;
  for (const store::MembershipFact& link : links) {
    // Written, or taken away, meanwhile?
    const auto found = names->FindLink(link.repository, link.digest, link.kind);
    if (found.ok() && !found->has_value()) continue;
    if (names->HoldsLink(link.repository, link.digest, link.kind)
            .value_or(false)) {
      continue;
    }
    Report({"empty-link", FindingSeverity::kWarning,
            absl::StrCat(link.repository, "@", link.digest.ToString()),
            "the registry was stopped before it had written this link, so a "
            "pull of it fails",
            "if it is needed, push it again; if not, a prune takes it"});
  }
}

absl::Status Verifier::CheckUnknown() {
  UnknownSink sink(graph_, store_.id, &options_);
  store::ScanRequest request;
  request.now = clock_->Now();
  RECLAIM_RETURN_IF_ERROR(content_->Scan(request, &sink).status());
  for (const auto& [path, why] : sink.unreadable) {
    Report({"unreadable", FindingSeverity::kWarning,
            base::EscapeUnlessUtf8(path), base::EscapeUnlessUtf8(why),
            "nothing beside it is collected until it can be read"});
  }
  CheckEmptyLinks(sink.empty_links);
  for (const store::BlobFact& blob : sink.unknown) {
    // Quarantined, purged or recorded meanwhile?
    if (!content_->Stat(blob.place, blob.digest).ok()) continue;
    const auto reader = graph_->Read();
    const GraphView& view = reader->view();
    const NodeId id =
        view.FindContent(view.FindPlace(store_.id, blob.place), blob.digest);
    if (id != kNoNode && view.state(id) == NodeState::kPresent) continue;
    Report({"unknown-content", FindingSeverity::kNote,
            NameOf(blob.place, blob.digest),
            absl::StrCat(blob.stat.bytes.logical_bytes,
                         " bytes that the last scan has not seen"),
            kScanAdvice});
  }
  return absl::OkStatus();
}

absl::Status Verifier::CheckFiles() {
  // The bytes of an external store are not here to be looked at.
  if (content_ == nullptr ||
      content_->traits().kind == store::StoreKind::kExternal) {
    return absl::OkStatus();
  }
  progress_.total_count = report_.node_count;
  std::vector<FileNode> quarantined;
  NodeId next = 0;
  for (;;) {
    const std::vector<FileNode> files = NextFiles(&next);
    if (files.empty()) break;
    for (const FileNode& file : files) {
      RECLAIM_RETURN_IF_ERROR(CheckCancelled());
      ++progress_.done_count;
      if (file.state == NodeState::kQuarantined) {
        quarantined.push_back(file);
        continue;
      }
      CheckFile(file);
      CheckChildren(file);
      if (options_.read_data) CheckData(file);
    }
    Progress();
  }
  RECLAIM_RETURN_IF_ERROR(CheckQuarantine(quarantined));
  return CheckUnknown();
}

}  // namespace reclaim::index
