#include "store/docker_scan.h"

#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace reclaim::store {
namespace {

constexpr char kPodLabel[] = "io.kubernetes.pod.uid";

bool IsOfPod(const DockerContainerDetails& container) {
  return container.fact.labels.count(kPodLabel) > 0;
}

Removal RecordRemoval(RemovalKind kind, const std::string& name) {
  Removal removal;
  removal.kind = kind;
  removal.name = name;
  return removal;
}

bool IsBlobLeaving(const IsLeaving& is_leaving, const oci::Digest& digest) {
  Removal removal;
  removal.kind = RemovalKind::kBlob;
  removal.digest = digest;
  return is_leaving(removal);
}

void AddSection(SectionKind kind, const std::string& scope, ScanBatch* batch) {
  SectionReport section;
  section.kind = kind;
  section.scope = scope;
  batch->sections.push_back(std::move(section));
}

// A manifest that the driver wrote and a config have no bytes of their own: the
// engine's records of an image are not counted.
void AddBlob(const oci::Digest& digest, const Bytes& bytes, absl::Time modified,
             bool is_manifest, ScanBatch* batch) {
  BlobFact fact;
  fact.digest = digest;
  fact.stat.bytes = bytes;
  fact.stat.modified = modified;
  fact.is_manifest = is_manifest;
  batch->blobs.push_back(std::move(fact));
}

ScanBatch ContentOf(const DockerListing& listing, const IsLeaving& is_leaving) {
  ScanBatch batch;
  std::set<oci::Digest> reported;
  for (const auto& [id, image] : listing.images) {
    if (!IsBlobLeaving(is_leaving, image.digest)) {
      AddBlob(image.digest, {}, image.recorded, true, &batch);
    }
    if (!IsBlobLeaving(is_leaving, id)) {
      AddBlob(id, {}, image.recorded, false, &batch);
    }
    for (const oci::Digest& layer : image.layers) {
      if (!reported.insert(layer).second || IsBlobLeaving(is_leaving, layer)) {
        continue;
      }
      AddBlob(layer, listing.layers.at(layer), image.recorded, false, &batch);
    }
  }
  AddSection(SectionKind::kBlobs, "", &batch);
  return batch;
}

ScanBatch NamesOfAll(const DockerListing& listing,
                     const IsLeaving& is_leaving) {
  ScanBatch batch;
  std::set<std::string> repositories;
  for (const auto& [id, image] : listing.images) {
    for (const DockerName& name : NamesOf(image.listed)) {
      repositories.insert(name.repository);
      Removal removal;
      removal.kind = RemovalKind::kTag;
      removal.repository = name.repository;
      removal.tag = name.tag;
      removal.digest = image.digest;
      if (is_leaving(removal)) continue;
      TagFact fact;
      fact.repository = name.repository;
      fact.tag = name.tag;
      fact.digest = image.digest;
      fact.modified = image.recorded;
      batch.tags.push_back(std::move(fact));
    }
  }
  for (const std::string& repository : repositories) {
    batch.repositories.push_back({repository, ""});
    AddSection(SectionKind::kTags, repository, &batch);
  }
  return batch;
}

bool IsRunning(ContainerState state) {
  return state != ContainerState::kCreated &&
         state != ContainerState::kExited && state != ContainerState::kDead;
}

void AddContainers(const DockerListing& listing, const IsLeaving& is_leaving,
                   ScanBatch* batch) {
  for (const DockerContainerDetails& container : listing.containers) {
    // One that was started meanwhile is not on its way out any more.
    if (!IsRunning(container.fact.state) &&
        is_leaving(RecordRemoval(RemovalKind::kContainer, container.fact.id))) {
      continue;
    }
    ContainerFact fact = container.fact;
    // A kubelet keeps an ended container for its own use.
    if (IsOfPod(container) && !IsRunning(fact.state)) {
      fact.state = ContainerState::kUnknown;
    }
    const std::string& text = container.image_id;
    const auto id = oci::Digest::Parse(text.rfind(':') == std::string::npos
                                           ? absl::StrCat("sha256:", text)
                                           : text);
    if (id.ok()) {
      const auto image = listing.images.find(*id);
      fact.image = image == listing.images.end() ? *id : image->second.digest;
    }
    batch->containers.push_back(std::move(fact));
  }
  AddSection(SectionKind::kContainers, "", batch);
}

ScanBatch RecordsOf(const DockerListing& listing, const IsLeaving& is_leaving) {
  ScanBatch batch;
  const auto stays = [&](RemovalKind kind, const std::string& name) {
    return !is_leaving(RecordRemoval(kind, name));
  };
  for (const VolumeFact& volume : listing.volumes) {
    if (stays(RemovalKind::kVolume, volume.name)) {
      batch.volumes.push_back(volume);
    }
  }
  AddSection(SectionKind::kVolumes, "", &batch);
  for (const NetworkFact& network : listing.networks) {
    if (stays(RemovalKind::kNetwork, network.name)) {
      batch.networks.push_back(network);
    }
  }
  AddSection(SectionKind::kNetworks, "", &batch);
  AddContainers(listing, is_leaving, &batch);
  // Parents first; the list is short and its order unknown.
  std::set<std::string> known;
  std::vector<BuildCacheFact> waiting = listing.build_cache;
  while (!waiting.empty()) {
    std::vector<BuildCacheFact> later;
    for (BuildCacheFact& fact : waiting) {
      bool has_parent_there = false;
      for (const BuildCacheFact& other : waiting) {
        has_parent_there |= !fact.parent.empty() && other.id == fact.parent;
      }
      if (has_parent_there && known.count(fact.parent) == 0) {
        later.push_back(fact);
        continue;
      }
      known.insert(fact.id);
      if (stays(RemovalKind::kBuildCache, fact.id)) {
        batch.build_cache.push_back(fact);
      }
    }
    if (later.size() == waiting.size()) break;  // a circle keeps itself unseen
    waiting = std::move(later);
  }
  AddSection(SectionKind::kBuildCache, "", &batch);
  return batch;
}

ScanBatch StraysOf(const DockerListing& listing) {
  ScanBatch batch;
  for (const std::string& folder : listing.stray_folders) {
    const FolderSize size = SizeOfFolder(folder);
    StrayFact fact;
    fact.path = folder;
    fact.why = "no image and no container of the engine names this layer";
    fact.bytes = {size.file_bytes, size.allocated_bytes};
    batch.strays.push_back(std::move(fact));
  }
  AddSection(SectionKind::kRepositories, "", &batch);
  return batch;
}

}  // namespace

absl::Status ReportDocker(const DockerListing& listing,
                          const IsLeaving& is_leaving, bool collects_kubelet,
                          ScanSink* sink) {
  const bool is_kubelets = std::any_of(listing.containers.begin(),
                                       listing.containers.end(), IsOfPod);
  if (is_kubelets && !collects_kubelet) {
    ScanBatch batch;
    ProblemFact fact;
    fact.path = "containers";
    fact.status = absl::FailedPreconditionError(
        "a kubelet collects the images of this engine: they are counted only, "
        "unless the store's URI says kubelet=collect");
    batch.problems.push_back(std::move(fact));
    RECLAIM_RETURN_IF_ERROR(sink->Accept(std::move(batch)));
  }
  RECLAIM_RETURN_IF_ERROR(sink->Accept(ContentOf(listing, is_leaving)));
  RECLAIM_RETURN_IF_ERROR(sink->Accept(NamesOfAll(listing, is_leaving)));
  RECLAIM_RETURN_IF_ERROR(sink->Accept(RecordsOf(listing, is_leaving)));
  return sink->Accept(StraysOf(listing));
}

}  // namespace reclaim::store
