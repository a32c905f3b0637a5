// A scan with a memo leaves the graph that a scan from nothing leaves.
//
// Two graphs see one tree: one is scanned with its memo, the other always from
// nothing.  After every random change of the tree both are equal, node by node.
// What no time in the tree tells (docs/decisions, scan memos) is not among the
// changes: a blob's file exchanged or deleted inside of its folder.

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/clock.h"
#include "base/simulated_clock.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "index/memory_engine.h"
#include "index/recount.h"
#include "index/store_scanner.h"
#include "oci/digest.h"
#include "store/open_store.h"
#include "store/testing/store_tree.h"

namespace reclaim::index {
namespace {

using ::reclaim::base::IsOk;

constexpr int kStepCount = 120;
constexpr char kTop[] = "docker/registry/v2/";

uint64_t Seed() {
  uint64_t seed = std::random_device{}();
  const char* given = std::getenv("RECLAIM_SEED");
  if (given != nullptr && !absl::SimpleAtoi(given, &seed)) seed = 1;
  return seed;
}

// A graph of the tree, and how it is scanned.
class ScannedGraph {
 public:
  ScannedGraph(store::StoreKind kind, const std::string& path,
               bool from_nothing, const base::Clock* clock)
      : clock_(clock), from_nothing_(from_nothing) {
    GraphOptions options;
    options.grace_period = absl::ZeroDuration();
    auto graph = ReferenceGraph::Open(&engine_, clock, options);
    EXPECT_THAT(graph, IsOk());
    graph_ = *std::move(graph);
    auto store = store::OpenStore({kind, path}, true);
    EXPECT_THAT(store, IsOk());
    store_ = *std::move(store);
    StoreRecord record;
    record.name = "s";
    record.kind = kind;
    EXPECT_THAT(graph_->RegisterStore(record), IsOk());
  }

  ScanReport Scan() {
    ScanOptions options;
    options.from_nothing = from_nothing_;
    const auto report = ScanStore(graph_.get(), "s", *store_, *clock_, options);
    EXPECT_THAT(report, IsOk());
    return report.ok() ? *report : ScanReport();
  }

  void Apply(Operation operation) {
    Mutation mutation;
    mutation.operations = {std::move(operation)};
    EXPECT_THAT(graph_->Apply(mutation, Durability::kDurable), IsOk());
  }

  // Every node by name, with all that does not depend on the order of arrival.
  std::map<std::string, std::string> Picture() const {
    std::map<std::string, std::string> picture;
    const std::vector<StoreRecord> stores = graph_->Stores();
    for (const UnreadableScope& scope : stores[0].unreadable_scopes) {
      picture["unreadable " + scope.scope] = "";
    }
    const auto reader = graph_->Read();
    const GraphView& view = reader->view();
    for (NodeId id = 0; id < view.node_count(); ++id) {
      if (view.Exists(id)) picture[NameOf(view, id)] = Describe(*reader, id);
    }
    picture["orphans"] =
        absl::StrCat(reader->totals(0).orphan.count, " ",
                     reader->totals(0).orphan.bytes.allocated_bytes);
    return picture;
  }

  void ExpectExact() const {
    const auto reader = graph_->Read();
    RecountInputs inputs;
    inputs.store = 0;
    inputs.now = clock_->Now();
    inputs.grace_period = absl::ZeroDuration();
    inputs.orphans = reader->totals(0).orphan;
    EXPECT_EQ(reader->totals(0), Recount(reader->view(), inputs));
  }

 private:
  static std::string NameOf(const GraphView& view, NodeId id) {
    if (!IsContent(view.kind(id))) {
      const NamedKey key = view.named_key(id);
      return absl::StrCat(ToString(key.kind), " ", key.scope, ":", key.name);
    }
    if (view.kind(id) == NodeKind::kExtent) {
      return absl::StrCat("extent ", Keepers(view, id));
    }
    return absl::StrCat(view.PlaceName(view.fields(id).place), "@",
                        view.digest(id).ToString());
  }
  // An extent's own name is an inode: it is told apart by who names it.
  static std::string Keepers(const GraphView& view, NodeId id) {
    std::set<std::string> names;
    view.ForEachKeeper(id, [&](NodeId keeper) {
      names.insert(view.digest(keeper).Short());
      return true;
    });
    return absl::StrJoin(names, ",");
  }

  static std::string Describe(const GraphReader& reader, NodeId id) {
    const GraphView& view = reader.view();
    const NodeFields f = view.fields(id);
    std::set<std::string> kept;
    for (const NodeId child : view.Kept(id)) kept.insert(NameOf(view, child));
    if (f.kind == NodeKind::kRepository) {
      view.ForEachMember(id, [&](NodeId content, store::MembershipKind kind,
                                 absl::Time linked) {
        kept.insert(absl::StrCat(NameOf(view, content), "/",
                                 static_cast<int>(kind), "/",
                                 absl::ToUnixMicros(linked)));
        return true;
      });
    }
    return absl::StrCat(ToString(f.kind), " ", static_cast<int>(f.state), " ",
                        f.flags, " ", f.bytes.logical_bytes, " ",
                        f.bytes.allocated_bytes, " live=", reader.IsLive(id),
                        IsContent(f.kind)
                            ? ""
                            : absl::StrCat(" ", absl::ToUnixMicros(f.recorded)),
                        " [", absl::StrJoin(kept, " "), "]");
  }

