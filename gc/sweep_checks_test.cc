// What a sweep asks the store before it judges a batch (gc/sweep_checks.cc).

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/status_matchers.h"
#include "gc/collector.h"
#include "gc/collector_fixture.h"
#include "gc/plan.h"
#include "gc/prune_request.h"
#include "gc/records.h"
#include "gc/run.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "index/engine.h"
#include "index/graph_view.h"
#include "index/mutation.h"
#include "index/node.h"
#include "oci/digest.h"
#include "store/testing/store_tree.h"
#include "store/types.h"

namespace reclaim::gc {
namespace {

namespace fs = std::filesystem;

using ::reclaim::base::IsOk;
using ::testing::HasSubstr;

constexpr char kRepositories[] = "docker/registry/v2/repositories/";

oci::Digest D(const std::string& bytes) { return oci::Digest::Sha256Of(bytes); }

class SweepChecksTest : public CollectorFixture {
 protected:
  SweepChecksTest() {
    image_ = tree_.Image("app", "v1", {"base", "one"});
    other_ = tree_.Image("app", "v2", {"base", "two"});
    old_ = tree_.Image("app", "", {"base", "old"});
    orphan_ = tree_.Blob("nothing names me");
    Open(store::StoreKind::kRegistry);
    Scan();
  }

  PruneRequest Everything() const {
    PruneRequest request = Request(PruneVerb::kAllImages);
    request.containers_are_complete = true;
    return request;
  }
  PruneRequest Remove(const std::string& reference) const {
    PruneRequest request = Request(PruneVerb::kImages);
    request.only_references = {reference};
    return request;
  }
  gc::Run Applied(const Plan& plan) {
    const auto run = Apply(plan);
    EXPECT_THAT(run, IsOk());
    ExpectExact();
    return run.ok() ? *run : gc::Run();
  }
  // Of the item with this subject; with the reason kNone if it was not left.
  static SkippedItem SkipOf(const gc::Run& run, const std::string& subject) {
    for (const SkippedItem& item : run.skipped) {
      if (item.subject == subject) return item;
    }
    return {};
  }

  static std::string TagPath(const std::string& tag) {
    return absl::StrCat(kRepositories, "app/_manifests/tags/", tag);
  }
  static std::string LayerPath(const oci::Digest& digest) {
    return absl::StrCat(kRepositories, "app/_layers/sha256/", digest.hex());
  }
  // A push by a server whose clock is behind.
  void PushBehind(const std::string& tag, const oci::Digest& digest) {
    tree_.Tag("app", tag, digest);
    SetTimes(TagPath(tag), clock_.Now() - absl::Hours(2));
  }
  void MakeSecondName(const oci::Digest& digest) {
    fs::create_hard_link(folder_.path() + "/" + tree_.BlobPath(digest),
                         outside_.path() + "/" + digest.hex());
  }
  static index::PutTag PutOf(const std::string& tag,
                             const oci::Digest& digest) {
    index::PutTag put;
    put.store = "s";
    put.repository = "app";
    put.tag = tag;
    put.digest = digest;
    return put;
  }

