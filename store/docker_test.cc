// What the Docker driver makes of the API's JSON, without an engine.

#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "base/status_matchers.h"
#include "gtest/gtest.h"
#include "oci/manifest.h"
#include "store/docker_api.h"
#include "store/docker_cache.h"
#include "store/docker_images.h"
#include "store/docker_json.h"
#include "store/docker_scan.h"
#include "store/scan.h"

namespace reclaim::store {
namespace {

std::string Hex(char c) { return std::string(64, c); }

oci::Digest D(char c) { return *oci::Digest::Parse("sha256:" + Hex(c)); }

TEST(DockerJsonTest, TheVersionIsTheNewestThatBothKnow) {
  struct Case {
    const char* body;
    const char* api;
  };
  for (const Case& c : {
           Case{R"({"ApiVersion":"1.41","MinAPIVersion":"1.12"})", "1.41"},
           Case{R"({"ApiVersion":"1.30","MinAPIVersion":"1.12"})", "1.30"},
           Case{R"({"ApiVersion":"1.52","MinAPIVersion":"1.44"})", "1.44"},
           Case{R"({"ApiVersion":"1.24"})", "1.24"},
       }) {
    const auto version = docker_json::ParseVersion(c.body);
    ASSERT_TRUE(version.ok()) << version.status();
    EXPECT_EQ(version->api, c.api);
    EXPECT_FALSE(version->is_podman);
  }
  EXPECT_FALSE(docker_json::ParseVersion(R"({"ApiVersion":"1.18"})").ok());
  EXPECT_FALSE(docker_json::ParseVersion(R"({"ApiVersion":"2.0"})").ok());
  EXPECT_FALSE(docker_json::ParseVersion(R"({})").ok());
  EXPECT_FALSE(docker_json::ParseVersion("<html>").ok());
  EXPECT_TRUE(docker_json::ParseVersion(
                  R"({"ApiVersion":"1.41",
                      "Components":[{"Name":"Podman Engine"}]})")
                  ->is_podman);
}

TEST(DockerJsonTest, APingTellsTheVersionWhereItIsEnough) {
  const auto podman = docker_json::VersionOfPing(
      {{"api-version", "1.41"}, {"libpod-api-version", "4.3.1"}});
  ASSERT_TRUE(podman.ok()) << podman.status();
  EXPECT_EQ(podman->api, "1.41");
  EXPECT_TRUE(podman->is_podman);
  const auto docker = docker_json::VersionOfPing({{"api-version", "1.30"}});
  ASSERT_TRUE(docker.ok()) << docker.status();
  EXPECT_EQ(docker->api, "1.30");
  EXPECT_FALSE(docker->is_podman);
  // One that may speak no version as old as ours; none; one that is too old.
  for (const char* version : {"1.52", "", "1.12", "2.0", "1.x"}) {
    EXPECT_FALSE(docker_json::VersionOfPing({{"api-version", version}}).ok())
        << version;
  }
  EXPECT_FALSE(docker_json::VersionOfPing({}).ok());
}

TEST(DockerJsonTest, AnIdThatIsNoDigestIsAnErrorOfTheList) {
  EXPECT_FALSE(docker_json::ParseImages(R"([{"Id":"sha256:xyz"}])").ok());
  EXPECT_FALSE(docker_json::ParseImages(R"([{}])").ok());
  const auto images = docker_json::ParseImages(
      R"([{"Id":")" + Hex('a') +
      R"(","ParentId":"","RepoTags":["<none>:<none>"],"RepoDigests":null}])");
  ASSERT_TRUE(images.ok()) << images.status();
  EXPECT_EQ(images->at(0).id, D('a'));
  EXPECT_TRUE(images->at(0).tags.empty());
  EXPECT_FALSE(images->at(0).parent.has_value());
}

TEST(DockerJsonTest, SizesOfLayersComeFromTheHistoryOrAreUnknown) {
  const std::string two =
      R"([{"Size":7},{"Size":0},{"Size":5}])";  // newest first
  EXPECT_EQ(*docker_json::ParseHistory(two, 2), (std::vector<uint64_t>{5, 7}));
  EXPECT_EQ(*docker_json::ParseHistory(two, 3),
            (std::vector<uint64_t>{5, 0, 7}));
  EXPECT_TRUE(docker_json::ParseHistory(two, 1)->empty());
}

TEST(DockerJsonTest, ARecordOfBuildCacheTellsWhatItIsBuiltOn) {
  const auto usage = docker_json::ParseUsage(
      R"({"BuildCache":[{"ID":"a","Parent":"p"},{"ID":"b","Parents":["q","r"]},
                        {"ID":"c","Parent":""," Parents":["s"]},
                        {"ID":"d","Parents":null}]})");
  ASSERT_TRUE(usage.ok()) << usage.status();
  std::string parents;
  for (const BuildCacheFact& record : usage->build_cache) {
    parents += record.id + record.parent + " ";
  }
  EXPECT_EQ(parents, "ap bq cs d ");
}