  const base::Clock* clock_;
  const bool from_nothing_;
  MemoryEngine engine_;
  std::unique_ptr<ReferenceGraph> graph_;
  std::unique_ptr<store::ContentStore> store_;
};

class IncrementalScanTest : public ::testing::Test {
 protected:
  uint64_t Below(uint64_t n) { return random_() % n; }
  std::string OneOf(const std::vector<std::string>& words) {
    return words[Below(words.size())];
  }
  std::string Repository() { return OneOf({"app", "lib", "team/web"}); }
  std::string TagName() { return OneOf({"v1", "v2", "latest"}); }
  std::string Bytes() { return absl::StrCat("layer ", Below(12)); }
  std::string Path(const std::string& path) const {
    return folder_.path() + "/" + path;
  }

  // The path of something below `top` whose path ends so; "" if there is none.
  std::string Pick(const std::string& top, const std::string& end) {
    std::vector<std::string> paths;
    std::error_code ignored;
    for (const auto& entry :
         std::filesystem::recursive_directory_iterator(Path(top), ignored)) {
      const std::string path =
          entry.path().string().substr(folder_.path().size() + 1);
      if (path.size() >= end.size() &&
          path.compare(path.size() - end.size(), end.size(), end) == 0) {
        paths.push_back(path);
      }
    }
    std::sort(paths.begin(), paths.end());
    return paths.empty() ? "" : OneOf(paths);
  }
  void RemovePicked(const std::string& path) {
    if (!path.empty()) folder_.Remove(path);
  }
  // Sets any time at all, also one of the future or one that was there before.
  void SetTime(const std::string& path) {
    if (path.empty()) return;
    const int64_t seconds = static_cast<int64_t>(Below(5000000000));
    const struct timespec times[2] = {{seconds, 0}, {seconds, 0}};
    EXPECT_EQ(
        utimensat(AT_FDCWD, Path(path).c_str(), times, AT_SYMLINK_NOFOLLOW), 0);
  }
  void HardLink(const std::string& from, const std::string& to) {
    if (from.empty() || folder_.Exists(to)) return;
    std::filesystem::create_directories(
        std::filesystem::path(Path(to)).parent_path());
    EXPECT_EQ(link(Path(from).c_str(), Path(to).c_str()), 0);
  }

  std::string ChangeRegistry();
  std::string ChangeLayouts();

  void Compare(store::StoreKind kind) {
    ScannedGraph twin(kind, folder_.path(), true, &clock_);
    ScannedGraph graph(kind, folder_.path(), false, &clock_);
    uint64_t unchanged_count = 0;
    for (int step = 0; step < kStepCount; ++step) {
      std::string what = "nothing";
      for (uint64_t n = Below(3); n > 0; --n) {
        what = kind == store::StoreKind::kRegistry ? ChangeRegistry()
                                                   : ChangeLayouts();
      }
      SCOPED_TRACE(absl::StrCat("RECLAIM_SEED=", seed_, " step ", step,
                                ", last change: ", what));
      if (Below(8) == 0) {
        // A client changes what the store has not: the store is the truth.
        RemoveTag remove{"s", Repository(), TagName()};
        twin.Apply(remove);
        graph.Apply(remove);
      }
      clock_.Advance(absl::Minutes(static_cast<int64_t>(Below(90))));
      folder_.WaitForClock();
      const ScanReport whole = twin.Scan();
      const ScanReport report = graph.Scan();
      unchanged_count += report.unchanged_section_count;
      folder_.WaitForClock();
      graph.ExpectExact();
      ASSERT_EQ(graph.Picture(), twin.Picture());
      ASSERT_EQ(report.seen.blob_count + report.unchanged_blob_count,
                whole.seen.blob_count);
    }
    EXPECT_GT(unchanged_count, static_cast<uint64_t>(kStepCount))
        << "nothing was ever skipped, so nothing was tested";
  }

