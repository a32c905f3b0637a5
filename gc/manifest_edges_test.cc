// What a manifest references is what its bytes say, whoever names it and
// whenever it came: otherwise live layers are collected.

#include <fcntl.h>
#include <sys/stat.h>

#include <functional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "base/status_matchers.h"
#include "gc/collector.h"
#include "gc/collector_fixture.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "index/engine.h"
#include "index/mutation.h"
#include "index/reference_graph.h"
#include "index/verify.h"
#include "oci/digest.h"
#include "oci/media_type.h"
#include "reclaim/storage/v1/storage.pb.h"
#include "store/testing/store_tree.h"

namespace reclaim::gc {
namespace {

using ::reclaim::base::IsOk;
using ::testing::Contains;
using ::testing::Each;
using ::testing::IsEmpty;
using ::testing::Not;

using index::NodeState;

constexpr char kLayerType[] = "application/vnd.oci.image.layer.v1.tar+gzip";

oci::Digest D(const std::string& bytes) { return oci::Digest::Sha256Of(bytes); }

struct Part {
  oci::Digest digest;
  std::string type;
};

std::string Descriptor(const Part& part) {
  return absl::StrCat(R"({"mediaType":")", part.type, R"(","digest":")",
                      part.digest.ToString(), R"(","size":1})");
}

std::string Index(const std::vector<Part>& parts) {
  return absl::StrCat(R"({"schemaVersion":2,"mediaType":")", oci::kOciIndexType,
                      R"(","manifests":[)",
                      absl::StrJoin(parts, ",",
                                    [](std::string* out, const Part& part) {
                                      absl::StrAppend(out, Descriptor(part));
                                    }),
                      "]}");
}

// An image that does not say its own type.
std::string PlainImage(const oci::Digest& config, const oci::Digest& layer,
                       const std::string& layers = "layers") {
  return absl::StrCat(R"({"schemaVersion":2,"config":)",
                      Descriptor({config, oci::kOciConfigType}), ",\"", layers,
                      "\":[", Descriptor({layer, kLayerType}), "]}");
}

class ManifestEdgesTest : public CollectorFixture {
 protected:
  ManifestEdgesTest() { garbage_ = tree_.Blob("nothing names me"); }

  void OpenRegistry() {
    Open(store::StoreKind::kRegistry);
    Scan();
  }
  void ScanFromNothing() {
    ASSERT_THAT(collector_->Scan("s", true, "test", {}), IsOk());
    ExpectExact();
  }
  // A file that comes late and is as old as the rest, as rsync leaves it.
  void Arrive(const std::string& path, const std::string& bytes) {
    folder_.WaitForClock();
    folder_.Write(path, bytes);
    const int64_t seconds =
        absl::ToUnixSeconds(clock_.Now() - absl::Hours(1000));
    const struct timespec times[2] = {{seconds, 0}, {seconds, 0}};
    const std::string full = absl::StrCat(folder_.path(), "/", path);
    ASSERT_EQ(utimensat(AT_FDCWD, full.c_str(), times, 0), 0);
  }
  // What a prune takes is garbage alone.
  void ExpectPruneKeeps(const std::vector<oci::Digest>& digests,
                        const store::Place& place = "") {
    const Plan plan = MakePlan(Request());
    ASSERT_THAT(Apply(plan), IsOk());
    for (const oci::Digest& digest : digests) {
      EXPECT_EQ(StateOf(digest, place), NodeState::kPresent)
          << digest.ToString();
    }
    ExpectExact();
  }
  void ExpectGarbageTaken() {
    EXPECT_THAT(MakePlan(Request()).kept_scopes, IsEmpty());
    EXPECT_EQ(StateOf(garbage_), NodeState::kQuarantined);
  }
  std::vector<std::string> Findings(bool read_data) {
    std::vector<std::string> checks;
    index::VerifyOptions options;
    options.read_data = read_data;
    options.on_finding = [&](const index::Finding& finding) {
      checks.push_back(finding.check);
    };
    EXPECT_THAT(index::Verify(graph_.get(), "s", store_.get(), clock_, options),
                IsOk());
    return checks;
  }
  index::PutPin Pin(const oci::Digest& digest) {
    index::PutPin pin;
    pin.store = "s";
    pin.id = digest.Short();
    pin.target.content = index::ContentName{"s", "", digest};
    return pin;
  }
  // The node's record loses its edges, as one that a wrong reading made.
  void ForgetEdges(const oci::Digest& digest) {
    ChangeRecord(digest, [](storage::v1::ContentRecord* record) {
      ASSERT_GT(record->children_size(), 0);
      record->clear_children();
    });
  }
  void ForgetSubject(const oci::Digest& digest) {
    ChangeRecord(digest, [](storage::v1::ContentRecord* record) {
      ASSERT_TRUE(record->has_subject());
      record->clear_subject();
    });
  }
  void ChangeRecord(
      const oci::Digest& digest,
      const std::function<void(storage::v1::ContentRecord*)>& change) {
    const index::NodeId id = Find(digest);
    std::string key;
    for (int shift = 24; shift >= 0; shift -= 8) {
      key.push_back(static_cast<char>(id >> shift & 0xff));
    }
    const auto value = engine_->Get(index::Family::kContent, key);
    ASSERT_THAT(value, IsOk());
    ASSERT_TRUE(value->has_value());
    storage::v1::ContentRecord record;
    ASSERT_TRUE(record.ParseFromString(**value));
    change(&record);
    index::Batch batch;
    batch.Put(index::Family::kContent, key, record.SerializeAsString());
    ASSERT_THAT(engine_->Commit(batch, index::Durability::kDurable), IsOk());
    Restart();
    ASSERT_THAT(collector_->Recover(), IsOk());
  }

