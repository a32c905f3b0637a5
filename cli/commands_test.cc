// The whole command line against a whole service.

#include "cli/commands.h"

#include <algorithm>
#include <filesystem>
#include <memory>
#include <sstream>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/status_matchers.h"
#include "cli/command_fixture.h"
#include "index/memory_engine.h"
#include "rpc/server.h"
#include "rpc/service_parts.h"
#include "store/testing/store_tree.h"

namespace reclaim::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class CommandsTest : public CommandFixture {};

TEST_F(CommandsTest, DfOfAnEmptyServiceIsDockers) {
  ASSERT_EQ(Run({"system", "df"}), kDone) << err_;
  EXPECT_THAT(out_, ::testing::StartsWith(
                        "TYPE            TOTAL     ACTIVE    SIZE      "
                        "RECLAIMABLE\n"
                        "Images          0         0         0B        0B\n"
                        "Containers      0         0         0B        0B\n"
                        "Local Volumes   0         0         0B        0B\n"
                        "Build Cache     0         0         0B        0B\n"));
}

TEST_F(CommandsTest, AFirstSession) {
  AddAndScan();
  const std::string before = folder_.Snapshot();
  ASSERT_EQ(Run({"df"}), kDone);
  EXPECT_THAT(out_, HasSubstr("Images          2         0"));
  ASSERT_EQ(Run({"df", "-v"}), kDone);
  EXPECT_THAT(out_, HasSubstr("Images space usage:"));
  EXPECT_THAT(out_, HasSubstr("app          v1"));
  ASSERT_EQ(Run({"df", "--by", "repository"}), kDone);
  EXPECT_THAT(out_, HasSubstr("app"));
  ASSERT_EQ(Run({"images"}), kDone);
  EXPECT_THAT(out_, HasSubstr("REPOSITORY   TAG"));
  ASSERT_EQ(Run({"history", "app:v1"}), kDone) << err_;
  EXPECT_THAT(out_, HasSubstr("<missing>"));
  ASSERT_EQ(Run({"tree", "app:v1"}), kDone);
  EXPECT_THAT(out_, HasSubstr("  manifest " + kept_.ToString()));
  ASSERT_EQ(Run({"what-if", "app:v1"}), kDone);
  EXPECT_THAT(out_, HasSubstr("Would go: "));

  ASSERT_EQ(Run({"system", "prune", "--dry-run"}), kDone);
  EXPECT_THAT(out_, HasSubstr(orphan_.ToString()));
  EXPECT_THAT(out_, HasSubstr("unreferenced"));
  EXPECT_THAT(out_, Not(HasSubstr(kept_.ToString())));
  EXPECT_EQ(folder_.Snapshot(), before);

  ASSERT_EQ(Run({"why", kept_.ToString()}), kDone);
  EXPECT_THAT(out_, HasSubstr("Kept by the tag app:v1"));
  ASSERT_EQ(Run({"why", orphan_.hex().substr(0, 12)}), kDone);
  EXPECT_THAT(out_, HasSubstr("Unreferenced"));

  ASSERT_EQ(Run({"system", "prune", "--force", "--allow-large"}), kDone)
      << err_;
  EXPECT_THAT(out_, HasSubstr("deleted: " + orphan_.ToString()));
  EXPECT_THAT(out_, HasSubstr("\nTotal reclaimed space: "));
  const std::string run = WordAfter("reclaim restore ");
  ASSERT_EQ(Run({"quarantine", "ls"}), kDone);
  EXPECT_THAT(out_, HasSubstr(run));
  ASSERT_EQ(Run({"restore", run}), kDone) << err_;
  EXPECT_EQ(folder_.Snapshot(), before);
  ASSERT_EQ(Run({"verify"}), kDone) << out_;
  EXPECT_THAT(out_, HasSubstr("0 findings"));
  // The tree says of each part that it has one byte.
  ASSERT_EQ(Run({"verify", "--read-data"}), kDone) << out_;
  EXPECT_THAT(out_, HasSubstr("warning: declared-size " +
                              oci::Digest::Sha256Of("base").ToString()));
  EXPECT_THAT(out_, HasSubstr(", 0 of them damage"));

  ASSERT_EQ(Run({"prune", "-f", "--allow-large", "--purge"}), kDone) << err_;
  ASSERT_EQ(Run({"quarantine", "ls"}), kDone);
  EXPECT_THAT(out_, Not(HasSubstr("sha256")));
  ASSERT_EQ(Run({"runs", "ls"}), kDone);
  EXPECT_THAT(out_, HasSubstr("purge"));
  EXPECT_THAT(out_, HasSubstr("restore"));
  ASSERT_EQ(Run({"events", "--kind", "purged"}), kDone);
  EXPECT_THAT(out_, HasSubstr(orphan_.ToString()));
}

