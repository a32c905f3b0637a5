#include "rpc/testing/engine_records.h"

#include "absl/strings/str_cat.h"
#include "google/protobuf/timestamp.pb.h"
#include "oci/digest.h"
#include "store/testing/store_tree.h"

namespace reclaim::rpc {
namespace {

using Names = std::set<std::string>;

constexpr absl::Duration kOld = absl::Hours(48);

void SetTime(absl::Time time, google::protobuf::Timestamp* out) {
  out->set_seconds(absl::ToUnixSeconds(time));
}

Names Joined(const std::vector<Names>& parts) {
  Names all;
  for (const Names& part : parts) all.insert(part.begin(), part.end());
  return all;
}

void Append(const std::vector<PruneCase>& some, std::vector<PruneCase>* all) {
  all->insert(all->end(), some.begin(), some.end());
}

std::vector<PruneCase> ContainerCases() {
  constexpr v1::PruneVerb kVerb = v1::PRUNE_VERB_CONTAINERS;
  const Names made_long_ago = {"old", "lived", "unstarted"};
  return {
      {kVerb, {}, {"old", "lived", "young", "unstarted"}},
      {kVerb, {"until=24h"}, made_long_ago},
      {kVerb, {"until.recorded=24h"}, made_long_ago},
      {kVerb, {"until.created=24h"}, made_long_ago},
      {kVerb, {"created-before=24h"}, made_long_ago},
      {kVerb, {"until.exited=1h"}, {"old"}},
      {kVerb, {"until.exited=20m"}, {"old", "young"}},
      {kVerb, {"exited-before=5m"}, {"old", "lived", "young"}},
      {kVerb, {"label=team=red"}, {"old"}},
      {kVerb, {"label!=team"}, {"lived", "young", "unstarted"}},
      {kVerb, {"until=24h", "label!=team"}, {"lived", "unstarted"}},
  };
}

std::vector<PruneCase> NetworkCases() {
  constexpr v1::PruneVerb kVerb = v1::PRUNE_VERB_NETWORKS;
  return {
      {kVerb, {}, {"idle", "fresh"}},
      {kVerb, {"until=24h"}, {"idle"}},
      {kVerb, {"until.created=24h"}, {"idle"}},
      {kVerb, {"until.created=30m"}, {"idle", "fresh"}},
      {kVerb, {"label=team"}, {"fresh"}},
  };
}

std::vector<PruneCase> VolumeCases() {
  constexpr v1::PruneVerb kVerb = v1::PRUNE_VERB_VOLUMES;
  return {
      {kVerb, {}, {"none", "blank"}},
      {kVerb, {}, {"none", "blank", "db"}, true},
      {kVerb, {"all=true"}, {"none", "blank", "db"}},
      {kVerb, {"label=team"}, {"none"}},
      {kVerb, {"label=team=red", "all=true"}, {"none", "db"}},
      {kVerb, {"label!=team"}, {"blank"}},
  };
}

// What was not used yet came here now, which is not before now, and holds what
// it stands on.
std::vector<PruneCase> CacheCases() {
  constexpr v1::PruneVerb kVerb = v1::PRUNE_VERB_BUILD_CACHE;
  return {
      {kVerb, {}, {"c-idle", "c-used", "c-unused", "c-parent"}},
      {kVerb, {"until=24h"}, {"c-idle"}},
      {kVerb, {"until.recorded=24h"}, {"c-idle"}},
      {kVerb, {"until.used=24h"}, {"c-idle"}},
      {kVerb, {"until.used=30m"}, {"c-idle", "c-used"}},
      {kVerb, {"until=0m"}, {"c-idle", "c-used"}},
      {kVerb, {"used-before=24h"}, {"c-idle", "c-shared"}, true},
  };
}

std::vector<PruneCase> ImageCases() {
  constexpr v1::PruneVerb kVerb = v1::PRUNE_VERB_IMAGES;
  return {
      {kVerb, {}, {"i-old", "i-young"}},
      {kVerb, {"until=24h"}, {"i-old"}},
      {kVerb, {"until.created=24h"}, {"i-old"}},
      {kVerb, {"dangling=true"}, {"i-old", "i-young"}},
      {kVerb, {"dangling=true", "until=24h"}, {"i-old"}},
      {kVerb, {"dangling=false"}, {"i-old", "i-young", "i-tagged"}},
      {kVerb, {"dangling=false", "until=24h"}, {"i-old", "i-tagged"}},
      {kVerb, {"label=name=i-young"}, {"i-young"}},
      {kVerb, {"label!=name=i-young"}, {"i-old"}},
      {kVerb, {"reference=app"}, {}},
      {kVerb, {}, {"i-old", "i-young", "i-tagged"}, true},
      {kVerb, {"until=40h"}, {"i-old"}, true},
      {kVerb, {"reference=app:tag*"}, {"i-tagged"}, true},
  };
}

// A kind without the clock, or without labels, keeps all that it has.
std::vector<PruneCase> SystemCases() {
  constexpr v1::PruneVerb kVerb = v1::PRUNE_VERB_SYSTEM;
  const Names made_long_ago = {"old", "lived", "unstarted", "idle", "i-old"};
  const Names images = {"i-old", "i-young"};
  const Names all =
      Joined({{"old", "lived", "young", "unstarted", "idle", "fresh"},
              {"c-idle", "c-used", "c-unused", "c-parent"},
              images});
  return {
      {kVerb, {}, all},
      {kVerb, {}, Joined({all, {"none", "blank"}}), false, true},
      {kVerb, {"until=24h"}, Joined({made_long_ago, {"c-idle"}})},
      {kVerb,
       {"until=24h"},
       Joined({made_long_ago, {"c-idle", "c-shared", "i-tagged"}}),
       true},
      {kVerb, {"until.created=24h"}, made_long_ago},
      {kVerb, {"until.exited=1h"}, {"old"}},
      {kVerb, {"until.used=24h"}, {"c-idle"}},
      {kVerb, {"label=team=red"}, {"old", "fresh"}},
      {kVerb, {"label=team=red"}, {"old", "fresh", "none"}, false, true},
      {kVerb,
       {"label!=team"},
       Joined({{"lived", "young", "unstarted", "idle"}, images})},
  };
}

}  // namespace

EngineRecords::EngineRecords(absl::Time now) : now_(now) {
  AddContainers();
  AddNetworks();
  AddVolumes();
  AddBuildCache();
  AddImage("i-old", "", kOld);
  AddImage("i-young", "", absl::Hours(1));
  AddImage("i-tagged", "tagged", absl::Hours(36));
}

std::string EngineRecords::ImageOf(const std::string& digest) const {
  const auto it = images_.find(digest);
  return it == images_.end() ? "" : it->second;
}

std::string EngineRecords::DigestOf(const std::string& image) const {
  for (const auto& [digest, name] : images_) {
    if (name == image) return digest;
  }
  return "";
}

v1::PutContainer* EngineRecords::AddContainer(const std::string& id,
                                              v1::ContainerState state,
                                              absl::Duration age) {
  v1::PutContainer* put = request_.add_operations()->mutable_put_container();
  put->set_id(id);
  put->set_name(id);
  put->set_state(state);
  SetTime(now_ - age, put->mutable_create_time());
  return put;
}

void EngineRecords::AddContainers() {
  AddContainer("web", v1::CONTAINER_STATE_RUNNING, kOld)->add_networks("used");
  AddContainer("unstarted", v1::CONTAINER_STATE_CREATED, kOld);
  v1::PutContainer* old = AddContainer("old", v1::CONTAINER_STATE_EXITED, kOld);
  SetTime(now_ - absl::Hours(2), old->mutable_exit_time());
  (*old->mutable_labels())["team"] = "red";
  SetTime(now_ - absl::Minutes(10),
          AddContainer("lived", v1::CONTAINER_STATE_EXITED, kOld)
              ->mutable_exit_time());
  SetTime(now_ - absl::Minutes(30),
          AddContainer("young", v1::CONTAINER_STATE_EXITED, absl::Hours(1))
              ->mutable_exit_time());
}

v1::PutNetwork* EngineRecords::AddNetwork(const std::string& name,
                                          absl::Duration age) {
  v1::PutNetwork* put = request_.add_operations()->mutable_put_network();
  put->set_name(name);
  SetTime(now_ - age, put->mutable_create_time());
  return put;
}

void EngineRecords::AddNetworks() {
  AddNetwork("idle", kOld);
  AddNetwork("used", kOld);
  AddNetwork("host", kOld)->set_is_predefined(true);
  (*AddNetwork("fresh", absl::Hours(1))->mutable_labels())["team"] = "red";
}

v1::PutVolume* EngineRecords::AddVolume(const std::string& name,
                                        bool is_anonymous) {
  v1::PutVolume* put = request_.add_operations()->mutable_put_volume();
  put->set_name(name);
  put->set_is_anonymous(is_anonymous);
  return put;
}

void EngineRecords::AddVolumes() {
  AddVolume("blank", true);
  (*AddVolume("none", true)->mutable_labels())["team"] = "red";
  (*AddVolume("db", false)->mutable_labels())["team"] = "red";
}

v1::PutBuildCache* EngineRecords::AddCache(const std::string& id) {
  v1::PutBuildCache* put = request_.add_operations()->mutable_put_build_cache();
  put->set_id(id);
  put->set_size_bytes(100);
  SetTime(now_ - kOld, put->mutable_create_time());
  return put;
}

void EngineRecords::AddBuildCache() {
  const auto set_used = [&](v1::PutBuildCache* put, absl::Duration age) {
    SetTime(now_ - age, put->mutable_last_used_time());
    return put;
  };
  set_used(AddCache("c-idle"), kOld);
  set_used(AddCache("c-used"), absl::Hours(1));
  set_used(AddCache("c-parent"), kOld);
  AddCache("c-unused")->set_parent("c-parent");
  set_used(AddCache("c-shared"), kOld)->set_is_shared(true);
  set_used(AddCache("c-busy"), kOld)->set_is_in_use(true);
}

void EngineRecords::AddImage(const std::string& name, const std::string& tag,
                             absl::Duration age) {
  const absl::Time made = now_ - age;
  const std::string config = absl::StrCat(
      R"({"architecture":"amd64","os":"linux","created":")",
      absl::FormatTime(absl::RFC3339_sec, made, absl::UTCTimeZone()),
      R"(","config":{"Labels":{"name":")", name, R"("}}})");
  const std::string layer = absl::StrCat("layer of ", name);
  for (const std::string& blob : {config, layer}) {
    v1::PutBlob* put = request_.add_operations()->mutable_put_blob();
    put->mutable_name()->set_digest(oci::Digest::Sha256Of(blob).ToString());
    put->mutable_bytes()->set_logical_bytes(blob.size());
    put->mutable_bytes()->set_allocated_bytes(4096);
    SetTime(made, put->mutable_modify_time());
  }
  const std::string manifest = store::ImageText(
      {oci::Digest::Sha256Of(config), oci::Digest::Sha256Of(layer)});
  const std::string digest = oci::Digest::Sha256Of(manifest).ToString();
  v1::PutManifest* put = request_.add_operations()->mutable_put_manifest();
  put->set_manifest(manifest);
  SetTime(made, put->mutable_modify_time());
  v1::PutImageConfig* details =
      request_.add_operations()->mutable_put_image_config();
  details->mutable_name()->set_digest(oci::Digest::Sha256Of(config).ToString());
  details->set_config(config);
  images_[digest] = name;
  if (tag.empty()) return;
  v1::PutTag* named = request_.add_operations()->mutable_put_tag();
  named->set_repository("app");
  named->set_tag(tag);
  named->set_digest(digest);
}

const std::vector<PruneCase>& PruneCases() {
  static const auto* const cases = [] {
    auto* all = new std::vector<PruneCase>;
    Append(ContainerCases(), all);
    Append(NetworkCases(), all);
    Append(VolumeCases(), all);
    Append(CacheCases(), all);
    Append(ImageCases(), all);
    Append(SystemCases(), all);
    return all;
  }();
  return *cases;
}

}  // namespace reclaim::rpc