  store::RegistryTree tree_{&folder_};
  oci::Digest garbage_;
};

TEST_F(ManifestEdgesTest, AnIndexOfSomebodyElseMakesNoLeafOfAnImage) {
  const oci::Digest config = tree_.Layer("victim", "{}");
  const oci::Digest layer = tree_.Layer("victim", "of the victim");
  const oci::Digest image = tree_.Manifest("victim", PlainImage(config, layer));
  tree_.Tag("victim", "v1", image);
  for (const char* type :
       {"application/vnd.oci.artifact.manifest.v1+json", oci::kOciIndexType,
        "application/vnd.docker.distribution.manifest.v1+json"}) {
    const std::string index = Index({{image, type}});
    tree_.Tag("aaa", absl::StrCat("t", D(index).Short()),
              tree_.Manifest("aaa", index));
  }
  OpenRegistry();
  ExpectPruneKeeps({image, config, layer});
  ExpectGarbageTaken();  // the wrong name is nobody's doubt
}

TEST_F(ManifestEdgesTest, AManifestThatSomebodyNamesAsConfigKeepsItsLayers) {
  const oci::Digest image = tree_.Image("victim", "v1", {"of the victim"});
  for (const char* extra : {"x", "y", "z"}) {
    const oci::Digest evil = tree_.Manifest(
        "aaa", store::ImageText({image, tree_.Layer("aaa", extra)}));
    tree_.Tag("aaa", extra, evil);
  }
  OpenRegistry();
  ExpectPruneKeeps({image, D("of the victim")});
  ExpectGarbageTaken();
}

TEST_F(ManifestEdgesTest, AManifestThatComesLateIsReadTwoLevelsDeep) {
  const oci::Digest layer = tree_.Blob("late layer");
  const oci::Digest config = tree_.Blob("{}");
  const std::string text = store::ImageText({config, layer});
  const oci::Digest inner =
      tree_.Blob(Index({{D(text), oci::kOciManifestType}}));
  tree_.Tag("app", "v1",
            tree_.Manifest("app", Index({{inner, oci::kOciIndexType}})));
  OpenRegistry();
  Arrive(tree_.BlobPath(D(text)), text);
  Scan();
  EXPECT_THAT(Findings(false), IsEmpty());
  ExpectPruneKeeps({D(text), config, layer});
  ExpectGarbageTaken();
}

