// What flags do that no other test asks: each is seen to change what happens.

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "base/status_matchers.h"
#include "cli/command_fixture.h"
#include "cli/commands.h"
#include "gc/prune_request.h"
#include "gc/schedule.h"
#include "gc/space_target.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "oci/digest.h"
#include "reclaim/v1/collection.grpc.pb.h"
#include "rpc/audit_log.h"
#include "store/testing/store_tree.h"

namespace reclaim::cli {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class FlagsTest : public CommandFixture {
 protected:
  std::vector<std::string> Add() const {
    return {"store",
            "add",
            "registry:" + folder_.path(),
            "--name",
            "hub",
            "--descriptor-cache",
            "none",
            "--write-duration",
            "0s"};
  }
  void AddAndScanWhatIsThere() {
    Age();
    ASSERT_EQ(Run(Add()), kDone) << err_;
    ASSERT_EQ(Run({"scan"}), kDone) << err_;
  }
  // The items of a plan, one a line.
  std::string Planned(std::vector<std::string> plan) {
    plan.insert(plan.end(), {"--format", "{{.Action}} {{.Subject}}"});
    EXPECT_EQ(Run(plan), kDone) << err_;
    return out_;
  }
  static std::string BlobLine(const oci::Digest& digest) {
    return absl::StrCat("blob ", digest.ToString(), "\n");
  }
  static int LineCount(const std::string& text) {
    return static_cast<int>(std::count(text.begin(), text.end(), '\n'));
  }
  void RecordVolume(const std::string& name) {
    ASSERT_EQ(Run({"record", "-"}, Volume(name)), kDone) << err_;
  }
  static std::string Volume(const std::string& name) {
    return absl::StrCat(R"({"putVolume":{"name":")", name, R"("}})", "\n");
  }
  // The etag in what `get` has printed.
  std::string Etag() const {
    return nlohmann::json::parse(out_, nullptr, false).value("etag", "");
  }
};

TEST_F(FlagsTest, GraceKeepsWhatIsYounger) {
  AddAndScan();  // a thousand hours old; the daemon's own grace is zero
  EXPECT_THAT(Planned({"plan", "--grace", "999h"}),
              HasSubstr(BlobLine(orphan_)));
  EXPECT_EQ(Planned({"plan", "--grace", "1001h"}), "");
  ASSERT_EQ(Run({"prune", "-f", "--grace", "1001h"}), kDone) << err_;
  EXPECT_EQ(out_, "Total reclaimed space: 0B\n");
  policy_.grace_period = absl::Hours(2000);
  RestartServer();
  EXPECT_EQ(Planned({"plan"}), "");
  EXPECT_THAT(Planned({"plan", "--grace", "0s"}), HasSubstr(BlobLine(orphan_)));
  EXPECT_EQ(Run({"plan", "--grace", "long"}), kUsage);
}

TEST_F(FlagsTest, QuarantineIsHowLongItCanBeRestored) {
  AddAndScan();
  ASSERT_EQ(Run({"prune", "-f", "--allow-large", "--quarantine", "5h"}), kDone)
      << err_;
  const std::string until =
      absl::FormatTime("%Y-%m-%d %H:%M:%S UTC", clock_.Now() + absl::Hours(5),
                       absl::UTCTimeZone());
  EXPECT_THAT(err_, HasSubstr("Until " + until + " it can be undone"));
  ASSERT_EQ(Run({"quarantine", "ls", "--format", "{{.RestorableUntil}}"}),
            kDone);
  EXPECT_THAT(out_, StartsWith(until + "\n"));
  clock_.Advance(absl::Hours(4));
  ASSERT_EQ(Run({"purge", "-f"}), kDone) << err_;
  EXPECT_THAT(out_, HasSubstr("Freed 0 items"));
  clock_.Advance(absl::Hours(2));
  ASSERT_EQ(Run({"purge", "-f"}), kDone) << err_;
  EXPECT_THAT(out_, Not(HasSubstr("Freed 0 items")));
  EXPECT_EQ(Run({"plan", "--quarantine", "long"}), kUsage);
}

// At a byte a second what comes after a first block waits for an hour.
TEST_F(FlagsTest, PaceHoldsBackWhatIsTaken) {
  policy_.batch_item_count = 1;
  RestartServer();
  AddAndScan();
  const auto cancel_after_a_blob = [&](const std::string& printed) {
    const size_t before = printed.rfind('\n', printed.size() - 2);
    const auto run =
        nlohmann::json::parse(printed.substr(before + 1), nullptr, false);
    ASSERT_TRUE(run.is_object()) << printed;
    if (run.value("blob_count", 0) == 0) return;
    v1::CancelRunRequest request;
    request.set_id(run.value("id", ""));
    v1::Run cancelled;
    EXPECT_TRUE(Ask(collection_stub_, &v1::CollectionService::Stub::CancelRun,
                    request, &cancelled)
                    .ok());
  };
  EXPECT_EQ(Follow({"prune", "-f", "--allow-large", "--pace", "1", "--json"},
                   cancel_after_a_blob),
            kDeclined)
      << out_;
  ASSERT_EQ(Run({"quarantine", "ls", "--format", "{{.Action}}"}), kDone);
  int blobs = 0;
  for (const auto line : absl::StrSplit(out_, '\n')) blobs += line == "blob";
  EXPECT_EQ(blobs, 1) << out_;
  ASSERT_EQ(Run({"prune", "-f", "--allow-large"}), kDone) << err_;
  EXPECT_FALSE(folder_.Exists(tree_.BlobPath(orphan_)));
  EXPECT_FALSE(folder_.Exists(tree_.BlobPath(old_)));
}

TEST_F(FlagsTest, RestoreByDigestGivesBackThatAndWhatItNeeds) {
  AddAndScan();
  ASSERT_EQ(Run({"prune", "-f", "--allow-large"}), kDone) << err_;
  const std::string layer = tree_.BlobPath(oci::Digest::Sha256Of("old"));
  ASSERT_FALSE(folder_.Exists(tree_.BlobPath(old_)));
  ASSERT_FALSE(folder_.Exists(layer));
  ASSERT_EQ(Run({"restore", "--digest", old_.ToString()}), kDone) << err_;
  EXPECT_TRUE(folder_.Exists(tree_.BlobPath(old_)));
  EXPECT_TRUE(folder_.Exists(layer));
  EXPECT_FALSE(folder_.Exists(tree_.BlobPath(orphan_)));
  ASSERT_EQ(Run({"quarantine", "ls", "--format", "{{.Subject}}"}), kDone);
  EXPECT_EQ(out_, orphan_.ToString() + "\n");
  EXPECT_EQ(Run({"restore", "--digest", old_.ToString()}), kNotFound);
}

TEST_F(FlagsTest, OnlyTheQuarantineOfARunIsPurged) {
  AddAndScan();
  ASSERT_EQ(Run({"prune", "-f", "--allow-large"}), kDone) << err_;
  const std::string first = WordAfter("reclaim restore ");
  tree_.Blob("nothing names me either");
  Age();
  ASSERT_EQ(Run({"scan"}), kDone) << err_;
  ASSERT_EQ(Run({"prune", "-f", "--allow-large"}), kDone) << err_;
  const std::string second = WordAfter("reclaim restore ");
  ASSERT_EQ(Run({"purge", "--run", second, "--now", "-f"}), kDone) << err_;
  EXPECT_THAT(out_, StartsWith("Freed 1 items"));
  ASSERT_EQ(Run({"quarantine", "ls", "--format", "{{.Run}}"}), kDone);
  EXPECT_THAT(out_, AllOf(HasSubstr(first), Not(HasSubstr(second))));
}

TEST_F(FlagsTest, APurgeFreesNoMoreThanItIsAskedFor) {
  AddAndScan();
  ASSERT_EQ(Run({"prune", "-f", "--allow-large"}), kDone) << err_;
  ASSERT_EQ(Run({"quarantine", "ls", "--format", "{{.Subject}}"}), kDone);
  const int before = LineCount(out_);
  ASSERT_EQ(Run({"purge", "--now", "--free", "1", "-f"}), kDone) << err_;
  EXPECT_THAT(out_, Not(HasSubstr("Freed 0 items")));
  ASSERT_EQ(Run({"quarantine", "ls", "--format", "{{.Subject}}"}), kDone);
  EXPECT_LT(LineCount(out_), before);
  EXPECT_GT(LineCount(out_), 0);
}

TEST_F(FlagsTest, WhatIsReservedStays) {
  AddAndScan();
  EXPECT_EQ(Run({"plan", "--keep-under", "1"}), kShort) << err_;
  EXPECT_THAT(out_, HasSubstr(orphan_.ToString()));
  ASSERT_EQ(Run({"plan", "--keep-under", "1", "--reserved", "1TB"}), kDone)
      << err_;
  EXPECT_THAT(out_, HasSubstr(": 0 items"));
  EXPECT_THAT(out_, HasSubstr("the store keeps the 1TB that are reserved"));
}

class ApprovalTest : public FlagsTest {
 protected:
  // A plan that waits; its id is in id_.
  void MakeWaiting(const gc::SpaceTarget& target) {
    gc::Schedule schedule;
    schedule.name = "nightly";
    schedule.cron = "30 3 * * *";
    schedule.needs_approval = true;
    schedule.request.verb = gc::PruneVerb::kSystem;
    schedule.request.target = target;
    // Of the file: whoever writes one with a command may not approve it.
    file_policies_.schedules = {schedule};
    RestartServer();
    AddAndScan();
    clock_.Advance(absl::Hours(24));
    ASSERT_THAT(scheduler_->Tick(), base::IsOk());
    ASSERT_EQ(Run({"plans", "ls", "--format", "{{.ID}} {{.State}}"}), kDone);
    ASSERT_THAT(out_, EndsWith(" waits for approval\n"));
    id_ = out_.substr(0, out_.find(' '));
  }

