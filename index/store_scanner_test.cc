#include "index/store_scanner.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/simulated_clock.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "index/memory_engine.h"
#include "index/recount.h"
#include "oci/media_type.h"
#include "store/open_store.h"
#include "store/testing/store_tree.h"

namespace reclaim::index {
namespace {

using ::reclaim::base::IsOk;
using ::reclaim::base::StatusIs;
using ::testing::HasSubstr;

oci::Digest D(const std::string& bytes) { return oci::Digest::Sha256Of(bytes); }

class StoreScannerTest : public ::testing::Test {
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

  ScanReport Scan(bool from_nothing = false) {
    folder_.WaitForClock();
    ScanOptions options;
    options.from_nothing = from_nothing;
    auto report = ScanStore(graph_.get(), "s", *store_, clock_, options);
    EXPECT_THAT(report, IsOk());
    ExpectExact();
    folder_.WaitForClock();
    return report.ok() ? *std::move(report) : ScanReport();
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

  NodeId Find(const oci::Digest& digest, const store::Place& place = "") {
    const auto reader = graph_->Read();
    return reader->view().FindContent(reader->view().FindPlace(0, place),
                                      digest);
  }
  NodeFields Fields(const oci::Digest& digest, const store::Place& place = "") {
    const NodeId id = Find(digest, place);
    if (id == kNoNode) return {};
    return graph_->Read()->view().fields(id);
  }
  bool HasTag(const std::string& repository, const std::string& tag) {
    return graph_->Read()->view().FindNamed(
               {NodeKind::kTag, 0, repository, tag}) != kNoNode;
  }
  StoreRecord Registered() { return graph_->Stores()[0]; }

  // Later than the files of the test.
  base::SimulatedClock clock_{absl::FromUnixSeconds(4102444800)};
  store::TempFolder folder_;
  MemoryEngine engine_;
  std::unique_ptr<ReferenceGraph> graph_;
  std::unique_ptr<store::ContentStore> store_;
  store::RegistryTree registry_{&folder_};
};

TEST_F(StoreScannerTest, ARegistryIsRead) {
  const oci::Digest image = registry_.Image("app", "v1", {"base"});
  const oci::Digest index =
      registry_.Manifest("app", store::IndexText({image}));
  registry_.Tag("app", "all", index);
  registry_.Upload("app", "u1", "half a layer");
  Open(store::StoreKind::kRegistry);
  const ScanReport report = Scan();
  EXPECT_EQ(report.seen.tag_count, 2u);
  EXPECT_EQ(report.seen.manifest_count, 2u);
  EXPECT_EQ(report.problem_count, 0u);
  EXPECT_EQ(Fields(index).kind, NodeKind::kImageIndex);
  EXPECT_EQ(Fields(image).kind, NodeKind::kManifest);
  EXPECT_EQ(Fields(D("base")).kind, NodeKind::kLayer);
  const auto reader = graph_->Read();
  EXPECT_NE(reader->view().FindNamed({NodeKind::kUpload, 0, "app", "u1"}),
            kNoNode);
  EXPECT_EQ(reader->totals(0).image_count, 2u) << "what a tag names is one";
}

// One such name would make the database unreadable (record_encoding.h).
TEST_F(StoreScannerTest, NamesThatAreNoTextKeepTheirScopeAndAreShown) {
  registry_.Image("app", "v1", {"base"});
  constexpr char kTop[] = "docker/registry/v2/repositories/";
  folder_.Write(absl::StrCat(kTop, "caf\xe9/_manifests/x"), "");
  folder_.Write(absl::StrCat(kTop, "app/_uploads/\xff\xfe/data"), "x");
  folder_.Write(absl::StrCat(kTop, "app/_manifests/tags/\xff/current/link"),
                "");
  folder_.Write("docker/registry/v2/blobs/sha256/ab/\xff/data", "x");
  registry_.Manifest("app", "{\"caf\xe9\": 1}");
  registry_.Manifest("app", "\xff\xfe");
  Open(store::StoreKind::kRegistry);
  const ScanReport report = Scan();
  std::string told;
  for (const ScanProblem& problem : report.problems) {
    absl::StrAppend(&told, problem.path, ": ", problem.why, "\n");
  }
  for (const char* shown : {"caf\\xe9: a name", "_uploads/\\xff\\xfe: a name",
                            "tags/\\xff: a name", "ab/\\xff: a name"}) {
    EXPECT_THAT(told, HasSubstr(shown));
  }
  EXPECT_TRUE(HasTag("app", "v1"));
  std::string kept;
  for (const UnreadableScope& scope : Registered().unreadable_scopes) {
    absl::StrAppend(&kept, "[", scope.scope, "]");
  }
  EXPECT_THAT(kept, HasSubstr("[]")) << "the whole store";
  EXPECT_THAT(kept, HasSubstr("[app]"));
  // The database opens, and has what was found beside them.
  graph_.reset();
  auto opened = ReferenceGraph::Open(&engine_, &clock_, GraphOptions());
  ASSERT_THAT(opened, IsOk());
  graph_ = *std::move(opened);
  EXPECT_TRUE(HasTag("app", "v1"));
}

TEST_F(StoreScannerTest, AFolderOfALayoutThatIsNoTextKeepsTheStore) {
  store::LayoutTree layout(&folder_, "a");
  layout.Entry(layout.Image({"one"}), "v1");
  store::LayoutTree hostile(&folder_, "\xff\xfe");
  hostile.Entry(hostile.Image({"two"}), "v1");
  Open(store::StoreKind::kImageLayout);
  const ScanReport report = Scan();
  ASSERT_EQ(report.problems.size(), 1u + 1u);
  EXPECT_EQ(report.problems[0].path, "\\xff\\xfe");
  ASSERT_EQ(Registered().unreadable_scopes.size(), 1u);
  EXPECT_EQ(Registered().unreadable_scopes[0].scope, "");
  EXPECT_TRUE(HasTag("a", "v1"));
  EXPECT_FALSE(HasTag("\xff\xfe", "v1"));
}

// An index.json that is no text is quoted where it is told.
TEST_F(StoreScannerTest, AnIndexThatIsNoTextIsShown) {
  store::LayoutTree layout(&folder_, "a");
  layout.Entry(layout.Image({"one"}), "v1");
  folder_.Write("a/index.json", "{\"caf\xe9\": 1}");
  Open(store::StoreKind::kImageLayout);
  Scan();
  ASSERT_EQ(Registered().unreadable_scopes.size(), 1u);
  EXPECT_EQ(Registered().unreadable_scopes[0].scope, "a");
  EXPECT_THAT(Registered().unreadable_scopes[0].why, HasSubstr("UTF-8"));
}

TEST_F(StoreScannerTest, LabelsComeFromTheConfig) {
  const oci::Digest config =
      registry_.Layer("app", R"({"created":"2025-01-01T00:00:00Z","os":"linux",
                 "config":{"Labels":{"team":"a"}}})");
  registry_.Tag("app", "v1",
                registry_.Manifest("app", store::ImageText({config})));
  Open(store::StoreKind::kRegistry);
  Scan();
  const auto known = graph_->GetImageConfig(Find(config));
  ASSERT_THAT(known, IsOk());
  ASSERT_TRUE(known->has_value());
  EXPECT_EQ((*known)->labels.at("team"), "a");
  EXPECT_EQ((*known)->os, "linux");
}

TEST_F(StoreScannerTest, ASecondScanChangesNothing) {
  registry_.Image("app", "v1", {"base"});
  registry_.Upload("app", "u1", "half");
  Open(store::StoreKind::kRegistry);
  Scan();
  const uint64_t sequence = graph_->Read()->sequence();
  const ScanReport report = Scan();
  EXPECT_EQ(graph_->Read()->sequence(), sequence);
  EXPECT_EQ(report.added_count, 0u);
  EXPECT_EQ(report.removed_count, 0u);
  EXPECT_EQ(report.seen.manifest_count, 0u) << "manifests are read once";
}

TEST_F(StoreScannerTest, WhatIsGoneIsRemoved) {
  const oci::Digest old = registry_.Image("app", "v1", {"base", "old"});
  registry_.Image("lib", "v1", {"base"});
  registry_.Upload("app", "u1", "half");
  Open(store::StoreKind::kRegistry);
  Scan();
  folder_.Remove("docker/registry/v2/repositories/app");
  folder_.Remove(registry_.BlobPath(D("old")));
  // A file taken out of its folder by hand: no other folder tells of that.
  const ScanReport report = Scan(/*from_nothing=*/true);
  EXPECT_FALSE(HasTag("app", "v1"));
  EXPECT_TRUE(HasTag("lib", "v1"));
  EXPECT_EQ(Fields(D("old")).state, NodeState::kAbsent);
  EXPECT_EQ(Fields(old).state, NodeState::kPresent);
  EXPECT_EQ(report.removed_count, 2u);  // the repository whole, and the blob
  EXPECT_EQ(report.orphan_count, 1u);   // the blob's empty folder
}

TEST_F(StoreScannerTest, AMovedTagNamesTheNewImage) {
  const oci::Digest old = registry_.Image("app", "v1", {"old"});
  Open(store::StoreKind::kRegistry);
  Scan();
  const oci::Digest fresh = registry_.Image("app", "v1", {"new"});
  Scan();
  const auto reader = graph_->Read();
  EXPECT_TRUE(reader->IsLive(
      reader->view().FindContent(reader->view().FindPlace(0, ""), fresh)));
  EXPECT_FALSE(reader->IsLive(
      reader->view().FindContent(reader->view().FindPlace(0, ""), old)));
}

TEST_F(StoreScannerTest, AManifestThatCannotBeReadIsOpaque) {
  const oci::Digest junk = registry_.Manifest("app", "{\"no\":\"manifest\"}");
  registry_.Tag("app", "v1", junk);
  const oci::Digest damaged = registry_.Image("app", "v2", {"base"});
  folder_.Write(registry_.BlobPath(damaged), "{}");
  const oci::Digest huge =
      registry_.Manifest("app", std::string((size_t{4} << 20) + 1, ' '));
  Open(store::StoreKind::kRegistry);
  const ScanReport report = Scan();
  EXPECT_EQ(report.problem_count, 3u);
  for (const oci::Digest& digest : {junk, damaged, huge}) {
    EXPECT_NE(Fields(digest).flags & kOpaque, 0) << digest.ToString();
  }
  // Pushed again, it is understood, and nothing is opaque on its account.
  folder_.Remove(registry_.BlobPath(damaged));
  registry_.Image("app", "v2", {"base"});
  Scan();
  EXPECT_EQ(Fields(damaged).flags & kOpaque, 0);
}

TEST_F(StoreScannerTest, ATornLinkKeepsItsRepository) {
  registry_.Image("app", "v1", {"base"});
  Open(store::StoreKind::kRegistry);
  Scan();
  const std::string link =
      "docker/registry/v2/repositories/app/_manifests/tags/v1/current/link";
  folder_.Write(link, "torn");
  Scan();
  ASSERT_EQ(Registered().unreadable_scopes.size(), 1u);
  EXPECT_EQ(Registered().unreadable_scopes[0].scope, "app");
  EXPECT_THAT(Registered().unreadable_scopes[0].why, HasSubstr("link"));
  EXPECT_TRUE(HasTag("app", "v1")) << "in doubt, keep (I5)";
}

TEST_F(StoreScannerTest, AnInterruptedScanLeavesTheStoreUnjudged) {
  registry_.Image("app", "v1", {"base"});
  Open(store::StoreKind::kRegistry);
  Scan();
  ScanOptions options;
  int polls = 0;
  options.is_cancelled = [&] { return ++polls > 3; };
  EXPECT_THAT(ScanStore(graph_.get(), "s", *store_, clock_, options),
              StatusIs(absl::StatusCode::kCancelled));
  ASSERT_EQ(Registered().unreadable_scopes.size(), 1u);
  EXPECT_EQ(Registered().unreadable_scopes[0].scope, "");
  Scan();
  EXPECT_TRUE(Registered().unreadable_scopes.empty());
}

TEST_F(StoreScannerTest, AWritersWordDuringTheScanStands) {
  registry_.Image("app", "v1", {"base"});
  Open(store::StoreKind::kRegistry);
  Scan();
  ScanOptions options;
  bool has_written = false;
  options.on_progress = [&](const ScanProgress&) {
    if (has_written) return;
    has_written = true;
    PutTag tag;
    tag.store = "s";
    tag.repository = "app";
    tag.tag = "pushed-meanwhile";
    tag.digest = D("somewhere else");
    Mutation mutation;
    mutation.operations = {tag};
    EXPECT_THAT(graph_->Apply(mutation, Durability::kDurable), IsOk());
  };
  ASSERT_THAT(ScanStore(graph_.get(), "s", *store_, clock_, options), IsOk());
  EXPECT_TRUE(HasTag("app", "pushed-meanwhile"));
}

// A pull that is told of while a scan is under way stamps the tag, and knows
// nothing of what the tag names by now.
TEST_F(StoreScannerTest, APullDuringTheScanHidesNoTagThatWasMoved) {
  registry_.Image("app", "v1", {"old"});
  Open(store::StoreKind::kRegistry);
  Scan();
  for (const bool is_of_older_time : {false, true}) {
    const std::string layer = is_of_older_time ? "older" : "newer";
    const oci::Digest fresh = registry_.Image("app", "v1", {layer});
    if (is_of_older_time) {
      const std::string link = absl::StrCat(
          folder_.path(),
          "/docker/registry/v2/repositories/app/_manifests/tags/v1/current/"
          "link");
      const timespec times[] = {{1000, 0}, {1000, 0}};
      ASSERT_EQ(::utimensat(AT_FDCWD, link.c_str(), times, 0), 0);
    }
    folder_.WaitForClock();
    ScanOptions options;
    options.on_progress = [&](const ScanProgress&) {
      index::Touch touch;
      touch.use = UseKind::kPulled;
      touch.time = clock_.Now();
      touch.name.store = "s";
      touch.repository = "app";
      touch.tag = "v1";
      Mutation mutation;
      mutation.operations = {touch};
      EXPECT_THAT(graph_->Apply(mutation, Durability::kDurable), IsOk());
    };
    ASSERT_THAT(ScanStore(graph_.get(), "s", *store_, clock_, options), IsOk());
    ExpectExact();
    const auto reader = graph_->Read();
    EXPECT_TRUE(reader->IsLive(
        reader->view().FindContent(reader->view().FindPlace(0, ""), fresh)))
        << layer;
  }
}

TEST_F(StoreScannerTest, LayoutsInAFolderAreNotMixed) {
  store::LayoutTree one(&folder_, "one");
  store::LayoutTree two(&folder_, "x/two");
  const oci::Digest image = one.Image({"base"});
  EXPECT_EQ(two.Image({"base"}), image);
  one.Entry(image, "v1");
  two.Entry(image, "");
  Open(store::StoreKind::kImageLayout);
  Scan();
  EXPECT_TRUE(HasTag("one", "v1"));
  EXPECT_NE(Find(image, "one"), Find(image, "x/two"));
  // Where nothing has a name, being listed is the name.
  EXPECT_NE(Fields(image, "x/two").flags & kOnlyName, 0);
  EXPECT_EQ(Fields(image, "one").flags & kOnlyName, 0);
}

TEST_F(StoreScannerTest, ChildrenOfALayoutsIndexAreRead) {
  store::LayoutTree tree(&folder_, "l");
  const oci::Digest image = tree.Image({"base"});
  const oci::Digest late = D(store::ImageText({D("c"), D("late layer")}));
  const oci::Digest index = tree.Blob(store::IndexText({image, late}));
  folder_.Write(
      "l/index.json",
      absl::StrCat(R"({"schemaVersion":2,"manifests":[{"mediaType":")",
                   oci::kOciIndexType, R"(","digest":")", index.ToString(),
                   R"(","size":1,"annotations":{)",
                   R"("org.opencontainers.image.ref.name":"v1"}}]})"));
  Open(store::StoreKind::kImageLayout);
  Scan();
  EXPECT_EQ(Fields(image, "l").kind, NodeKind::kManifest);
  EXPECT_EQ(Fields(late, "l").state, NodeState::kAbsent);
  tree.Blob(store::ImageText({D("c"), D("late layer")}));
  Scan();
  EXPECT_EQ(Fields(late, "l").kind, NodeKind::kManifest);
  EXPECT_EQ(Fields(D("late layer"), "l").kind, NodeKind::kLayer);
}

}  // namespace
}  // namespace reclaim::index
