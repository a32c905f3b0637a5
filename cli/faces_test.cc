// What is true of every command: JSON, variables, terminals, exit codes, plans
// as files, completions, manual pages.

#include <stdlib.h>

#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "cli/command_fixture.h"
#include "cli/command_table.h"
#include "cli/image_tree.h"
#include "cli/man_page.h"
#include "cli/units.h"
#include "oci/digest.h"
#include "store/testing/store_tree.h"

namespace reclaim::cli {
namespace {

using ::testing::AnyOf;
using ::testing::Contains;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

class FacesTest : public CommandFixture {
 protected:
  // Every line of the last output; fails the test if one is no JSON.
  std::vector<nlohmann::json> Lines() {
    std::vector<nlohmann::json> lines;
    std::istringstream in(out_);
    for (std::string line; std::getline(in, line);) {
      auto object = nlohmann::json::parse(line, nullptr, false);
      EXPECT_TRUE(object.is_object()) << line;
      EXPECT_EQ(object.value("schema_version", 0), 1) << line;
      EXPECT_NE(object.value("message_type", ""), "") << line;
      lines.push_back(std::move(object));
    }
    return lines;
  }
  std::string PathOf(const std::string& name) {
    return socket_folder_.path() + "/" + name;
  }
};

TEST_F(FacesTest, EveryCommandSpeaksJson) {
  AddAndScan();
  const std::vector<std::vector<std::string>> commands = {
      {"df"},
      {"df", "-v"},
      {"df", "--by", "repository"},
      {"images"},
      {"images", "-a"},
      {"history", "app:v1"},
      {"store", "ls"},
      {"runs", "ls"},
      {"plan"},
      {"plans", "ls"},
      {"events"},
      {"tree", "app:v1"},
      {"verify"},
      {"scan", "hub"},
      {"what-if", "app:v1"},
      {"health"},
      {"prune", "--dry-run"},
      {"why", kept_.ToString()}};
  for (std::vector<std::string> command : commands) {
    command.push_back("--json");
    ASSERT_EQ(Run(command), kDone) << command[0] << ": " << err_;
    EXPECT_FALSE(Lines().empty()) << command[0];
  }
  ASSERT_EQ(Run({"--json", "images"}), kDone);
  bool is_seen = false;
  for (const auto& image : Lines()) {
    EXPECT_TRUE(image["size"]["logical_bytes"].is_number_unsigned());
    EXPECT_TRUE(image["references"].is_array());
    is_seen |= image["references"] == nlohmann::json::array({"app:v1"});
  }
  EXPECT_TRUE(is_seen);
}

TEST_F(FacesTest, JsonHasProgressAndASummaryAndErrors) {
  AddAndScan();
  ASSERT_EQ(Run({"prune", "-f", "--allow-large", "--json"}), kDone) << err_;
  const auto lines = Lines();
  ASSERT_GE(lines.size(), 2u);
  for (size_t i = 0; i + 1 < lines.size(); ++i) {
    EXPECT_EQ(lines[i]["message_type"], "status");
  }
  EXPECT_EQ(lines.back()["message_type"], "summary");
  EXPECT_EQ(lines.back()["phase"], "succeeded");
  EXPECT_EQ(lines.back()["skipped_now_live"], 0);
  EXPECT_GT(lines.back()["bytes"]["content"]["logical_bytes"], 0);
  EXPECT_EQ(Run({"scan", "nowhere", "--json"}), kNotFound);
  const auto error = nlohmann::json::parse(err_, nullptr, false);
  ASSERT_TRUE(error.is_object()) << err_;
  EXPECT_EQ(error["message_type"], "exit_error");
  EXPECT_EQ(error["code"], static_cast<int>(kNotFound));
}

TEST_F(FacesTest, NothingToDoIsASummaryAsWell) {
  ASSERT_EQ(Run({"store", "add", "external:e", "--name", "e"}), kDone);
  ASSERT_EQ(Run({"system", "prune", "-f", "--json"}), kDone) << err_;
  const auto lines = Lines();
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0]["kind"], "apply");
  EXPECT_EQ(lines[0]["phase"], "succeeded");
  EXPECT_EQ(lines[0]["store"], "e");
  EXPECT_EQ(lines[0]["item_count"], 0);
}