  std::string id_;
};

TEST_F(ApprovalTest, OnlyApproveLeavesItToSomebodyElseToApply) {
  MakeWaiting({});
  const std::string before = folder_.Snapshot();
  EXPECT_EQ(Run({"apply", id_, "-f", "--allow-large"}), kFailed);
  EXPECT_EQ(Run({"plans", "approve", id_, "--only-approve"}, "n\n", true),
            kDeclined);
  ASSERT_EQ(Run({"plans", "approve", id_, "--only-approve", "-f"}), kDone)
      << err_;
  EXPECT_EQ(folder_.Snapshot(), before);
  ASSERT_EQ(Run({"plans", "ls", "--format", "{{.State}}"}), kDone);
  EXPECT_EQ(out_, "open\n");
  ASSERT_EQ(Run({"apply", id_, "-f", "--allow-large"}), kDone) << err_;
  EXPECT_FALSE(folder_.Exists(tree_.BlobPath(orphan_)));
}

TEST_F(ApprovalTest, WhatIsApprovedIsAppliedWithItsFlags) {
  policy_.large_plan_percent = 1;
  MakeWaiting({});
  EXPECT_EQ(Run({"plans", "approve", id_, "-f"}), kFailed);
  EXPECT_THAT(err_, HasSubstr("--allow-large"));
  EXPECT_TRUE(folder_.Exists(tree_.BlobPath(orphan_)));
  ASSERT_EQ(Run({"plans", "approve", id_, "-f", "--allow-large", "--purge"}),
            kDone)
      << err_;
  EXPECT_FALSE(folder_.Exists(tree_.BlobPath(orphan_)));
  ASSERT_EQ(Run({"quarantine", "ls", "--format", "{{.Subject}}"}), kDone);
  EXPECT_EQ(out_, "");
}

TEST_F(ApprovalTest, AnApprovedPlanThatFallsShortSaysSo) {
  gc::SpaceTarget target;
  target.kind = gc::TargetKind::kKeepUnder;
  target.bytes = 1;
  MakeWaiting(target);
  EXPECT_EQ(Run({"plans", "approve", id_, "-f", "--allow-large"}), kShort)
      << err_;
  EXPECT_FALSE(folder_.Exists(tree_.BlobPath(orphan_)));
}

TEST_F(FlagsTest, AllItemsOfAPlanAreShown) {
  for (int i = 0; i < 60; ++i) tree_.Blob(absl::StrCat("orphan ", i));
  AddAndScanWhatIsThere();
  const int all = LineCount(Planned({"plan"}));
  ASSERT_GT(all, 60);
  ASSERT_EQ(Run({"plan"}), kDone);
  const std::string id = WordAfter("reclaim apply ");
  ASSERT_EQ(Run({"plans", "show", id}), kDone);
  EXPECT_THAT(out_, HasSubstr(absl::StrCat("and ", all - 50, " more (")));
  const int short_count = LineCount(out_);
  ASSERT_EQ(Run({"plans", "show", id, "--all-items"}), kDone);
  EXPECT_THAT(out_, Not(HasSubstr(" more (")));
  // But for the line that says how many are left out.
  EXPECT_EQ(LineCount(out_), short_count - 1 + all - 50);
  ASSERT_EQ(Run({"plans", "show", id, "--format", "{{.Subject}}"}), kDone);
  EXPECT_EQ(LineCount(out_), all);
  EXPECT_THAT(out_, HasSubstr("\n" + orphan_.ToString() + "\n"));
}

TEST_F(FlagsTest, AnAppliedPlanCanTellThatItWasEmpty) {
  ASSERT_EQ(Run({"store", "add", "external:e", "--name", "e"}), kDone);
  ASSERT_EQ(Run({"plan", "--json"}), kDone) << err_;
  const std::string id = nlohmann::json::parse(out_, nullptr, false)["id"];
  EXPECT_EQ(Run({"apply", id, "-f"}), kDone) << err_;
  EXPECT_EQ(Run({"apply", id, "-f", "--fail-if-empty"}), kNothing);
}

// A plan about volumes is whole, whatever is wrong with the content.
TEST_F(FlagsTest, DamageIsNoneOfAVolumesPlan) {
  AddAndScan();
  tree_.Manifest("app", "{");
  ASSERT_EQ(Run({"scan"}), kPartial);
  ASSERT_EQ(Run({"volume", "prune", "--dry-run"}), kDone) << err_;
  const std::string id = WordAfter("reclaim apply ");
  EXPECT_EQ(Run({"apply", id, "-f"}), kDone) << err_;
  ASSERT_EQ(Run({"prune", "--dry-run"}), kPartial);
  const std::string of_content = WordAfter("reclaim apply ");
  EXPECT_EQ(Run({"apply", of_content, "-f", "--allow-large"}), kPartial);
}

TEST_F(FlagsTest, AStoreThatKnowsItsContainersCanBeJudgedByThem) {
  AddAndScan();
  EXPECT_EQ(Run({"image", "prune", "-a", "--dry-run"}), kFailed);
  EXPECT_THAT(err_, HasSubstr("--containers-are-complete"));
  ASSERT_EQ(Run({"store", "rm", "hub"}), kDone) << err_;
  std::vector<std::string> add = Add();
  add.push_back("--knows-containers");
  ASSERT_EQ(Run(add), kDone) << err_;
  ASSERT_EQ(Run({"scan"}), kDone) << err_;
  EXPECT_THAT(Planned({"image", "prune", "-a", "--dry-run"}),
              HasSubstr("tag app:v1\n"));
}

TEST_F(FlagsTest, AFlatLeaseKeepsItsTargetsAlone) {
  AddAndScan();
  const std::string layer = BlobLine(oci::Digest::Sha256Of("old"));
  ASSERT_EQ(Run({"lease", "create", old_.ToString(), "--id", "l"}), kDone)
      << err_;
  EXPECT_THAT(Planned({"plan"}),
              AllOf(Not(HasSubstr(BlobLine(old_))), Not(HasSubstr(layer))));
  ASSERT_EQ(Run({"lease", "rm", "l"}), kDone);
  ASSERT_EQ(Run({"lease", "create", old_.ToString(), "--id", "l", "--flat"}),
            kDone)
      << err_;
  EXPECT_THAT(Planned({"plan"}),
              AllOf(Not(HasSubstr(BlobLine(old_))), HasSubstr(layer)));
}

TEST_F(FlagsTest, APinHasAReason) {
  AddAndScan();
  ASSERT_EQ(Run({"pin", "add", "app:v1", "--id", "p", "--reason",
                 "what we shipped in May"}),
            kDone)
      << err_;
  RestartServer();
  ASSERT_EQ(Run({"pin", "ls", "--format", "{{.ID}}: {{.Reason}}"}), kDone);
  EXPECT_EQ(out_, "p: what we shipped in May\n");
}

// The same blob lies in two layouts.
TEST_F(FlagsTest, APlaceIsOneLayoutOfAFolder) {
  store::LayoutTree one(&folder_, "layouts/one");
  store::LayoutTree two(&folder_, "layouts/two");
  one.Entry(one.Image({"a"}), "v1");
  two.Entry(two.Image({"a"}), "v1");
  const oci::Digest twice = one.Blob("in both");
  two.Blob("in both");
  Age();
  ASSERT_EQ(Run({"store", "add", "image-layout:" + folder_.path() + "/layouts",
                 "--name", "l", "--write-duration", "0s"}),
            kDone)
      << err_;
  ASSERT_EQ(Run({"scan"}), kDone) << err_;
  EXPECT_EQ(Planned({"plan"}), BlobLine(twice) + BlobLine(twice));
  const auto why = [&](const std::string& place) {
    EXPECT_EQ(Run({"why", twice.ToString(), "--place", place}), kDone) << err_;
    return out_;
  };
  ASSERT_EQ(Run({"lease", "create", twice.ToString(), "--place", "two", "--id",
                 "held"}),
            kDone)
      << err_;
  EXPECT_EQ(Planned({"plan"}), BlobLine(twice));
  EXPECT_THAT(why("one"), HasSubstr("Unreferenced"));
  EXPECT_THAT(why("two"), HasSubstr("Kept by the lease held"));
  ASSERT_EQ(Run({"lease", "rm", "held"}), kDone);
  ASSERT_EQ(
      Run({"pin", "add", twice.ToString(), "--place", "one", "--id", "pinned"}),
      kDone)
      << err_;
  EXPECT_EQ(Planned({"plan"}), BlobLine(twice));
  EXPECT_THAT(why("one"), HasSubstr("Kept by the pin pinned"));
  EXPECT_THAT(why("two"), HasSubstr("Unreferenced"));
}

TEST_F(FlagsTest, ARepeatedRequestIdRecordsNothingTwice) {
  ASSERT_EQ(Run({"store", "add", "external:e", "--name", "e"}), kDone);
  const auto volumes = [&] {
    EXPECT_EQ(Run({"volume", "ls", "-q"}), kDone) << err_;
    return out_;
  };
  const std::vector<std::string> record = {"record", "-", "--request-id", "r"};
  ASSERT_EQ(Run(record, Volume("db")), kDone) << err_;
  EXPECT_EQ(volumes(), "db\n");
  ASSERT_EQ(Run({"volume", "prune", "-a", "-f"}), kDone) << err_;
  EXPECT_EQ(volumes(), "");
  ASSERT_EQ(Run(record, Volume("db")), kDone) << err_;
  EXPECT_EQ(volumes(), "") << "it was recorded a second time";
  ASSERT_EQ(Run({"record", "-", "--request-id", "s"}, Volume("db")), kDone);
  EXPECT_EQ(volumes(), "db\n");
}

class EventsTest : public FlagsTest {
 protected:
  // Three volumes were recorded; all before the first is passed by.
  void SetUp() override {
    FlagsTest::SetUp();
    ASSERT_EQ(Run({"store", "add", "external:e", "--name", "e"}), kDone);
    RecordVolume("zero");
    ASSERT_EQ(Run({"events", "--format", "{{.Sequence}} {{.Subject}}"}), kDone);
    ASSERT_THAT(out_, EndsWith(" zero\n"));
    const std::vector<std::string> lines = absl::StrSplit(out_, '\n');
    const std::string& last = lines[lines.size() - 2];
    since_ = last.substr(0, last.find(' '));
    RecordVolume("one");
  }