TEST_F(CommandsTest, PlansAreMadeListedAndApplied) {
  AddAndScan();
  ASSERT_EQ(Run({"plan"}), kDone) << err_;
  const std::string id = WordAfter("reclaim apply ");
  ASSERT_EQ(Run({"plans", "ls"}), kDone);
  EXPECT_THAT(out_, HasSubstr(id));
  ASSERT_EQ(Run({"plans", "show", id}), kDone);
  ASSERT_EQ(Run({"apply", id, "-f", "--allow-large"}), kDone) << err_;
  EXPECT_EQ(Run({"apply", id, "-f"}), kFailed) << "it was applied";
  ASSERT_EQ(Run({"plans", "rm", id}), kDone);
  EXPECT_EQ(Run({"plans", "show", id}), kNotFound);
  ASSERT_EQ(Run({"purge", "--now", "-f"}), kDone) << err_;
  EXPECT_THAT(out_, HasSubstr("Freed "));
}

TEST_F(CommandsTest, NothingIsRemovedWithoutAYes) {
  AddAndScan();
  const std::string before = folder_.Snapshot();
  EXPECT_EQ(Run({"prune"}), kUsage) << "nobody can be asked";
  EXPECT_EQ(Run({"prune"}, "n\n", true), kDeclined);
  EXPECT_THAT(err_, HasSubstr("WARNING! This will remove:"));
  EXPECT_THAT(err_, HasSubstr("Are you sure you want to continue? [y/N]"));
  EXPECT_EQ(Run({"prune"}, "", true), kDeclined);
  EXPECT_EQ(folder_.Snapshot(), before);
  EXPECT_EQ(Run({"prune", "--allow-large"}, "y\n", true), kDone) << err_;
  EXPECT_NE(folder_.Snapshot(), before);
}

TEST_F(CommandsTest, AnImageIsRemovedByName) {
  AddAndScan();
  const std::string before = folder_.Snapshot();
  EXPECT_EQ(Run({"image", "rm", "app:v1", "--allow-large"}), kUsage)
      << "nobody can be asked";
  EXPECT_EQ(Run({"image", "rm", "app:v1"}, "n\n", true), kDeclined);
  EXPECT_THAT(err_, HasSubstr("tag app:v1\n"));
  EXPECT_THAT(err_, HasSubstr("only they keep:\n  - app:v1\nAre you sure"));
  EXPECT_EQ(folder_.Snapshot(), before);
  ASSERT_EQ(Run({"image", "rm", "app:v1", "--allow-large", "-f"}), kDone)
      << err_;
  EXPECT_THAT(out_, HasSubstr("untagged: app:v1"));
  EXPECT_EQ(Run({"image", "rm", "app:v1", "-f"}), kNotFound);
  EXPECT_EQ(Run({"restore", "--ref", "app:v1"}), kDone) << err_;
}

// `images` shows the config's digest, cut short: Docker's image ID.
TEST_F(CommandsTest, AnImageIsRemovedByItsId) {
  AddAndScan();
  ASSERT_EQ(Run({"images", "--format", "{{.Tag}} {{.ID}}"}), kDone) << err_;
  const std::string id = WordAfter("v1 ");
  ASSERT_EQ(id.size(), 12u) << out_;
  EXPECT_EQ(Run({"image", "rm", id.substr(0, 11), "-f"}), kNotFound);
  EXPECT_EQ(Run({"image", "rm", "000000000000", "-f"}), kNotFound);
  ASSERT_EQ(Run({"what-if", id}), kDone) << err_;
  ASSERT_EQ(Run({"image", "rm", id, "-f", "--allow-large"}), kDone) << err_;
  EXPECT_THAT(out_, HasSubstr("untagged: app:v1\n"));
  EXPECT_THAT(out_, HasSubstr("deleted: " + kept_.ToString()));
  EXPECT_EQ(Run({"restore", "--ref", "app:v1"}), kDone) << err_;
  const std::string digits = kept_.hex().substr(0, 12);
  ASSERT_EQ(Run({"image", "rm", "sha256:" + digits, "-f", "--allow-large"}),
            kDone)
      << err_;
  EXPECT_THAT(out_, HasSubstr("untagged: app:v1\n"));
}

