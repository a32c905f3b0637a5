// Docker's lists, and removal of what containers use, from the command line.

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "cli/command_fixture.h"
#include "oci/digest.h"
#include "store/testing/store_tree.h"

namespace reclaim::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class RecordsTest : public CommandFixture {
 protected:
  void SetUp() override {
    CommandFixture::SetUp();
    AddAndScan();
  }
  // Containers with these states, on app:v1; two volumes; two networks.
  void Record() {
    std::string lines =
        "{\"putVolume\":{\"name\":\"db\",\"driver\":\"local\",\"labels\":"
        "{\"team\":\"red\"}}}\n"
        "{\"putVolume\":{\"name\":\"left\",\"driver\":\"local\"}}\n"
        "{\"putNetwork\":{\"name\":\"front\",\"driver\":\"bridge\",\"id\":"
        "\"0123456789abcdef\",\"scope\":\"local\"}}\n"
        "{\"putNetwork\":{\"name\":\"host\",\"driver\":\"host\","
        "\"isPredefined\":true,\"scope\":\"local\"}}\n";
    absl::StrAppend(&lines, Container("web", "RUNNING", kept_.ToString()),
                    Container("job", "EXITED", old_.ToString()));
    ASSERT_EQ(Run({"record", "-"}, lines), kDone) << err_;
  }
  static std::string Container(const std::string& name,
                               const std::string& state,
                               const std::string& digest) {
    return absl::StrCat(
        "{\"putContainer\":{\"id\":\"0123456789abcdef-", name, "\",\"name\":\"",
        name, "\",\"state\":\"CONTAINER_STATE_", state,
        "\",\"imageReference\":\"app:v1\",\"imageDigest\":\"", digest,
        "\",\"command\":\"a command that is longer than twenty letters\","
        "\"writableBytes\":\"5\",\"volumes\":[\"db\"],\"networks\":[\"front\"],"
        "\"ports\":[{\"hostIp\":\"0.0.0.0\",\"hostPort\":8080,"
        "\"containerPort\":80,\"protocol\":\"tcp\"},{\"containerPort\":443,"
        "\"protocol\":\"tcp\"}],"
        "\"labels\":{\"of\":\"",
        name, "\"}}}\n");
  }
  // The output of a list with the names alone.
  std::string Names(std::vector<std::string> list) {
    list.insert(list.end(), {"--format", "{{.Names}}"});
    EXPECT_EQ(Run(list), kDone) << err_;
    return out_;
  }
};

TEST_F(RecordsTest, LeasesAndPinsAreLinesOfAFileAsWell) {
  // More targets than one request takes: the file goes in several.
  std::string lines;
  for (int lease = 0; lease < 3; ++lease) {
    std::string targets;
    for (int i = 0; i < 5000; ++i) {
      absl::StrAppend(
          &targets, i == 0 ? "" : ",", "{\"content\":{\"digest\":\"",
          oci::Digest::Sha256Of(absl::StrCat(i)).ToString(), "\"}}");
    }
    absl::StrAppend(&lines, "{\"putLease\":{\"id\":\"pull-", lease,
                    "\",\"targets\":[", targets, "]}}\n");
  }
  absl::StrAppend(&lines,
                  "{\"putPin\":{\"id\":\"audit\",\"reason\":\"kept\","
                  "\"target\":{\"content\":{\"digest\":\"",
                  old_.ToString(), "\"}}}}\n");
  ASSERT_EQ(Run({"record", "-", "--request-id", "once"}, lines), kDone) << err_;
  EXPECT_THAT(out_, HasSubstr("Recorded 4 changes"));
  ASSERT_EQ(Run({"lease", "ls"}), kDone) << err_;
  for (const char* id : {"pull-0", "pull-1", "pull-2"}) {
    EXPECT_THAT(out_, HasSubstr(id));
  }
  ASSERT_EQ(Run({"pin", "ls"}), kDone) << err_;
  EXPECT_THAT(out_, AllOf(HasSubstr("audit"), HasSubstr("kept")));
  ASSERT_EQ(Run({"record", "-"},
                "{\"removePin\":{\"id\":\"audit\"}}\n"
                "{\"removeLease\":{\"id\":\"pull-1\"}}\n"),
            kDone)
      << err_;
  ASSERT_EQ(Run({"lease", "ls"}), kDone) << err_;
  EXPECT_THAT(out_, Not(HasSubstr("pull-1")));
  ASSERT_EQ(Run({"pin", "ls"}), kDone) << err_;
  EXPECT_THAT(out_, Not(HasSubstr("audit")));
}

