#include "store/containerd_scan.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"
#include "store/containerd_files.h"
#include "store/containerd_names.h"

namespace reclaim::store {
namespace {

constexpr char kDockersSpace[] = "moby";
constexpr size_t kBatchSize = 1024;
constexpr uint64_t kExplainedBytesMax = uint64_t{4} << 20;

bool IsOfKubelet(const ContainerdListing& listing) {
  for (const auto& image : listing.images) {
    if (image.labels().contains(kKubeletImageLabel)) return true;
  }
  for (const auto& container : listing.containers) {
    if (container.labels().contains("io.kubernetes.pod.uid")) return true;
  }
  return false;
}

}  // namespace

// Who collects a namespace besides us; "" if nobody, or if we were told to.
std::string ContainerdScan::KeeperOf(const ContainerdListing& listing) const {
  if (listing.space == kDockersSpace &&
      options_.namespaces.count(kDockersSpace) == 0) {
    return "the namespace belongs to dockerd: register its own socket, or name "
           "the namespace in the store's URI";
  }
  if (!options_.collects_kubelet && IsOfKubelet(listing)) {
    return "a kubelet collects the images of this namespace: they are counted "
           "only, unless the store's URI says kubelet=collect";
  }
  return "";
}

absl::Status ContainerdScan::List() {
  RECLAIM_ASSIGN_OR_RETURN(const std::vector<std::string> spaces,
                           client_.ListNamespaces());
  for (const std::string& space : spaces) {
    if (sink_->IsCancelled()) {
      return absl::CancelledError("the scan was cancelled");
    }
    const bool is_wanted =
        options_.namespaces.empty() || options_.namespaces.count(space) > 0;
    if (is_wanted) {
      RECLAIM_ASSIGN_OR_RETURN(
          ContainerdListing listing,
          ListContainerd(client_, engine_, quarantine_, memory_, space));
      listings_.push_back(std::move(listing));
      for (const auto& info : listings_.back().content) {
        ++holders_[info.digest()];
      }
      continue;
    }
    // Not ours to judge, but not unknown either.
    RECLAIM_ASSIGN_OR_RETURN(const std::vector<ctrd::content::v1::Info> content,
                             client_.ListContent(space));
    for (const auto& info : content) ++holders_[info.digest()];
  }
  return absl::OkStatus();
}

void ContainerdScan::AddProblems(const ContainerdListing& listing,
                                 ScanBatch* batch) const {
  std::vector<std::string> problems = listing.problems;
  const std::string keeper = KeeperOf(listing);
  if (!keeper.empty()) problems.push_back(keeper);
  for (const std::string& problem : problems) {
    ProblemFact fact;
    fact.path = absl::StrCat("namespace ", listing.space);
    fact.status = absl::FailedPreconditionError(problem);
    fact.place = listing.space;
    batch->problems.push_back(std::move(fact));
  }
}

std::set<std::string> ContainerdScan::LabelledReferences(
    const ctrd::content::v1::Info& info) {
  std::set<std::string> targets;
  for (const auto& [key, value] : info.labels()) {
    if (absl::StartsWith(key, kContentReference)) targets.insert(value);
  }
  return targets;
}

// A manifest's labels say what its bytes say.  Labels that say more are edges
// that we do not see, so their targets are kept.
absl::StatusOr<bool> ContainerdScan::IsExplained(
    const std::string& space, const ctrd::content::v1::Info& info,
    const std::set<std::string>& targets) const {
  if (targets.empty()) return true;
  const std::string references = absl::StrJoin(targets, " ");
  if (memory_->IsExplained(info.digest(), references)) return true;
  if (static_cast<uint64_t>(info.size()) > kExplainedBytesMax) return false;
  std::string bytes;
  const absl::Status read =
      client_.ReadContent(space, info.digest(), [&](const std::string& piece) {
        bytes += piece;
        return absl::OkStatus();
      });
  if (absl::IsNotFound(read)) return true;  // gone meanwhile: it keeps nothing
  RECLAIM_RETURN_IF_ERROR(read);
  for (const std::string& target : targets) {
    if (!absl::StrContains(bytes, target)) return false;
  }
  memory_->RememberExplained(info.digest(), references);
  return true;
}

absl::Status ContainerdScan::ReportContent(const ContainerdListing& listing) {
  ScanBatch batch;
  AddProblems(listing, &batch);
  for (const auto& info : listing.content) {
    const auto digest = oci::Digest::Parse(info.digest());
    if (!digest.ok()) {
      ProblemFact fact;
      fact.path = info.digest();
      fact.status = digest.status();
      fact.place = listing.space;
      batch.problems.push_back(std::move(fact));
      continue;
    }
    known_.insert(*digest);
    Removal blob;
    blob.kind = RemovalKind::kBlob;
    blob.place = listing.space;
    blob.digest = *digest;
    if (IsQuarantined(blob)) continue;
    BlobFact fact;
    fact.place = listing.space;
    fact.digest = *digest;
    fact.stat.bytes = ContentBytes(engine_.content_root, *digest,
                                   static_cast<uint64_t>(info.size()));
    fact.stat.modified = TimeOf(info.created_at());
    // Content that labels give references, and that lists them itself.
    const std::set<std::string> targets = LabelledReferences(info);
    if (!targets.empty()) {
      RECLAIM_ASSIGN_OR_RETURN(fact.is_manifest,
                               IsExplained(listing.space, info, targets));
    }
    fact.stat.extent = memory_->SharedExtent(*digest);
    batch.blobs.push_back(std::move(fact));
    if (batch.blobs.size() >= kBatchSize) {
      RECLAIM_RETURN_IF_ERROR(sink_->Accept(std::move(batch)));
      batch = ScanBatch();
    }
  }
  SectionReport section;
  section.kind = SectionKind::kBlobs;
  section.scope = listing.space;
  batch.sections.push_back(std::move(section));
  return sink_->Accept(std::move(batch));
}

absl::Status ContainerdScan::ReportImages(const ContainerdListing& listing) {
  ScanBatch batch;
  std::set<std::string> repositories;
  for (const auto& image : listing.images) {
    const RepositoryTag name = SplitImageName(listing.space, image.name());
    repositories.insert(name.repository);
    const auto digest = oci::Digest::Parse(image.target().digest());
    if (!digest.ok()) {
      ProblemFact fact;
      fact.path = image.name();
      fact.status = digest.status();
      fact.place = listing.space;
      batch.problems.push_back(std::move(fact));
      continue;
    }
    TagFact fact;
    fact.repository = name.repository;
    fact.tag = name.tag;
    fact.digest = *digest;
    fact.media_type = image.target().media_type();
    fact.modified = TimeOf(image.updated_at());
    batch.tags.push_back(std::move(fact));
  }
  for (const std::string& repository : repositories) {
    batch.repositories.push_back({repository, listing.space});
    SectionReport section;
    section.kind = SectionKind::kTags;
    section.scope = repository;
    batch.sections.push_back(std::move(section));
  }
  return sink_->Accept(std::move(batch));
}

absl::Status ContainerdScan::ReportStrays() {
  ScanBatch batch;
  for (const auto& [text, count] : holders_) {
    const auto digest = oci::Digest::Parse(text);
    if (digest.ok()) known_.insert(*digest);
  }
  batch.strays = StrayContent(engine_.content_root, files_, known_);
  for (const auto& [snapshotter, root] : engine_.snapshot_roots) {
    if (!options_.namespaces.empty()) break;  // the others were not listed
    uint64_t count = 0;
    uint64_t bytes = 0;
    for (const ContainerdListing& listing : listings_) {
      for (const ListedSnapshot& snapshot : listing.snapshots) {
        if (snapshot.snapshotter != snapshotter) continue;
        ++count;
        bytes += snapshot.usage_bytes.value_or(0);
      }
    }
    for (StrayFact& stray : StraySnapshots(root, count, bytes)) {
      batch.strays.push_back(std::move(stray));
    }
  }
  SectionReport section;
  section.kind = SectionKind::kRepositories;
  batch.sections.push_back(std::move(section));
  return sink_->Accept(std::move(batch));
}

absl::Status ContainerdScan::Run() {
  files_ = ListContentFiles(engine_.content_root);
  RECLAIM_RETURN_IF_ERROR(List());
  memory_->RememberHolders(holders_);
  for (const ContainerdListing& listing : listings_) {
    RECLAIM_RETURN_IF_ERROR(ReportContent(listing));
  }
  for (const ContainerdListing& listing : listings_) {
    RECLAIM_RETURN_IF_ERROR(ReportImages(listing));
  }
  RECLAIM_RETURN_IF_ERROR(ReportRecords());
  return ReportStrays();
}

}  // namespace reclaim::store
