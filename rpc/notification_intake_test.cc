#include "rpc/notification_intake.h"

#include <sys/stat.h>

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/random.h"
#include "base/simulated_clock.h"
#include "base/status_matchers.h"
#include "gc/collector.h"
#include "gc/plan.h"
#include "gc/policy.h"
#include "gc/prune_request.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "index/graph_view.h"
#include "index/memory_engine.h"
#include "index/node.h"
#include "index/reference_graph.h"
#include "oci/notification.h"
#include "rpc/run_board.h"
#include "rpc/store_table.h"
#include "store/testing/store_tree.h"
#include "store/types.h"

namespace reclaim::rpc {
namespace {

using ::reclaim::base::IsOk;
using ::reclaim::base::StatusIs;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kSecret[] = "0123456789abcdef";
constexpr char kBearer[] = "Bearer 0123456789abcdef";

class CountedActions final : public CallObserver {
 public:
  void OnNotification(absl::string_view action) override {
    actions.emplace_back(action);
  }
  std::vector<std::string> actions;
};

// Whoever has followed something up is held until Open().
class Gate final : public CallObserver {
 public:
  void OnNotification(absl::string_view) override {
    std::unique_lock<std::mutex> lock(mutex_);
    ++held_count_;
    changed_.notify_all();
    changed_.wait(lock, [this] { return is_open_; });
  }
  void AwaitHeld(int count) {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [&] { return held_count_ >= count; });
  }
  void Open() {
    const std::lock_guard<std::mutex> lock(mutex_);
    is_open_ = true;
    changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int held_count_ = 0;
  bool is_open_ = false;
};

class NotificationIntakeTest : public ::testing::Test {
 protected:
  NotificationIntakeTest() {
    tree_.Image("app", "v1", {"base", "one"});
    auto graph = index::ReferenceGraph::Open(&engine_, &clock_, {});
    EXPECT_THAT(graph, IsOk());
    graph_ = *std::move(graph);
    auto collector =
        gc::Collector::Create(graph_.get(), &clock_, &random_, nullptr);
    EXPECT_THAT(collector, IsOk());
    collector_ = *std::move(collector);
    stores_ = std::make_unique<StoreTable>(graph_.get(), collector_.get());
    Register("hub", absl::StrCat("registry:", folder_.path()));
    parts_.graph = graph_.get();
    parts_.collector = collector_.get();
    parts_.stores = stores_.get();
    parts_.clock = &clock_;
    parts_.observer = &observer_;
    options_.secret = kSecret;
    Create();
  }

  void Register(const std::string& name, const std::string& uri) {
    StoreSettings settings;
    settings.name = name;
    settings.uri = uri;
    EXPECT_THAT(stores_->Register(settings), IsOk());
  }
  void Create() {
    auto intake = NotificationIntake::Create(options_, parts_);
    ASSERT_THAT(intake, IsOk());
    intake_ = *std::move(intake);
  }

  static std::string Event(const std::string& action, const std::string& tag,
                           const oci::Digest& digest,
                           const std::string& user_agent = "docker/20") {
    return absl::StrCat(
        R"({"events":[{"id":"1","action":")", action,
        R"(","timestamp":"2026-01-01T00:00:00Z","target":{"repository":"app",)",
        R"("tag":")", tag, R"(","digest":")", digest.ToString(),
        R"("},"request":{"useragent":")", user_agent, R"("}}]})");
  }
  absl::Time UsedAt(const oci::Digest& digest) const {
    const auto reader = graph_->Read();
    const auto& view = reader->view();
    const index::NodeId id =
        view.FindContent(view.FindPlace(view.FindStore("hub"), ""), digest);
    return id == index::kNoNode ? absl::InfinitePast() : view.fields(id).used;
  }
  bool HasTag(const std::string& tag) const {
    const auto reader = graph_->Read();
    return reader->view().FindNamed({index::NodeKind::kTag,
                                     reader->view().FindStore("hub"), "app",
                                     tag}) != index::kNoNode;
  }

  base::SimulatedClock clock_;
  base::SeededRandom random_{5};
  store::TempFolder folder_;
  store::RegistryTree tree_{&folder_};
  index::MemoryEngine engine_;
  std::unique_ptr<index::ReferenceGraph> graph_;
  std::unique_ptr<gc::Collector> collector_;
  std::unique_ptr<StoreTable> stores_;
  CountedActions observer_;
  ServiceParts parts_;
  NotificationOptions options_;
  std::unique_ptr<NotificationIntake> intake_;
};