TEST_F(RecordsTest, APlaceIsOfADigest) {
  EXPECT_EQ(Run({"pin", "add", "app:v1", "--place", "a"}), kUsage);
  EXPECT_THAT(err_, HasSubstr("--place: says where a digest is; app:v1 is"));
  EXPECT_EQ(Run({"lease", "create", "app:v1", "--place", "a"}), kUsage);
  EXPECT_EQ(Run({"pin", "add", "app:v1"}), kDone) << err_;
  EXPECT_EQ(Run({"pin", "add", kept_.ToString(), "--place", "a"}), kDone)
      << err_;
}

TEST_F(RecordsTest, OfAFileWithAWrongLineItIsSaidWhatStands) {
  const auto lines = [](int count) {
    std::string text;
    for (int i = 0; i < count; ++i) {
      absl::StrAppend(&text, "{\"putVolume\":{\"name\":\"v", i, "\"}}\n");
    }
    return text;
  };
  EXPECT_EQ(Run({"record", "-"}, lines(10) + "{\"putVolum\":{}}\n"), kUsage);
  EXPECT_THAT(err_, AllOf(HasSubstr("-:11: "), HasSubstr("nothing of the")));
  ASSERT_EQ(Run({"volume", "ls", "--quiet"}), kDone);
  EXPECT_EQ(out_, "");
  EXPECT_EQ(Run({"record", "-"}, lines(1499) + "{\n" + lines(3)), kUsage);
  EXPECT_THAT(err_, AllOf(HasSubstr("-:1500: "),
                          HasSubstr("the first 1000 operations")));
  ASSERT_EQ(Run({"volume", "ls", "--quiet"}), kDone);
  EXPECT_EQ(std::count(out_.begin(), out_.end(), '\n'), 1000);
}

TEST_F(RecordsTest, ARepositoryGoesWithItsNames) {
  std::string lines;
  for (const char* tag : {"v1", "v2"}) {
    absl::StrAppend(&lines, R"({"putTag":{"repository":"other","tag":")", tag,
                    R"(","digest":")", kept_.ToString(), R"("}})", "\n");
  }
  absl::StrAppend(
      &lines, R"({"putMembership":{"repository":"other","digest":")",
      kept_.ToString(), R"(","kind":"MEMBERSHIP_KIND_REVISION"}})", "\n");
  ASSERT_EQ(Run({"record", "-"}, lines), kDone) << err_;
  EXPECT_THAT(out_, HasSubstr("Recorded 4 changes")) << "with the repository";
  const std::vector<std::string> names = {"images", "other", "--format",
                                          "{{.Repository}}:{{.Tag}}"};
  ASSERT_EQ(Run(names), kDone) << err_;
  EXPECT_EQ(out_, "other:v1\nother:v2\n");
  const std::string remove = R"({"removeRepository":{"repository":"other"}})";
  ASSERT_EQ(Run({"record", "-"}, remove + "\n"), kDone) << err_;
  EXPECT_THAT(out_, HasSubstr("Recorded 3 changes"));
  ASSERT_EQ(Run(names), kDone) << err_;
  EXPECT_EQ(out_, "");
  ASSERT_EQ(Run({"images", "app:v1", "-q"}), kDone) << err_;
  EXPECT_EQ(std::count(out_.begin(), out_.end(), '\n'), 1);
  // All of it and its end in one file.
  ASSERT_EQ(Run({"record", "-"}, lines + remove + "\n"), kDone) << err_;
  ASSERT_EQ(Run(names), kDone) << err_;
  EXPECT_EQ(out_, "");
  RestartServer();
  ASSERT_EQ(Run({"images", "app:v1", "-q"}), kDone) << err_;
}

