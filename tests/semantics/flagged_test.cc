// Cases whose outcome is told by the check command as well: 46, 69, 70, 71, and
// of 74 that sums fail loudly.

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/status_matchers.h"
#include "gc/collector.h"
#include "gc/collector_fixture.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "index/mutation.h"
#include "index/reference_graph.h"
#include "index/verify.h"
#include "oci/digest.h"
#include "oci/media_type.h"
#include "store/testing/store_tree.h"
#include "store/types.h"
#include "tests/semantics/case_graph.h"

namespace reclaim::tests {
namespace {

using base::IsOk;
using base::StatusIs;
using index::FindingSeverity;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

oci::Digest D(const std::string& bytes) { return oci::Digest::Sha256Of(bytes); }

std::string Flag(const index::Finding& finding) {
  EXPECT_NE(finding.severity, FindingSeverity::kDamage) << finding.detail;
  return absl::StrCat(finding.check, " ", finding.subject);
}

// A registry's tree, whose bytes are read.
class FlaggedTreeTest : public gc::CollectorFixture {
 protected:
  void OpenAndScan() {
    Open(store::StoreKind::kRegistry);
    Scan();
  }
  void ScanFromNothing() {
    ASSERT_THAT(collector_->Scan("s", /*from_nothing=*/true, "test", {}),
                IsOk());
  }
  // "check subject" of each; none of them is damage.
  std::vector<std::string> Flags() {
    std::vector<std::string> flags;
    index::VerifyOptions options;
    options.read_data = true;
    options.on_finding = [&flags](const index::Finding& finding) {
      flags.push_back(Flag(finding));
    };
    EXPECT_THAT(index::Verify(graph_.get(), "s", store_.get(), clock_, options),
                IsOk());
    return flags;
  }
  // With `size` in the descriptor of the config, and `extra` members.
  void PutImage(const std::string& tag, const std::string& config, size_t size,
                const std::string& extra = "") {
    const oci::Digest digest = tree_.Manifest(
        "app", absl::StrCat(R"({"schemaVersion":2,"mediaType":")",
                            oci::kOciManifestType,
                            R"(","config":{"mediaType":")", oci::kOciConfigType,
                            R"(","digest":")", D(config).ToString(),
                            R"(","size":)", size, extra, R"(},"layers":[]})"));
    tree_.Tag("app", tag, digest);
  }

  store::RegistryTree tree_{&folder_};
};

TEST_F(FlaggedTreeTest, Case046_ATimeInTheFutureIsFlagged) {
  const std::string config = absl::StrCat(
      R"({"created":")",
      absl::FormatTime(absl::RFC3339_sec, clock_.Now() + absl::Hours(1),
                       absl::UTCTimeZone()),
      R"("})");
  tree_.Layer("app", config);
  PutImage("v1", config, config.size());
  const oci::Digest young = tree_.Blob("of a clock that is ahead");
  OpenAndScan();
  EXPECT_THAT(Flags(), ElementsAre("future-time " + D(config).ToString()));
  SetTime(tree_.BlobPath(young), clock_.Now() + absl::Hours(1));
  ScanFromNothing();
  EXPECT_THAT(Flags(),
              UnorderedElementsAre("future-time " + D(config).ToString(),
                                   "future-time " + young.ToString()));
  EXPECT_THAT(MakePlan(Request()).items, IsEmpty()) << "it is young";
  clock_.Advance(absl::Hours(1));
  EXPECT_THAT(Flags(), IsEmpty());
  EXPECT_EQ(MakePlan(Request()).totals.blob_count, 1u);
}

TEST_F(FlaggedTreeTest, Case069_AnAbsentBlobThatIsEmbeddedIsANote) {
  PutImage("v1", "x", 1, R"(,"data":"eA==")");
  PutImage("other-content", "y", 1, R"(,"data":"eA==")");
  PutImage("other-size", "z", 2, R"(,"data":"eg==")");
  OpenAndScan();
  EXPECT_THAT(Flags(), ElementsAre("embedded-data " + D("x").ToString()));
}

TEST_F(FlaggedTreeTest, Case069_ALostBlobThatIsEmbeddedIsANote) {
  tree_.Layer("app", "{}");
  PutImage("v1", "{}", 2, R"(,"data":"e30=")");
  OpenAndScan();
  EXPECT_THAT(Flags(), IsEmpty());
  folder_.Remove(tree_.BlobPath(D("{}")));
  EXPECT_THAT(Flags(), ElementsAre("embedded-data " + D("{}").ToString()));
}