TEST(DockerJsonTest, APruneTellsWhichRecordsItHasTaken) {
  EXPECT_EQ(*docker_json::ParsePrunedCache(
                R"({"CachesDeleted":["a","b"],"SpaceReclaimed":7})"),
            (std::vector<std::string>{"a", "b"}));
  for (const char* none : {R"({"CachesDeleted":null})", "{}"}) {
    EXPECT_TRUE(docker_json::ParsePrunedCache(none)->empty()) << none;
  }
  EXPECT_FALSE(docker_json::ParsePrunedCache("<html>").ok());
}

TEST(DockerJsonTest, AStateThatIsNotKnownCountsAsRunning) {
  EXPECT_EQ(docker_json::ParseState("exited"), ContainerState::kExited);
  EXPECT_EQ(docker_json::ParseState("stopped"), ContainerState::kExited);
  EXPECT_EQ(docker_json::ParseState("new-word"), ContainerState::kUnknown);
}

TEST(DockerJsonTest, ContainersWithTheirMountsAndNetworks) {
  const auto list = docker_json::ParseContainers(
      R"([{"Id":"c1","Names":["/web"],"Image":"a:v1","ImageID":"sha256:1",
           "State":"created","SizeRw":12,"Created":1795693463,
           "NetworkSettings":{"Networks":{"bridge":{}}},
           "Mounts":[{"Type":"volume","Name":"v"},{"Type":"bind"}]},
          {"Id":"c2","State":"running","Labels":null}])");
  ASSERT_TRUE(list.ok()) << list.status();
  const ContainerFact& web = list->at(0).fact;
  EXPECT_EQ(web.name, "web");
  EXPECT_EQ(web.volumes, std::vector<std::string>{"v"});
  EXPECT_EQ(web.networks, std::vector<std::string>{"bridge"});
  EXPECT_EQ(web.writable->logical_bytes, 12u);
  EXPECT_EQ(list->at(1).fact.writable->logical_bytes, 0u);
}

TEST(DockerJsonTest, AnInspectionTellsExactTimesAndFolders) {
  DockerContainerDetails container;
  container.fact.created = absl::FromUnixSeconds(1795693463);
  container.fact.state = ContainerState::kExited;
  ASSERT_TRUE(docker_json::AddContainerDetails(
                  R"({"Created":"2026-11-26T12:24:23.9Z",
                      "State":{"FinishedAt":"2026-11-26T12:24:25.5Z"},
                      "GraphDriver":{"Data":{"LowerDir":"/o/x-init/diff:/o/a/diff",
                                             "UpperDir":"/o/x/diff"}}})",
                  &container)
                  .ok());
  EXPECT_EQ(container.fact.created,
            absl::FromUnixSeconds(1795695863) + absl::Milliseconds(900));
  EXPECT_EQ(container.fact.exited,
            absl::FromUnixSeconds(1795695865) + absl::Milliseconds(500));
  EXPECT_EQ(container.folders,
            (std::vector<std::string>{"/o/x/diff", "/o/x-init/diff"}));
  // Without them, what the list said stands.
  const auto created = container.fact.created;
  ASSERT_TRUE(docker_json::AddContainerDetails("{}", &container).ok());
  EXPECT_EQ(container.fact.created, created);
  EXPECT_TRUE(container.folders.empty());
  EXPECT_FALSE(docker_json::AddContainerDetails("[]", &container).ok());
}

TEST(DockerJsonTest, VolumesWithTheirFolders) {
  const auto list = docker_json::ParseVolumes(
      R"({"Volumes":[{"Name":"v","Driver":"local","Mountpoint":"/d/v/_data"},
                     {"Name":")" +
      Hex('a') + R"("}]})");
  ASSERT_TRUE(list.ok()) << list.status();
  EXPECT_EQ(list->at(0).folder, "/d/v/_data");
  EXPECT_FALSE(list->at(0).fact.is_anonymous);
  EXPECT_EQ(list->at(1).folder, "");
  EXPECT_TRUE(list->at(1).fact.is_anonymous);
  EXPECT_TRUE(docker_json::ParseVolumes(R"({"Volumes":null})")->empty());
}

TEST(DockerImagesTest, ALayerOnAnotherParentIsAnotherLayer) {
  const auto one = ChainsOf({D('a'), D('b')});
  const auto other = ChainsOf({D('c'), D('b')});
  EXPECT_EQ(one[0], D('a'));
  EXPECT_NE(one[1], other[1]);
  EXPECT_EQ(one[1],
            oci::Digest::Sha256Of(D('a').ToString() + " " + D('b').ToString()));
}