TEST_F(NotificationIntakeTest, APushIsInTheGraphWhenItIsAccepted) {
  const oci::Digest image = tree_.Image("app", "v2", {"base", "two"});
  ASSERT_THAT(intake_->Take("hub", kBearer, Event("push", "v2", image)),
              IsOk());
  EXPECT_TRUE(HasTag("v2"));
  EXPECT_EQ(observer_.actions, std::vector<std::string>{"push"});
  // Durable: it is there after a start from the engine alone.
  const auto again = index::ReferenceGraph::Open(&engine_, &clock_, {});
  ASSERT_THAT(again, IsOk());
  const auto reader = (*again)->Read();
  EXPECT_NE(
      reader->view().FindNamed({index::NodeKind::kTag,
                                reader->view().FindStore("hub"), "app", "v2"}),
      index::kNoNode);
}

// The collector asks registries what they remember; a registry tells of that
// as of any pull.
TEST_F(NotificationIntakeTest, TheDaemonsOwnQuestionIsNoUse) {
  options_.own_user_agent = "reclaim/0123";
  Create();
  ASSERT_THAT(collector_->Scan("hub", false, "test", {}), IsOk());
  const oci::Digest layer = oci::Digest::Sha256Of("base");
  const absl::Time before = UsedAt(layer);
  ASSERT_THAT(
      intake_->Take("hub", kBearer, Event("pull", "", layer, "reclaim/0123")),
      IsOk());
  EXPECT_EQ(UsedAt(layer), before);
  ASSERT_THAT(
      intake_->Take("hub", kBearer, Event("pull", "", layer, "reclaim/0124")),
      IsOk());
  EXPECT_GT(UsedAt(layer), before) << "anybody else's is";
  EXPECT_EQ(observer_.actions, (std::vector<std::string>{"pull", "pull"}));
  // It pushes nothing: what bears its name and is a push is looked at.
  const oci::Digest image = tree_.Image("app", "v2", {"base", "two"});
  ASSERT_THAT(
      intake_->Take("hub", kBearer, Event("push", "v2", image, "reclaim/0123")),
      IsOk());
  EXPECT_TRUE(HasTag("v2"));
}

TEST_F(NotificationIntakeTest, NobodyWithoutTheSecret) {
  const oci::Digest image = tree_.Image("app", "v2", {"base", "two"});
  for (const char* shown :
       {"", "Bearer ", "Bearer 0123456789abcdeF", "0123456789abcdef",
        "Basic 0123456789abcdef", "Bearer 0123456789abcdef0"}) {
    EXPECT_THAT(intake_->Take("hub", shown, Event("push", "v2", image)),
                StatusIs(absl::StatusCode::kUnauthenticated))
        << shown;
    EXPECT_THAT(intake_->Take("no-such-store", shown, ""),
                StatusIs(absl::StatusCode::kUnauthenticated))
        << "who has no secret learns no names";
  }
  EXPECT_FALSE(HasTag("v2"));
}