  const uint64_t seed_ = Seed();
  std::mt19937_64 random_{seed_};
  base::SimulatedClock clock_{absl::FromUnixSeconds(4102444800)};
  store::TempFolder folder_;
  store::RegistryTree registry_{&folder_};
};

std::string IncrementalScanTest::ChangeRegistry() {
  const std::string repositories = absl::StrCat(kTop, "repositories/");
  const std::string blobs = absl::StrCat(kTop, "blobs/");
  switch (Below(16)) {
    case 0:
    case 1:
    case 2:
      registry_.Image(Repository(), TagName(), {Bytes(), Bytes()});
      return "a push";
    case 3:
      registry_.Image(Repository(), "", {Bytes()});
      return "a push by digest";
    case 4: {
      const std::string repository = Repository();
      oci::Digest top = registry_.Image(repository, "", {Bytes()});
      // One that no link leads to, under another one.
      if (Below(2) == 0) top = registry_.Blob(store::IndexText({top}));
      registry_.Tag(repository, "all",
                    registry_.Manifest(repository, store::IndexText({top})));
      return "an index";
    }
    case 5:
      RemovePicked(Pick(repositories, "/" + TagName()));
      return "a tag deleted";
    case 6:
      RemovePicked(Pick(repositories, "/link"));
      return "the file of a link deleted";
    case 7: {
      const std::string link = Pick(repositories, "/link");
      if (!link.empty()) folder_.Write(link, folder_.Read(link));
      return "a link rewritten in place";
    }
    case 8: {
      const std::string data = Pick(blobs, "/data");
      if (!data.empty()) {
        folder_.Remove(std::filesystem::path(data).parent_path().string());
      }
      return "a blob deleted";
    }
    case 9:
      SetTime(Pick(kTop, OneOf({"/link", "/sha256", "/tags", "/_uploads"})));
      return "a time set";
    case 10:
      registry_.Upload(Repository(), OneOf({"u1", "u2"}),
                       std::string(Below(5000), 'x'));
      return "an upload goes on";
    case 11:
      RemovePicked(Pick(repositories, OneOf({"/u1", "/u2"})));
      return "an upload ends";
    case 12:
      folder_.Write(
          absl::StrCat(Pick(blobs, OneOf({"a", "b", "c", "d"})), "-stray"),
          "?");
      return "a stray";
    case 13:
      RemovePicked(Pick(kTop, "-stray"));
      return "a stray deleted";
    case 14:
      HardLink(Pick(blobs, "/data"),
               registry_.BlobPath(oci::Digest::Sha256Of(Bytes())));
      return "a hard link";
    default: {
      const std::string link = Pick(repositories, "current/link");
      if (!link.empty()) folder_.Write(link, Below(2) == 0 ? "" : "torn");
      return "a torn tag";
    }
  }
}

std::string IncrementalScanTest::ChangeLayouts() {
  const std::string place = OneOf({"a", "b/c", "d"});
  store::LayoutTree tree(&folder_, place);
  const std::string index = tree.Path("index.json");
  switch (Below(10)) {
    case 0:
    case 1:
    case 2: {
      tree.Entry(tree.Image({Bytes(), Bytes()}),
                 Below(3) == 0 ? "" : TagName());
      return "an index.json with one image";
    }
    case 3: {
      tree.Entry(tree.Image({Bytes()}), "v1");
      tree.Entry(tree.Image({Bytes()}), "");
      return "an index.json with two images";
    }
    case 4:
      tree.Blob(Bytes());
      return "a blob";
    case 5:
      RemovePicked(Pick(tree.Path("blobs/sha256"), OneOf({"0", "5", "a"})));
      return "a blob deleted";
    case 6: {
      const std::string from = Pick("", OneOf({"1", "2", "3", "b", "c"}));
      const std::string name = std::filesystem::path(from).filename().string();
      // A name made where there is no layout is one outside of the store.
      if (name.size() == 64 && folder_.Exists(tree.Path("oci-layout"))) {
        HardLink(from, tree.Path("blobs/sha256/" + name));
      }
      return "a hard link";
    }
    case 7:
      if (folder_.Exists(index)) folder_.Write(index, "{");
      return "a damaged index";
    case 8:
      folder_.Write(tree.Path(Below(2) == 0 ? "stray" : "blobs/sha256/stray"),
                    "?");
      return "a stray";
    default:
      SetTime(Pick("", OneOf({"index.json", "sha256", "blobs"})));
      return "a time set";
  }
}

TEST_F(IncrementalScanTest, ARegistryThatOthersChange) {
  registry_.Image("app", "v1", {"layer 1"});
  Compare(store::StoreKind::kRegistry);
}

TEST_F(IncrementalScanTest, LayoutsThatOthersChange) {
  store::LayoutTree tree(&folder_, "a");
  tree.Entry(tree.Image({"layer 1"}), "v1");
  Compare(store::StoreKind::kImageLayout);
}

// A manifest whose blob comes after its name, in sections that do not change.
TEST_F(IncrementalScanTest, ABlobThatComesLateIsRead) {
  const oci::Digest image = registry_.Image("app", "v1", {"one"});
  const std::string blob = registry_.BlobPath(image);
  const std::string bytes = folder_.Read(blob);
  folder_.Remove(std::filesystem::path(blob).parent_path().string());
  ScannedGraph twin(store::StoreKind::kRegistry, folder_.path(), true, &clock_);
  ScannedGraph graph(store::StoreKind::kRegistry, folder_.path(), false,
                     &clock_);
  for (const bool has_come : {false, true, true}) {
    if (has_come) folder_.Write(blob, bytes);
    folder_.WaitForClock();
    twin.Scan();
    const ScanReport report = graph.Scan();
    folder_.WaitForClock();
    EXPECT_EQ(report.unchanged_section_count > 0, has_come);
    EXPECT_EQ(graph.Picture(), twin.Picture());
  }
}

}  // namespace
}  // namespace reclaim::index
