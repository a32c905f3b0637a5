// Filters on the command line: what each selects, and what is said of them.

#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "cli/command_fixture.h"
#include "gmock/gmock.h"
#include "grpcpp/support/status.h"
#include "gtest/gtest.h"
#include "reclaim/v1/graph.grpc.pb.h"
#include "rpc/testing/engine_records.h"

namespace reclaim::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
using Names = std::set<std::string>;
using Words = std::vector<std::string>;

class FiltersTest : public CommandFixture {
 protected:
  void SetUp() override {
    CommandFixture::SetUp();
    ASSERT_EQ(Run({"store", "add", "external:e", "--name", "e",
                   "--knows-containers"}),
              kDone)
        << err_;
    v1::RecordResponse recorded;
    const grpc::Status status =
        Ask(graph_stub_, &v1::GraphService::Stub::Record, records_.request(),
            &recorded);
    ASSERT_TRUE(status.ok()) << status.error_message();
  }

  static Words CommandOf(const rpc::PruneCase& of) {
    Words words;
    switch (of.verb) {
      case v1::PRUNE_VERB_IMAGES:
        words = {"image", "prune"};
        break;
      case v1::PRUNE_VERB_CONTAINERS:
        words = {"container", "prune"};
        break;
      case v1::PRUNE_VERB_VOLUMES:
        words = {"volume", "prune"};
        break;
      case v1::PRUNE_VERB_NETWORKS:
        words = {"network", "prune"};
        break;
      case v1::PRUNE_VERB_BUILD_CACHE:
        words = {"builder", "prune"};
        break;
      default:
        words = {"system", "prune"};
        break;
    }
    if (of.all) words.push_back("-a");
    if (of.volumes) words.push_back("--volumes");
    for (const std::string& filter : of.filters) {
      words.insert(words.end(), {"--filter", filter});
    }
    return words;
  }
  // Records by their names, images by theirs; the rest of images is left out.
  Names Subjects() const {
    Names names;
    for (const auto line : absl::StrSplit(out_, '\n', absl::SkipEmpty())) {
      const std::string subject(line);
      const std::string image = records_.ImageOf(subject);
      if (!image.empty()) {
        names.insert(image);
      } else if (!absl::StrContains(subject, ':')) {
        names.insert(subject);
      }
    }
    return names;
  }
  std::string Ago(absl::Duration age) const {
    return absl::FormatTime(absl::RFC3339_full, clock_.Now() - age,
                            absl::UTCTimeZone());
  }
  // The images of a list by these filters.
  Names Listed(const Words& filters) {
    Words list = {"images", "--format", "{{.Digest}}"};
    for (const std::string& filter : filters) {
      list.insert(list.end(), {"--filter", filter});
    }
    EXPECT_EQ(Run(list), kDone) << err_;
    return Subjects();
  }

  rpc::EngineRecords records_{clock_.Now()};
};

TEST_F(FiltersTest, EachSelectsWhatItSays) {
  for (const rpc::PruneCase& one : rpc::PruneCases()) {
    Words words = CommandOf(one);
    SCOPED_TRACE(absl::StrJoin(words, " "));
    words.insert(words.end(), {"--dry-run", "--format", "{{.Subject}}"});
    ASSERT_EQ(Run(words), kDone) << err_;
    EXPECT_EQ(Subjects(), one.gone);
  }
}

TEST_F(FiltersTest, WhatIsSelectedGoesAndTheRestStays) {
  ASSERT_EQ(Run({"builder", "prune", "-f", "--filter", "until=24h"}), kDone)
      << err_;
  EXPECT_THAT(out_, StartsWith("Deleted build cache objects:\nc-idle\n\n"));
  ASSERT_EQ(Run({"builder", "prune", "-f", "--filter", "until.used=30m"}),
            kDone)
      << err_;
  EXPECT_THAT(out_, StartsWith("Deleted build cache objects:\nc-used\n\n"));
  ASSERT_EQ(Run({"container", "prune", "-f", "--filter", "until.exited=1h"}),
            kDone)
      << err_;
  EXPECT_THAT(out_, StartsWith("Deleted Containers:\nold\n\n"));
  ASSERT_EQ(Run({"ps", "-a", "--format", "{{.Names}}"}), kDone);
  EXPECT_EQ(out_, "lived\nunstarted\nweb\nyoung\n");
  ASSERT_EQ(Run({"network", "prune", "-f", "--filter", "until.created=24h"}),
            kDone)
      << err_;
  EXPECT_THAT(out_, StartsWith("Deleted Networks:\nidle\n\n"));
  ASSERT_EQ(Run({"image", "prune", "-f", "--filter", "dangling=true",
                 "--filter", "until=24h"}),
            kDone)
      << err_;
  EXPECT_THAT(out_, AllOf(HasSubstr("deleted: " + records_.DigestOf("i-old")),
                          Not(HasSubstr(records_.DigestOf("i-young")))));
  ASSERT_EQ(Run({"system", "prune", "-f", "--filter", "label=team=red"}), kDone)
      << err_;
  EXPECT_THAT(out_, StartsWith("Deleted Networks:\nfresh\n\n"))
      << "the container went before";
}

