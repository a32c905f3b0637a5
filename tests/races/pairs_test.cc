// Deeds within runs, and runs within deeds: what writers, readers and operators
// do at points between two batches of a scan, an apply, a restore and a purge;
// and each of these between two steps of a writer (TRUST D.3, "races").  Nobody
// is at work beside, so each order is the same every time, but for the sections
// of a scan, which has two threads.  What a writer was told stands at once,
// what a tag names is whole in the end, and all else is collected.

#include <atomic>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/status_matchers.h"
#include "gc/collector.h"
#include "gc/collector_fixture.h"
#include "gc/plan.h"
#include "gc/prune_request.h"
#include "gc/run.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "index/hints.h"
#include "index/mutation.h"
#include "index/node.h"
#include "oci/digest.h"
#include "store/testing/store_tree.h"
#include "store/types.h"

namespace reclaim::gc {
namespace {

using ::reclaim::base::IsOk;
using ::reclaim::base::StatusIs;
using Layers = std::vector<std::string>;

enum class Work { kScan, kApply, kRestore, kPurge };
constexpr Work kWorks[] = {Work::kScan, Work::kApply, Work::kRestore,
                           Work::kPurge};
const char* ToString(Work work) {
  switch (work) {
    case Work::kScan:
      return "scan";
    case Work::kApply:
      return "apply";
    case Work::kRestore:
      return "restore";
    case Work::kPurge:
      return "purge";
  }
  return "";
}

enum class Deed {
  kPushNew,     // of content that was never here
  kPushOver,    // of garbage, which its writer uploads where it is not there
  kPushTold,    // the same, by one who asks first and tells of it
  kPushLeased,  // by one who takes a lease before and ends it after
  kHint,        // a push that a notification tells of
  kUntag,
  kUntagTold,
  kLease,
  kPull,
  kPlan,
  kAnotherRun,
};
constexpr int kDeedCount = static_cast<int>(Deed::kAnotherRun) + 1;
constexpr int kPointMax = 6;
// For no point.
constexpr int kAlone = -1;
constexpr int kNever = -2;

class PairWorld final : public CollectorFixture {
 public:
  void TestBody() override {}

  // A tree with one live image and three that are garbage, just before `work`.
  void Begin(Work work) {
    work_ = work;
    tree_.Image("app", "v1", live_layers_);
    for (const char* layer : {"old 0", "old 1", "old 2"}) {
      old_.push_back(tree_.Image("app", "", {"base", layer}));
    }
    Open(store::StoreKind::kRegistry);
    Scan();
    PruneRequest request = Request();
    request.policy.batch_item_count = 1;
    plan_ = MakePlan(request);
    if (work == Work::kScan || work == Work::kApply) return;
    const auto run = Apply(plan_);
    ASSERT_THAT(run, IsOk());
    run_id_ = run->id;
  }

  // `between` comes at the point `at` of the run; how many points it has.
  int Do(int at, const std::function<void()>& between) {
    // A scan tells from its own threads, one at a time.
    std::atomic<int> point{0};
    RunControl control;
    control.on_progress = [&](const gc::Run&) {
      if (point++ == at) between();
    };
    const auto run = Start(control);
    // Beside a deed its affair is what becomes of the run.
    if (at == kAlone) {
      EXPECT_THAT(run, IsOk());
    }
    return point;
  }

  // What `deed` does, step by step.
  std::vector<std::function<void()>> StepsOf(Deed deed) {
    switch (deed) {
      case Deed::kPushNew:
        return StepsOfPush("new", {"base", "brand new"});
      case Deed::kPushOver:
        return StepsOfPush("again", old_layers_);
      case Deed::kPushTold:
        return {[this] { Ask(); },
                [this] { tree_.Image("app", "", old_layers_); },
                [this] { TagAndTell(); }};
      case Deed::kPushLeased:
        return {[this] { Lease(); },
                [this] {
                  tree_.Image("app", "", old_layers_);
                  TagAndTell();
                },
                [this] { EndLease(); }};
      case Deed::kHint:
        return {[this] { PushAndHint(); }};
      case Deed::kUntag:
        return {[this] { Untag(); }};
      case Deed::kUntagTold:
        return {[this] {
          Untag();
          EXPECT_THAT(Record({index::RemoveTag{"s", "app", "v1"}}), IsOk());
        }};
      case Deed::kLease:
        return {[this] { Lease(); }};
      case Deed::kPull:
        return {[this] { Pull(); }};
      case Deed::kPlan:
        return {[this] { MakeOther(); }};
      case Deed::kAnotherRun:
        return {[this] { TryOtherRuns(); }};
    }
    return {};
  }

