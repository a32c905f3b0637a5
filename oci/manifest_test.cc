#include "oci/manifest.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/substitute.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace reclaim::oci {
namespace {

using ::reclaim::base::IsOk;
using ::reclaim::base::StatusIs;
using ::testing::HasSubstr;

std::string DescriptorText(const std::string& name, const std::string& type) {
  return absl::Substitute(R"({"mediaType":"$0","digest":"$1","size":7})", type,
                          Digest::Sha256Of(name).ToString());
}

std::string ImageText(const std::string& extra = "") {
  return absl::StrCat(R"({"schemaVersion":2,"mediaType":")", kOciManifestType,
                      R"(","config":)", DescriptorText("c", kOciConfigType),
                      R"(,"layers":[)", DescriptorText("l1", "a/b"), ",",
                      DescriptorText("l2", "a/b"), "]", extra, "}");
}

TEST(ManifestTest, ReadsAnImage) {
  const auto manifest = ParseManifest(ImageText(), "");
  ASSERT_THAT(manifest, IsOk());
  EXPECT_EQ(manifest->kind, ManifestKind::kImage);
  EXPECT_EQ(manifest->config->digest, Digest::Sha256Of("c"));
  ASSERT_EQ(manifest->children.size(), 2u);
  EXPECT_EQ(manifest->children[1].digest, Digest::Sha256Of("l2"));
  EXPECT_FALSE(manifest->subject);
}

// A descriptor of `content` that embeds `data`, which is base64.
std::string Embedding(const std::string& content, size_t size,
                      const std::string& data) {
  return absl::Substitute(
      R"({"mediaType":"a/b","digest":"$0","size":$1,"data":"$2"})",
      Digest::Sha256Of(content).ToString(), size, data);
}

TEST(ManifestTest, ASizeMayBeUnsaid) {
  const auto manifest = ParseManifest(
      absl::Substitute(
          R"({"manifests":[{"digest":"$0"},{"digest":"$0","size":0}]})",
          Digest::Sha256Of("m").ToString()),
      "");
  ASSERT_THAT(manifest, IsOk());
  EXPECT_FALSE(manifest->children[0].size_bytes.has_value());
  EXPECT_EQ(manifest->children[1].size_bytes.value_or(-1), 0);
}

TEST(ManifestTest, EmbeddedContentHasItsDigestAndItsSize) {
  const std::vector<Digest> both = {Digest::Sha256Of("{}"),
                                    Digest::Sha256Of("abc")};
  EXPECT_THAT(
      EmbeddedContent(absl::StrCat(
          R"({"config":)", Embedding("{}", 2, "e30="), R"(,"layers":[)",
          Embedding("abc", 3, "YWJj"), ",", Embedding("abc", 3, "YWJj"), "]}")),
      ::testing::UnorderedElementsAreArray(both));
  const std::string nothing[] = {
      Embedding("{}", 3, "e30="),  // another size
      Embedding("[]", 2, "e30="),  // another digest
      Embedding("{}", 2, "e3"),    // cut short
      Embedding("{}", 2, "*"),     // no base64
      Embedding("{}", 2, ""),
      DescriptorText("{}", "a/b"),
      R"({"digest":"none","size":2,"data":"e30="})",
      absl::Substitute(R"({"digest":"$0","data":"e30="})",
                       Digest::Sha256Of("{}").ToString()),
      absl::Substitute(R"({"digest":"$0","size":2,"data":7})",
                       Digest::Sha256Of("{}").ToString()),
      "7",
  };
  for (const std::string& descriptor : nothing) {
    EXPECT_THAT(EmbeddedContent(absl::StrCat(R"({"config":)", descriptor, "}")),
                ::testing::IsEmpty())
        << descriptor;
  }
  EXPECT_THAT(EmbeddedContent("no manifest"), ::testing::IsEmpty());
}

