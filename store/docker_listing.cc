#include "store/docker_listing.h"

#include <sys/stat.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace reclaim::store {
namespace {

std::string ParentOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "" : path.substr(0, slash);
}

std::string NameOf(const std::string& path) {
  return path.substr(path.rfind('/') + 1);
}

// A layer's files are in "…/ID/diff"; what goes with it is "…/ID".
Bytes MeasureLayer(const std::string& diff) {
  return {SizeOfFolder(diff).file_bytes,
          SizeOfFolder(ParentOf(diff)).allocated_bytes};
}

bool IsFolder(const std::string& path) {
  struct stat st;
  return !path.empty() && lstat(path.c_str(), &st) == 0 && S_ISDIR(st.st_mode);
}

absl::Time ModifiedOf(const std::string& path) {
  struct stat st;
  if (path.empty() || lstat(path.c_str(), &st) != 0) {
    return absl::InfinitePast();
  }
  return absl::TimeFromTimespec(st.st_mtim);
}

}  // namespace

absl::StatusOr<DockerImageMap> DockerLister::ListImages() {
  RECLAIM_ASSIGN_OR_RETURN(const std::vector<DockerListedImage> list,
                           api_.ListImages());
  DockerImageMap images;
  std::map<oci::Digest, DockerImageDetails> details;
  for (const DockerListedImage& listed : list) {
    DockerImage& image = images[listed.id];
    image.listed = listed;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      const auto known = details_.find(listed.id);
      if (known != details_.end()) details[listed.id] = known->second;
    }
    if (details.count(listed.id) == 0) {
      auto inspected = api_.InspectImage(listed.id.ToString());
      if (absl::IsNotFound(inspected.status())) {
        images.erase(listed.id);  // gone meanwhile
        continue;
      }
      RECLAIM_RETURN_IF_ERROR(inspected.status());
      details[listed.id] = *std::move(inspected);
    }
    image.details = details[listed.id];
    // When it came here: its newest tag, or its topmost layer's folder.
    const absl::Time unpacked =
        image.details.folders.empty()
            ? absl::InfinitePast()
            : ModifiedOf(ParentOf(image.details.folders.back()));
    image.recorded = image.details.tagged.value_or(
        unpacked != absl::InfinitePast()
            ? unpacked
            : image.details.created.value_or(absl::UnixEpoch()));
  }
  std::lock_guard<std::mutex> lock(mutex_);
  details_ = std::move(details);
  return images;
}

void DockerLister::MeasureLayers(DockerListing* listing) {
  std::map<std::string, Bytes> measured;
  for (const auto& [id, image] : listing->images) {
    for (size_t i = 0; i < image.layers.size(); ++i) {
      Bytes& bytes = listing->layers[image.layers[i]];
      if (bytes != Bytes()) continue;
      const std::string folder = i < image.details.folders.size()
                                     ? image.details.folders[i]
                                     : std::string();
      if (!IsFolder(folder)) {
        const uint64_t size =
            i < image.details.sizes.size() ? image.details.sizes[i] : 0;
        bytes = {size, size};
        continue;
      }
      bool is_known = false;
      {
        std::lock_guard<std::mutex> lock(mutex_);
        const auto known = measured_.find(folder);
        is_known = known != measured_.end();
        if (is_known) bytes = known->second;
      }
      if (!is_known) bytes = MeasureLayer(folder);
      measured[folder] = bytes;
    }
  }
  std::lock_guard<std::mutex> lock(mutex_);
  measured_ = std::move(measured);
}

void DockerLister::MeasureContainers(DockerListing* listing) const {
  for (DockerContainerDetails& container : listing->containers) {
    if (container.folders.empty() || !IsFolder(container.folders[0])) continue;
    Bytes bytes{SizeOfFolder(container.folders[0]).file_bytes, 0};
    for (const std::string& folder : container.folders) {
      bytes.allocated_bytes += SizeOfFolder(ParentOf(folder)).allocated_bytes;
    }
    container.fact.writable = bytes;
  }
}

// Folders of layers that no image and no container names.  Where there is build
// cache nobody can tell: the API does not say which folders are its.
void DockerLister::FindStrays(const std::string& top,
                              const std::vector<std::string>& names,
                              DockerListing* listing) const {
  if (top.empty() || !listing->build_cache.empty()) return;
  std::set<std::string> known = {"l", "staging", ".has-mount-program"};
  for (const auto& [id, image] : listing->images) {
    if (image.details.folders.size() != image.layers.size()) return;
    for (const std::string& folder : image.details.folders) {
      known.insert(NameOf(ParentOf(folder)));
    }
  }
  for (const DockerContainerDetails& container : listing->containers) {
    if (container.folders.empty()) return;
    for (const std::string& folder : container.folders) {
      known.insert(NameOf(ParentOf(folder)));
    }
  }
  for (const std::string& name : names) {
    const std::string path = absl::StrCat(top, "/", name);
    if (known.count(name) == 0 && IsFolder(path)) {
      listing->stray_folders.push_back(path);
    }
  }
}

absl::Status DockerLister::AddRecords(DockerListing* listing) const {
  RECLAIM_ASSIGN_OR_RETURN(listing->networks, api_.ListNetworks());
  RECLAIM_ASSIGN_OR_RETURN(listing->volumes, api_.ListVolumes());
  RECLAIM_ASSIGN_OR_RETURN(DockerUsage usage, api_.GetUsage());
  std::map<std::string, std::optional<Bytes>> sizes;
  for (const VolumeFact& volume : usage.volumes) {
    sizes[volume.name] = volume.bytes;
  }
  for (VolumeFact& volume : listing->volumes) {
    const auto size = sizes.find(volume.name);
    if (size != sizes.end()) volume.bytes = size->second;
  }
  listing->build_cache = std::move(usage.build_cache);
  return absl::OkStatus();
}

absl::StatusOr<DockerListing> DockerLister::List() {
  std::string top;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    top = top_;
  }
  // Before the engine is asked: what comes meanwhile is no stray.
  std::vector<std::string> names = NamesIn(top);
  DockerListing listing;
  // Containers first: one that is made meanwhile names an image that is listed
  // after it.
  RECLAIM_ASSIGN_OR_RETURN(listing.containers, api_.ListContainers());
  RECLAIM_ASSIGN_OR_RETURN(listing.images, ListImages());
  WriteManifests(&listing.images);
  RECLAIM_RETURN_IF_ERROR(AddRecords(&listing));
  MeasureLayers(&listing);
  MeasureContainers(&listing);
  std::string found;
  for (const auto& [id, image] : listing.images) {
    if (image.details.folders.empty()) continue;
    found = ParentOf(ParentOf(image.details.folders.back()));
    break;
  }
  if (!found.empty() && found != top) {
    std::lock_guard<std::mutex> lock(mutex_);
    top_ = found;
  }
  FindStrays(top, names, &listing);
  return listing;
}

}  // namespace reclaim::store