TEST_F(RecordsTest, WhatNobodyUnderstandsIsToldAndRecorded) {
  struct Case {
    std::string manifest;
    std::string why;
  };
  const std::string image = store::ImageText(
      {oci::Digest::Sha256Of("config"), oci::Digest::Sha256Of("layer")});
  const std::string open = image.substr(0, image.size() - 1);
  const std::vector<Case> cases = {
      {open + R"(,"config":{}})", "a JSON object has the key \"config\" twice"},
      {open + R"(,"manifests":[]})",
       "the manifest can be read as an image and as an index"},
      {absl::StrCat(open, R"(,"x":)", std::string(40, '['),
                    std::string(40, ']'), "}"),
       "nested deeper than 32 levels"},
      {R"({"schemaVersion":2,"mediaType":"application/x-mine"})",
       "unknown manifest media type \"application/x-mine\""},
      // A name that would colour the terminal.
      {R"({"\u001b[31m":1,"\u001b[31m":2})", "[31m\" twice"}};
  std::string lines;
  for (const Case& one : cases) {
    absl::StrAppend(&lines, R"({"putManifest":{"manifest":")",
                    absl::Base64Escape(one.manifest), R"("}})", "\n");
  }
  ASSERT_EQ(Run({"record", "-"}, lines), kDone) << err_;
  EXPECT_THAT(out_, HasSubstr("Recorded 5 changes"));
  for (const Case& one : cases) {
    const std::string digest = oci::Digest::Sha256Of(one.manifest).ToString();
    EXPECT_THAT(err_, AllOf(HasSubstr("reclaim: " + digest + ": "),
                            HasSubstr(one.why)));
  }
  EXPECT_EQ(std::count(err_.begin(), err_.end(), '\n'), 5);
  EXPECT_THAT(err_, Not(HasSubstr("\x1b")));
  ASSERT_EQ(Run({"record", "-", "--json"}, lines), kDone) << err_;
  const auto summary = nlohmann::json::parse(out_, nullptr, false);
  ASSERT_TRUE(summary.is_object()) << out_;
  EXPECT_EQ(summary["message_type"], "summary");
  ASSERT_EQ(summary["problems"].size(), 5u);
  EXPECT_THAT(summary["problems"][0].get<std::string>(),
              HasSubstr(cases[0].why));
}

TEST_F(RecordsTest, ContainersAreListedAsDockerDoes) {
  Record();
  ASSERT_EQ(Run({"container", "ls"}), kDone) << err_;
  EXPECT_THAT(out_, HasSubstr("CONTAINER ID   IMAGE"));
  EXPECT_THAT(out_, AllOf(HasSubstr("0123456789ab   app:v1"),
                          HasSubstr("\"a command that is l…\""),
                          HasSubstr("running   0.0.0.0:8080->80/tcp, 443/tcp"
                                    "   web"),
                          HasSubstr("STATUS    PORTS"), Not(HasSubstr("job"))));
  EXPECT_EQ(Names({"container", "ls", "-a"}), "job\nweb\n");
  EXPECT_EQ(Names({"ps", "--all"}), "job\nweb\n");
  EXPECT_EQ(Names({"ps", "-f", "status=exited"}), "job\n");
  EXPECT_EQ(Names({"ps", "-a", "-f", "name=we", "-f", "name=jo"}),
            "job\nweb\n");
  EXPECT_EQ(Names({"ps", "-a", "-f", "label=of=job"}), "job\n");
  EXPECT_EQ(Names({"ps", "-a", "-f", "label=of=job", "-f", "label=of=web"}),
            "");
  EXPECT_EQ(Names({"ps", "-f", "ancestor=app", "-f", "id=0123"}), "web\n");
  EXPECT_EQ(Names({"ps", "-f", "ancestor=" + kept_.ToString()}), "web\n");
  EXPECT_EQ(Names({"ps", "-f", "ancestor=other"}), "");
  ASSERT_EQ(Run({"ps", "-q"}), kDone);
  EXPECT_EQ(out_, "0123456789ab\n");
  ASSERT_EQ(Run({"ps", "-q", "--no-trunc"}), kDone);
  EXPECT_EQ(out_, "0123456789abcdef-web\n");
  ASSERT_EQ(Run({"ps", "-s"}), kDone);
  EXPECT_THAT(out_, HasSubstr("5B"));
  ASSERT_EQ(Run({"ps", "-a", "--json"}), kDone);
  EXPECT_THAT(out_, HasSubstr("\"message_type\":\"container\""));
  EXPECT_EQ(Run({"ps", "-f", "colour=red"}), kUsage);
  EXPECT_THAT(err_, HasSubstr("there are ancestor=, id="));
}