  std::string since_;
};

TEST_F(EventsTest, SinceAndLimitBoundThem) {
  const std::vector<std::string> base = {"events", "--since", since_,
                                         "--format", "{{.Subject}}"};
  ASSERT_EQ(Run(base), kDone) << err_;
  EXPECT_EQ(out_, "one\n");
  RecordVolume("two");
  ASSERT_EQ(Run(base), kDone) << err_;
  EXPECT_EQ(out_, "one\ntwo\n");
  ASSERT_EQ(Run({"events", "--since", since_, "--limit", "1", "--format",
                 "{{.Kind}} {{.Subject}}"}),
            kDone)
      << err_;
  EXPECT_EQ(out_, "added one\n");
  EXPECT_EQ(Run({"events", "--since", "99999999"}), kFailed);
  EXPECT_THAT(err_, HasSubstr("past the newest row"));
}

TEST_F(EventsTest, WhoFollowsGetsWhatComesLater) {
  int flushes = 0;
  const auto go_on = [&](const std::string& printed) {
    if (++flushes == 1) {
      EXPECT_EQ(printed, "one\n");
      RecordVolume("two");
    } else {
      server_->Shutdown(absl::ZeroDuration());
    }
  };
  EXPECT_EQ(Follow({"events", "--follow", "--since", since_, "--format",
                    "{{.Subject}}"},
                   go_on),
            kFailed)
      << "it ended by itself";
  EXPECT_EQ(out_, "one\ntwo\n");
}

TEST_F(EventsTest, WhoFollowsCanHaveEnough) {
  int flushes = 0;
  const auto go_on = [&](const std::string&) {
    if (++flushes == 1) {
      RecordVolume("two");
      RecordVolume("three");
    } else {
      server_->Shutdown(absl::ZeroDuration());
    }
  };
  EXPECT_EQ(Follow({"events", "--follow", "--limit", "2", "--since", since_,
                    "--format", "{{.Subject}}"},
                   go_on),
            kDone)
      << err_;
  EXPECT_EQ(out_, "one\ntwo\n");
}

TEST_F(FlagsTest, RunsAreListedUpToALimit) {
  AddAndScan();
  ASSERT_EQ(Run({"scan"}), kDone);
  ASSERT_EQ(Run({"runs", "ls", "--format", "{{.ID}}"}), kDone);
  ASSERT_EQ(LineCount(out_), 2);
  const std::string newest = out_.substr(0, out_.find('\n') + 1);
  ASSERT_EQ(Run({"runs", "ls", "--limit", "1", "--format", "{{.ID}}"}), kDone);
  EXPECT_EQ(out_, newest);
}

class AuditFlagsTest : public FlagsTest {
 protected:
  void SetUp() override {
    auto log = rpc::AuditLog::Open({socket_folder_.path() + "/audit"}, &clock_);
    ASSERT_THAT(log, base::IsOk());
    log_ = *std::move(log);
    audit_ = log_.get();
    FlagsTest::SetUp();
  }