  // What holds at once.
  void ExpectPromised() {
    ExpectExact();
    if (!is_untagged_) ExpectTagged("v1", live_layers_);
    if (was_told_) ExpectTagged("again", old_layers_);
    if (is_leased_) ExpectHere(old_layers_);
  }

  // What holds once nobody is at work, and what is garbage is gone.
  void ExpectSettled() {
    Scan();
    Prune();
    EXPECT_THAT(PurgeNow(), IsOk());
    Scan();
    ExpectPromised();
    for (const auto& [tag, layers] : pushed_) ExpectTagged(tag, layers);
    for (size_t i = pushed_.count("again") > 0 || is_leased_ ? 1 : 0;
         i < old_.size(); ++i) {
      EXPECT_FALSE(folder_.Exists(tree_.BlobPath(old_[i]))) << i;
    }
  }

 private:
  absl::StatusOr<gc::Run> Start(const RunControl& control) {
    switch (work_) {
      case Work::kScan:
        return collector_->Scan("s", /*from_nothing=*/true, "test", control);
      case Work::kApply:
        return Apply(plan_, control);
      case Work::kRestore: {
        RestoreRequest request;
        request.store = "s";
        request.run_id = run_id_;
        request.actor = "test";
        return collector_->Restore(request, control);
      }
      case Work::kPurge: {
        PurgeRequest request;
        request.store = "s";
        request.before_period_ends = true;
        request.actor = "test";
        return collector_->Purge(request, control);
      }
    }
    return absl::InternalError("no such work");
  }

  std::vector<std::function<void()>> StepsOfPush(const std::string& tag,
                                                 const Layers& layers) {
    return {[this, layers] {
              for (const std::string& layer : layers) {
                tree_.Layer("app", layer);
              }
            },
            [this, layers] { tree_.Image("app", "", layers); },
            [this, tag, layers] {
              tree_.Image("app", tag, layers);
              pushed_[tag] = layers;
            }};
  }

  void Ask() {
    const auto here = graph_->CheckExists({"s", "", old_[0]}, "writer");
    ASSERT_THAT(here, IsOk());
    is_here_ = *here;
  }
  // A registry that lacks something would have asked for it: it is all there.
  void TagAndTell() {
    tree_.Image("app", "again", old_layers_);
    pushed_["again"] = old_layers_;
    index::PutTag put;
    put.store = "s";
    put.repository = "app";
    put.tag = "again";
    put.digest = old_[0];
    EXPECT_THAT(Record({put}), IsOk());
    // Of what it has not here the graph promises nothing before it is scanned.
    was_told_ = is_here_;
  }
  void PushAndHint() {
    tree_.Image("app", "again", old_layers_);
    pushed_["again"] = old_layers_;
    index::Hint hint;
    hint.repository = "app";
    hint.tag = "again";
    hint.digest = old_[0];
    EXPECT_THAT(
        collector_->FollowHints("s", absl::MakeConstSpan(&hint, 1), "registry"),
        IsOk());
    was_told_ = true;
  }
  void Lease() {
    Ask();
    if (!is_here_) return;
    index::PutLease put;
    put.store = "s";
    put.id = "mine";
    put.owner = "writer";
    put.expires = clock_.Now() + absl::Hours(1);
    index::Target target;
    target.content = index::ContentName{"s", "", old_[0]};
    put.targets.push_back(target);
    EXPECT_THAT(Record({put}), IsOk());
    is_leased_ = true;
  }
  void EndLease() {
    if (!is_leased_) return;
    EXPECT_THAT(
        Record({index::RemoveNamed{"s", index::NodeKind::kLease, "", "mine"}}),
        IsOk());
    is_leased_ = false;
  }
  void Untag() {
    folder_.Remove(
        "docker/registry/v2/repositories/app/_manifests/tags/v1/current");
    is_untagged_ = true;
  }
  void Pull() {
    index::Touch touch;
    touch.name = {"s", "", old_[0]};
    // NOT_FOUND if it was purged.
    Record({touch}).IgnoreError();
  }
  void MakeOther() {
    const absl::Status status = collector_->MakePlan(Request(), {}).status();
    EXPECT_TRUE(status.ok() || absl::IsAborted(status)) << status;
  }
  void TryOtherRuns() {
    const auto is_refused = StatusIs(absl::StatusCode::kAborted);
    EXPECT_THAT(collector_->Scan("s", false, "test", {}).status(), is_refused);
    EXPECT_THAT(PurgeNow().status(), is_refused);
    EXPECT_THAT(Apply(plan_).status(), ::testing::Not(IsOk()));
  }

