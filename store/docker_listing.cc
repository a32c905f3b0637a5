#include "store/docker_listing.h"

#include <sys/stat.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "store/docker_cache.h"

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

// When an image came here.  Its record is written then; the folder of its
// topmost layer may be older, for another image may have brought it.  The
// newest time that is known: what is young is kept.
absl::Time RecordedOf(const DockerApi::Place& place, const DockerImage& image) {
  const std::string& hex = image.listed.id.hex();
  absl::Time newest = image.details.tagged.value_or(absl::InfinitePast());
  if (!image.details.folders.empty()) {
    newest =
        std::max(newest, ModifiedOf(ParentOf(image.details.folders.back())));
  }
  if (!place.root.empty() && !place.driver.empty()) {
    // dockerd's and podman's.
    for (const std::string& record :
         {absl::StrCat(place.root, "/image/", place.driver,
                       "/imagedb/content/sha256/", hex),
          absl::StrCat(place.root, "/", place.driver, "-images/", hex)}) {
      newest = std::max(newest, ModifiedOf(record));
    }
  }
  if (newest != absl::InfinitePast()) return newest;
  return image.details.created.value_or(absl::UnixEpoch());
}

// The bytes of a volume's files as the engine counts them, and the blocks of
// all that goes with it.
std::optional<Bytes> MeasureVolume(const DockerVolume& volume,
                                   const std::optional<Bytes>& counted) {
  const std::string top = ParentOf(volume.folder);
  if (volume.fact.driver != "local" || !IsFolder(volume.folder) ||
      NameOf(top) != volume.fact.name) {
    return counted;
  }
  const uint64_t blocks = SizeOfFolder(top).allocated_bytes;
  return Bytes{
      counted ? counted->logical_bytes : SizeOfFolder(volume.folder).file_bytes,
      blocks};
}

}  // namespace

// A tag that came or went may have changed when it was last tagged.
absl::StatusOr<DockerImageDetails> DockerLister::DetailsOf(
    const DockerListedImage& listed) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    const auto known = details_.find(listed.id);
    if (known != details_.end() && known->second.first == listed.tags) {
      return known->second.second;
    }
  }
  const std::string id = listed.id.ToString();
  RECLAIM_ASSIGN_OR_RETURN(DockerImageDetails details, api_.InspectImage(id));
  // Asked only where the folders don't tell: it is slow with podman.
  const bool is_measurable =
      !details.folders.empty() &&
      std::all_of(details.folders.begin(), details.folders.end(), IsFolder);
  if (!is_measurable) {
    RECLAIM_ASSIGN_OR_RETURN(details.sizes,
                             api_.LayerSizes(id, details.diffs.size()));
  }
  return details;
}