TEST(DockerImagesTest, TheSameImageHasTheSameManifest) {
  DockerImageMap images;
  images[D('1')].listed.id = D('1');
  images[D('1')].details.diffs = {D('a')};
  images[D('2')].listed.id = D('2');
  images[D('2')].listed.parent = D('1');
  images[D('2')].details.diffs = {D('a'), D('b')};
  WriteManifests(&images);
  const DockerImage& child = images[D('2')];
  const auto manifest = oci::ParseManifest(child.manifest, "");
  ASSERT_TRUE(manifest.ok()) << manifest.status();
  EXPECT_EQ(manifest->config->digest, D('2'));
  ASSERT_EQ(manifest->children.size(), 3u);
  EXPECT_EQ(manifest->children[2].digest, images[D('1')].digest)
      << "a child keeps its parent";
  const oci::Digest before = child.digest;
  WriteManifests(&images);
  EXPECT_EQ(images[D('2')].digest, before);
}

TEST(DockerImagesTest, ParentsInACircleEnd) {
  DockerImageMap images;
  images[D('1')].listed = {D('1'), D('2'), {}, {}};
  images[D('2')].listed = {D('2'), D('1'), {}, {}};
  WriteManifests(&images);
  EXPECT_FALSE(images[D('1')].digest.empty());
  EXPECT_FALSE(images[D('2')].digest.empty());
}

TEST(DockerImagesTest, NamesComeBackAsTheyWere) {
  for (const char* name :
       {"a:v1", "localhost:5000/a:v1", "a@sha256:12", "localhost/b/c:latest"}) {
    const DockerName parts = SplitDockerName(name);
    EXPECT_EQ(JoinDockerName(parts.repository, parts.tag), name);
  }
  EXPECT_EQ(SplitDockerName("localhost:5000/a").tag, "latest");
}

TEST(DockerImagesTest, ADigestIsANameWhereNoTagIs) {
  DockerListedImage image;
  image.tags = {"a:v1"};
  image.digests = {"a@sha256:12", "b@sha256:12"};
  const auto names = NamesOf(image);
  ASSERT_EQ(names.size(), 2u);
  EXPECT_EQ(names[1].repository, "b");
  EXPECT_EQ(names[1].tag, "@sha256:12");
}

// Keeps what a scan reports.
class Kept final : public ScanSink {
 public:
  absl::Status Accept(ScanBatch batch) override {
    for (ContainerFact& fact : batch.containers) {
      containers.push_back(std::move(fact));
    }
    for (ProblemFact& fact : batch.problems) {
      problems.push_back(std::move(fact));
    }
    return absl::OkStatus();
  }
  bool IsCancelled() const override { return false; }

  std::vector<ContainerFact> containers;
  std::vector<ProblemFact> problems;
};

TEST(DockerScanTest, WhatAKubeletUsesIsCountedOnly) {
  DockerListing listing;
  DockerContainerDetails container;
  container.fact.id = "c";
  container.fact.state = ContainerState::kExited;
  listing.containers = {container};
  const auto none = [](const Removal&) { return false; };
  Kept plain;
  ASSERT_THAT(ReportDocker(listing, none, false, &plain), base::IsOk());
  EXPECT_TRUE(plain.problems.empty());
  EXPECT_EQ(plain.containers.at(0).state, ContainerState::kExited);

  listing.containers[0].fact.labels["io.kubernetes.pod.uid"] = "1";
  Kept kubelets;
  ASSERT_THAT(ReportDocker(listing, none, false, &kubelets), base::IsOk());
  ASSERT_EQ(kubelets.problems.size(), 1u);
  EXPECT_FALSE(kubelets.problems[0].place) << "the whole store";
  EXPECT_EQ(kubelets.containers.at(0).state, ContainerState::kUnknown)
      << "a pod's container is never pruned";

  Kept opted_in;
  ASSERT_THAT(ReportDocker(listing, none, true, &opted_in), base::IsOk());
  EXPECT_TRUE(opted_in.problems.empty());
  EXPECT_EQ(opted_in.containers.at(0).state, ContainerState::kUnknown);
}