TEST_F(ManifestEdgesTest, ALateManifestThatAnImageNamesAsALayerIsRead) {
  const oci::Digest layer = tree_.Blob("late layer");
  const oci::Digest config = tree_.Blob("{}");
  const std::string text = store::ImageText({config, layer});
  const oci::Digest evil = tree_.Manifest(
      "aaa", store::ImageText({tree_.Layer("aaa", "c"), D(text)}));
  tree_.Tag("aaa", "v1", evil);
  tree_.Tag("app", "v1",
            tree_.Manifest("app", Index({{D(text), oci::kOciManifestType}})));
  OpenRegistry();
  Arrive(tree_.BlobPath(D(text)), text);
  Scan();
  ExpectPruneKeeps({D(text), config, layer});
}

// An artifact that bundles images.
TEST_F(ManifestEdgesTest, AManifestAmongTheLayersOfAnImageKeepsItsLayers) {
  const oci::Digest layer = tree_.Blob("bundled layer");
  const oci::Digest config = tree_.Blob("{}");
  const oci::Digest inner = tree_.Blob(PlainImage(config, layer));
  const oci::Digest index = tree_.Blob(Index({{inner, kLayerType}}));
  const std::string late = store::ImageText({config, tree_.Blob("late layer")});
  const auto bundle = [](const oci::Digest& part, const std::string& type) {
    return absl::StrCat(R"({"schemaVersion":2,"mediaType":")",
                        oci::kOciManifestType, R"(","config":)",
                        Descriptor({part, type}), R"(,"layers":[)",
                        Descriptor({part, type}), "]}");
  };
  // Nothing but bytes, whatever they are called.
  const oci::Digest bytes = tree_.Blob("no manifest");
  int tag = 0;
  for (const std::string& text :
       {bundle(inner, oci::kOciManifestType), bundle(index, oci::kOciIndexType),
        bundle(D(late), oci::kOciManifestType),
        bundle(bytes, oci::kOciManifestType)}) {
    tree_.Tag("app", absl::StrCat("v", ++tag), tree_.Manifest("app", text));
  }
  OpenRegistry();
  Arrive(tree_.BlobPath(D(late)), late);
  Scan();
  Scan();
  ExpectPruneKeeps(
      {inner, index, bytes, config, layer, D(late), D("late layer")});
  ExpectGarbageTaken();
}

TEST_F(ManifestEdgesTest, ALateManifestOfALayoutIsReadTwoLevelsDeep) {
  store::LayoutTree tree(&folder_, "a");
  const oci::Digest layer = tree.Blob("late layer");
  const oci::Digest config = tree.Blob("{}");
  const std::string text = store::ImageText({config, layer});
  const oci::Digest inner =
      tree.Blob(Index({{D(text), oci::kOciManifestType}}));
  const oci::Digest outer = tree.Blob(Index({{inner, oci::kOciIndexType}}));
  folder_.Write("a/index.json",
                absl::StrCat(R"({"schemaVersion":2,"manifests":[)",
                             Descriptor({outer, oci::kOciIndexType}), "]}"));
  Open(store::StoreKind::kImageLayout);
  Scan();
  Arrive("a/blobs/sha256/" + D(text).hex(), text);
  Scan();
  ExpectPruneKeeps({D(text), config, layer}, "a");
}

TEST_F(ManifestEdgesTest, VerifyFindsAManifestThatWasNeverRead) {
  const std::string text =
      store::ImageText({tree_.Blob("{}"), tree_.Blob("late layer")});
  tree_.Tag("app", "v1",
            tree_.Manifest("app", Index({{D(text), oci::kOciManifestType}})));
  OpenRegistry();
  Arrive(tree_.BlobPath(D(text)), text);
  index::PutBlob put;
  put.name = {"s", "", D(text)};
  const auto stat = store_->Stat("", D(text));
  ASSERT_THAT(stat, IsOk());
  put.bytes = stat->bytes;
  put.modified = stat->modified;
  ASSERT_THAT(Record({put}), IsOk());
  EXPECT_THAT(Findings(false), Contains("unread-manifest"));
  Scan();
  EXPECT_THAT(Findings(false), IsEmpty());
}