TEST_F(RecordsTest, VolumesAndNetworksAreListedAsDockerDoes) {
  Record();
  ASSERT_EQ(Run({"volume", "ls"}), kDone) << err_;
  EXPECT_EQ(out_, "DRIVER    VOLUME NAME\nlocal     db\nlocal     left\n");
  ASSERT_EQ(Run({"volume", "ls", "-q", "-f", "dangling=true"}), kDone);
  EXPECT_EQ(out_, "left\n");
  ASSERT_EQ(Run({"volume", "ls", "-q", "-f", "label=team"}), kDone);
  EXPECT_EQ(out_, "db\n");
  EXPECT_EQ(Run({"volume", "ls", "-f", "dangling=perhaps"}), kUsage);
  ASSERT_EQ(Run({"network", "ls"}), kDone) << err_;
  EXPECT_EQ(out_,
            "NETWORK ID     NAME      DRIVER    SCOPE\n"
            "0123456789ab   front     bridge    local\n"
            "               host      host      local\n");
  ASSERT_EQ(Run({"network", "ls", "--format", "{{.Name}} {{.Containers}}"}),
            kDone);
  EXPECT_EQ(out_, "front 2\nhost 0\n");
  ASSERT_EQ(Run({"network", "ls", "-q", "-f", "driver=host"}), kDone);
  EXPECT_EQ(out_, "host\n");
  ASSERT_EQ(Run({"network", "ls", "-q", "-f", "dangling=true"}), kDone);
  EXPECT_EQ(out_, "") << "the engine's own are not left over";
}

TEST_F(RecordsTest, ImagesAreListedByName) {
  ASSERT_EQ(Run({"images", "app", "--format", "{{.Repository}}:{{.Tag}}"}),
            kDone)
      << err_;
  EXPECT_THAT(out_, HasSubstr("app:v1\n"));
  ASSERT_EQ(Run({"images", "app:v1", "-q"}), kDone);
  EXPECT_EQ(std::count(out_.begin(), out_.end(), '\n'), 1);
  ASSERT_EQ(Run({"images", "-q", "-f", "dangling=false", "app"}), kDone)
      << err_;
  EXPECT_EQ(std::count(out_.begin(), out_.end(), '\n'), 1)
      << "a filter takes one word";
  ASSERT_EQ(Run({"image", "ls", "app:v2", "-q"}), kDone);
  EXPECT_EQ(out_, "");
  ASSERT_EQ(Run({"image", "ls", "a*:v*", "-q"}), kDone);
  EXPECT_EQ(std::count(out_.begin(), out_.end(), '\n'), 1);
}

// Of an image with several names only those that were asked for.
TEST_F(RecordsTest, OnlyTheNamesThatWereAskedFor) {
  const std::string tag = absl::StrCat(
      "{\"putTag\":{\"repository\":\"app\",\"tag\":\"v9\",\"digest\":\"",
      kept_.ToString(), "\"}}\n");
  ASSERT_EQ(Run({"record", "-"}, tag), kDone) << err_;
  ASSERT_EQ(Run({"images", "app:v9", "--format", "{{.Tag}}"}), kDone);
  EXPECT_EQ(out_, "v9\n");
  ASSERT_EQ(
      Run({"images", "--filter", "reference=app:v*", "--format", "{{.Tag}}"}),
      kDone);
  EXPECT_EQ(out_, "v1\nv9\n");
}