TEST_F(FacesTest, EveryListHasFormats) {
  AddAndScan();
  ASSERT_EQ(Run({"lease", "create", kept_.ToString(), "--id", "l"}), kDone);
  ASSERT_EQ(Run({"pin", "add", "app:v1", "--id", "p"}), kDone);
  ASSERT_EQ(Run({"prune", "-f", "--allow-large"}), kDone) << err_;
  ASSERT_EQ(Run({"plan"}), kDone);
  const std::vector<std::vector<std::string>> lists = {
      {"df"},          {"df", "--by", "store"}, {"images"},
      {"image", "ls"}, {"history", "app:v1"},   {"store", "ls"},
      {"runs", "ls"},  {"plans", "ls"},         {"quarantine", "ls"},
      {"lease", "ls"}, {"pin", "ls"},           {"events"}};
  for (std::vector<std::string> list : lists) {
    list.insert(list.end(), {"--format", "json"});
    ASSERT_EQ(Run(list), kDone) << list[0] << ": " << err_;
    const auto row =
        nlohmann::json::parse(out_.substr(0, out_.find('\n')), nullptr, false);
    ASSERT_TRUE(row.is_object()) << list[0] << ": " << out_;
    for (const auto& [field, value] : row.items()) {
      EXPECT_TRUE(value.is_string()) << list[0] << " " << field;
    }
    list.back() = "{{json .}}";
    const std::string json = out_;
    ASSERT_EQ(Run(list), kDone) << list[0] << ": " << err_;
    // Beside other tests the disk fills between the two.
    const std::regex free_space(R"("Free":"[^"]*")");
    EXPECT_EQ(std::regex_replace(out_, free_space, ""),
              std::regex_replace(json, free_space, ""))
        << list[0];
    list.back() = "{{.NoSuchField}}";
    EXPECT_EQ(Run(list), kUsage) << list[0];
    list.back() = "{{range .}}";
    EXPECT_EQ(Run(list), kUsage) << list[0];
  }
}

TEST_F(FacesTest, DetailsAreOneObjectOfTexts) {
  AddAndScan();
  for (const char* format : {"json", "{{json .}}"}) {
    ASSERT_EQ(Run({"df", "-v", "--format", format}), kDone) << err_;
    const auto object = nlohmann::json::parse(out_, nullptr, false);
    ASSERT_TRUE(object.is_object()) << out_;
    ASSERT_EQ(object.size(), 4u);
    for (const char* list : {"Images", "Containers", "Volumes", "BuildCache"}) {
      ASSERT_TRUE(object[list].is_array()) << list;
    }
    ASSERT_EQ(object["Images"].size(), 2u);
    for (const auto& [field, value] : object["Images"][0].items()) {
      EXPECT_TRUE(value.is_string()) << field;
    }
  }
  ASSERT_EQ(Run({"df", "-v", "--format", "{{json .Volumes}}"}), kDone);
  EXPECT_EQ(out_, "[]\n");
  EXPECT_EQ(Run({"df", "-v", "--format", "{{.Images}}"}), kUsage);
}

TEST_F(FacesTest, FlagsAreVariablesAsWell) {
  AddAndScan();
  setenv("RECLAIM_DRY_RUN", "true", 1);
  const std::string before = folder_.Snapshot();
  EXPECT_EQ(Run({"prune", "--force"}), kDone) << err_;
  EXPECT_EQ(folder_.Snapshot(), before);
  unsetenv("RECLAIM_DRY_RUN");
  setenv("RECLAIM_FORMAT", "{{.Tag}}", 1);
  ASSERT_EQ(Run({"images"}), kDone) << err_;
  EXPECT_THAT(out_, HasSubstr("v1\n"));
  ASSERT_EQ(Run({"images", "--format", "table"}), kDone)
      << "a flag goes before its variable";
  EXPECT_THAT(out_, StartsWith("REPOSITORY"));
  unsetenv("RECLAIM_FORMAT");
}

TEST_F(FacesTest, QuietAndColours) {
  AddAndScan();
  Terminal colored;
  colored.uses_color = true;
  EXPECT_EQ(RunOn(colored, {"scan", "nowhere"}), kNotFound);
  EXPECT_THAT(err_, StartsWith("\x1b[31mreclaim:\x1b[0m "));
  EXPECT_EQ(RunOn(colored, {"scan", "nowhere", "--no-color"}), kNotFound);
  EXPECT_THAT(err_, StartsWith("reclaim: "));
  EXPECT_EQ(RunOn(colored, {"prune"}, "n\n", true), kDeclined);
  EXPECT_THAT(err_, HasSubstr("\x1b[33mWARNING!\x1b[0m This will remove:"));
  Terminal drawing;
  drawing.shows_progress = true;
  ASSERT_EQ(RunOn(drawing, {"scan", "hub"}), kDone);
  EXPECT_THAT(err_, HasSubstr("\r\x1b[K"));
  ASSERT_EQ(RunOn(drawing, {"scan", "hub", "--quiet"}), kDone);
  EXPECT_THAT(err_, IsEmpty());
  ASSERT_EQ(Run({"prune", "-f", "--allow-large", "--quiet"}), kDone);
  EXPECT_THAT(err_, IsEmpty());
  EXPECT_THAT(out_, HasSubstr("Total reclaimed space: "));
}

TEST_F(FacesTest, AnApplyDrawsABarUntilItIsFull) {
  AddAndScan();
  Terminal drawing;
  drawing.shows_progress = true;
  ASSERT_EQ(RunOn(drawing, {"prune", "-f", "--allow-large"}), kDone) << err_;
  EXPECT_THAT(err_, testing::ContainsRegex(
                        "\r.{3}apply \\[#{30}\\] [1-9][0-9]*/[1-9][0-9]* "));
}

TEST_F(FacesTest, NothingToDoCanBeTold) {
  ASSERT_EQ(Run({"store", "add", "external:e", "--name", "e"}), kDone);
  EXPECT_EQ(Run({"prune", "-f"}), kDone);
  EXPECT_EQ(out_, "Total reclaimed space: 0B\n");
  EXPECT_EQ(Run({"prune", "-f", "--fail-if-empty"}), kNothing);
  EXPECT_EQ(Run({"prune", "--dry-run", "--fail-if-empty"}), kNothing);
  EXPECT_EQ(Run({"plan", "--fail-if-empty"}), kNothing);
}

TEST_F(FacesTest, APlanIsApprovedAsAFile) {
  AddAndScan();
  const std::string file = PathOf("plan.json");
  const std::string before = folder_.Snapshot();
  ASSERT_EQ(Run({"prune", "--dry-run", "--out", file}), kDone) << err_;
  EXPECT_THAT(err_, HasSubstr("reclaim prune --plan " + file));
  EXPECT_EQ(folder_.Snapshot(), before);
  std::ifstream in(file);
  auto plan = nlohmann::json::parse(in, nullptr, false);
  ASSERT_TRUE(plan.is_object());
  EXPECT_EQ(plan["items"].size(), plan["item_count"]);
  // What is in the file and what the daemon planned must be the same.
  auto other = plan;
  other["item_count"] = 1;
  std::ofstream(PathOf("other.json")) << other.dump();
  EXPECT_EQ(Run({"prune", "--plan", PathOf("other.json"), "-f"}), kUsage);
  EXPECT_THAT(err_, HasSubstr("item_count differs"));
  std::ofstream(PathOf("none.json")) << "[]";
  EXPECT_EQ(Run({"prune", "--plan", PathOf("none.json"), "-f"}), kUsage);
  for (const char* wrong :
       {R"({"message_type": 5})", R"({"message_type": "plan", "id": [7]})",
        R"({"message_type": "plan", "id": "x", "schema_version": "1"})"}) {
    std::ofstream(PathOf("none.json")) << wrong;
    EXPECT_EQ(Run({"prune", "--plan", PathOf("none.json"), "-f"}), kUsage)
        << wrong;
  }
  EXPECT_EQ(Run({"prune", "--plan", PathOf("missing.json"), "-f"}), kNotFound);
  EXPECT_EQ(Run({"prune", "--plan", file}, "n\n", true), kDeclined);
  EXPECT_EQ(Run({"prune", "--plan", file, "--filter", "until=1h"}), kUsage);
  EXPECT_EQ(Run({"prune", "--out", file, "-f"}), kUsage) << "without --dry-run";
  EXPECT_EQ(folder_.Snapshot(), before);
  // A pin that has come since keeps what it names.
  ASSERT_EQ(Run({"pin", "add", orphan_.ToString(), "--id", "p"}), kDone);
  ASSERT_EQ(Run({"prune", "--plan", file, "-f", "--allow-large", "--json"}),
            kDone)
      << err_;
  EXPECT_EQ(Lines().back()["skipped_now_live"], 1);
  ASSERT_EQ(Run({"why", orphan_.ToString()}), kDone);
  EXPECT_THAT(out_, HasSubstr("Kept by the pin"));
}

TEST_F(FacesTest, NamesStandBeforeTheQuestion) {
  AddAndScan();
  EXPECT_EQ(Run({"prune"}, "n\n", true), kDeclined);
  const size_t name = err_.find("blob " + orphan_.ToString());
  ASSERT_NE(name, std::string::npos) << err_;
  EXPECT_LT(name, err_.find("WARNING!"));
  EXPECT_THAT(err_, EndsWith("[y/N] "));
}

TEST_F(FacesTest, HealthIsForProbes) {
  EXPECT_EQ(Run({"health"}), kDone);
  EXPECT_EQ(out_, "SERVING\n");
  server_->SetServing(false);
  EXPECT_EQ(Run({"health"}), kFailed);
  EXPECT_EQ(out_, "NOT_SERVING\n");
  EXPECT_EQ(Run({"health", "--quiet"}), kFailed);
  EXPECT_THAT(out_, IsEmpty());
  StopServer();
  EXPECT_EQ(Run({"health", "--timeout", "1"}), kFailed);
}

TEST_F(FacesTest, TheTreeOfImages) {
  AddAndScan();
  ASSERT_EQ(Run({"image", "ls", "--tree"}), kDone) << err_;
  EXPECT_THAT(out_, StartsWith("IMAGE"));
  EXPECT_THAT(out_, HasSubstr("CONTENT SIZE"));
  EXPECT_THAT(out_, HasSubstr("app:v1"));
  EXPECT_EQ(AlignTree({{"IMAGE", "ID", "DISK USAGE", "CONTENT SIZE", "EXTRA"},
                       {"app:v1", "a1", "1MB", "1kB", "U"},
                       {"└─ linux/amd64", "b2", "N/A", "N/A", ""}}),
            "IMAGE            ID   DISK USAGE   CONTENT SIZE   EXTRA\n"
            "app:v1           a1          1MB            1kB   U\n"
            "└─ linux/amd64   b2          N/A            N/A\n");
}

// An entry of an image index, as builders write it.
std::string Entry(const oci::Digest& digest, const std::string& architecture) {
  return absl::StrCat(
      R"({"mediaType":"application/vnd.oci.image.manifest.v1+json","size":1,)",
      R"("digest":")", digest.ToString(), R"(","platform":{"os":"linux",)",
      R"("architecture":")", architecture, R"("}})");
}

TEST_F(FacesTest, TheTreeHasThePlatformsOfAnIndex) {
  const std::string config_text = R"({"os":"linux","architecture":"arm64"})";
  const oci::Digest config = tree_.Layer("multi", config_text);
  const oci::Digest layer = tree_.Layer("multi", std::string(5000, 'l'));
  const std::string image_text = store::ImageText({config, layer});
  const oci::Digest image = tree_.Manifest("multi", image_text);
  const oci::Digest absent = oci::Digest::Sha256Of("was never pulled");
  const std::string index_text =
      absl::StrCat(R"({"schemaVersion":2,"mediaType":)",
                   R"("application/vnd.oci.image.index.v1+json","manifests":[)",
                   Entry(image, "arm64"), ",", Entry(absent, "s390x"), "]}");
  tree_.Tag("multi", "v1", tree_.Manifest("multi", index_text));
  ASSERT_EQ(Run({"store", "add", "registry:" + folder_.path()}), kDone);
  ASSERT_EQ(Run({"scan"}), kDone) << err_;
  ASSERT_EQ(Run({"image", "ls", "--tree"}), kDone) << err_;
  const std::string size =
      HumanSize(config_text.size() + 5000 + image_text.size(), 3);
  std::vector<std::string> platforms;
  for (const auto line : absl::StrSplit(out_, '\n')) {
    if (absl::StrContains(line, "─ ")) platforms.emplace_back(line);
  }
  ASSERT_EQ(platforms.size(), 2u) << out_;
  EXPECT_THAT(platforms[0], StartsWith("├─ linux/arm64"));
  EXPECT_THAT(platforms[0], HasSubstr(" " + size + " "));
  EXPECT_THAT(platforms[1], StartsWith("└─ linux/s390x"));
  EXPECT_THAT(platforms[1], HasSubstr(" N/A "));
  ASSERT_EQ(Run({"image", "ls", "--tree", "--json"}), kDone) << err_;
  EXPECT_THAT(out_, HasSubstr(R"("platform":"linux/arm64")"));
}

// Every flag of every command is in its help, in the manual and in the
// completions.
TEST_F(FacesTest, NoFlagIsMissingAnywhere) {
  Session session{Terminal()};
  const auto app = MakeParser(&session);
  const auto table = app->Table();
  const auto pages = ManPages(table, kFooter);
  ASSERT_EQ(Run({"completion", "bash"}), kDone);
  const std::string completion = out_;
  int count = 0;
  for (const CommandEntry& entry : table) {
    std::vector<std::string> words =
        absl::StrSplit(entry.path, ' ', absl::SkipEmpty());
    const std::string page = words.empty() ? "reclaim" : "reclaim-" + words[0];
    words.push_back("--help");
    ASSERT_EQ(Run(words), kDone);
    for (const FlagEntry& flag : entry.flags) {
      for (const std::string& name : flag.names) {
        ++count;
        EXPECT_THAT(out_, HasSubstr(name)) << entry.path;
        EXPECT_THAT(pages.at(page),
                    HasSubstr(absl::StrReplaceAll(name, {{"-", "\\-"}})))
            << entry.path;
        if (name.size() > 2) {
          EXPECT_THAT(completion, HasSubstr(name)) << entry.path;
        }
      }
      const bool is_built_in =
          flag.names.back() == "--help" || flag.names.back() == "--version";
      EXPECT_EQ(flag.variable.empty(), is_built_in) << flag.names.back();
      EXPECT_FALSE(flag.help.empty()) << flag.names.back();
    }
  }
  EXPECT_GT(count, 100);
}

// A message that names a flag names one that the command has.
TEST_F(FacesTest, FlagsInMessagesAreFlagsOfTheirCommands) {
  AddAndScan();
  const std::vector<std::vector<std::string>> refused = {
      {"image", "prune", "-a", "-f"},  // nobody knows the containers
      {"system", "prune", "-a", "-f"},
      {"image", "rm", "app:v1"},
      {"system", "prune"},
      {"prune", "--out", "file", "-f"}};
  Session session{Terminal()};
  std::map<std::string, std::set<std::string>> flags;
  for (const CommandEntry& entry : MakeParser(&session)->Table()) {
    for (const FlagEntry& flag : entry.flags) {
      flags[entry.path].insert(flag.names.begin(), flag.names.end());
    }
  }
  for (const std::vector<std::string>& command : refused) {
    ASSERT_NE(Run(command), kDone) << absl::StrJoin(command, " ");
    std::string path;
    for (const std::string& word : command) {
      if (flags.count(path.empty() ? word : path + " " + word) == 0) break;
      path += path.empty() ? word : " " + word;
    }
    int count = 0;
    for (size_t at = err_.find("--"); at != std::string::npos;
         at = err_.find("--", at + 2)) {
      const size_t end =
          err_.find_first_not_of("-abcdefghijklmnopqrstuvwxyz", at);
      EXPECT_THAT(flags[path], Contains(err_.substr(at, end - at)))
          << path << ": " << err_;
      ++count;
    }
    EXPECT_GT(count, 0) << path << ": " << err_;
  }
}

TEST_F(FacesTest, NoSecretIsAFlag) {
  Session session{Terminal()};
  for (const CommandEntry& entry : MakeParser(&session)->Table()) {
    for (const FlagEntry& flag : entry.flags) {
      for (const std::string& name : flag.names) {
        EXPECT_THAT(name, Not(AnyOf(HasSubstr("password"), HasSubstr("secret"),
                                    HasSubstr("token"))))
            << entry.path;
      }
    }
  }
}

TEST_F(FacesTest, ManualPagesAreGoodRoff) {
  ASSERT_EQ(Run({"man", "--directory", socket_folder_.path()}), kDone) << err_;
  Session session{Terminal()};
  for (const auto& [name, text] :
       ManPages(MakeParser(&session)->Table(), kFooter)) {
    const std::string warnings = PathOf("warnings");
    ASSERT_EQ(system(("groff -man -Tutf8 -ww -z " + PathOf(name + ".1") +
                      " 2>" + warnings)
                         .c_str()),
              0)
        << name;
    std::ifstream in(warnings);
    std::ostringstream said;
    said << in.rdbuf();
    EXPECT_EQ(said.str(), "") << name;
  }
  ASSERT_EQ(Run({"man", "reclaim-image"}), kDone);
  EXPECT_THAT(out_, HasSubstr("reclaim image prune"));
  EXPECT_EQ(Run({"man", "nothing"}), kNotFound);
}

// Each shell completes with the script that we print for it.
TEST_F(FacesTest, CompletionsWorkInTheirShells) {
  for (const char* shell : {"bash", "zsh", "fish"}) {
    ASSERT_EQ(Run({"completion", shell}), kDone);
    const std::string file = PathOf(shell);
    std::ofstream(file) << out_;
    EXPECT_EQ(system((std::string(shell) + " -n " + file).c_str()), 0) << shell;
  }
  const auto says = [&](const std::string& command) {
    std::string text;
    FILE* pipe = popen(command.c_str(), "r");
    EXPECT_NE(pipe, nullptr);
    char buffer[4096];
    while (pipe != nullptr && fgets(buffer, sizeof(buffer), pipe) != nullptr) {
      text += buffer;
    }
    EXPECT_EQ(pclose(pipe), 0) << command;
    return text;
  };
  EXPECT_EQ(says("bash -c 'source " + PathOf("bash") +
                 "; COMP_WORDS=(reclaim image pr); COMP_CWORD=2; _reclaim; "
                 "echo \"${COMPREPLY[*]}\"'"),
            "prune\n");
  EXPECT_THAT(says("bash -c 'source " + PathOf("bash") +
                   "; COMP_WORDS=(reclaim image prune --dr); COMP_CWORD=3; "
                   "_reclaim; echo \"${COMPREPLY[*]}\"'"),
              HasSubstr("--dry-run"));
  // compadd is what zsh's own machinery gives to completion functions.
  const std::string zsh =
      "zsh -fc 'compadd() { shift; print -l -- $@ }; compdef() { }; source " +
      PathOf("zsh") + "; ";
  EXPECT_THAT(says(zsh + "words=(reclaim image \"\"); CURRENT=3; _reclaim'"),
              HasSubstr("prune\n"));
  EXPECT_THAT(
      says(zsh + "words=(reclaim --host x image prune \"\"); CURRENT=6; "
                 "_reclaim'"),
      HasSubstr("--dry-run\n"));
  const std::string fish = "HOME=" + socket_folder_.path() +
                           " fish -c 'source " + PathOf("fish") +
                           "; complete -C ";
  EXPECT_EQ(says(fish + "\"reclaim image pr\"'"), "prune\n");
  EXPECT_THAT(says(fish + "\"reclaim image prune --dry\"'"),
              HasSubstr("--dry-run\n"));
}

}  // namespace
}  // namespace reclaim::cli