TEST_F(FlaggedTreeTest, Case070_ADeclaredSizeThatIsWrongIsFlagged) {
  tree_.Layer("app", "{}");
  PutImage("v1", "{}", 2);
  OpenAndScan();
  EXPECT_THAT(Flags(), IsEmpty());
  PutImage("v2", "{}", 3);
  Age();
  ScanFromNothing();
  EXPECT_THAT(Flags(), ElementsAre("declared-size " + D("{}").ToString()));
}

// Records of an engine's client.
class FlaggedRecordsTest : public RecordedCase {
 protected:
  std::vector<std::string> Flags() {
    std::vector<std::string> flags;
    index::VerifyOptions verify;
    verify.on_finding = [&flags](const index::Finding& finding) {
      flags.push_back(Flag(finding));
    };
    EXPECT_THAT(index::Verify(graph.get(), "s", nullptr, clock, verify),
                IsOk());
    return flags;
  }
  // What an image says of itself.
  index::PutImageConfig Config(const std::string& letter) {
    index::PutImageConfig config;
    config.name = {"s", "", DigestOf(letter)};
    config.os = "linux";
    config.architecture = "amd64";
    return config;
  }
  index::PutSnapshot Snapshot(const std::string& key, const std::string& parent,
                              const std::string& letter) {
    index::PutSnapshot put;
    put.store = "s";
    put.key = key;
    put.parent = parent;
    put.bytes = store::Bytes{50, 50};
    if (!letter.empty()) put.unpacked_from = {DigestOf(letter)};
    return put;
  }
};

TEST_F(FlaggedRecordsTest, Case046_ARecordOfTheFutureIsFlagged) {
  index::PutContainer container =
      Container("web", index::ContainerState::kExited, "");
  container.created = clock.Now() + absl::Hours(1);
  ASSERT_THAT(Apply({container}), IsOk());
  EXPECT_THAT(Flags(), ElementsAre("future-time container web"));
}

TEST_F(FlaggedRecordsTest, Case071_AMissingSnapshotIsFlagged) {
  ASSERT_THAT(
      Apply({Blob("c", 1), Blob("d", 1), Blob("l", 1), Image("M1", {"c", "l"}),
             Image("M2", {"d", "l"}), Config("c"), Config("d"),
             Tag("app", "v1", "M1"), Tag("app", "v2", "M2"),
             Snapshot("base", "", ""), Snapshot("top", "base", "c")}),
      IsOk());
  EXPECT_THAT(Flags(),
              ElementsAre("missing-snapshot " + DigestOf("M2").ToString()));
  ASSERT_THAT(Apply({Snapshot("other", "gone", "d")}), IsOk());
  EXPECT_THAT(Flags(), ElementsAre("missing-snapshot snapshot other"));
  EXPECT_EQ(Totals()
                .by_kind[static_cast<size_t>(index::NodeKind::kSnapshot)]
                .bytes.logical_bytes,
            150u);
}

TEST_F(FlaggedRecordsTest, Case074_ASumThatWouldNotFitIsRefused) {
  const uint64_t half = uint64_t{1} << 61;
  ASSERT_THAT(Apply({Blob("a", half), Blob("b", half - 1)}), IsOk());
  EXPECT_EQ(Totals().candidate.bytes.logical_bytes, 2 * half - 1);
  EXPECT_THAT(Apply({Blob("c", 1)}), IsOk());
  EXPECT_THAT(Apply({Blob("d", 1)}), StatusIs(absl::StatusCode::kOutOfRange));
  EXPECT_THAT(Apply({Blob("e", uint64_t{1} << 63)}),
              StatusIs(absl::StatusCode::kOutOfRange));
  index::SetOrphans orphans;
  orphans.store = "s";
  orphans.bytes = {1, 1};
  EXPECT_THAT(Apply({orphans}), StatusIs(absl::StatusCode::kOutOfRange));
  EXPECT_EQ(Totals().candidate.bytes.logical_bytes, 2 * half);
  // What becomes smaller makes room.
  EXPECT_THAT(Apply({Blob("a", 0), Blob("d", half)}), IsOk());
  EXPECT_EQ(Totals().candidate.bytes.logical_bytes, 2 * half);
  EXPECT_THAT(Flags(), IsEmpty());
}

}  // namespace
}  // namespace reclaim::tests
