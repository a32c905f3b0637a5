#include "index/hints.h"

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/simulated_clock.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "index/memory_engine.h"
#include "index/recount.h"
#include "index/store_scanner.h"
#include "oci/media_type.h"
#include "store/open_store.h"
#include "store/testing/store_tree.h"

namespace reclaim::index {
namespace {

using ::reclaim::base::IsOk;
using ::reclaim::base::StatusIs;

oci::Digest D(const std::string& bytes) { return oci::Digest::Sha256Of(bytes); }

class HintsTest : public ::testing::Test {
 protected:
  void Open(store::StoreKind kind) {
    GraphOptions options;
    options.grace_period = absl::ZeroDuration();
    auto graph = ReferenceGraph::Open(&engine_, &clock_, options);
    ASSERT_THAT(graph, IsOk());
    graph_ = *std::move(graph);
    auto store = store::OpenStore({kind, folder_.path()}, true);
    ASSERT_THAT(store, IsOk());
    store_ = *std::move(store);
    StoreRecord record;
    record.name = "s";
    record.kind = kind;
    ASSERT_THAT(graph_->RegisterStore(record), IsOk());
  }
  void OpenRegistry() {
    tree_.Image("app", "v1", {"base", "one"});
    Open(store::StoreKind::kRegistry);
    ASSERT_THAT(ScanStore(graph_.get(), "s", *store_, clock_, {}), IsOk());
  }

  Hint Of(const std::string& tag, const oci::Digest& digest) const {
    Hint hint;
    hint.repository = "app";
    hint.tag = tag;
    if (!digest.empty()) hint.digest = digest;
    return hint;
  }
  std::vector<Hint> Follow(const std::vector<Hint>& hints) {
    const auto left =
        FollowHints(graph_.get(), "s", *store_, hints, clock_.Now(), "hub");
    EXPECT_THAT(left, IsOk());
    ExpectExact();
    return left.ok() ? *left : std::vector<Hint>();
  }

  void ExpectExact() const {
    const auto reader = graph_->Read();
    RecountInputs inputs;
    inputs.store = 0;
    inputs.now = clock_.Now();
    inputs.grace_period = absl::ZeroDuration();
    inputs.orphans = reader->totals(0).orphan;
    EXPECT_EQ(reader->totals(0), Recount(reader->view(), inputs));
  }
  // What a scan from nothing would still change.
  uint64_t Differences() {
    ScanOptions options;
    options.from_nothing = true;
    const auto report = ScanStore(graph_.get(), "s", *store_, clock_, options);
    EXPECT_THAT(report, IsOk());
    return report.ok() ? report->added_count + report->removed_count : 999;
  }

  std::string TagTarget(const std::string& tag) const {
    const auto reader = graph_->Read();
    const NodeId id = reader->view().FindNamed({NodeKind::kTag, 0, "app", tag});
    if (id == kNoNode) return "";
    return reader->view().digest(reader->view().Kept(id)[0]).ToString();
  }
  NodeFields Fields(const oci::Digest& digest) const {
    const auto reader = graph_->Read();
    const NodeId id =
        reader->view().FindContent(reader->view().FindPlace(0, ""), digest);
    return id == kNoNode ? NodeFields() : reader->view().fields(id);
  }

