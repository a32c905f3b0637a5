// Volumes, networks and build cache.

#include <utility>

#include "base/status_macros.h"
#include "nlohmann/json.hpp"
#include "oci/json_reader.h"
#include "store/docker_json.h"
#include "store/json_members.h"

namespace reclaim::store::docker_json {

using json_members::IsTrue;
using json_members::Labels;
using json_members::List;
using json_members::Member;
using json_members::Object;
using json_members::Size;
using json_members::Text;
using json_members::Texts;
using json_members::Time;
using oci::Json;

absl::StatusOr<std::vector<DockerVolume>> ParseVolumes(absl::string_view body) {
  RECLAIM_ASSIGN_OR_RETURN(const Json object, Object(body));
  std::vector<DockerVolume> volumes;
  const Json* list = Member(object, "Volumes");
  if (list == nullptr || !list->is_array()) return volumes;
  for (const Json& entry : *list) {
    DockerVolume volume;
    VolumeFact& fact = volume.fact;
    volume.folder = Text(entry, "Mountpoint");
    fact.name = Text(entry, "Name");
    fact.driver = Text(entry, "Driver");
    fact.labels = Labels(entry, "Labels");
    fact.created = Time(entry, "CreatedAt");
    // A name that nobody chose is 64 hex digits.
    fact.is_anonymous =
        fact.labels.count("com.docker.volume.anonymous") > 0 ||
        (fact.name.size() == 64 &&
         fact.name.find_first_not_of("0123456789abcdef") == std::string::npos);
    volumes.push_back(std::move(volume));
  }
  return volumes;
}

absl::StatusOr<std::vector<NetworkFact>> ParseNetworks(absl::string_view body) {
  RECLAIM_ASSIGN_OR_RETURN(const Json list, List(body));
  std::vector<NetworkFact> networks;
  for (const Json& entry : list) {
    NetworkFact fact;
    fact.name = Text(entry, "Name");
    fact.id = Text(entry, "Id");
    fact.driver = Text(entry, "Driver");
    fact.scope = Text(entry, "Scope");
    fact.labels = Labels(entry, "Labels");
    fact.created = Time(entry, "Created");
    fact.is_predefined = fact.name == "bridge" || fact.name == "host" ||
                         fact.name == "none" || fact.name == "podman" ||
                         IsTrue(entry, "Ingress") || fact.scope == "swarm";
    networks.push_back(std::move(fact));
  }
  return networks;
}

namespace {

// From 1.42 on it may have several, and some versions spell them with a space.
std::string ParentOf(const Json& record) {
  std::string parent = Text(record, "Parent");
  for (const char* name : {"Parents", " Parents"}) {
    if (!parent.empty()) break;
    const std::vector<std::string> parents = Texts(record, name);
    if (!parents.empty()) parent = parents[0];
  }
  return parent;
}

}  // namespace

absl::StatusOr<DockerUsage> ParseUsage(absl::string_view body) {
  RECLAIM_ASSIGN_OR_RETURN(const Json object, Object(body));
  DockerUsage usage;
  if (const Json* list = Member(object, "Volumes")) {
    for (const Json& entry : *list) {
      VolumeFact fact;
      fact.name = Text(entry, "Name");
      if (const Json* data = Member(entry, "UsageData")) {
        if (const auto size = Size(*data, "Size")) {
          fact.bytes = Bytes{*size, *size};
        }
      }
      usage.volumes.push_back(std::move(fact));
    }
  }
  const Json* list = Member(object, "BuildCache");
  if (list == nullptr || !list->is_array()) return usage;
  for (const Json& entry : *list) {
    BuildCacheFact fact;
    fact.id = Text(entry, "ID");
    fact.parent = ParentOf(entry);
    fact.type = Text(entry, "Type");
    fact.description = Text(entry, "Description");
    if (const auto size = Size(entry, "Size")) fact.bytes = Bytes{*size, *size};
    fact.is_in_use = IsTrue(entry, "InUse");
    fact.is_shared = IsTrue(entry, "Shared");
    fact.usage_count = Size(entry, "UsageCount").value_or(0);
    fact.created = Time(entry, "CreatedAt");
    fact.used = Time(entry, "LastUsedAt");
    usage.build_cache.push_back(std::move(fact));
  }
  return usage;
}

absl::StatusOr<std::vector<std::string>> ParsePrunedCache(
    absl::string_view body) {
  RECLAIM_ASSIGN_OR_RETURN(const Json object, Object(body));
  return Texts(object, "CachesDeleted");
}

}  // namespace reclaim::store::docker_json