TEST_F(CommandsTest, WhyLeavesOutTheMiddleOfALongPath) {
  const oci::Digest layer = oci::Digest::Sha256Of("new");
  oci::Digest top = kept_;
  for (int i = 0; i < 60; ++i) {
    top = tree_.Manifest("deep", store::IndexText({top}));
  }
  tree_.Tag("deep", "top", top);
  std::filesystem::remove_all(
      folder_.path() + "/docker/registry/v2/repositories/app/_manifests/tags");
  Age();
  ASSERT_EQ(Run({"store", "add", "registry:" + folder_.path(), "--name", "hub",
                 "--descriptor-cache", "none", "--write-duration", "0s"}),
            kDone);
  // Each names the next as an image, which is told and changes nothing.
  ASSERT_EQ(Run({"scan"}), kPartial) << err_;
  ASSERT_EQ(Run({"why", layer.ToString(), "--paths", "1"}), kDone) << err_;
  // A tag, 60 indexes, an image, a layer: the ends are there.
  EXPECT_THAT(out_, HasSubstr("\n  tag deep:top\n    "));
  EXPECT_THAT(out_, HasSubstr(kept_.ToString()));
  EXPECT_THAT(out_, HasSubstr("... 43 levels more (--json shows them)\n"));
  EXPECT_EQ(std::count(out_.begin(), out_.end(), '\n'), 3 + 21);
  ASSERT_EQ(Run({"why", layer.ToString(), "--paths", "1", "--json"}), kDone);
  size_t count = 0;
  for (size_t at = 0; (at = out_.find("\"digest\"", at)) != std::string::npos;
       ++at) {
    ++count;
  }
  EXPECT_GE(count, 62u);
}

TEST_F(CommandsTest, DfTellsWhatItsRowsDoNotSay) {
  ASSERT_EQ(Run({"store", "add", "registry:" + folder_.path(), "--name", "hub",
                 "--descriptor-cache", "none", "--write-duration", "0s"}),
            kDone);
  ASSERT_EQ(Run({"df"}), kDone);
  EXPECT_THAT(err_, HasSubstr("store hub: never scanned; run `reclaim "
                              "scan hub` first\n"));
  ASSERT_EQ(Run({"scan"}), kDone) << err_;
  ASSERT_EQ(Run({"df"}), kDone);
  EXPECT_EQ(err_, "");
}

TEST_F(CommandsTest, WhatStaysHidesNothingThatGoes) {
  AddAndScan();
  ASSERT_EQ(Run({"plan", "-a", "--containers-are-complete"}), kDone) << err_;
  const std::string plan = WordAfter("reclaim apply ");
  // Its bytes are written anew: they stay, and its name goes.
  const std::string path = tree_.BlobPath(kept_);
  folder_.Write(path, folder_.Read(path));
  EXPECT_EQ(Run({"apply", plan, "--force", "--allow-large"}), kDone) << err_;
  EXPECT_THAT(out_, HasSubstr("untagged: app:v1\n"));
  EXPECT_THAT(out_, Not(HasSubstr("deleted: " + kept_.ToString())));
  EXPECT_THAT(out_, HasSubstr("deleted: " + old_.ToString()));
  EXPECT_THAT(err_, HasSubstr("kept blob " + kept_.ToString()));
}

TEST_F(CommandsTest, ATagThatARestoreLeavesIsTold) {
  AddAndScan();
  ASSERT_EQ(Run({"image", "rm", "app:v1", "-f", "--allow-large"}), kDone);
  tree_.Image("app", "v1", {"pushed meanwhile"});
  ASSERT_EQ(Run({"scan"}), kDone) << err_;
  EXPECT_EQ(Run({"restore", "--ref", "app:v1"}), kPartial) << err_;
  EXPECT_THAT(err_, HasSubstr("left tag app:v1"));
}