  // Later than the files of the test.
  base::SimulatedClock clock_{absl::FromUnixSeconds(4102444800)};
  store::TempFolder folder_;
  store::RegistryTree tree_{&folder_};
  MemoryEngine engine_;
  std::unique_ptr<ReferenceGraph> graph_;
  std::unique_ptr<store::ContentStore> store_;
};

TEST_F(HintsTest, APushComesInWhole) {
  OpenRegistry();
  const oci::Digest image = tree_.Image("app", "v2", {"base", "two"});
  EXPECT_TRUE(Follow({Of("v2", image)}).empty());
  EXPECT_EQ(TagTarget("v2"), image.ToString());
  EXPECT_EQ(Fields(image).kind, NodeKind::kManifest);
  // Its layer came without a hint of its own.
  EXPECT_EQ(Fields(D("two")).state, NodeState::kPresent);
  EXPECT_EQ(Fields(D("two")).kind, NodeKind::kLayer);
}

TEST_F(HintsTest, APushIntoANewRepository) {
  OpenRegistry();
  const oci::Digest image = tree_.Image("team/new", "v1", {"base"});
  Hint hint = Of("v1", image);
  hint.repository = "team/new";
  EXPECT_TRUE(Follow({hint}).empty());
  Hint config;  // and the links of its parts, as their own pushes tell
  config.repository = "team/new";
  config.digest = D("base");
  Follow({config});
  // Only links of parts that nobody has told about are left for the scan.
  EXPECT_EQ(Differences(), 0u);
}

TEST_F(HintsTest, AnIndexBringsItsChildren) {
  OpenRegistry();
  const oci::Digest one = tree_.Image("app", "", {"base", "a"});
  const oci::Digest two = tree_.Image("app", "", {"base", "b"});
  const oci::Digest index = tree_.Manifest("app", store::IndexText({one, two}));
  tree_.Tag("app", "multi", index);
  Hint hint = Of("multi", index);
  hint.media_type = oci::kOciIndexType;
  EXPECT_TRUE(Follow({hint}).empty());
  EXPECT_EQ(Fields(index).kind, NodeKind::kImageIndex);
  EXPECT_EQ(Fields(two).kind, NodeKind::kManifest);
  EXPECT_EQ(Fields(D("b")).state, NodeState::kPresent);
}

TEST_F(HintsTest, DuplicatesAndOrderDoNotMatter) {
  OpenRegistry();
  const oci::Digest image = tree_.Image("app", "v2", {"two"});
  const std::vector<Hint> hints = {Of("v2", image), Of("", D("two")),
                                   Of("v2", image), Of("v1", oci::Digest())};
  Follow(hints);
  const uint64_t sequence = graph_->Read()->sequence();
  Follow({hints.rbegin(), hints.rend()});
  EXPECT_EQ(graph_->Read()->sequence(), sequence) << "nothing new";
  EXPECT_EQ(TagTarget("v2"), image.ToString());
}

TEST_F(HintsTest, ALieChangesNothing) {
  OpenRegistry();
  const std::string before = TagTarget("v1");
  // "v1 was deleted", "v1 names another image now", "there is such a thing".
  EXPECT_TRUE(Follow({Of("v1", oci::Digest())}).empty());
  const oci::Digest other = tree_.Image("app", "", {"base", "other"});
  EXPECT_EQ(Follow({Of("v1", other)}).size(), 1u);
  EXPECT_EQ(Follow({Of("v9", D("nothing"))}).size(), 1u);
  EXPECT_EQ(TagTarget("v1"), before);
  EXPECT_EQ(TagTarget("v9"), "");
}

TEST_F(HintsTest, ADeletedTagGoes) {
  OpenRegistry();
  folder_.Remove("docker/registry/v2/repositories/app/_manifests/tags/v1");
  Follow({Of("v1", oci::Digest())});
  EXPECT_EQ(TagTarget("v1"), "");
  EXPECT_EQ(Differences(), 0u);
}

TEST_F(HintsTest, ADeletedManifestTakesTheTagsOnItWithIt) {
  OpenRegistry();
  const oci::Digest image = tree_.Image("app", "v2", {"base", "two"});
  tree_.Tag("app", "v3", image);
  Follow({Of("v2", image), Of("v3", image)});
  ASSERT_EQ(TagTarget("v3"), image.ToString());
  // As the registry's API does it, which tells of the digest alone.
  const std::string manifests =
      "docker/registry/v2/repositories/app/_manifests";
  folder_.Remove(manifests + "/tags/v2");
  folder_.Remove(manifests + "/tags/v3");
  folder_.Remove(absl::StrCat(manifests, "/revisions/sha256/", image.hex()));
  Follow({Of("", image)});
  EXPECT_EQ(TagTarget("v2"), "");
  EXPECT_EQ(TagTarget("v3"), "");
}

// The registry tells of a push before it writes the tag.
TEST_F(HintsTest, ATagThatIsNotThereYetIsWorthASecondLook) {
  OpenRegistry();
  const oci::Digest image = tree_.Image("app", "", {"base", "two"});
  const std::vector<Hint> left = Follow({Of("v2", image)});
  ASSERT_EQ(left.size(), 1u);
  EXPECT_EQ(left[0].tag, "v2");
  EXPECT_EQ(Fields(image).kind, NodeKind::kManifest) << "known meanwhile";
  tree_.Tag("app", "v2", image);
  EXPECT_TRUE(Follow(left).empty());
  EXPECT_EQ(TagTarget("v2"), image.ToString());
}

TEST_F(HintsTest, ALinkThatIsBeingWrittenIsUnavailable) {
  OpenRegistry();
  const std::string before = TagTarget("v1");
  folder_.Write(
      "docker/registry/v2/repositories/app/_manifests/tags/v1/current/link",
      "");
  const std::vector<Hint> hints = {Of("v1", oci::Digest())};
  EXPECT_THAT(
      FollowHints(graph_.get(), "s", *store_, hints, clock_.Now(), "hub"),
      StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_EQ(TagTarget("v1"), before);
}

TEST_F(HintsTest, PullsRenewTheTimeOfUse) {
  OpenRegistry();
  const absl::Time pulled = clock_.Now() - absl::Hours(2);
  oci::Digest image;
  {
    const auto reader = graph_->Read();
    const NodeId tag =
        reader->view().FindNamed({NodeKind::kTag, 0, "app", "v1"});
    image = reader->view().digest(reader->view().Kept(tag)[0]);
  }
  Hint hint = Of("v1", image);
  hint.pulled = pulled;
  Follow({hint});
  EXPECT_EQ(Fields(image).used, pulled);
  // An older one that comes late changes nothing; one of the future is of now.
  hint.pulled = pulled - absl::Hours(1);
  Follow({hint});
  EXPECT_EQ(Fields(image).used, pulled);
  hint.pulled = absl::InfiniteFuture();
  Follow({hint});
  EXPECT_EQ(Fields(image).used, clock_.Now());
  EXPECT_TRUE(Follow({hint}).empty());
}

// The word of the push was lost; what it names may have been taken away.
TEST_F(HintsTest, APullOfWhatTheGraphDoesNotKnowIsAReasonToLook) {
  OpenRegistry();
  const oci::Digest late = tree_.Image("app", "v2", {"base", "two"});
  Hint hint = Of("v2", late);
  hint.pulled = clock_.Now();
  const std::vector<Hint> looks = Follow({hint});
  ASSERT_EQ(looks.size(), 1u);
  EXPECT_FALSE(looks[0].pulled.has_value());
  EXPECT_EQ(TagTarget("v2"), "");
  EXPECT_TRUE(Follow(looks).empty());
  EXPECT_EQ(TagTarget("v2"), late.ToString());
  EXPECT_TRUE(Follow({hint}).empty()) << "known by now";
  // The content is known, but not that this repository has it.
  const oci::Digest layer = tree_.Layer("web", "two");
  hint = Of("", layer);
  hint.repository = "web";
  hint.pulled = clock_.Now();
  const std::vector<Hint> mounted = Follow({hint});
  ASSERT_EQ(mounted.size(), 1u);
  EXPECT_TRUE(Follow(mounted).empty());
  EXPECT_TRUE(Follow({hint}).empty());
  // A store that does not have it is asked once more, and that is all.
  hint = Of("v7", D("nothing"));
  hint.pulled = clock_.Now();
  const std::vector<Hint> nothing = Follow({hint});
  ASSERT_EQ(nothing.size(), 1u);
  EXPECT_EQ(Differences(), 0u);
}

// A registry that could not tell for a while tells of all at once: it would
// keep garbage from a sweep, and give back what one has moved.
TEST_F(HintsTest, ALatePullOfGarbageIsATimeOfUseAndNoMore) {
  const oci::Digest garbage = tree_.Image("app", "", {"base", "old"});
  OpenRegistry();
  const absl::StatusOr<Epoch> epoch = graph_->BeginEpoch();
  ASSERT_THAT(epoch, IsOk());
  Hint hint = Of("", garbage);
  hint.pulled = clock_.Now() - absl::Hours(2);
  Follow({hint});
  EXPECT_EQ(Fields(garbage).used, *hint.pulled);
  EXPECT_LT(Fields(garbage).stamp, *epoch);
  // Who looked a moment ago may be about to push.
  hint.pulled = clock_.Now() - absl::Seconds(1);
  Follow({hint});
  EXPECT_EQ(Fields(garbage).stamp, *epoch);
  // And who pulled what had no name already knew what he did.
  clock_.Advance(absl::Hours(2));
  const absl::StatusOr<Epoch> next = graph_->BeginEpoch();
  ASSERT_THAT(next, IsOk());
  hint.pulled = clock_.Now() - absl::Hours(1);
  Follow({hint});
  EXPECT_EQ(Fields(garbage).stamp, *next);
  // A tag that was pulled after it was judged unused stays, whenever that is
  // told.
  const auto tagged = oci::Digest::Parse(TagTarget("v1"));
  ASSERT_THAT(tagged, IsOk());
  EXPECT_LT(Fields(*tagged).stamp, *next);
  hint = Of("", *tagged);
  hint.pulled = clock_.Now() - absl::Hours(2);
  Follow({hint});
  EXPECT_EQ(Fields(*tagged).stamp, *next);
}

// The registry keeps the bytes that it has and writes the link anew.
TEST_F(HintsTest, ALinkThatIsWrittenAnewMakesContentYoung) {
  const oci::Digest layer = tree_.Layer("app", "old");
  OpenRegistry();
  const absl::Time before = Fields(layer).recorded;
  index::PutMembership put;
  put.store = "s";
  put.repository = "app";
  put.digest = layer;
  put.kind = store::MembershipKind::kLayer;
  put.linked = before + absl::Hours(1);
  Mutation mutation;
  mutation.operations = {put};
  ASSERT_THAT(graph_->Apply(mutation, Durability::kDurable), IsOk());
  EXPECT_EQ(Fields(layer).recorded, before + absl::Hours(1));
  EXPECT_EQ(Differences(), 0u) << "a scan leaves it so";
}

TEST_F(HintsTest, OnlyRegistriesCanBeAsked) {
  store::LayoutTree layout(&folder_, "");
  layout.Entry(layout.Image({"base"}), "v1");
  Open(store::StoreKind::kImageLayout);
  const std::vector<Hint> hints = {Of("v1", oci::Digest())};
  EXPECT_THAT(
      FollowHints(graph_.get(), "s", *store_, hints, clock_.Now(), "hub"),
      StatusIs(absl::StatusCode::kUnimplemented));
  EXPECT_THAT(
      FollowHints(graph_.get(), "t", *store_, hints, clock_.Now(), "hub"),
      StatusIs(absl::StatusCode::kUnimplemented));
}

}  // namespace
}  // namespace reclaim::index