TEST(ManifestTest, ReadsASubject) {
  const auto manifest = ParseManifest(
      ImageText(absl::StrCat(R"(,"artifactType":"x/y","subject":)",
                             DescriptorText("s", kOciManifestType))),
      kOciManifestType);
  ASSERT_THAT(manifest, IsOk());
  EXPECT_EQ(manifest->subject->digest, Digest::Sha256Of("s"));
  EXPECT_EQ(manifest->artifact_type, "x/y");
}

TEST(ManifestTest, ReadsAnIndexWithPlatforms) {
  const std::string text = absl::StrCat(
      R"({"manifests":[{"mediaType":")", kOciManifestType, R"(","digest":")",
      Digest::Sha256Of("m").ToString(),
      R"(","size":3,"platform":{"os":"linux","architecture":"arm64",)",
      R"("variant":"v8"}}]})");
  const auto manifest = ParseManifest(text, kDockerListType);
  ASSERT_THAT(manifest, IsOk());
  EXPECT_EQ(manifest->kind, ManifestKind::kIndex);
  EXPECT_EQ(manifest->children[0].platform, "linux/arm64/v8");
}

TEST(ManifestTest, GuessesByShapeOnlyWhenNothingSaysWhatItIs) {
  const std::string text = R"({"manifests":[]})";
  EXPECT_EQ(ParseManifest(text, "")->kind, ManifestKind::kIndex);
  EXPECT_THAT(ParseManifest(text, "application/x-unknown"),
              StatusIs(absl::StatusCode::kUnimplemented));
}

TEST(ManifestTest, RefusesWhatIsTwoThings) {
  const std::string both = ImageText(R"(,"manifests":[])");
  EXPECT_THAT(ParseManifest(both, ""),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("as an image and as an index")));
  EXPECT_THAT(ParseManifest(ImageText(), kOciIndexType),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

// Otherwise whoever pushes an index says what others' manifests reference.
TEST(ManifestTest, NobodyElseSaysWhatItIs) {
  const std::string plain = absl::StrCat(
      R"({"schemaVersion":2,"config":)", DescriptorText("c", kOciConfigType),
      R"(,"layers":[)", DescriptorText("l", "a/b"), "]}");
  ASSERT_THAT(ParseManifest(plain, ""), IsOk());
  EXPECT_EQ(ParseManifest(plain, kOciManifestType)->children.size(), 1u);
  for (const char* type : {kOciArtifactType, kOciIndexType}) {
    EXPECT_THAT(ParseManifest(plain, type),
                StatusIs(absl::StatusCode::kInvalidArgument))
        << type;
  }
  // What it says itself is no type that we know: a known name does not help.
  const std::string strange =
      absl::StrCat(R"({"mediaType":"application/x+json","things":[)",
                   DescriptorText("t", "a/b"), "]}");
  const std::string shapeless =
      absl::StrCat(R"({"things":[)", DescriptorText("t", "a/b"), "]}");
  for (const char* type : {"", kOciArtifactType, kOciManifestType}) {
    for (const std::string& text : {strange, shapeless}) {
      EXPECT_THAT(ParseManifest(text, type),
                  StatusIs(absl::StatusCode::kUnimplemented))
          << text << " as " << type;
    }
  }
}

TEST(ManifestTest, TypeAndMembersAgree) {
  const auto typed = [](const std::string& type, const std::string& members) {
    return absl::StrCat(R"({"mediaType":")", type, "\"", members, "}");
  };
  const std::string layers =
      absl::StrCat(R"(,"layers":[)", DescriptorText("l", "a/b"), "]");
  const std::string blobs =
      absl::StrCat(R"(,"blobs":[)", DescriptorText("b", "a/b"), "]");
  EXPECT_EQ(ParseManifest(typed(kOciArtifactType, blobs), "")->children.size(),
            1u);
  EXPECT_THAT(ParseManifest(typed(kOciArtifactType, ""), ""), IsOk())
      << "an artifact may have none";
  EXPECT_THAT(ParseManifest(typed(kOciArtifactType, layers), ""),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(ParseManifest(typed(kOciIndexType, layers), ""),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(ParseManifest(ImageText(blobs), ""),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(ParseManifest(ImageText(R"(,"fsLayers":[])"), ""),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

// Go's reader takes each of these for the member that we know.
TEST(ManifestTest, RefusesKnownMembersInOtherLetters) {
  for (const char* member :
       {"Layers", "LAYERS", "layer\xC5\xBF", "Config", "Manifests", "MediaType",
        "Subject", "bloBs", "FSLayers"}) {
    EXPECT_THAT(
        ParseManifest(ImageText(absl::StrCat(",\"", member, "\":null")), ""),
        StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(member)));
  }
  const std::string digest = absl::StrCat(
      R"(,"subject":{"Digest":")", Digest::Sha256Of("s").ToString(), "\"}");
  EXPECT_THAT(ParseManifest(ImageText(digest), ""),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(ParseManifest(ImageText(R"(,"annotations":{"Layers":"x"})"), ""),
              IsOk())
      << "annotations may have any name";
}

TEST(ManifestTest, ToldFromWhatIsNone) {
  for (const std::string& text :
       {ImageText(), std::string(R"({"manifests":[]})"), std::string("{"),
        std::string(R"( {"mediaType":"application/x+json"})"),
        std::string(R"({"SchemaVersion":2})")}) {
    EXPECT_TRUE(MayBeManifest(text)) << text;
  }
  for (const std::string& text :
       {std::string(), std::string("[]"), std::string("\x1f\x8b"),
        std::string(R"({"os":"linux","config":{},"rootfs":{}})"),
        std::string(R"({"spdxVersion":"SPDX-2.3"})")}) {
    EXPECT_FALSE(MayBeManifest(text)) << text;
  }
}

TEST(ManifestTest, ReadsSchema1) {
  const std::string text =
      absl::StrCat(R"({"schemaVersion":1,"fsLayers":[{"blobSum":")",
                   Digest::Sha256Of("l").ToString(), R"("}]})");
  const auto manifest = ParseManifest(
      text, "application/vnd.docker.distribution.manifest.v1+prettyjws");
  ASSERT_THAT(manifest, IsOk());
  EXPECT_EQ(manifest->kind, ManifestKind::kSchema1);
  EXPECT_EQ(manifest->children.size(), 1u);
}