TEST(DockerJsonTest, PortsOfContainersAndTheScopeOfNetworks) {
  const auto containers = docker_json::ParseContainers(
      R"([{"Id":"c","Ports":[
            {"IP":"127.0.0.1","PrivatePort":80,"PublicPort":8080,"Type":"tcp"},
            {"IP":"","PrivatePort":53,"PublicPort":53,"Type":"udp"},
            {"PrivatePort":443,"Type":"tcp"},
            {"PrivatePort":70000,"Type":"tcp"}]},
          {"Id":"d","Ports":null}])");
  ASSERT_THAT(containers.status(), base::IsOk());
  const std::vector<PortMapping>& ports = containers->at(0).fact.ports;
  ASSERT_EQ(ports.size(), 4u);
  EXPECT_EQ(ports[0].host_ip, "127.0.0.1");
  EXPECT_EQ(ports[0].host_port, 8080u);
  EXPECT_EQ(ports[0].container_port, 80u);
  EXPECT_EQ(ports[0].protocol, "tcp");
  EXPECT_EQ(ports[1].host_ip, "0.0.0.0") << "podman says nothing for any";
  EXPECT_EQ(ports[2].host_port, 0u) << "not published";
  EXPECT_EQ(ports[2].host_ip, "");
  EXPECT_EQ(ports[3].container_port, 0u) << "no port";
  EXPECT_TRUE(containers->at(1).fact.ports.empty());

  const auto networks = docker_json::ParseNetworks(
      R"([{"Name":"front","Id":"0123","Driver":"bridge","Scope":"local"},
          {"Name":"mesh","Id":"4567","Driver":"overlay","Scope":"swarm"}])");
  ASSERT_THAT(networks.status(), base::IsOk());
  EXPECT_EQ(networks->at(0).id, "0123");
  EXPECT_EQ(networks->at(0).scope, "local");
  EXPECT_FALSE(networks->at(0).is_predefined);
  EXPECT_TRUE(networks->at(1).is_predefined) << "a swarm's is not ours";
}

class DockerCacheTest : public testing::Test {
 protected:
  void Layer(char digest, char parent, uint64_t bytes) {
    DockerLayer layer;
    if (parent != 0) layer.parent = D(parent);
    layer.bytes = bytes;
    tree_[D(digest)] = layer;
  }
  void Record(const std::string& id, const std::string& parent, uint64_t bytes,
              bool is_shared = true) {
    BuildCacheFact fact;
    fact.id = id;
    fact.parent = parent;
    fact.bytes = Bytes{bytes, bytes};
    fact.is_shared = is_shared;
    records_.push_back(std::move(fact));
  }
  // The first digits of the layers of each record.
  std::string Find() {
    FindCachedLayers(tree_, &records_);
    std::string text;
    for (const BuildCacheFact& record : records_) {
      text += text.empty() ? "" : " ";
      text += record.id + ":";
      for (const oci::Digest& layer : record.layers) text += layer.hex()[0];
    }
    return text;
  }

  DockerLayerTree tree_;
  std::vector<BuildCacheFact> records_;
};

// As dockerd 20.10 tells it of two images on one base layer.
TEST_F(DockerCacheTest, ARecordHasTheLayerAtItsPlace) {
  Layer('a', 0, 300);
  Layer('b', 'a', 200);
  Layer('c', 'a', 300);
  Layer('d', 0, 200);
  Record("base", "", 300);
  Record("more", "base", 200);
  Record("same", "base", 300);
  Record("context", "", 500, false);
  EXPECT_EQ(Find(), "base:a more:ab same:ac context:");
}

// What was pulled says 0 bytes: what was built upon it tells what it is.
TEST_F(DockerCacheTest, WhatStandsOnARecordTellsWhichLayerItHas) {
  Layer('a', 0, 50);
  Layer('b', 'a', 300);
  Layer('c', 'b', 200);
  Layer('d', 0, 70);
  Layer('e', 'd', 400);
  Record("low", "", 0);
  Record("top", "high", 200);
  Record("high", "low", 0);
  EXPECT_EQ(Find(), "low:a top:abc high:ab");
}

TEST_F(DockerCacheTest, WhatMayBeHeldIsHeld) {
  Layer('a', 0, 50);
  Layer('b', 'a', 300);
  Layer('c', 0, 70);
  Record("low", "", 0);
  EXPECT_EQ(Find(), "low:ac") << "either may be what was pulled";
  Layer('d', 'a', 300);
  records_.clear();
  Record("low", "", 50);
  Record("high", "low", 300);
  EXPECT_EQ(Find(), "low:a high:abd") << "two are equally large";
  records_.clear();
  Record("strange", "", 300);
  EXPECT_EQ(Find(), "strange:abd") << "not where a record should stand";
  records_.clear();
  Record("strange", "", 999);
  EXPECT_EQ(Find(), "strange:abcd") << "nothing fits";
  records_.clear();
  Record("one", "two", 0);
  Record("two", "one", 0);
  EXPECT_EQ(Find(), "one:abcd two:abcd") << "a circle";
}

}  // namespace
}  // namespace reclaim::store