  store::TempFolder outside_;
  store::RegistryTree tree_{&folder_};
  oci::Digest image_, other_, old_, orphan_;
};

// Names that a client has recorded and no store can have.

TEST_F(SweepChecksTest, ANameThatNothingCanHaveHoldsNothingUp) {
  ASSERT_THAT(Record({PutOf("no tag", image_)}), IsOk());
  const gc::Run run = Applied(MakePlan(Everything()));
  const SkippedItem skip = SkipOf(run, "tag app:no tag");
  EXPECT_EQ(skip.reason, SkipReason::kGone);
  EXPECT_THAT(skip.detail, HasSubstr("a client has recorded it"));
  EXPECT_FALSE(HasTag("app", "v2"));
  EXPECT_EQ(StateOf(other_), index::NodeState::kQuarantined);
}

// What is no part of the store's files is not looked for there.
TEST_F(SweepChecksTest, ARecordIsNoFile) {
  index::PutContainer put;
  put.store = "s";
  put.id = "c1";
  put.name = "done";
  put.state = index::ContainerState::kExited;
  ASSERT_THAT(Record({put}), IsOk());
  const gc::Run run = Applied(MakePlan(Request(PruneVerb::kContainers)));
  EXPECT_EQ(run.item_count, 1u);
}

// Files.

TEST_F(SweepChecksTest, ATagIsNotJudgedByTheFileOfItsManifest) {
  tree_.Tag("app", "also", image_);
  Age();
  Scan();
  const Plan plan = MakePlan(Remove("app:v1"));
  SetTime(tree_.BlobPath(image_), clock_.Now() - absl::Hours(1));
  Applied(plan);
  EXPECT_FALSE(HasTag("app", "v1"));
  EXPECT_TRUE(HasTag("app", "also"));
}

TEST_F(SweepChecksTest, AFileThatHasGoneIsGone) {
  const Plan plan = MakePlan(Request());
  folder_.Remove(fs::path(tree_.BlobPath(orphan_)).parent_path());
  const gc::Run run = Applied(plan);
  EXPECT_EQ(SkipOf(run, absl::StrCat("blob ", orphan_.ToString())).reason,
            SkipReason::kGone);
  EXPECT_EQ(StateOf(old_), index::NodeState::kQuarantined);
}

// A file that somebody else has put in its place, with several names, is no
// word about the one that lies in quarantine.
TEST_F(SweepChecksTest, OfWhatIsNotHereNoNamesAreCounted) {
  const Plan first = MakePlan(Request());
  const Plan second = MakePlan(Request());
  const std::string path = tree_.BlobPath(orphan_);
  const std::string bytes = folder_.Read(path);
  Applied(first);
  ASSERT_EQ(StateOf(orphan_), index::NodeState::kQuarantined);
  folder_.Write(path, bytes);
  SetTime(path, clock_.Now() - absl::Hours(1000));
  MakeSecondName(orphan_);
  Applied(second);
  EXPECT_EQ(StateOf(orphan_), index::NodeState::kQuarantined);
}

// The guard leaves it, and what it is comes from the store.
TEST_F(SweepChecksTest, AFileWithAnotherNameIsKnownAsItIs) {
  const Plan plan = MakePlan(Request());
  MakeSecondName(orphan_);
  ASSERT_THAT(graph_->CheckExists({"s", "", orphan_}, "writer"), IsOk());
  const index::NodeId node = Find(orphan_);
  const absl::Time before = graph_->Read()->view().fields(node).recorded;
  clock_.Advance(absl::Hours(1));
  Applied(plan);
  ASSERT_EQ(StateOf(orphan_), index::NodeState::kPresent);
  const auto reader = graph_->Read();
  const index::GraphView& view = reader->view();
  const index::NodeId file = view.ExtentOf(node);
  ASSERT_NE(file, index::kNoNode);
  EXPECT_EQ(view.LinkCount(file), 2u);
  EXPECT_EQ(view.bytes(file).logical_bytes,
            std::string("nothing names me").size());
  EXPECT_EQ(view.fields(node).recorded, before);
}

// Links.

class LinkChecksTest : public SweepChecksTest {
 protected:
  const std::string link_ = LayerPath(D("old"));
};

TEST_F(LinkChecksTest, ALinkPushedByAClockThatIsBehindStays) {
  const Plan plan = MakePlan(Request());
  SetTimes(link_, clock_.Now() - absl::Hours(2));
  Applied(plan);
  EXPECT_TRUE(folder_.Exists(link_ + "/link"));
  EXPECT_EQ(StateOf(D("old")), index::NodeState::kPresent);
  EXPECT_FALSE(folder_.Exists(tree_.BlobPath(orphan_)));
}

TEST_F(LinkChecksTest, ARevisionPushedByAClockThatIsBehindStays) {
  const Plan plan = MakePlan(Request());
  SetTimes(absl::StrCat(kRepositories, "app/_manifests/revisions/sha256/",
                        old_.hex()),
           clock_.Now() - absl::Hours(2));
  Applied(plan);
  EXPECT_EQ(StateOf(old_), index::NodeState::kPresent);
  EXPECT_FALSE(folder_.Exists(tree_.BlobPath(orphan_)));
}

TEST_F(LinkChecksTest, ALinkThatHasGoneIsGone) {
  const Plan plan = MakePlan(Request());
  folder_.Remove(link_);
  const gc::Run run = Applied(plan);
  EXPECT_EQ(
      SkipOf(run, absl::StrCat("layer link app@", D("old").ToString())).reason,
      SkipReason::kGone);
  EXPECT_EQ(StateOf(old_), index::NodeState::kQuarantined);
}

// Somebody has deleted it since, and somebody has made it anew.
TEST_F(LinkChecksTest, ALinkThatTheGraphDoesNotKnowAnyMoreIsLeft) {
  const Plan plan = MakePlan(Request());
  ASSERT_THAT(Record({index::RemoveMembership{"s", "app", D("old"),
                                              store::MembershipKind::kLayer}}),
              IsOk());
  Applied(plan);
  EXPECT_TRUE(folder_.Exists(link_));
  EXPECT_EQ(StateOf(D("old")), index::NodeState::kPresent);
  EXPECT_EQ(StateOf(old_), index::NodeState::kQuarantined);
}

// Somebody links an image anew of which a part lies in quarantine, and a torn
// file where that belongs: the image can't come back whole, and what is here of
// it stays.  The rest of the plan goes on.
TEST_F(LinkChecksTest, ALinkToWhatCannotComeBackHoldsUpNoOther) {
  Applied(MakePlan(Request()));
  ASSERT_EQ(StateOf(D("old")), index::NodeState::kQuarantined);
  const oci::Digest stray = tree_.Blob("another that nothing names");
  const oci::Digest other = tree_.Image("app", "", {"base", "older"});
  Age();
  Scan();
  folder_.Write(tree_.BlobPath(D("old")), "ol");
  // What can come back is back.
  EXPECT_THAT(graph_->CheckExists({"s", "", old_}, "writer"),
              base::StatusIs(absl::StatusCode::kAlreadyExists));
  ASSERT_EQ(StateOf(old_), index::NodeState::kPresent);
  ASSERT_EQ(StateOf(D("old")), index::NodeState::kQuarantined);
  const Plan plan = MakePlan(Request());
  for (const oci::Digest& image : {old_, other}) {
    SetTimes(absl::StrCat(kRepositories, "app/_manifests/revisions/sha256/",
                          image.hex()),
             clock_.Now() - absl::Hours(2));
  }
  const gc::Run run = Applied(plan);
  EXPECT_NE(run.phase, RunPhase::kFailed);
  const SkippedItem skip =
      SkipOf(run, absl::StrCat("revision app@", old_.ToString()));
  EXPECT_EQ(skip.reason, SkipReason::kTouched);
  EXPECT_THAT(skip.detail, HasSubstr("is no copy of it"));
  EXPECT_EQ(StateOf(old_), index::NodeState::kPresent);
  EXPECT_EQ(StateOf(other), index::NodeState::kPresent) << "it is whole";
  EXPECT_EQ(StateOf(D("older")), index::NodeState::kPresent);
  EXPECT_EQ(StateOf(stray), index::NodeState::kQuarantined);
}

// Tags.

TEST_F(SweepChecksTest, ATagThatIsBeingWrittenStays) {
  const Plan plan = MakePlan(Everything());
  folder_.Write(TagPath("v1") + "/current/link", "");
  const gc::Run run = Applied(plan);
  const SkippedItem skip = SkipOf(run, "tag app:v1");
  EXPECT_EQ(skip.reason, SkipReason::kTouched);
  EXPECT_EQ(skip.detail, "a writer is writing the tag");
  EXPECT_TRUE(HasTag("app", "v1"));
  EXPECT_FALSE(HasTag("app", "v2"));
}

TEST_F(SweepChecksTest, ATagThatCannotBeReadEndsTheRun) {
  const Plan plan = MakePlan(Everything());
  const std::string link = TagPath("v1") + "/current/link";
  folder_.Remove(link);
  fs::create_symlink("elsewhere", folder_.path() + "/" + link);
  const auto run = Apply(plan);
  EXPECT_TRUE(!run.ok() || run->phase == RunPhase::kFailed);
  EXPECT_TRUE(HasTag("app", "v2"));
  EXPECT_EQ(StateOf(orphan_), index::NodeState::kPresent);
}

TEST_F(SweepChecksTest, ATagThatHasGoneIsGone) {
  const Plan plan = MakePlan(Everything());
  folder_.Remove(TagPath("v1"));
  const gc::Run run = Applied(plan);
  EXPECT_EQ(SkipOf(run, "tag app:v1").reason, SkipReason::kGone);
  EXPECT_FALSE(HasTag("app", "v2"));
}

// A client has taken it out of the graph, and the store has it still: the next
// scan finds it.
TEST_F(SweepChecksTest, ATagThatTheGraphDoesNotKnowAnyMoreIsGone) {
  const Plan plan = MakePlan(Everything());
  ASSERT_THAT(Record({index::RemoveTag{"s", "app", "v1"}}), IsOk());
  const gc::Run run = Applied(plan);
  EXPECT_EQ(SkipOf(run, "tag app:v1").reason, SkipReason::kGone);
  EXPECT_FALSE(HasTag("app", "v1"));
  EXPECT_TRUE(folder_.Exists(TagPath("v1")));
}

// What a writer of ours has recorded since the plan is the guard's to judge.
TEST_F(SweepChecksTest, ATagOfAWriterOfOursIsTheGuardsToJudge) {
  const Plan plan = MakePlan(Everything());
  ASSERT_THAT(Record({PutOf("v1", image_)}), IsOk());
  const SkippedItem skip = SkipOf(Applied(plan), "tag app:v1");
  EXPECT_EQ(skip.reason, SkipReason::kTouched);
  EXPECT_THAT(skip.detail, HasSubstr("a writer asked for it"));
  EXPECT_TRUE(HasTag("app", "v1"));
}

TEST_F(SweepChecksTest, ATagThatAWriterOfOursHasMovedIsTheGuardsToJudge) {
  const Plan plan = MakePlan(Everything());
  ASSERT_THAT(Record({PutOf("v1", other_)}), IsOk());
  PushBehind("v1", other_);
  const SkippedItem skip = SkipOf(Applied(plan), "tag app:v1");
  EXPECT_EQ(skip.reason, SkipReason::kChanged);
  EXPECT_TRUE(HasTag("app", "v1"));
  EXPECT_EQ(StateOf(other_), index::NodeState::kPresent);
}

TEST_F(SweepChecksTest, ATagPushedAnewSaysSo) {
  const Plan plan = MakePlan(Everything());
  PushBehind("v1", image_);
  const SkippedItem skip = SkipOf(Applied(plan), "tag app:v1");
  EXPECT_EQ(skip.reason, SkipReason::kTouched);
  EXPECT_EQ(skip.detail, "the tag was pushed anew since the plan");
}

// What a crash has left.

class LeftRecordTest : public SweepChecksTest {
 protected:
  // As soon as the run has an id, item `number` of it is on record as `bytes`.
  absl::StatusOr<gc::Run> ApplyOver(
      const Plan& plan, uint64_t number,
      const std::function<std::string(const gc::Run&)>& bytes) {
    bool has_written = false;
    RunControl control;
    control.on_progress = [&](const gc::Run& run) {
      if (has_written) return;
      has_written = true;
      std::string key(8, '\0');
      key[7] = static_cast<char>(number);
      index::Batch batch;
      batch.Put(index::Family::kQuarantine, absl::StrCat(run.id, "/", key),
                bytes(run));
      EXPECT_THAT(engine_->Commit(batch, index::Durability::kDurable), IsOk());
    };
    return Apply(plan, control);
  }
};

TEST_F(LeftRecordTest, ARecordThatCannotBeReadEndsTheRun) {
  const auto run = ApplyOver(MakePlan(Request()), 0,
                             [](const gc::Run&) { return "no record"; });
  EXPECT_TRUE(!run.ok() || run->phase == RunPhase::kFailed);
  EXPECT_EQ(StateOf(orphan_), index::NodeState::kPresent);
}

TEST_F(LeftRecordTest, OfABatchOnlyWhatLiesInQuarantineIsPassedBy) {
  tree_.Image("app", "", {"base", "older"});
  Age();
  Scan();
  const WholePlan plan = MakePlan(Request());
  ASSERT_GE(plan.items.size(), 2u);
  ASSERT_EQ(store::DeedStage(plan.items[1].removal->kind),
            store::DeedStage(plan.items[0].removal->kind))
      << "of one batch";
  const auto run = ApplyOver(plan, 1, [&](const gc::Run& begun) {
    QuarantineRecord record;
    record.run_id = begun.id;
    record.number = 1;
    record.store = "s";
    record.item = plan.items[1];
    record.state = QuarantineState::kQuarantined;
    const auto bytes = EncodeQuarantine(record);
    EXPECT_THAT(bytes, IsOk());
    return bytes.value_or("");
  });
  ASSERT_THAT(run, IsOk());
  EXPECT_EQ(run->skipped_count, 1u);
  const SkippedItem skip = SkipOf(*run, SubjectOf(plan.items[1]));
  EXPECT_EQ(skip.reason, SkipReason::kGone);
  EXPECT_THAT(skip.detail, HasSubstr("before the run was interrupted"));
}

}  // namespace
}  // namespace reclaim::gc