TEST_F(ManifestEdgesTest, VerifyTellsWhatAScanCouldNotRead) {
  const oci::Digest image = tree_.Image("app", "v1", {"layer"});
  folder_.Remove(tree_.BlobPath(image));
  OpenRegistry();
  EXPECT_THAT(Findings(false), Contains("kept-scope"));
}

TEST_F(ManifestEdgesTest, WhatIsMendedIsInDoubtNoMore) {
  const std::string index =
      Index({{tree_.Layer("cache", "layer"), kLayerType},
             {tree_.Layer("cache", R"({"layers":[]})"),
              "application/vnd.buildkit.cacheconfig.v0"}});
  const oci::Digest cache = tree_.Manifest("cache", index);
  tree_.Tag("cache", "latest", cache);
  OpenRegistry();
  Arrive(tree_.BlobPath(cache), "{");
  ScanFromNothing();
  EXPECT_THAT(MakePlan(Request()).kept_scopes, Not(IsEmpty()));
  Arrive(tree_.BlobPath(cache), index);
  ScanFromNothing();
  ExpectPruneKeeps({cache, D("layer")});
  ExpectGarbageTaken();
}

TEST_F(ManifestEdgesTest, MembersInOtherLettersKeepWhatTheyName) {
  for (const char* member : {"Layers", "LAYERS", "layer\xC5\xBF"}) {
    const oci::Digest image =
        tree_.Manifest("odd", PlainImage(tree_.Layer("odd", "{}"),
                                         tree_.Layer("odd", member), member));
    tree_.Tag("odd", absl::StrCat("t", image.Short()), image);
  }
  OpenRegistry();
  EXPECT_THAT(MakePlan(Request()).kept_scopes, Not(IsEmpty()));
  ExpectPruneKeeps({D("Layers"), D("LAYERS"), D("layer\xC5\xBF")});
}

TEST_F(ManifestEdgesTest, AChildOfAnUnknownDocumentTypeIsNoLeaf) {
  const oci::Digest part = tree_.Layer("odd", "part of a bundle");
  const oci::Digest bundle = tree_.Blob(absl::StrCat(
      R"({"parts":[)", Descriptor({part, "application/x-part"}), "]}"));
  tree_.Tag(
      "odd", "v1",
      tree_.Manifest(
          "odd", Index({{bundle, "application/vnd.example.bundle.v1+json"}})));
  OpenRegistry();
  EXPECT_THAT(MakePlan(Request()).kept_scopes, Not(IsEmpty()));
  ExpectPruneKeeps({bundle, part});
}

// What real tools put into indexes is no doubt: a BuildKit cache, a containerd
// checkpoint; and images may be of anything at all.
TEST_F(ManifestEdgesTest, OrdinaryLeavesAreNoDoubt) {
  const std::string cache = Index(
      {{tree_.Layer("app", "l1"), kLayerType},
       {tree_.Layer("app", "l2"),
        "application/vnd.docker.image.rootfs.diff.tar.gzip"},
       {tree_.Layer("app", R"({"layers":[{"blob":"sha256:1","parent":-1}]})"),
        "application/vnd.buildkit.cacheconfig.v0"}});
  tree_.Tag("app", "cache", tree_.Manifest("app", cache));
  const std::string checkpoint = Index(
      {{tree_.Image("app", "", {"base"}), oci::kOciManifestType},
       {tree_.Layer("app", "criu"),
        "application/vnd.containerd.container.criu.checkpoint.criu.tar"},
       {tree_.Layer("app", R"({"runc":true})"),
        "application/vnd.containerd.container.checkpoint.options.v1+proto"},
       {tree_.Layer("app", "io.containerd.runc.v2"),
        "application/vnd.containerd.container.checkpoint.runtime.name"}});
  tree_.Tag("app", "checkpoint", tree_.Manifest("app", checkpoint));
  const std::string chart = absl::StrCat(
      R"({"schemaVersion":2,"config":)",
      Descriptor({tree_.Layer("app", R"({"name":"chart"})"),
                  "application/vnd.cncf.helm.config.v1+json"}),
      R"(,"layers":[)",
      Descriptor({tree_.Layer("app", R"({"spdxVersion":"SPDX-2.3"})"),
                  "text/spdx+json"}),
      "]}");
  tree_.Tag("app", "chart", tree_.Manifest("app", chart));
  OpenRegistry();
  ExpectPruneKeeps({D("l1"), D("l2"), D("criu"), D("base")});
  ExpectGarbageTaken();
  // Trees of tests say a size of one byte.
  EXPECT_THAT(Findings(true), Each("declared-size"));
}