  std::unique_ptr<rpc::AuditLog> log_;
};

TEST_F(AuditFlagsTest, TheNewestRecordsUpToALimit) {
  AddAndScan();
  ASSERT_EQ(Run({"pin", "add", "app:v1", "--id", "p"}), kDone);
  // To look is on record as well, before it is looked at.
  ASSERT_EQ(Run({"audit", "ls", "--limit", "3"}), kDone) << err_;
  EXPECT_EQ(LineCount(out_), 3);
  EXPECT_THAT(out_, HasSubstr("CreatePin"));
  ASSERT_EQ(Run({"audit", "ls"}), kDone) << err_;
  EXPECT_GT(LineCount(out_), 3);
  ASSERT_EQ(Run({"audit", "ls", "--limit", "1"}), kDone) << err_;
  EXPECT_EQ(LineCount(out_), 1);
  EXPECT_THAT(out_, HasSubstr("ListAudit"));
  EXPECT_EQ(Run({"audit", "ls", "--limit", "0"}), kUsage);
}

TEST_F(FlagsTest, ATreeIsCutAtADepth) {
  AddAndScan();
  ASSERT_EQ(Run({"tree", "app:v1"}), kDone) << err_;
  EXPECT_THAT(out_, HasSubstr("\n    layer "));
  EXPECT_EQ(err_, "");
  ASSERT_EQ(Run({"tree", "app:v1", "--depth", "1"}), kDone) << err_;
  EXPECT_THAT(out_, HasSubstr("\n  manifest " + kept_.ToString()));
  EXPECT_THAT(out_, Not(HasSubstr("layer ")));
  EXPECT_EQ(err_, "... (--depth shows more)\n");
}

class PlatformsTest : public FlagsTest {
 protected:
  // An entry of an index, for an image that says what it was made for.
  std::string Entry(const std::string& architecture) {
    const oci::Digest layer =
        tree_.Layer("multi", "the files of " + architecture);
    const oci::Digest config = tree_.Layer(
        "multi",
        absl::StrCat(R"({"os":"linux","architecture":")", architecture,
                     R"(","history":[{"created_by":"made for )", architecture,
                     R"("}],"rootfs":{"type":"layers","diff_ids":[")",
                     layer.ToString(), R"("]}})"));
    const oci::Digest image =
        tree_.Manifest("multi", store::ImageText({config, layer}));
    return absl::StrCat(
        R"({"mediaType":"application/vnd.oci.image.manifest.v1+json",)",
        R"("size":1,"digest":")", image.ToString(),
        R"(","platform":{"os":"linux","architecture":")", architecture,
        R"("}})");
  }
  void SetUp() override {
    FlagsTest::SetUp();
    const std::string index = absl::StrCat(
        R"({"schemaVersion":2,"mediaType":)",
        R"("application/vnd.oci.image.index.v1+json","manifests":[)",
        Entry("amd64"), ",", Entry("arm64"), "]}");
    tree_.Tag("multi", "v1", tree_.Manifest("multi", index));
    AddSingle();
    AddAndScanWhatIsThere();
  }
  // Images that no index names.
  void AddSingle() {
    const oci::Digest layer = tree_.Layer("single", "the files of arm");
    const oci::Digest config = tree_.Layer(
        "single",
        absl::StrCat(R"({"os":"linux","architecture":"arm","variant":"v7",)",
                     R"("history":[{"created_by":"made for arm"}],)",
                     R"("rootfs":{"type":"layers","diff_ids":[")",
                     layer.ToString(), R"("]}})"));
    tree_.Tag("single", "v1",
              tree_.Manifest("single", store::ImageText({config, layer})));
    const oci::Digest artifact = tree_.Layer("artifact", "{}");
    tree_.Tag("artifact", "v1",
              tree_.Manifest("artifact", store::ImageText({artifact})));
  }
  // The second manifest of multi:v1.
  std::string Arm64() {
    EXPECT_EQ(Run({"image", "ls", "-a", "--no-trunc", "--format",
                   "{{.Digest}} {{.Platforms}}"}),
              kDone);
    for (const auto line : absl::StrSplit(out_, '\n')) {
      if (absl::EndsWith(line, " linux/arm64")) {
        return std::string(line.substr(0, line.find(' ')));
      }
    }
    return out_;
  }
};

