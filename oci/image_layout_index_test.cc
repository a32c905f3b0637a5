#include "oci/image_layout_index.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "base/status_matchers.h"
#include "gtest/gtest.h"

namespace reclaim::oci {
namespace {

using ::reclaim::base::IsOk;
using ::reclaim::base::StatusIs;

std::string Entry(const std::string& blob, const std::string& name) {
  std::string text =
      absl::StrCat(R"({"mediaType":")", kOciManifestType, R"(","digest":")",
                   Digest::Sha256Of(blob).ToString(), R"(","size":1,"x":[1])");
  if (!name.empty()) {
    absl::StrAppend(&text, R"(,"annotations":{")", kRefNameAnnotation, R"(":")",
                    name, R"("})");
  }
  return text + "}";
}

std::string Index(const std::string& entries) {
  return absl::StrCat(R"({"schemaVersion":2,"zz":{"b":1,"a":2},"manifests":[)",
                      entries, "]}");
}

TEST(ImageLayoutIndexTest, ReadsNamesInOrder) {
  const auto entries =
      ParseLayoutIndex(Index(Entry("a", "v1") + "," + Entry("b", "")));
  ASSERT_THAT(entries, IsOk());
  ASSERT_EQ(entries->size(), 2u);
  EXPECT_EQ((*entries)[0].name, "v1");
  EXPECT_EQ((*entries)[1].name, "");
  EXPECT_EQ((*entries)[1].digest, Digest::Sha256Of("b"));
}

TEST(ImageLayoutIndexTest, DroppingANameKeepsTheEntryAndAllElse) {
  const auto edited =
      EditLayoutIndex(Index(Entry("a", "v1") + "," + Entry("b", "v2")),
                      {{"v1", Digest::Sha256Of("a")}});
  ASSERT_THAT(edited, IsOk());
  EXPECT_EQ(edited->bytes, Index(Entry("a", "") + "," + Entry("b", "v2")));
  EXPECT_TRUE(edited->was_found[0]);
}

TEST(ImageLayoutIndexTest, DroppingANameBesideAnUnnamedTwinDropsTheEntry) {
  const auto edited =
      EditLayoutIndex(Index(Entry("a", "v1") + "," + Entry("a", "")),
                      {{"v1", Digest::Sha256Of("a")}});
  ASSERT_THAT(edited, IsOk());
  EXPECT_EQ(edited->bytes, Index(Entry("a", "")));
}

// Found by the fuzzer: the second entry kept the name that was removed.
TEST(ImageLayoutIndexTest, ANameThatIsListedTwiceGoesAndComesBackWhole) {
  const LayoutEdit edit = {"v1", Digest::Sha256Of("a")};
  const std::string before =
      Index(Entry("a", "v1") + "," + Entry("b", "v2") + "," + Entry("a", "v1"));
  const auto edited = EditLayoutIndex(before, {edit});
  ASSERT_THAT(edited, IsOk());
  EXPECT_TRUE(edited->was_found[0]);
  EXPECT_EQ(edited->bytes, Index(Entry("a", "") + "," + Entry("b", "v2")));
  const auto restored = RestoreLayoutEntry(edited->bytes, before, edit);
  ASSERT_THAT(restored, IsOk());
  EXPECT_EQ(*restored, before);
}

TEST(ImageLayoutIndexTest, AnEntryWithoutANameIsListedTwiceAndGoesWhole) {
  const LayoutEdit edit = {"", Digest::Sha256Of("a")};
  const std::string before =
      Index(Entry("b", "v2") + "," + Entry("a", "") + "," + Entry("a", ""));
  const auto edited = EditLayoutIndex(before, {edit});
  ASSERT_THAT(edited, IsOk());
  EXPECT_EQ(edited->bytes, Index(Entry("b", "v2")));
  const auto restored = RestoreLayoutEntry(edited->bytes, before, edit);
  ASSERT_THAT(restored, IsOk());
  EXPECT_EQ(*restored, before);
}

TEST(ImageLayoutIndexTest, AnUndoLeavesTheUnnamedTwinThatWasThereBefore) {
  const LayoutEdit edit = {"v1", Digest::Sha256Of("a")};
  const std::string before = Index(Entry("a", "") + "," + Entry("a", "v1"));
  const auto edited = EditLayoutIndex(before, {edit});
  ASSERT_THAT(edited, IsOk());
  const auto restored = RestoreLayoutEntry(edited->bytes, before, edit);
  ASSERT_THAT(restored, IsOk());
  EXPECT_EQ(*restored, before);
}

TEST(ImageLayoutIndexTest, DropsUnnamedEntriesAndReportsWhatIsNotThere) {
  const auto edited = EditLayoutIndex(
      Index(Entry("a", "") + "," + Entry("b", "v2")),
      {{"", Digest::Sha256Of("a")}, {"", Digest::Sha256Of("b")}});
  ASSERT_THAT(edited, IsOk());
  EXPECT_EQ(edited->bytes, Index(Entry("b", "v2")));
  EXPECT_TRUE(edited->was_found[0]);
  EXPECT_FALSE(edited->was_found[1]);
}