TEST_F(NotificationIntakeTest, StoresAndEnvelopesAreChecked) {
  EXPECT_THAT(intake_->Take("", kBearer, "{}"),
              StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(intake_->Take("other", kBearer, "{}"),
              StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(intake_->Take("hub", kBearer, "{}"),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(intake_->Take("hub", kBearer,
                            std::string(kNotificationBytesMax + 1, ' ')),
              StatusIs(absl::StatusCode::kOutOfRange));
  EXPECT_THAT(intake_->Take("hub", kBearer, R"({"events":[7]})"), IsOk());
  EXPECT_EQ(observer_.actions, std::vector<std::string>{"unknown"});
  Register("feed", "external:feed");
  EXPECT_THAT(intake_->Take("feed", kBearer, R"({"events":[]})"),
              StatusIs(absl::StatusCode::kFailedPrecondition));
}

TEST_F(NotificationIntakeTest, TooManyASecondAreSentAgainLater) {
  options_.events_per_second = 1;
  Create();
  const std::string envelope = R"({"events":[]})";
  const oci::Digest image = oci::Digest::Sha256Of("x");
  int accepted = 0;
  while (intake_->Take("hub", kBearer, Event("pull", "v1", image)).ok()) {
    ASSERT_LE(++accepted, 10);
  }
  EXPECT_EQ(accepted, 10);
  EXPECT_THAT(intake_->Take("hub", kBearer, Event("pull", "v1", image)),
              StatusIs(absl::StatusCode::kResourceExhausted));
  clock_.Advance(absl::Seconds(2));
  EXPECT_THAT(intake_->Take("hub", kBearer, Event("pull", "v1", image)),
              IsOk());
}

TEST_F(NotificationIntakeTest, WhoFindsAllPlacesTakenComesAgainLater) {
  Gate gate;
  parts_.observer = &gate;
  options_.waiting_max = 2;
  Create();
  const oci::Digest image = tree_.Image("app", "v2", {"base", "two"});
  tree_.Tag("app", "v3", image);
  std::vector<absl::Status> answers(2);
  std::vector<std::thread> registries;
  for (absl::Status& answer : answers) {
    registries.emplace_back([&] {
      answer = intake_->Take("hub", kBearer, Event("push", "v2", image));
    });
  }
  gate.AwaitHeld(2);
  EXPECT_THAT(intake_->Take("hub", kBearer, Event("push", "v3", image)),
              StatusIs(absl::StatusCode::kUnavailable,
                       HasSubstr("2 envelopes wait already")));
  EXPECT_FALSE(HasTag("v3"));
  gate.Open();
  for (std::thread& registry : registries) registry.join();
  for (const absl::Status& answer : answers) EXPECT_THAT(answer, IsOk());
  EXPECT_TRUE(HasTag("v2"));
  // It is sent again, and there are places.
  EXPECT_THAT(intake_->Take("hub", kBearer, Event("push", "v3", image)),
              IsOk());
  EXPECT_TRUE(HasTag("v3"));
}

TEST_F(NotificationIntakeTest, WhatIsRefusedGivesItsPlaceBack) {
  options_.waiting_max = 1;
  Create();
  const oci::Digest image = tree_.Image("app", "torn", {"base", "two"});
  const std::string link =
      "docker/registry/v2/repositories/app/_manifests/tags/torn/current/link";
  folder_.Write(link, "");
  for (int i = 0; i < 3; ++i) {
    EXPECT_THAT(
        intake_->Take("hub", kBearer, Event("push", "torn", image)),
        StatusIs(absl::StatusCode::kUnavailable, Not(HasSubstr("already"))));
  }
  folder_.Write(link, image.ToString());
  EXPECT_THAT(intake_->Take("hub", kBearer, Event("push", "torn", image)),
              IsOk());
  EXPECT_TRUE(HasTag("torn"));
}

// As distribution sends it, whole.
TEST_F(NotificationIntakeTest, AMountedLayerIsItsNewRepositorysToo) {
  ASSERT_THAT(collector_->Scan("hub", false, "test", {}), IsOk());
  const oci::Digest layer = tree_.Layer("web", "base");
  const std::string envelope = absl::StrCat(
      R"({"events":[{"id":"e7f1","timestamp":"2026-01-01T00:00:00.5Z",)",
      R"("action":"mount","target":{"mediaType":"application/octet-stream",)",
      R"("size":4,"digest":")", layer.ToString(),
      R"(","length":4,"repository":"web","fromRepository":"app",)",
      R"("url":"http://hub/v2/web/blobs/)", layer.ToString(),
      R"("},"request":{"id":"1","addr":"10.0.0.1:2","host":"hub",)",
      R"("method":"POST","useragent":"docker/20"},"actor":{},)",
      R"("source":{"addr":"hub:5000","instanceID":"2"}}]})");
  const absl::Time before = UsedAt(layer);
  ASSERT_THAT(intake_->Take("hub", kBearer, envelope), IsOk());
  EXPECT_EQ(observer_.actions, std::vector<std::string>{"mount"});
  EXPECT_EQ(UsedAt(layer), before) << "nobody pulled it";
  const auto reader = graph_->Read();
  const index::GraphView& view = reader->view();
  const index::StoreId hub = view.FindStore("hub");
  const index::NodeId content =
      view.FindContent(view.FindPlace(hub, ""), layer);
  for (const char* name : {"app", "web"}) {
    const index::NodeId repository =
        view.FindNamed({index::NodeKind::kRepository, hub, "", name});
    ASSERT_NE(repository, index::kNoNode) << name;
    EXPECT_TRUE(
        view.LinkedAt(repository, content, store::MembershipKind::kLayer))
        << name;
  }
}