TEST_F(PlatformsTest, AHistoryIsThatOfThePlatform) {
  for (const char* command : {"history", "image history"}) {
    std::vector<std::string> words = absl::StrSplit(command, ' ');
    words.insert(words.end(), {"multi:v1", "--platform", "linux/amd64"});
    ASSERT_EQ(Run(words), kDone) << err_;
    EXPECT_THAT(out_, HasSubstr("made for amd64"));
    words.back() = "linux/arm64";
    ASSERT_EQ(Run(words), kDone) << err_;
    EXPECT_THAT(out_, HasSubstr("made for arm64"));
    EXPECT_THAT(out_, Not(HasSubstr("made for amd64")));
  }
  EXPECT_EQ(Run({"history", "multi:v1", "--platform", "linux/s390x"}),
            kNotFound);
  EXPECT_THAT(err_, HasSubstr("no manifest for linux/s390x"));
}

TEST_F(PlatformsTest, AnImageOfOneManifestIsOfOnePlatform) {
  const auto history = [&](const std::string& platform) {
    return Run({"history", "single:v1", "--platform", platform});
  };
  for (const char* platform : {"linux/arm", "linux/arm/v7", "linux"}) {
    ASSERT_EQ(history(platform), kDone) << platform << ": " << err_;
    EXPECT_THAT(out_, HasSubstr("made for arm")) << platform;
  }
  for (const char* platform :
       {"linux/amd64", "linux/arm/v6", "linux/ar", "windows/arm/v7"}) {
    EXPECT_EQ(history(platform), kNotFound) << platform;
    EXPECT_THAT(err_, HasSubstr("is for linux/arm/v7")) << platform;
    EXPECT_THAT(err_, HasSubstr(platform));
    EXPECT_EQ(out_, "") << platform;
  }
  // A manifest of an index, by its digest, is asked as well.
  const std::string arm64 = Arm64();
  EXPECT_EQ(Run({"history", arm64, "--platform", "linux/arm64"}), kDone)
      << err_;
  EXPECT_EQ(Run({"history", arm64, "--platform", "linux/arm64/v8"}), kDone);
  EXPECT_EQ(Run({"history", arm64, "--platform", "linux/amd64"}), kNotFound);
  // An artifact is for none.
  EXPECT_EQ(Run({"history", "artifact:v1"}), kDone) << err_;
  EXPECT_EQ(Run({"history", "artifact:v1", "--platform", "linux/arm64"}),
            kNotFound);
  EXPECT_THAT(err_, HasSubstr("is for no platform"));
}