  void ExpectHere(const Layers& layers) {
    Layers blobs = layers;
    blobs.push_back(absl::StrCat(R"({"os":"linux","x":")",
                                 absl::StrJoin(layers, ","), R"("})"));
    std::vector<oci::Digest> digests;
    for (const std::string& blob : blobs) {
      digests.push_back(oci::Digest::Sha256Of(blob));
    }
    // The config comes first in a manifest.
    std::vector<oci::Digest> parts = {digests.back()};
    parts.insert(parts.end(), digests.begin(), digests.end() - 1);
    digests.push_back(oci::Digest::Sha256Of(store::ImageText(parts)));
    for (const oci::Digest& digest : digests) {
      EXPECT_THAT(store_->Stat("", digest), IsOk());
    }
  }
  void ExpectTagged(const std::string& tag, const Layers& layers) {
    EXPECT_TRUE(HasTag("app", tag)) << tag;
    EXPECT_TRUE(folder_.Exists(
        absl::StrCat("docker/registry/v2/repositories/app/_manifests/tags/",
                     tag, "/current/link")))
        << tag;
    ExpectHere(layers);
  }

  const Layers live_layers_ = {"base", "live"};
  const Layers old_layers_ = {"base", "old 0"};
  store::RegistryTree tree_{&folder_};
  Work work_ = Work::kScan;
  std::vector<oci::Digest> old_;
  gc::Plan plan_;
  std::string run_id_;
  std::map<std::string, Layers> pushed_;  // by tag
  bool is_here_ = false;
  bool was_told_ = false;
  bool is_leased_ = false;
  bool is_untagged_ = false;
};

// Some of so many points, the first and the last among them.
std::set<int> SomeOf(int count) {
  std::set<int> points;
  for (int i = 0; i < kPointMax; ++i) {
    points.insert(i * (count - 1) / (kPointMax - 1));
  }
  return points;
}

int PointsOf(Work work) {
  PairWorld world;
  world.Begin(work);
  return world.Do(kAlone, nullptr);
}

TEST(PairsTest, EachDeedWithinEachRun) {
  int count = 0;
  for (const Work work : kWorks) {
    const int points = PointsOf(work);
    EXPECT_GT(points, 2) << ToString(work);
    for (const int at : SomeOf(points)) {
      for (int deed = 0; deed < kDeedCount; ++deed) {
        SCOPED_TRACE(absl::StrCat("deed ", deed, " at point ", at, " of ",
                                  points, " of a ", ToString(work)));
        PairWorld world;
        world.Begin(work);
        const auto steps = world.StepsOf(static_cast<Deed>(deed));
        bool is_done = false;
        world.Do(at, [&] {
          for (const auto& step : steps) step();
          is_done = true;
        });
        EXPECT_TRUE(is_done);
        world.ExpectPromised();
        world.ExpectSettled();
        ++count;
        if (::testing::Test::HasFailure()) return;
      }
    }
  }
  ::testing::Test::RecordProperty("figure_deeds_within_runs", count);
}

TEST(PairsTest, EachRunWithinEachDeed) {
  int count = 0;
  for (const Work work : kWorks) {
    for (const Deed deed : {Deed::kPushNew, Deed::kPushOver, Deed::kPushTold,
                            Deed::kPushLeased}) {
      for (size_t split = 1; split < 3; ++split) {
        SCOPED_TRACE(absl::StrCat("a ", ToString(work), " after step ", split,
                                  " of deed ", static_cast<int>(deed)));
        PairWorld world;
        world.Begin(work);
        const auto steps = world.StepsOf(deed);
        ASSERT_EQ(steps.size(), 3u);
        for (size_t i = 0; i < split; ++i) steps[i]();
        world.Do(kNever, nullptr);
        world.ExpectPromised();
        for (size_t i = split; i < steps.size(); ++i) steps[i]();
        world.ExpectPromised();
        world.ExpectSettled();
        ++count;
        if (::testing::Test::HasFailure()) return;
      }
    }
  }
  ::testing::Test::RecordProperty("figure_runs_within_deeds", count);
}

}  // namespace
}  // namespace reclaim::gc