TEST(ManifestTest, RefusesHostileDocuments) {
  const std::string deep(100, '[');
  for (const std::string& text :
       {std::string(""), std::string("null"), std::string("[]"),
        std::string("{"), deep, std::string(R"({"a":1,"a":2})"),
        std::string("{\"a\":\"\xff\"}"), std::string(R"({"mediaType":5})"),
        std::string(R"({"manifests":[{"digest":"sha256:x"}]})"),
        std::string(R"({"manifests":[5]})")}) {
    EXPECT_FALSE(ParseManifest(text, kOciIndexType).ok()) << text;
  }
  const std::string negative =
      absl::StrCat(R"({"manifests":[{"size":-1,"digest":")",
                   Digest::Sha256Of("m").ToString(), R"("}]})");
  EXPECT_THAT(
      ParseManifest(negative, kOciIndexType),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("negative")));
}

TEST(ManifestTest, NamesItsLimits) {
  EXPECT_THAT(ParseManifest(std::string(40, '['), ""),
              StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_THAT(ParseManifest(std::string(kJsonBytesMax + 1, ' '), ""),
              StatusIs(absl::StatusCode::kResourceExhausted));
}

TEST(ManifestTest, MarksForeignLayers) {
  const std::string text = absl::StrCat(
      R"({"mediaType":")", kOciManifestType, R"(","config":)",
      DescriptorText("c", kOciConfigType), R"(,"layers":[)",
      DescriptorText(
          "l", "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"),
      "]}");
  EXPECT_TRUE(ParseManifest(text, "")->children[0].is_foreign);
}

}  // namespace
}  // namespace reclaim::oci