TEST_F(PlatformsTest, ATreeIsNoTableOfOtherColumns) {
  for (const std::vector<std::string>& flags :
       std::vector<std::vector<std::string>>{
           {"-q"}, {"--format", "{{.ID}}"}, {"--digests"}, {"--no-trunc"}}) {
    std::vector<std::string> words = {"image", "ls", "--tree"};
    words.insert(words.end(), flags.begin(), flags.end());
    EXPECT_EQ(Run(words), kUsage) << flags[0];
    EXPECT_THAT(err_, HasSubstr("--tree")) << flags[0];
    EXPECT_EQ(out_, "") << flags[0];
  }
}

TEST_F(PlatformsTest, AllImagesAreThoseOfAnIndexAsWell) {
  ASSERT_EQ(Run({"images", "multi:v1", "-q"}), kDone) << err_;
  EXPECT_EQ(LineCount(out_), 1);
  ASSERT_EQ(Run({"images", "-q"}), kDone) << err_;
  const int listed = LineCount(out_);
  ASSERT_EQ(Run({"images", "-q", "-a"}), kDone) << err_;
  EXPECT_EQ(LineCount(out_), listed + 2);
}

TEST_F(FlagsTest, RulesAreTestedWithAnotherGraceAndForWhatGoes) {
  tree_.Tag("app", "stable", kept_);
  AddAndScanWhatIsThere();
  const std::string rules =
      R"({"name":"team","rules":[{"name":"new","tags":["v*"],)"
      R"("keep_pushed_within":"3600s"}]})";
  const auto decide = [&](std::vector<std::string> flags) {
    std::vector<std::string> test = {"policy", "test", "-", "--format",
                                     "{{.Tag}} {{.Verdict}}"};
    test.insert(test.end(), flags.begin(), flags.end());
    EXPECT_EQ(Run(test, rules), kDone) << err_;
    return out_;
  };
  EXPECT_EQ(decide({}), "stable stays\nv1 goes\n");
  EXPECT_EQ(decide({"--going"}), "v1 goes\n");
  EXPECT_THAT(err_, HasSubstr("1 of 2 tags would go"));
  EXPECT_EQ(decide({"--grace", "999h"}), "stable stays\nv1 goes\n");
  EXPECT_EQ(decide({"--grace", "1001h"}), "stable stays\nv1 stays\n");
  EXPECT_EQ(Run({"policy", "test", "--grace", "1001h", "--going"}), kDone);
  EXPECT_EQ(Run({"policy", "test", "--grace", "long"}), kUsage);
}

