// SEMANTICS.md 2.3: layers, blobs, sizes (cases 51 to 74).

#include <random>
#include <set>

#include "absl/strings/str_cat.h"
#include "oci/media_type.h"
#include "tests/semantics/case_graph.h"

namespace reclaim::tests {
namespace {

using base::IsOk;
using index::NodeKind;
using store::MembershipKind;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

class SizesTest : public PlanCase {
 protected:
  index::Tally OfKind(NodeKind kind) {
    return g.graph().totals(0).by_kind[static_cast<size_t>(kind)];
  }
};
class RecordedSizesTest : public RecordedCase {
 protected:
  // The name of a foreign layer's manifest whose bytes are not stored here.
  void PutForeignImage(const std::string& name, const std::string& layer,
                       const std::string& type) {
    ASSERT_THAT(
        Apply({Blob("c", 1),
               Document(name,
                        absl::StrCat(
                            R"({"mediaType":")", oci::kOciManifestType,
                            R"(","config":)",
                            DescriptorText(DigestOf("c"), oci::kOciConfigType),
                            R"(,"layers":[)",
                            DescriptorText(oci::Digest::Sha256Of(layer), type),
                            "]}"))}),
        IsOk());
  }
};

constexpr const char* kForeignTypes[] = {
    "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
    "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"};

TEST_F(SizesTest, Case051_ABaseOfTwoUnusedImagesCountsOnce) {
  g.Add("M1:5(c1:1 base:100); M2:5(c2:1 base:100); app:v1=M1; web:v1=M2");
  EXPECT_EQ(FreedBytes(AllImages()), 112u);
}

TEST_F(SizesTest, Case052_ABaseOfTwoUsedImagesIsNotReclaimable) {
  g.Add(
      "M1(c1 base:100); M2(c2 base:100); app:v1=M1; web:v1=M2; "
      "running/a=M1; container/b=M2");
  EXPECT_EQ(FreedBytes(AllImages()), 0u);
}

TEST_F(SizesTest, Case053_ABaseThatAUsedImageSharesIsNotReclaimable) {
  g.Add(
      "M1:5(c1:1 base:100); M2:5(c2:1 base:100); app:v1=M1; web:v1=M2; "
      "running/a=M1");
  EXPECT_EQ(FreedBytes(AllImages()), 6u);
}

// Total = the unique bytes of each image, and each shared blob once.
TEST_F(SizesTest, Case054_UniqueAndSharedAddUpToTheTotal) {
  const uint64_t seed = 54;
  std::mt19937_64 random(seed);
  RecordProperty("seed", std::to_string(seed));
  for (int round = 0; round < 50; ++round) {
    TextGraph graph{""};
    std::map<std::string, int> images_of;
    std::map<std::string, uint64_t> size_of;
    for (int i = 0; i < 6; ++i) {
      std::string text = absl::StrCat("M", i, ":1(c", i, ":1");
      std::set<std::string> layers;
      for (uint64_t k = 0; k < random() % 6; ++k) {
        layers.insert(absl::StrCat("l", random() % 8));
      }
      for (const std::string& layer : layers) {
        size_of[layer] = 10 + layer[1];
        ++images_of[layer];
        absl::StrAppend(&text, " ", layer, ":", size_of[layer]);
      }
      graph.Add(absl::StrCat(text, "); r", i, ":v=M", i));
    }
    uint64_t sum = 0;
    for (int i = 0; i < 6; ++i) {
      const TextDetails no_details(&graph);
      gc::PlanInputs inputs;
      inputs.view = &graph.view();
      inputs.details = &no_details;
      inputs.store = 0;
      inputs.now = Now();
      gc::PruneRequest request = Remove({absl::StrCat("r", i, ":v")});
      request.policy.grace_period = absl::ZeroDuration();
      const auto plan = gc::MakePlan(inputs, request);
      ASSERT_THAT(plan, IsOk());
      sum += plan->totals.bytes.content.logical_bytes;
    }
    for (const auto& [layer, count] : images_of) {
      if (count > 1) sum += size_of[layer];
    }
    ASSERT_EQ(sum, graph.graph().totals(0).imaged.bytes.logical_bytes)
        << "seed " << seed << " round " << round;
  }
}

TEST_F(SizesTest, Case055_TwoTagsAreOneImage) {
  g.Add("M1:5(c1:1 l1:10); app:v1=M1; app:v2=M1; web:v1=M1");
  EXPECT_EQ(g.graph().totals(0).image_count, 1u);
  EXPECT_EQ(g.graph().totals(0).imaged.bytes.logical_bytes, 16u);
}

TEST_F(RecordedSizesTest, Case056_ALayerTwiceInOneImageCountsOnce) {
  ASSERT_THAT(Apply({Blob("c", 1), Blob("l", 100), Image("M1", {"c", "l", "l"}),
                     Tag("app", "v1", "M1")}),
              IsOk());
  const uint64_t manifest = Image("M1", {"c", "l", "l"}).bytes.size();
  EXPECT_EQ(Totals().imaged.bytes.logical_bytes, 101 + manifest);
  const auto plan = Make(Remove({"app:v1"}));
  ASSERT_THAT(plan, IsOk());
  EXPECT_EQ(plan->totals.bytes.content.logical_bytes, 101 + manifest);
}

