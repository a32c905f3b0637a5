#include "store/docker_images.h"

#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"
#include "oci/json_reader.h"

namespace reclaim::store {
namespace {

using oci::Json;

constexpr char kOci[] = "application/vnd.oci.image.";

Json Descriptor(const std::string& type, const oci::Digest& digest) {
  Json descriptor;
  descriptor["mediaType"] = kOci + type;
  descriptor["digest"] = digest.ToString();
  descriptor["size"] = 0;
  return descriptor;
}

void WriteConfig(DockerImage* image) {
  Json config;
  if (image->details.created) {
    config["created"] = absl::FormatTime(
        absl::RFC3339_full, *image->details.created, absl::UTCTimeZone());
  }
  config["architecture"] = image->details.architecture;
  config["os"] = image->details.os;
  config["config"]["Labels"] = image->details.labels;
  image->config = config.dump();
}

void WriteManifest(const DockerImageMap& images, DockerImage* image) {
  Json manifest;
  manifest["schemaVersion"] = 2;
  manifest["mediaType"] = absl::StrCat(kOci, "manifest.v1+json");
  manifest["config"] = Descriptor("config.v1+json", image->listed.id);
  manifest["layers"] = Json::array();
  for (const oci::Digest& layer : image->layers) {
    manifest["layers"].push_back(Descriptor("layer.v1.tar", layer));
  }
  if (image->listed.parent) {
    const auto parent = images.find(*image->listed.parent);
    if (parent != images.end()) {
      manifest["layers"].push_back(
          Descriptor("manifest.v1+json", parent->second.digest));
    }
  }
  image->manifest = manifest.dump();
  image->digest = oci::Digest::Sha256Of(image->manifest);
}

}  // namespace

std::vector<oci::Digest> ChainsOf(const std::vector<oci::Digest>& diffs) {
  std::vector<oci::Digest> chains;
  for (const oci::Digest& diff : diffs) {
    chains.push_back(
        chains.empty() ? diff
                       : oci::Digest::Sha256Of(absl::StrCat(
                             chains.back().ToString(), " ", diff.ToString())));
  }
  return chains;
}

// Parents before children; a circle, which no engine makes, ends where it was
// entered.
void WriteManifests(DockerImageMap* images) {
  std::set<oci::Digest> written;
  for (auto& [id, image] : *images) {
    std::vector<DockerImage*> line;
    std::set<oci::Digest> on_line;
    DockerImage* at = &image;
    while (at != nullptr && written.count(at->listed.id) == 0 &&
           on_line.insert(at->listed.id).second) {
      line.push_back(at);
      const auto parent =
          at->listed.parent ? images->find(*at->listed.parent) : images->end();
      at = parent == images->end() ? nullptr : &parent->second;
    }
    for (auto it = line.rbegin(); it != line.rend(); ++it) {
      (*it)->layers = ChainsOf((*it)->details.diffs);
      WriteConfig(*it);
      WriteManifest(*images, *it);
      written.insert((*it)->listed.id);
    }
  }
}

DockerName SplitDockerName(const std::string& name) {
  const size_t at = name.find('@');
  if (at != std::string::npos) return {name.substr(0, at), name.substr(at)};
  const size_t colon = name.rfind(':');
  const size_t slash = name.rfind('/');
  if (colon == std::string::npos ||
      (slash != std::string::npos && colon < slash)) {
    return {name, "latest"};
  }
  return {name.substr(0, colon), name.substr(colon + 1)};
}

std::string JoinDockerName(const std::string& repository,
                           const std::string& tag) {
  return absl::StrCat(repository, absl::StartsWith(tag, "@") ? "" : ":", tag);
}

std::vector<DockerName> NamesOf(const DockerListedImage& image) {
  std::vector<DockerName> names;
  std::set<std::string> tagged;
  for (const std::string& tag : image.tags) {
    names.push_back(SplitDockerName(tag));
    tagged.insert(names.back().repository);
  }
  for (const std::string& digest : image.digests) {
    DockerName name = SplitDockerName(digest);
    if (tagged.count(name.repository) == 0) names.push_back(std::move(name));
  }
  return names;
}

}  // namespace reclaim::store