TEST_F(FlagsTest, TopShowsAsManyAsAreAskedFor) {
  AddAndScan();
  ASSERT_EQ(Run({"top", "--format", "{{.Kind}} {{.Name}}"}), kDone) << err_;
  ASSERT_EQ(LineCount(out_), 2);
  const std::string first = out_.substr(0, out_.find('\n') + 1);
  for (const char* flag : {"-n", "--count"}) {
    ASSERT_EQ(Run({"top", flag, "1", "--format", "{{.Kind}} {{.Name}}"}), kDone)
        << err_;
    EXPECT_EQ(out_, first);
  }
  ASSERT_EQ(Run({"top", "--kind", "tag", "--format", "{{.Kind}} {{.Name}}"}),
            kDone);
  EXPECT_EQ(out_, "tag app:v1\n");
  EXPECT_EQ(Run({"top", "-n", "0"}), kUsage);
}

// Of what was changed since it was read nothing is written over or deleted.
TEST_F(FlagsTest, AnEtagIsThatOfWhatWasRead) {
  const std::vector<std::vector<std::string>> sets = {
      {"policy", "set", "-"},
      {"schedule", "set", "x", "--every", "6h", "--action", "scan"},
      {"tenant", "set", "x", "--repository", "app"},
      {"quota", "set", "x", "--limit", "1GB"}};
  const std::string rules =
      R"({"name":"x","rules":[{"name":"r","keep_newest":5}]})";
  for (std::vector<std::string> set : sets) {
    const std::string kind = set[0];
    ASSERT_EQ(Run(set, rules), kDone) << kind << ": " << err_;
    ASSERT_EQ(Run({kind, "get", "x"}), kDone) << err_;
    const std::string etag = Etag();
    ASSERT_NE(etag, "") << out_;
    set.insert(set.end(), {"--etag", "another"});
    EXPECT_EQ(Run(set, rules), kBusy) << kind;
    set.back() = etag;
    EXPECT_EQ(Run(set, rules), kDone) << kind << ": " << err_;
    EXPECT_EQ(Run({kind, "rm", "x", "--etag", "another"}), kBusy) << kind;
    ASSERT_EQ(Run({kind, "get", "x"}), kDone) << kind;
    EXPECT_EQ(Run({kind, "rm", "x", "--etag", Etag()}), kDone) << err_;
    EXPECT_EQ(Run({kind, "get", "x"}), kNotFound) << kind;
  }
}

TEST_F(FlagsTest, AnonymousVolumesGoWithTheRestIfThatIsSaid) {
  ASSERT_EQ(Run({"store", "add", "external:e", "--name", "e"}), kDone);
  const std::string lines =
      R"({"putVolume":{"name":"none","isAnonymous":true}})"
      "\n" +
      Volume("named");
  ASSERT_EQ(Run({"record", "-"}, lines), kDone) << err_;
  EXPECT_EQ(Planned({"system", "prune", "--dry-run"}), "");
  EXPECT_EQ(Planned({"system", "prune", "--volumes", "--dry-run"}),
            "volume none\n");
}

TEST_F(FlagsTest, TheVersionIsAFlagAndACommand) {
  ASSERT_EQ(Run({"version"}), kDone);
  EXPECT_THAT(out_, StartsWith("reclaim "));
  const std::string version = out_;
  ASSERT_EQ(Run({"--version"}), kDone);
  EXPECT_EQ(out_, version);
}

}  // namespace
}  // namespace reclaim::cli
