#include "store/docker_json.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"
#include "nlohmann/json.hpp"
#include "oci/json_reader.h"
#include "store/json_members.h"

namespace reclaim::store::docker_json {
namespace {

using json_members::Labels;
using json_members::List;
using json_members::Member;
using json_members::Object;
using json_members::Size;
using json_members::Text;
using json_members::Texts;
using json_members::Time;
using oci::Json;

constexpr int kOldestMinor = 24;
constexpr int kNewestMinor = 41;
constexpr uint64_t kPortMax = 65535;

// podman leaves the algorithm out at some places.
absl::StatusOr<oci::Digest> Id(const std::string& text) {
  return oci::Digest::Parse(
      absl::StrContains(text, ':') ? text : absl::StrCat("sha256:", text));
}

absl::Status AddNames(const Json& object, DockerListedImage* image) {
  RECLAIM_ASSIGN_OR_RETURN(image->id, Id(Text(object, "Id")));
  std::string parent = Text(object, "ParentId");
  if (parent.empty()) parent = Text(object, "Parent");
  if (!parent.empty()) {
    RECLAIM_ASSIGN_OR_RETURN(image->parent, Id(parent));
  }
  for (std::string& name : Texts(object, "RepoTags")) {
    if (!absl::StrContains(name, "<none>")) {
      image->tags.push_back(std::move(name));
    }
  }
  for (std::string& name : Texts(object, "RepoDigests")) {
    if (!absl::StrContains(name, "<none>")) {
      image->digests.push_back(std::move(name));
    }
  }
  return absl::OkStatus();
}

// The folders of the layers of an overlay, base first.
std::vector<std::string> Folders(const Json& object) {
  std::vector<std::string> folders;
  const Json* driver = Member(object, "GraphDriver");
  const Json* data = driver == nullptr ? nullptr : Member(*driver, "Data");
  if (data == nullptr) return folders;
  const std::string lower = Text(*data, "LowerDir");
  for (const absl::string_view path :
       absl::StrSplit(lower, ':', absl::SkipEmpty())) {
    folders.insert(folders.begin(), std::string(path));
  }
  const std::string upper = Text(*data, "UpperDir");
  if (!upper.empty()) folders.push_back(upper);
  return folders;
}

// podman leaves the address out where it is any.
std::vector<PortMapping> Ports(const Json& object) {
  std::vector<PortMapping> ports;
  const Json* list = Member(object, "Ports");
  if (list == nullptr || !list->is_array()) return ports;
  const auto number = [](const Json& entry, const char* member) {
    const uint64_t port = Size(entry, member).value_or(0);
    return port <= kPortMax ? static_cast<uint32_t>(port) : 0;
  };
  for (const Json& entry : *list) {
    PortMapping port;
    port.host_ip = Text(entry, "IP");
    port.host_port = number(entry, "PublicPort");
    port.container_port = number(entry, "PrivatePort");
    port.protocol = Text(entry, "Type");
    if (port.host_port != 0 && port.host_ip.empty()) port.host_ip = "0.0.0.0";
    ports.push_back(std::move(port));
  }
  return ports;
}

// "1.41" is 41; -1 for what is not understood.
int MinorOf(absl::string_view text) {
  int minor = -1;
  if (!absl::ConsumePrefix(&text, "1.") ||
      !absl::SimpleAtoi(text.substr(0, text.find('.')), &minor)) {
    return -1;
  }
  return minor;
}

}  // namespace

absl::StatusOr<EngineVersion> VersionOfPing(
    const std::map<std::string, std::string>& headers) {
  const auto header = headers.find("api-version");
  const int minor = header == headers.end() ? -1 : MinorOf(header->second);
  if (minor < kOldestMinor || minor > kNewestMinor) {
    return absl::NotFoundError("the ping does not tell a version to speak");
  }
  EngineVersion out;
  out.api = absl::StrCat("1.", minor);
  out.is_podman = headers.count("libpod-api-version") > 0;
  return out;
}

absl::StatusOr<EngineVersion> ParseVersion(absl::string_view body) {
  RECLAIM_ASSIGN_OR_RETURN(const Json version, Object(body));
  const int newest = MinorOf(Text(version, "ApiVersion"));
  const int oldest = std::max(MinorOf(Text(version, "MinAPIVersion")), 0);
  if (newest < kOldestMinor) {
    return absl::UnimplementedError(absl::StrCat(
        "the engine speaks Docker's API up to \"", Text(version, "ApiVersion"),
        "\"; 1.", kOldestMinor, " or later is needed"));
  }
  EngineVersion out;
  out.api =
      absl::StrCat("1.", std::max(oldest, std::min(newest, kNewestMinor)));
  const Json* parts = Member(version, "Components");
  if (parts != nullptr && parts->is_array()) {
    for (const Json& part : *parts) {
      out.is_podman |= absl::StartsWith(Text(part, "Name"), "Podman");
    }
  }
  return out;
}

absl::StatusOr<std::vector<DockerListedImage>> ParseImages(
    absl::string_view body) {
  RECLAIM_ASSIGN_OR_RETURN(const Json list, List(body));
  std::vector<DockerListedImage> images;
  for (const Json& object : list) {
    DockerListedImage image;
    RECLAIM_RETURN_IF_ERROR(AddNames(object, &image));
    images.push_back(std::move(image));
  }
  return images;
}

absl::StatusOr<InspectedImage> ParseImage(absl::string_view body) {
  RECLAIM_ASSIGN_OR_RETURN(const Json object, Object(body));
  InspectedImage image;
  RECLAIM_RETURN_IF_ERROR(AddNames(object, &image.listed));
  DockerImageDetails& details = image.details;
  if (const Json* root = Member(object, "RootFS")) {
    for (const std::string& text : Texts(*root, "Layers")) {
      RECLAIM_ASSIGN_OR_RETURN(const oci::Digest diff,
                               oci::Digest::Parse(text));
      details.diffs.push_back(diff);
    }
  }
  details.folders = Folders(object);
  if (details.folders.size() != details.diffs.size()) details.folders.clear();
  details.os = Text(object, "Os");
  details.architecture = Text(object, "Architecture");
  if (const Json* config = Member(object, "Config")) {
    details.labels = Labels(*config, "Labels");
  }
  details.created = Time(object, "Created");
  if (const Json* metadata = Member(object, "Metadata")) {
    details.tagged = Time(*metadata, "LastTagTime");
  }
  return image;
}

absl::StatusOr<std::vector<uint64_t>> ParseHistory(absl::string_view body,
                                                   size_t layer_count) {
  RECLAIM_ASSIGN_OR_RETURN(const Json list, List(body));
  std::vector<uint64_t> all;
  std::vector<uint64_t> with_bytes;
  for (const Json& entry : list) {
    all.push_back(Size(entry, "Size").value_or(0));
    if (all.back() > 0) with_bytes.push_back(all.back());
  }
  std::reverse(all.begin(), all.end());
  std::reverse(with_bytes.begin(), with_bytes.end());
  if (with_bytes.size() == layer_count) return with_bytes;
  if (all.size() == layer_count) return all;
  return std::vector<uint64_t>();
}

ContainerState ParseState(absl::string_view text) {
  static const auto& states = *new std::map<absl::string_view, ContainerState>{
      {"created", ContainerState::kCreated},
      {"configured", ContainerState::kCreated},
      {"running", ContainerState::kRunning},
      {"paused", ContainerState::kPaused},
      {"restarting", ContainerState::kRestarting},
      {"exited", ContainerState::kExited},
      {"stopped", ContainerState::kExited},
      {"dead", ContainerState::kDead},
      {"removing", ContainerState::kRemoving}};
  const auto it = states.find(text);
  return it == states.end() ? ContainerState::kUnknown : it->second;
}

absl::StatusOr<std::vector<DockerContainerDetails>> ParseContainers(
    absl::string_view body) {
  RECLAIM_ASSIGN_OR_RETURN(const Json list, List(body));
  std::vector<DockerContainerDetails> containers;
  for (const Json& object : list) {
    DockerContainerDetails container;
    ContainerFact& fact = container.fact;
    fact.id = Text(object, "Id");
    const std::vector<std::string> names = Texts(object, "Names");
    if (!names.empty()) {
      fact.name = std::string(absl::StripPrefix(names[0], "/"));
    }
    fact.state = ParseState(Text(object, "State"));
    fact.image_reference = Text(object, "Image");
    container.image_id = Text(object, "ImageID");
    fact.command = Text(object, "Command");
    fact.labels = Labels(object, "Labels");
    // It was asked for sizes: one that is left out is zero.
    const uint64_t size = Size(object, "SizeRw").value_or(0);
    fact.writable = Bytes{size, size};
    if (const auto created = Size(object, "Created")) {
      fact.created = absl::FromUnixSeconds(static_cast<int64_t>(*created));
    }
    fact.ports = Ports(object);
    if (const Json* settings = Member(object, "NetworkSettings")) {
      if (const Json* networks = Member(*settings, "Networks")) {
        for (const auto& [name, network] : networks->items()) {
          fact.networks.push_back(name);
        }
      }
    }
    if (const Json* mounts = Member(object, "Mounts")) {
      for (const Json& mount : *mounts) {
        if (Text(mount, "Type") == "volume") {
          fact.volumes.push_back(Text(mount, "Name"));
        }
      }
    }
    containers.push_back(std::move(container));
  }
  return containers;
}

absl::Status AddContainerDetails(absl::string_view body,
                                 DockerContainerDetails* container) {
  RECLAIM_ASSIGN_OR_RETURN(const Json object, Object(body));
  ContainerFact& fact = container->fact;
  // The list has whole seconds, and one that is cut off makes it older.
  if (const auto created = Time(object, "Created")) fact.created = *created;
  if (const Json* state = Member(object, "State")) {
    if (fact.state == ContainerState::kExited ||
        fact.state == ContainerState::kDead) {
      fact.exited = Time(*state, "FinishedAt");
    }
  }
  container->folders.clear();
  const std::vector<std::string> folders = Folders(object);
  if (folders.empty()) return absl::OkStatus();
  container->folders.push_back(folders.back());
  // dockerd puts a layer of its own between the image and the container.
  if (folders.size() > 1 &&
      absl::StrContains(folders[folders.size() - 2], "-init/")) {
    container->folders.push_back(folders[folders.size() - 2]);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<DockerContainerDetails>> ParseLibpodContainers(
    absl::string_view body) {
  RECLAIM_ASSIGN_OR_RETURN(const Json list, List(body));
  std::vector<DockerContainerDetails> containers;
  for (const Json& object : list) {
    DockerContainerDetails container;
    container.fact.id = Text(object, "Id");
    const std::vector<std::string> names = Texts(object, "Names");
    if (!names.empty()) container.fact.name = names[0];
    // Its owner is another tool: in use, whatever it is doing.
    container.fact.state = ContainerState::kUnknown;
    container.fact.image_reference = Text(object, "Image");
    container.image_id = Text(object, "ImageID");
    containers.push_back(std::move(container));
  }
  return containers;
}

std::string ParseText(absl::string_view body, const char* member) {
  const auto object = oci::ReadJson(body);
  return object.ok() ? Text(*object, member) : "";
}

}  // namespace reclaim::store::docker_json