TEST_F(CommandsTest, WhatAPurgeCannotProveIsTold) {
  ASSERT_EQ(Run({"store", "add", "registry:" + folder_.path(), "--name", "hub",
                 "--descriptor-cache", "none", "--write-duration", "1h"}),
            kDone)
      << err_;
  ASSERT_EQ(Run({"prune", "-f", "--allow-large"}), kDone) << err_;
  EXPECT_EQ(Run({"purge", "--now", "-f"}), kPartial) << err_;
  EXPECT_THAT(out_, HasSubstr("Freed 0 items"));
  clock_.Advance(absl::Hours(2));
  EXPECT_EQ(Run({"purge", "--now", "-f"}), kDone) << err_;
  EXPECT_THAT(out_, Not(HasSubstr("Freed 0 items")));
}

TEST_F(CommandsTest, WhatDamageKeepsIsTold) {
  AddAndScan();
  tree_.Manifest("app", "{");
  ASSERT_EQ(Run({"scan"}), kPartial);
  // A preview ends as the deed would.
  EXPECT_EQ(Run({"prune", "--dry-run"}), kPartial) << err_;
  EXPECT_EQ(Run({"plan"}), kPartial) << err_;
  EXPECT_THAT(err_, HasSubstr("is kept as it is"));
  EXPECT_EQ(Run({"volume", "prune", "--dry-run"}), kDone) << "no content";
  EXPECT_EQ(Run({"prune", "-f", "--allow-large"}), kPartial) << err_;
  EXPECT_THAT(err_, HasSubstr("is kept as it is"));
  EXPECT_EQ(Run({"prune", "-f", "--fail-if-empty"}), kPartial);
  EXPECT_EQ(Run({"prune", "-f", "--allow-partial"}), kDone);
  EXPECT_EQ(Run({"prune", "--dry-run", "--allow-partial"}), kDone);
  EXPECT_EQ(Run({"volume", "prune", "-f"}), kDone) << "no content";
}

TEST_F(CommandsTest, ADaemonThatIsLoadingIsWaitedFor) {
  server_->Shutdown(absl::ZeroDuration());
  server_.reset();
  rpc::ServiceParts parts;
  parts.clock = &clock_;
  parts.random = &random_;
  rpc::ServerOptions options;
  options.unix_socket = rpc::UnixSocket{-1, SocketPath()};
  auto server = rpc::Server::Start(options, parts);
  ASSERT_THAT(server, base::IsOk());
  server_ = *std::move(server);
  int waits = 0;
  Terminal patient;
  patient.wait = [&waits](absl::Duration) { ++waits; };
  EXPECT_EQ(RunOn(patient, {"store", "ls"}), kFailed) << "it never ends";
  EXPECT_THAT(err_, HasSubstr("is being loaded"));
  EXPECT_EQ(waits, 40);
  waits = 0;
  patient.wait = [&](absl::Duration) {
    if (++waits == 3) server_->Open(Parts());
  };
  EXPECT_EQ(RunOn(patient, {"store", "add", "external:e", "--name", "e"}),
            kDone)
      << err_;
  EXPECT_EQ(waits, 3);
}

class RateTest : public CommandFixture {
 protected:
  RateTest() {
    server_options_.tcp_address = "127.0.0.1:0";
    server_options_.is_insecure = true;
    server_options_.calls.peer_calls_per_second = 1;
  }
};

TEST_F(RateTest, WhoAsksTooOftenWaits) {
  int waits = 0;
  std::istringstream in;
  std::ostringstream out;
  std::ostringstream err;
  Terminal patient;
  patient.in = &in;
  patient.out = &out;
  patient.err = &err;
  patient.now = [this] { return clock_.Now(); };
  patient.wait = [&](absl::Duration span) {
    ++waits;
    clock_.Advance(span);
  };
  const std::string host = absl::StrCat("127.0.0.1:", server_->tcp_port());
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(waits, 0);
    EXPECT_EQ(RunCli({"--host", host, "store", "ls"}, patient), kDone)
        << err.str();
  }
  EXPECT_EQ(waits, 4) << "a second, in pieces";
}