absl::StatusOr<DockerImageMap> DockerLister::ListImages(
    const DockerApi::Place& place) {
  RECLAIM_ASSIGN_OR_RETURN(const std::vector<DockerListedImage> list,
                           api_.ListImages());
  DockerImageMap images;
  std::map<oci::Digest, KnownDetails> details;
  for (const DockerListedImage& listed : list) {
    absl::StatusOr<DockerImageDetails> found = DetailsOf(listed);
    if (absl::IsNotFound(found.status())) continue;  // gone meanwhile
    RECLAIM_RETURN_IF_ERROR(found.status());
    DockerImage& image = images[listed.id];
    image.listed = listed;
    image.details = *found;
    image.recorded = RecordedOf(place, image);
    details[listed.id] = {listed.tags, *std::move(found)};
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

// Of a record that is written to, in a folder of its own name.  A committed one
// has a folder of another name, which the API does not tell: one that nothing
// else names, with as many bytes in its files.  What an image shares are bytes
// of the image.
void DockerLister::MeasureCache(const std::string& top,
                                DockerListing* listing) {
  std::lock_guard<std::mutex> lock(mutex_);
  std::set<std::string> own;
  std::vector<Bytes*> committed;
  for (BuildCacheFact& fact : listing->build_cache) {
    if (fact.is_shared) fact.bytes = Bytes();
    const std::string folder = absl::StrCat(top, "/", fact.id);
    if (fact.is_shared || !fact.bytes || top.empty()) continue;
    if (!IsFolder(folder)) {
      committed.push_back(&*fact.bytes);
      continue;
    }
    own.insert(fact.id);
    fact.bytes->allocated_bytes = SizeOfFolder(folder).allocated_bytes;
  }
  std::map<std::string, Bytes> measured;
  const std::optional<std::set<std::string>> known = NamedFolders(*listing);
  std::multimap<uint64_t, std::string> folders;  // by bytes of files
  for (const std::string& name : NamesIn(top)) {
    if (committed.empty() || !known || known->count(name) > 0 ||
        own.count(name) > 0) {
      continue;
    }
    const auto last = cache_sizes_.find(name);
    measured[name] = last != cache_sizes_.end()
                         ? last->second
                         : MeasureLayer(absl::StrCat(top, "/", name, "/diff"));
    folders.emplace(measured[name].logical_bytes, name);
  }
  // What is nobody's may still be written to: it is not remembered.
  cache_sizes_.clear();
  using Folder = std::multimap<uint64_t, std::string>::iterator;
  const auto take = [&](Folder it, Bytes* bytes) {
    *bytes = measured[it->second];
    cache_sizes_[it->second] = *bytes;
    folders.erase(it);
  };
  std::vector<Bytes*> pulled;
  for (Bytes* bytes : committed) {
    const auto it = folders.find(bytes->logical_bytes);
    if (it != folders.end()) {
      take(it, bytes);
    } else if (bytes->logical_bytes == 0) {
      pulled.push_back(bytes);
    }
  }
  // The engine says 0 of what was pulled.  If more is left than there are such
  // records, some of it is lost, and nobody can say what.
  if (folders.size() > pulled.size()) return;
  for (Bytes* bytes : pulled) {
    if (!folders.empty()) take(folders.begin(), bytes);
  }
}

// Bytes of layers as the engine counts them for the build cache as well; empty
// if it does not tell.
absl::StatusOr<std::vector<uint64_t>> DockerLister::SizesOf(
    const oci::Digest& id, const DockerImage& image) {
  if (!image.details.sizes.empty()) return image.details.sizes;
  absl::StatusOr<std::vector<uint64_t>> sizes =
      api_.LayerSizes(id.ToString(), image.layers.size());
  if (absl::IsNotFound(sizes.status())) return std::vector<uint64_t>();
  RECLAIM_RETURN_IF_ERROR(sizes.status());
  std::lock_guard<std::mutex> lock(mutex_);
  const auto known = details_.find(id);
  if (known != details_.end()) known->second.second.sizes = *sizes;
  return sizes;
}

absl::Status DockerLister::FindCached(DockerListing* listing) {
  const bool has_shared = std::any_of(
      listing->build_cache.begin(), listing->build_cache.end(),
      [](const BuildCacheFact& record) { return record.is_shared; });
  if (!has_shared) return absl::OkStatus();
  DockerLayerTree tree;
  for (const auto& [id, image] : listing->images) {
    RECLAIM_ASSIGN_OR_RETURN(const std::vector<uint64_t> sizes,
                             SizesOf(id, image));
    for (size_t i = 0; i < image.layers.size(); ++i) {
      DockerLayer& layer = tree[image.layers[i]];
      if (i > 0) layer.parent = image.layers[i - 1];
      layer.bytes = i < sizes.size()
                        ? sizes[i]
                        : listing->layers.at(image.layers[i]).logical_bytes;
    }
  }
  FindCachedLayers(tree, &listing->build_cache);
  return absl::OkStatus();
}

// The folders of layers that images and containers name; nothing if it can't
// be told of one of them.
std::optional<std::set<std::string>> DockerLister::NamedFolders(
    const DockerListing& listing) {
  std::set<std::string> known = {"l", "staging", ".has-mount-program"};
  for (const auto& [id, image] : listing.images) {
    if (image.details.folders.size() != image.layers.size()) {
      return std::nullopt;
    }
    for (const std::string& folder : image.details.folders) {
      known.insert(NameOf(ParentOf(folder)));
    }
  }
  for (const DockerContainerDetails& container : listing.containers) {
    if (container.folders.empty()) return std::nullopt;
    for (const std::string& folder : container.folders) {
      known.insert(NameOf(ParentOf(folder)));
    }
  }
  return known;
}

// Folders of layers that no image and no container names.  Where there is build
// cache nobody can tell: the API does not say which folders are its.
void DockerLister::FindStrays(const std::string& top,
                              const std::vector<std::string>& names,
                              DockerListing* listing) const {
  if (top.empty() || !listing->build_cache.empty()) return;
  const std::optional<std::set<std::string>> known = NamedFolders(*listing);
  if (!known) return;
  for (const std::string& name : names) {
    const std::string path = absl::StrCat(top, "/", name);
    if (known->count(name) == 0 && IsFolder(path)) {
      listing->stray_folders.push_back(path);
    }
  }
}

absl::Status DockerLister::AddRecords(DockerListing* listing) const {
  RECLAIM_ASSIGN_OR_RETURN(listing->networks, api_.ListNetworks());
  RECLAIM_ASSIGN_OR_RETURN(const std::vector<DockerVolume> volumes,
                           api_.ListVolumes());
  RECLAIM_ASSIGN_OR_RETURN(DockerUsage usage, api_.GetUsage());
  std::map<std::string, std::optional<Bytes>> sizes;
  for (const VolumeFact& volume : usage.volumes) {
    sizes[volume.name] = volume.bytes;
  }
  for (const DockerVolume& volume : volumes) {
    const auto size = sizes.find(volume.fact.name);
    listing->volumes.push_back(volume.fact);
    listing->volumes.back().bytes = MeasureVolume(
        volume, size == sizes.end() ? std::nullopt : size->second);
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
  RECLAIM_ASSIGN_OR_RETURN(const DockerApi::Place place, api_.GetPlace());
  listing.root = place.root;
  RECLAIM_ASSIGN_OR_RETURN(listing.images, ListImages(place));
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
  // An engine without images has its layers where it says that they are.
  std::string layers = found.empty() ? top : found;
  if (layers.empty() && !place.root.empty() && !place.driver.empty()) {
    layers = absl::StrCat(place.root, "/", place.driver);
  }
  RECLAIM_RETURN_IF_ERROR(FindCached(&listing));
  if (!listing.build_cache.empty()) MeasureCache(layers, &listing);
  FindStrays(top, names, &listing);
  return listing;
}

}  // namespace reclaim::store