TEST_F(RecordsTest, TheImageOfARunningContainerIsNeverRemoved) {
  ASSERT_EQ(Run({"record", "-"}, Container("web", "RUNNING", kept_.ToString())),
            kDone);
  const std::string before = folder_.Snapshot();
  for (const char* flag : {"-y", "-f", "--force"}) {
    EXPECT_EQ(Run({"image", "rm", "app:v1", flag, "--allow-large"}), kFailed);
    EXPECT_THAT(err_, HasSubstr("uses " + kept_.ToString()));
    EXPECT_THAT(err_, HasSubstr("stop it and remove it first"));
  }
  EXPECT_EQ(folder_.Snapshot(), before);
  ASSERT_EQ(Run({"what-if", "app:v1"}), kDone)
      << "a question has an answer: " << err_;
  EXPECT_THAT(out_, HasSubstr("Would go: 0 blobs"));
}

TEST_F(RecordsTest, ThatOfAStoppedContainerNeedsForce) {
  ASSERT_EQ(Run({"record", "-"}, Container("job", "EXITED", kept_.ToString())),
            kDone);
  const std::string before = folder_.Snapshot();
  EXPECT_EQ(Run({"image", "rm", "app:v1", "-y", "--allow-large"}), kFailed);
  EXPECT_THAT(err_, HasSubstr("--force"));
  EXPECT_EQ(folder_.Snapshot(), before);
  ASSERT_EQ(Run({"image", "rm", "app:v1", "-f", "--allow-large"}), kDone)
      << err_;
  EXPECT_THAT(out_, HasSubstr("untagged: app:v1"));
  EXPECT_THAT(out_, HasSubstr("Total reclaimed space: 0B"))
      << "the content is the container's";
}

TEST_F(RecordsTest, TheBuildCacheIsPrunedToASize) {
  std::string lines;
  for (int i = 1; i <= 3; ++i) {
    absl::StrAppend(&lines, "{\"putBuildCache\":{\"id\":\"c", i,
                    "\",\"sizeBytes\":\"100\",\"lastUsedTime\":\"2025-0", i,
                    "-01T00:00:00Z\"}}\n");
  }
  ASSERT_EQ(Run({"record", "-"}, lines), kDone) << err_;
  ASSERT_EQ(Run({"builder", "prune", "--max-used-space", "250", "--dry-run",
                 "--format", "{{.Subject}}"}),
            kDone)
      << err_;
  EXPECT_THAT(out_, AllOf(HasSubstr("c1"), Not(HasSubstr("c2"))));
  for (const char* flag : {"--keep-storage", "--reserved-space"}) {
    ASSERT_EQ(Run({"builder", "prune", flag, "150", "--dry-run", "--format",
                   "{{.Subject}}"}),
              kDone)
        << err_;
    EXPECT_THAT(out_,
                AllOf(HasSubstr("c1"), HasSubstr("c2"), Not(HasSubstr("c3"))));
  }
  EXPECT_EQ(Run({"builder", "prune", "--max-used-space", "0",
                 "--reserved-space", "250"},
                "n\n", true),
            kDeclined);
  EXPECT_THAT(err_, HasSubstr("unused build cache, no more than the target"));
  EXPECT_THAT(err_, HasSubstr("Its target asks for 50B"));
  EXPECT_EQ(Run({"builder", "prune", "--max-used-space", "much"}), kUsage);
  EXPECT_EQ(Run({"builder", "prune", "--keep-storage", "1TB", "-f"}), kDone);
  EXPECT_EQ(out_, "Total reclaimed space: 0B\n");
}

}  // namespace
}  // namespace reclaim::cli