TEST_F(CommandsTest, LeasesPinsAndRecords) {
  ASSERT_EQ(Run({"store", "add", "external:e", "--name", "e"}), kDone) << err_;
  const std::string lines =
      "{\"putVolume\":{\"name\":\"db\",\"sizeBytes\":\"5\"}}\n"
      "\n{\"putContainer\":{\"id\":\"c1\",\"name\":\"web\",\"volumes\":[\"db\"]"
      "}}\n";
  ASSERT_EQ(Run({"record", "-"}, lines), kDone) << err_;
  EXPECT_THAT(out_, HasSubstr("Recorded 2 changes"));
  EXPECT_EQ(Run({"record", "-"}, "{\"putNonsense\":{}}\n"), kUsage);
  EXPECT_THAT(err_, HasSubstr("-:1: "));
  ASSERT_EQ(Run({"lease", "create", orphan_.ToString(), "--id", "l",
                 "--expires", "1h"}),
            kDone)
      << err_;
  ASSERT_EQ(Run({"lease", "extend", "l", "--expires", "2h"}), kDone);
  ASSERT_EQ(Run({"lease", "ls"}), kDone);
  EXPECT_THAT(out_, HasSubstr("l "));
  ASSERT_EQ(Run({"lease", "rm", "l"}), kDone);
  EXPECT_EQ(Run({"lease", "rm", "l"}), kNotFound);
  ASSERT_EQ(Run({"volume", "prune", "-a", "-f"}), kDone) << err_;
  EXPECT_THAT(out_, HasSubstr("Total reclaimed space: 0B"))
      << "a container uses it";
  ASSERT_EQ(Run({"why", "volume/db"}), kDone);
  ASSERT_EQ(Run({"why", "container/c1"}), kDone) << err_;
  const std::string by_id = out_;
  ASSERT_EQ(Run({"why", "container/web"}), kDone) << err_;
  EXPECT_EQ(out_, by_id);
  EXPECT_EQ(Run({"why", "container/nobody"}), kNotFound);
  ASSERT_EQ(Run({"df", "-v"}), kDone);
  EXPECT_THAT(out_, HasSubstr("db            1         5B"));
}

TEST_F(CommandsTest, PoliciesAndSchedules) {
  AddAndScan();
  const std::string set =
      "{\"name\":\"team\",\"rules\":[{\"name\":\"none\",\"tags\":[\"v*\"],"
      "\"keep_pushed_within\":\"3600s\"}]}";
  EXPECT_EQ(Run({"policy", "set", "-"}, set), kFailed);
  EXPECT_THAT(err_, HasSubstr("would take every tag of 1 repositories"));
  EXPECT_EQ(Run({"policy", "set", "-"}, "{\"nonsense\":1}"), kUsage);
  std::string allowed = set;
  allowed.insert(1, "\"allow_remove_all\":true,");
  ASSERT_EQ(Run({"policy", "set", "-"}, allowed), kDone) << err_;
  ASSERT_EQ(Run({"policy", "ls", "--format", "{{.Name}} {{.Rules}}"}), kDone);
  EXPECT_EQ(out_, "team 1\n");
  ASSERT_EQ(Run({"policy", "get", "team"}), kDone);
  const std::string printed = out_;
  ASSERT_EQ(Run({"policy", "set", "-"}, printed), kDone) << err_;
  ASSERT_EQ(Run({"policy", "test"}), kDone) << err_;
  EXPECT_THAT(out_, HasSubstr("team/none"));
  EXPECT_THAT(out_, HasSubstr("pushed 41d16h ago"));
  EXPECT_THAT(err_, HasSubstr("1 of 1 tags would go; nothing was changed"));
  ASSERT_EQ(Run({"plan", "--rules"}), kDone) << err_;
  EXPECT_THAT(out_, HasSubstr("rule team/none: pushed 41d16h ago"));
  ASSERT_EQ(Run({"policy", "rm", "team"}), kDone);
  EXPECT_EQ(Run({"policy", "get", "team"}), kNotFound);
  EXPECT_EQ(
      Run({"schedule", "set", "-"}, "{\"name\":\"n\",\"cron\":\"0 0 31 2 *\"}"),
      kUsage);
  EXPECT_THAT(err_, HasSubstr("never comes"));
  ASSERT_EQ(
      Run({"schedule", "set", "-"}, "{\"name\":\"n\",\"cron\":\"0 3 * * *\"}"),
      kDone)
      << err_;
  EXPECT_EQ(out_, "n runs next at 2026-01-03 03:00:00 UTC\n");
  ASSERT_EQ(Run({"schedule", "run", "n"}), kDone) << err_;
  ASSERT_EQ(Run({"schedule", "ls"}), kDone);
  EXPECT_THAT(out_, HasSubstr("succeeded"));
  ASSERT_EQ(Run({"schedule", "pause", "n"}), kDone);
  ASSERT_EQ(Run({"schedule", "ls", "--format", "{{.Next}}"}), kDone);
  EXPECT_EQ(out_, "paused\n");
  ASSERT_EQ(Run({"schedule", "resume", "n"}), kDone);
  ASSERT_EQ(Run({"schedule", "rm", "n"}), kDone);
  EXPECT_EQ(Run({"plans", "approve", "0000000000000000", "-f"}), kNotFound);
}