TEST_F(SizesTest, Case057_BlobsAreSharedAndTheirSnapshotsAreNot) {
  g.Add(
      "M1(c1 l0 l1:10); M2(c2 l2 l1:10); app:v1=M1; web:v1=M2; "
      "snapshot/chain-a:50=M1; snapshot/chain-b:50=M2");
  EXPECT_EQ(OfKind(NodeKind::kLayer).count, 3u);
  EXPECT_EQ(OfKind(NodeKind::kSnapshot).count, 2u);
  EXPECT_EQ(OfKind(NodeKind::kSnapshot).bytes.logical_bytes, 100u);
}

TEST_F(SizesTest, Case058_ContentAndUnpackedBytesAreApart) {
  g.Add("M1:5(c1:1 l1:10); app:v1=M1; snapshot/l1:50=M1");
  EXPECT_EQ(g.graph().totals(0).imaged.bytes.logical_bytes, 16u);
  EXPECT_EQ(OfKind(NodeKind::kSnapshot).bytes.logical_bytes, 50u);
}

TEST_F(SizesTest, Case059_DeletingARepositoryFreesItsExclusiveBytesOnly) {
  g.Add(
      "M1:5(c1:1 base:100 own:7); M2(c2 base:100); a:v1=M1; b:v1=M2; "
      "+a=M1; +a~base; +a~own; +b=M2; +b~base");
  EXPECT_EQ(FreedBytes(Remove({"a"})), 13u);
  EXPECT_THAT(Doomed(Remove({"a"})),
              UnorderedElementsAre("a:v1", "a@M1", "a~base", "a~own", "M1",
                                   "c1", "own"));
}

TEST_F(SizesTest, Case060_AnUntaggedLinkGoesAndTheTaggedOneKeepsItsLayers) {
  g.Add("M1(c1 l1); a:v1=M1; +a=M1; +a~l1; +b=M1; +b~l1");
  EXPECT_THAT(Doomed(Images()), ElementsAre("b@M1", "b~l1"));
}

TEST_F(SizesTest, Case061_AMountedLayerIsKeptForTheGraceThenItsLinkGoes) {
  grace = absl::Hours(24);
  g.Add("M1(c1 l1); a:v1=M1; +a=M1; +a~l1");
  Link("b", "l1", MembershipKind::kLayer, Now() - absl::Hours(1));
  EXPECT_THAT(Doomed(Images()), IsEmpty());
  Link("b", "l1", MembershipKind::kLayer, Now() - absl::Hours(25));
  EXPECT_THAT(Doomed(Images()), ElementsAre("b~l1"));
}

TEST_F(SizesTest, Case062_ASharedConfigStaysUntilBothGo) {
  g.Add("M1(c l1); M2(c l2); app:v1=M1; app:v2=M2");
  EXPECT_THAT(Doomed(Remove({"app:v1"})),
              UnorderedElementsAre("app:v1", "M1", "l1"));
  EXPECT_THAT(
      Doomed(Remove({"app:v1", "app:v2"})),
      UnorderedElementsAre("app:v1", "app:v2", "M1", "M2", "c", "l1", "l2"));
}

TEST_F(SizesTest, Case063_OneDigestAsConfigAndAsLayerIsOneNode) {
  g.Add("M1(x:10 l1); M2(c2 x:10); app:v1=M1; app:v2=M2");
  EXPECT_THAT(Doomed(Remove({"app:v1"})),
              UnorderedElementsAre("app:v1", "M1", "l1"));
  EXPECT_THAT(Doomed(Remove({"app:v2"})),
              UnorderedElementsAre("app:v2", "M2", "c2"));
}

TEST_F(SizesTest, Case064_TheEmptyDescriptorIsOneBlobOfThousands) {
  for (int i = 0; i < 2000; ++i) {
    g.Add(absl::StrCat("M", i, "(empty:2 a", i, "); r:v", i, "=M", i));
  }
  EXPECT_EQ(OfKind(NodeKind::kConfig).count, 1u);
  const std::vector<std::string> doomed = Doomed(Remove({"r:v7"}));
  EXPECT_THAT(doomed, UnorderedElementsAre("r:v7", "M7", "a7"));
}

TEST_F(SizesTest, Case065_ALayerOfNoBytesIsANodeLikeAnyOther) {
  g.Add("M1:5(c1:1 zero:0)");
  EXPECT_THAT(Doomed(Images()), UnorderedElementsAre("M1", "c1", "zero"));
  EXPECT_EQ(FreedBytes(Images()), 6u);
}

TEST_F(RecordedSizesTest, Case066_EmptyHistoryEntriesMakeNoLayer) {
  index::PutImageConfig config;
  config.name = {"s", "", DigestOf("c")};
  ASSERT_THAT(Apply({Blob("c", 1), Image("M1", {"c"}), config}), IsOk());
  const auto layers =
      Totals().by_kind[static_cast<size_t>(NodeKind::kLayer)].count;
  EXPECT_EQ(layers, 0u);
  EXPECT_EQ(Totals().absent.count, 0u);
}