TEST_F(ManifestEdgesTest, APinnedManifestThatNothingNamesKeepsItsLayers) {
  const oci::Digest image =
      tree_.Blob(store::ImageText({tree_.Blob("{}"), tree_.Blob("pinned")}));
  const oci::Digest other = tree_.Blob(store::ImageText(
      {tree_.Blob(R"({"os":"linux","config":{}})"), tree_.Blob("leased")}));
  OpenRegistry();
  index::PutLease lease;
  lease.store = "s";
  lease.id = "a pull";
  for (const oci::Digest& digest :
       {other, D("leased"), D(R"({"os":"linux","config":{}})")}) {
    index::Target target;
    target.content = index::ContentName{"s", "", digest};
    lease.targets.push_back(target);
  }
  ASSERT_THAT(Record({Pin(image), lease}), IsOk());
  Scan();
  ExpectPruneKeeps({image, D("pinned"), other, D("leased")});
  ExpectGarbageTaken();
}

// A pull's lease comes before its manifest: what looks like a manifest of an
// unknown type until an image names it as its layer is in doubt no longer.
TEST_F(ManifestEdgesTest, ALeasedPartOfAnImageIsNoDoubtOnceItIsKnown) {
  const std::string bundle =
      R"({"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json"})";
  const oci::Digest part = tree_.Layer("app", bundle);
  OpenRegistry();
  index::PutLease lease;
  lease.store = "s";
  lease.id = "a pull";
  index::Target target;
  target.content = index::ContentName{"s", "", part};
  lease.targets.push_back(target);
  ASSERT_THAT(Record({lease}), IsOk());
  Scan();
  EXPECT_THAT(MakePlan(Request()).kept_scopes, Not(IsEmpty()));
  const oci::Digest image =
      tree_.Manifest("app", store::ImageText({tree_.Layer("app", "{}"), part}));
  tree_.Tag("app", "v1", image);
  Age();
  ScanFromNothing();
  ExpectPruneKeeps({image, part});
  ExpectGarbageTaken();
}

TEST_F(ManifestEdgesTest, VerifyFindsASubjectThatTheGraphDoesNotHave) {
  const oci::Digest image = tree_.Image("app", "v1", {"layer"});
  const oci::Digest signature = tree_.Image("app", "", {"signed"}, image);
  OpenRegistry();
  EXPECT_THAT(Findings(true), Not(Contains("edge-mismatch")));
  ForgetSubject(signature);
  EXPECT_THAT(Findings(false), IsEmpty()) << "the record is what the graph is";
  EXPECT_THAT(Findings(true), Contains("edge-mismatch"));
  ScanFromNothing();
  EXPECT_THAT(Findings(true), Not(Contains("edge-mismatch")));
}

TEST_F(ManifestEdgesTest, AScanFromNothingReplacesWrongEdges) {
  const oci::Digest named = tree_.Image("app", "v1", {"new"});
  const oci::Digest pinned =
      tree_.Blob(store::ImageText({tree_.Blob("{}"), tree_.Blob("pinned")}));
  OpenRegistry();
  ASSERT_THAT(Record({Pin(pinned)}), IsOk());
  Scan();
  ForgetEdges(named);
  ForgetEdges(pinned);
  EXPECT_THAT(Findings(true), Contains("edge-mismatch"));
  ScanFromNothing();
  EXPECT_THAT(Findings(true), Not(Contains("edge-mismatch")));
  ExpectPruneKeeps({named, D("new"), pinned, D("pinned")});
  ExpectGarbageTaken();
}

}  // namespace
}  // namespace reclaim::gc