TEST_F(CommandsTest, ALayoutNamesItsEntriesAsItLikes) {
  store::TempFolder elsewhere;
  store::LayoutTree layout(&elsewhere, "app");
  layout.Entry(layout.Image({"one"}), "localhost:5000/team/app:v1");
  ASSERT_EQ(Run({"store", "add", "image-layout:" + elsewhere.path(), "--name",
                 "layouts"}),
            kDone)
      << err_;
  ASSERT_EQ(Run({"scan", "layouts"}), kDone) << err_;
  ASSERT_EQ(Run({"images", "--store", "layouts", "--format",
                 "{{.Repository}} {{.Tag}}"}),
            kDone)
      << err_;
  EXPECT_EQ(out_, "app localhost:5000/team/app:v1\n");
  ASSERT_EQ(Run({"df", "-v"}), kDone) << err_;
  EXPECT_THAT(out_,
              ::testing::ContainsRegex("app +localhost:5000/team/app:v1"));
}

TEST_F(CommandsTest, StoreConfirm) {
  ASSERT_EQ(Run({"store", "confirm"}), kDone) << err_;
  EXPECT_EQ(out_, "Nothing to confirm: the database was not lost.\n");
  StopServer();
  engine_ = std::make_unique<index::MemoryEngine>();
  options_.earlier_database = "its audit is there";
  StartServer();
  AddAndScan();
  ASSERT_EQ(Run({"store", "ls"}), kDone);
  EXPECT_THAT(out_, HasSubstr("unconfirmed: nothing is deleted"));
  EXPECT_EQ(Run({"system", "prune", "--force", "--allow-large"}), kFailed);
  EXPECT_THAT(err_, HasSubstr("run `reclaim store confirm`"));
  EXPECT_EQ(Run({"purge", "--now", "-f"}), kFailed);
  ASSERT_EQ(Run({"store", "confirm"}), kDone) << err_;
  EXPECT_THAT(out_, HasSubstr("Confirmed: the database was lost (its audit"));
  EXPECT_EQ(Run({"system", "prune", "--force", "--allow-large"}), kDone)
      << err_;
}

TEST_F(CommandsTest, WrongUse) {
  EXPECT_EQ(Run({}), kUsage);
  EXPECT_EQ(Run({"scann", "hub"}), kUsage);
  EXPECT_THAT(err_, HasSubstr("\"scann\" is no command of reclaim; the "
                              "nearest one is scan"));
  EXPECT_EQ(Run({"frobnicate"}), kUsage);
  EXPECT_THAT(err_, HasSubstr("\"frobnicate\" is no command of reclaim "
                              "(`reclaim --help` lists them)"));
  EXPECT_EQ(Run({"image", "remove", "app:v1"}), kUsage);
  EXPECT_THAT(err_, HasSubstr("\"remove\" is no command of reclaim image"));
  EXPECT_EQ(Run({"image", ""}), kUsage) << "as of a variable that is not set";
  EXPECT_THAT(err_, HasSubstr("\"\" is no command of reclaim image"));
  EXPECT_EQ(Run({"image", "prune", "--no-such-flag"}), kUsage);
  EXPECT_THAT(err_, HasSubstr("--no-such-flag"));
  EXPECT_EQ(Run({"df", "--by", "colour"}), kUsage);
  EXPECT_EQ(Run({"scan", "nowhere"}), kNotFound);
  EXPECT_THAT(err_, HasSubstr("reclaim store ls"));
  EXPECT_EQ(Run({"--help"}), kDone);
  EXPECT_THAT(out_, HasSubstr("Exit codes:"));
  EXPECT_EQ(Run({"store", "add", "/does/not/exist"}), kNotFound);
  StopServer();
  EXPECT_EQ(Run({"df"}), kFailed);
  EXPECT_THAT(err_, HasSubstr("is reclaimd running?"));
}

}  // namespace
}  // namespace reclaim::cli