std::string Joined(const std::vector<std::string>& envelopes) {
  const std::string head = R"({"events":[)";
  std::string events;
  for (const std::string& one : envelopes) {
    absl::StrAppend(&events, events.empty() ? "" : ",",
                    one.substr(head.size(), one.size() - head.size() - 2));
  }
  return absl::StrCat(head, events, "]}");
}

TEST_F(NotificationIntakeTest, WhatIsTooLargeIsNotAskedForAgain) {
  std::string many = R"({"events":[0)";
  for (size_t i = 0; i < oci::kNotificationEventMax; ++i) many += ",0";
  EXPECT_THAT(intake_->Take("hub", kBearer, many + "]}"),
              StatusIs(absl::StatusCode::kOutOfRange));
}

// A registry sends it again until it is taken, and nothing else before.
TEST_F(NotificationIntakeTest, ANameThatStaysUnreadableHoldsNothingUp) {
  ASSERT_THAT(collector_->Scan("hub", false, "test", {}), IsOk());
  const oci::Digest image = tree_.Image("app", "v2", {"base", "two"});
  const oci::Digest torn = tree_.Image("app", "torn", {"base", "three"});
  folder_.Write(
      "docker/registry/v2/repositories/app/_manifests/tags/torn/current/link",
      "");
  const std::string envelope =
      Joined({Event("push", "torn", torn), Event("push", "v2", image)});
  EXPECT_THAT(intake_->Take("hub", kBearer, envelope),
              StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_TRUE(HasTag("v2")) << "what stands beside it is followed up";
  clock_.Advance(absl::Seconds(9));
  EXPECT_THAT(intake_->Take("hub", kBearer, envelope),
              StatusIs(absl::StatusCode::kUnavailable));
  clock_.Advance(absl::Seconds(2));
  EXPECT_THAT(intake_->Take("hub", kBearer, envelope), IsOk());
  // It was left to the scan, which says so.
  ASSERT_THAT(collector_->Scan("hub", false, "test", {}), IsOk());
  EXPECT_FALSE(graph_->Stores()[0].unreadable_scopes.empty());
}

// A registry serves what stands in the place of quarantined content, and tells
// of pulls of it as of any.
TEST_F(NotificationIntakeTest, WhatCannotComeBackHoldsNothingUp) {
  const oci::Digest old = tree_.Image("app", "", {"base", "old"});
  // Beyond the times of the files, whose clock is the machine's.
  clock_.Advance(absl::Hours(24 * 3650));
  ASSERT_THAT(collector_->Scan("hub", false, "test", {}), IsOk());
  gc::PruneRequest request;
  request.store = "hub";
  request.verb = gc::PruneVerb::kSystem;
  request.policy = gc::NoGrace();
  request.policy.large_plan_percent = 100;
  request.actor = "test";
  const auto plan = collector_->MakePlan(request, {});
  ASSERT_THAT(plan, IsOk());
  gc::ApplyRequest apply;
  apply.plan_id = plan->id;
  apply.actor = "test";
  ASSERT_THAT(collector_->Apply(apply, {}), IsOk());
  ASSERT_FALSE(folder_.Exists(tree_.BlobPath(old)));
  folder_.Write(tree_.BlobPath(old), "torn");
  const oci::Digest image = tree_.Image("app", "v2", {"base", "two"});
  EXPECT_THAT(intake_->Take(
                  "hub", kBearer,
                  Joined({Event("pull", "", old), Event("push", "v2", image)})),
              IsOk());
  EXPECT_TRUE(HasTag("v2"));
}

// The word of the push died with the registry.
TEST_F(NotificationIntakeTest, APullOfAnUnknownImageIsLookedAtAMomentLater) {
  ASSERT_THAT(collector_->Scan("hub", false, "test", {}), IsOk());
  const oci::Digest image = tree_.Image("app", "v2", {"base", "two"});
  ASSERT_THAT(intake_->Take("hub", kBearer, Event("pull", "v2", image)),
              IsOk());
  EXPECT_FALSE(HasTag("v2"));
  clock_.Advance(absl::Milliseconds(300));
  intake_->LookAgain();
  EXPECT_TRUE(HasTag("v2"));
}

// What it names has been deleted since, as a rule.
TEST_F(NotificationIntakeTest, WhatWasPulledIsLookedForOnce) {
  ASSERT_THAT(collector_->Scan("hub", false, "test", {}), IsOk());
  const oci::Digest image = oci::Digest::Sha256Of("deleted");
  for (int i = 0; i < 2; ++i) {
    ASSERT_THAT(intake_->Take("hub", kBearer, Event("pull", "v2", image)),
                IsOk());
  }
  clock_.Advance(absl::Milliseconds(300));
  intake_->LookAgain();
  tree_.Tag("app", "v2", tree_.Image("app", "", {"base", "two"}));
  for (int i = 0; i < 4; ++i) {
    clock_.Advance(absl::Seconds(10));
    intake_->LookAgain();
  }
  EXPECT_FALSE(HasTag("v2"));
}

// The registry tells of a push before it writes the tag.
TEST_F(NotificationIntakeTest, ATagThatComesLaterIsFoundByASecondLook) {
  const oci::Digest image = tree_.Image("app", "", {"base", "two"});
  ASSERT_THAT(intake_->Take("hub", kBearer, Event("push", "v2", image)),
              IsOk());
  EXPECT_FALSE(HasTag("v2"));
  tree_.Tag("app", "v2", image);
  intake_->LookAgain();
  EXPECT_FALSE(HasTag("v2")) << "not yet";
  clock_.Advance(absl::Seconds(1));
  intake_->LookAgain();
  EXPECT_TRUE(HasTag("v2"));
}

TEST_F(NotificationIntakeTest, SecondLooksEnd) {
  const oci::Digest image = tree_.Image("app", "", {"base", "two"});
  ASSERT_THAT(intake_->Take("hub", kBearer, Event("push", "v2", image)),
              IsOk());
  for (int i = 0; i < 4; ++i) {
    clock_.Advance(absl::Seconds(10));
    intake_->LookAgain();
  }
  tree_.Tag("app", "v2", image);
  clock_.Advance(absl::Hours(1));
  intake_->LookAgain();
  EXPECT_FALSE(HasTag("v2")) << "this one is for a scan";
  ASSERT_THAT(collector_->Scan("hub", false, "test", {}), IsOk());
  EXPECT_TRUE(HasTag("v2"));
}

TEST_F(NotificationIntakeTest, OptionsHaveBounds) {
  options_.secret = "short";
  EXPECT_THAT(NotificationIntake::Create(options_, parts_),
              StatusIs(absl::StatusCode::kInvalidArgument));
  options_.secret = kSecret;
  options_.waiting_max = 0;
  EXPECT_THAT(NotificationIntake::Create(options_, parts_),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST_F(NotificationIntakeTest, ASecretIsItsOwnersAlone) {
  const std::string path = folder_.path() + "/secret";
  EXPECT_THAT(ReadSecret(path), StatusIs(absl::StatusCode::kNotFound));
  folder_.Write("secret", absl::StrCat(kSecret, "\n"));
  chmod(path.c_str(), 0640);
  EXPECT_THAT(ReadSecret(path), StatusIs(absl::StatusCode::kPermissionDenied));
  chmod(path.c_str(), 0600);
  EXPECT_THAT(ReadSecret(path), base::IsOkAndHolds(std::string(kSecret)));
  folder_.Write("secret", "short\n");
  chmod(path.c_str(), 0600);
  EXPECT_THAT(ReadSecret(path), StatusIs(absl::StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace reclaim::rpc