TEST_F(RecordedSizesTest, Case067_AnAbsentForeignLayerIsAnEdgeOfNoBytes) {
  for (const char* type : kForeignTypes) {
    PutForeignImage("M1", "f", type);
    EXPECT_EQ(Totals().absent.count, 1u) << type;
    const auto plan = Make(Images());
    ASSERT_THAT(plan, IsOk());
    for (const gc::PlanItem& item : plan->items) {
      EXPECT_NE(item.digest, oci::Digest::Sha256Of("f")) << type;
    }
  }
}

TEST_F(RecordedSizesTest, Case068_APresentForeignLayerIsLikeAnyOther) {
  for (const char* type : kForeignTypes) {
    ASSERT_THAT(Apply({Blob("f", 100)}), IsOk());
    PutForeignImage("M1", "f", type);
    EXPECT_EQ(Totals().absent.count, 0u);
    EXPECT_THAT(Doomed(Images()), ::testing::IsSupersetOf({"c", "f"})) << type;
  }
}

TEST_F(RecordedSizesTest, Case069_EmbeddedDataKeepsTheEdge) {
  const std::string text =
      absl::StrCat(R"({"mediaType":")", oci::kOciManifestType, R"(","config":)",
                   DescriptorText(oci::Digest::Sha256Of("x"),
                                  oci::kOciConfigType, R"(,"data":"eA==")"),
                   R"(,"layers":[]})");
  ASSERT_THAT(Apply({Document("M1", text), Tag("app", "v1", "M1")}), IsOk());
  EXPECT_EQ(Totals().absent.count, 1u);
  ASSERT_THAT(Apply({Blob("x", 1)}), IsOk());
  EXPECT_TRUE(IsLive("x"));
}

TEST_F(RecordedSizesTest, Case070_StoredSizesCountNotDeclaredOnes) {
  // The descriptors say 1 byte.
  ASSERT_THAT(Apply({Blob("c", 40), Blob("l", 100), Image("M1", {"c", "l"}),
                     Tag("app", "v1", "M1")}),
              IsOk());
  EXPECT_EQ(Totals().live.bytes.logical_bytes,
            140 + Image("M1", {"c", "l"}).bytes.size());
}

TEST_F(SizesTest, Case071_AMissingSnapshotIsZeroUnpackedBytes) {
  g.Add("M1:5(c1:1 l1:10); app:v1=M1");
  EXPECT_EQ(OfKind(NodeKind::kSnapshot).count, 0u);
  EXPECT_EQ(g.graph().totals(0).imaged.bytes.logical_bytes, 16u);
  EXPECT_THAT(Doomed(Images()), IsEmpty());
}

// What it stood on has gone, and no image names it: before a restart, and after
// it, when nobody knows what it stood on.
TEST_F(RecordedSizesTest, ASnapshotThatNothingExplainsStays) {
  index::PutSnapshot base;
  base.store = "s";
  base.key = "base";
  base.bytes = store::Bytes{10, 10};
  index::PutSnapshot top = base;
  top.key = "top";
  top.parent = "base";
  ASSERT_THAT(Apply({base, top}), IsOk());
  ASSERT_THAT(Apply({index::RemoveNamed{"s", NodeKind::kSnapshot, "", "base"}}),
              IsOk());
  for (const bool is_anew : {false, true}) {
    if (is_anew) Open();
    EXPECT_THAT(Doomed(AllImages()), IsEmpty()) << is_anew;
    EXPECT_EQ(Totals().unpacked_kept.count, 1u) << is_anew;
    EXPECT_EQ(Totals().unpacked_without_tags.bytes.logical_bytes, 10u);
  }
}

TEST_F(RecordedSizesTest, Case072_AnUnknownSizeIsCountedNotSummed) {
  index::PutVolume volume;
  volume.store = "s";
  volume.name = "data";
  volume.is_anonymous = true;
  ASSERT_THAT(Apply({volume}), IsOk());
  EXPECT_EQ(Totals().unknown_size_count, 1u);
  const auto plan = Make(Verb(gc::PruneVerb::kVolumes));
  ASSERT_THAT(plan, IsOk());
  EXPECT_EQ(plan->totals.item_count, 1u);
  EXPECT_EQ(plan->totals.bytes.content.logical_bytes, 0u);
}

TEST_F(SizesTest, Case074_SizesAreExactBeyondADouble) {
  const uint64_t large = (uint64_t{1} << 53) + 1;
  const uint64_t huge = (uint64_t{1} << 62) + 3;
  g.Add(absl::StrCat("a:", large, "; b:", huge));
  EXPECT_EQ(g.graph().totals(0).candidate.bytes.logical_bytes, large + huge);
  EXPECT_EQ(FreedBytes(Images()), large + huge);
}

}  // namespace
}  // namespace reclaim::tests