// SEMANTICS.md, rule 2: the resolved instant is told.
TEST_F(FiltersTest, APlanShowsWhatItHasUnderstood) {
  const std::string said = absl::StrCat(
      "\nOnly what matches label!=keep, until=", Ago(absl::Hours(24)), "\n");
  const Words filters = {"--filter", "until=24h", "--filter", "label!=keep"};
  for (const Words& verb : std::vector<Words>{{"image", "prune", "--dry-run"},
                                              {"system", "prune", "--dry-run"},
                                              {"plan"}}) {
    Words words = verb;
    words.insert(words.end(), filters.begin(), filters.end());
    ASSERT_EQ(Run(words), kDone) << err_;
    EXPECT_THAT(out_, HasSubstr(said)) << verb[0];
  }
  const std::string id = WordAfter("reclaim apply ");
  clock_.Advance(absl::Hours(1));
  ASSERT_EQ(Run({"plans", "show", id}), kDone) << err_;
  EXPECT_THAT(out_, HasSubstr(said)) << "the instant of the plan";
  ASSERT_EQ(Run({"plans", "show", id, "--json"}), kDone) << err_;
  const auto plan =
      nlohmann::json::parse(out_.substr(0, out_.find('\n')), nullptr, false);
  ASSERT_TRUE(plan.is_object()) << out_;
  EXPECT_EQ(plan["resolved_filters"].size(), 2u);
  ASSERT_EQ(Run({"plan"}), kDone) << err_;
  EXPECT_THAT(out_, Not(HasSubstr("Only what matches")));
}

TEST_F(FiltersTest, WhoIsAskedSeesWhatWasUnderstood) {
  EXPECT_EQ(
      Run({"container", "prune", "--filter", "exited-before=1h"}, "n\n", true),
      kDeclined);
  EXPECT_THAT(err_, HasSubstr(absl::StrCat("\nOnly what matches until.exited=",
                                           Ago(absl::Hours(1)), "\n")));
  EXPECT_EQ(Run({"container", "prune"}, "n\n", true), kDeclined);
  EXPECT_THAT(err_, Not(HasSubstr("Only what matches")));
}

TEST_F(FiltersTest, ImagesBeforeAndSinceOne) {
  EXPECT_EQ(Listed({"before=app:tagged"}), Names({"i-old"}));
  EXPECT_EQ(Listed({"since=app:tagged"}), Names({"i-young"}));
  EXPECT_EQ(Listed({"since=app:tagged", "label=name=i-old"}), Names());
  EXPECT_EQ(Listed({absl::StrCat("since=", records_.DigestOf("i-old")),
                    absl::StrCat("before=", records_.DigestOf("i-young"))}),
            Names({"i-tagged"}));
  // By the ID that the list itself shows.
  ASSERT_EQ(Run({"images", "--format", "{{.Tag}} {{.ID}}"}), kDone) << err_;
  const std::string id = WordAfter("tagged ");
  ASSERT_EQ(id.size(), 12u) << out_;
  EXPECT_EQ(Listed({absl::StrCat("since=", id)}), Names({"i-young"}));
  EXPECT_EQ(Run({"images", "--filter", "before=app:none"}), kNotFound);
  EXPECT_EQ(Run({"images", "--filter", "before="}), kUsage);
  EXPECT_THAT(err_, HasSubstr("\"before=\" has an empty value"));
  EXPECT_EQ(Run({"image", "prune", "-f", "--filter", "before=app:tagged"}),
            kUsage)
      << "a filter of lists alone";
}

}  // namespace
}  // namespace reclaim::cli