std::string Annotated(const std::string& blob, const std::string& annotations) {
  std::string text = Entry(blob, "");
  text.pop_back();
  return absl::StrCat(text, R"(,"annotations":{)", annotations, "}}");
}

TEST(ImageLayoutIndexTest, WhatContainerdCallsAnEntryIsAName) {
  const std::string containerd =
      absl::StrCat("\"", kContainerdNameAnnotation, R"(":"docker.io/x:1")");
  const std::string both =
      absl::StrCat(containerd, ",\"", kRefNameAnnotation, R"(":"1")");
  const std::string index =
      Index(Annotated("a", containerd) + "," + Annotated("b", both));
  const auto entries = ParseLayoutIndex(index);
  ASSERT_THAT(entries, IsOk());
  ASSERT_EQ(entries->size(), 2u);
  EXPECT_EQ((*entries)[0].name, "docker.io/x:1");
  EXPECT_EQ((*entries)[1].name, "1");
  // No other name is left over.
  const auto edited = EditLayoutIndex(
      index,
      {{"docker.io/x:1", Digest::Sha256Of("a")}, {"1", Digest::Sha256Of("b")}});
  ASSERT_THAT(edited, IsOk());
  EXPECT_EQ(edited->bytes, Index(Entry("a", "") + "," + Entry("b", "")));
  const auto restored = RestoreLayoutEntry(
      edited->bytes, index, {"docker.io/x:1", Digest::Sha256Of("a")});
  ASSERT_THAT(restored, IsOk());
  EXPECT_EQ(*restored,
            Index(Annotated("a", containerd) + "," + Entry("b", "")));
}

TEST(ImageLayoutIndexTest, AnEntryComesBackIntoAFileThatOthersEdited) {
  const std::string before = Index(Entry("a", "v1") + "," + Entry("b", ""));
  const LayoutEdit named = {"v1", Digest::Sha256Of("a")};
  const LayoutEdit unnamed = {"", Digest::Sha256Of("b")};
  EXPECT_EQ(*RestoreLayoutEntry(Index(Entry("c", "v2")), before, named),
            Index(Entry("c", "v2") + "," + Entry("a", "v1")));
  EXPECT_EQ(*RestoreLayoutEntry(Index(Entry("c", "v2")), before, unnamed),
            Index(Entry("c", "v2") + "," + Entry("b", "")));
  EXPECT_EQ(*RestoreLayoutEntry(before, before, named), before);
  EXPECT_THAT(RestoreLayoutEntry(Index(Entry("c", "v1")), before, named),
              StatusIs(absl::StatusCode::kAlreadyExists));
  EXPECT_THAT(
      RestoreLayoutEntry(Index(""), before, {"v1", Digest::Sha256Of("c")}),
      StatusIs(absl::StatusCode::kDataLoss));
}

TEST(ImageLayoutIndexTest, MergingLosesNoEntryOfEither) {
  const std::string first = Index(Entry("a", "v1") + "," + Entry("b", "v2"));
  const std::string second = Index(Entry("b", "v2") + "," + Entry("c", "v1"));
  EXPECT_EQ(*MergeLayoutIndexes(first, second),
            Index(Entry("a", "v1") + "," + Entry("b", "v2") + "," +
                  Entry("c", "v1")));
  EXPECT_EQ(*MergeLayoutIndexes(first + "\n", first), first + "\n");
  EXPECT_FALSE(MergeLayoutIndexes(first, "{").ok());
  EXPECT_FALSE(MergeLayoutIndexes("", first).ok());
}

TEST(ImageLayoutIndexTest, ChecksTheVersion) {
  EXPECT_THAT(CheckLayoutVersion(R"({"imageLayoutVersion":"1.0.0"})"), IsOk());
  EXPECT_FALSE(CheckLayoutVersion(R"({"imageLayoutVersion":"2.0.0"})").ok());
  EXPECT_FALSE(CheckLayoutVersion("{}").ok());
  EXPECT_FALSE(CheckLayoutVersion("").ok());
}

// Without its name the entry would be one that nobody has named, and go.
TEST(ImageLayoutIndexTest, ANameThatIsTooLongIsNotPassedOver) {
  const std::string longest(64 << 10, 'n');
  EXPECT_EQ(ParseLayoutIndex(Index(Entry("a", longest)))->at(0).name, longest);
  EXPECT_THAT(ParseLayoutIndex(
                  Index(Entry("a", longest + "n") + "," + Entry("b", "x"))),
              StatusIs(absl::StatusCode::kResourceExhausted));
}

}  // namespace
}  // namespace reclaim::oci
