// cli/command_fixture.h — the whole command line against a whole service; for
// tests.
//
// Beside the (empty) service lies a registry tree: app:v1, an untagged image
// and a blob that nothing names.

#ifndef RECLAIM_CLI_COMMAND_FIXTURE_H_
#define RECLAIM_CLI_COMMAND_FIXTURE_H_

#include <fcntl.h>
#include <sys/stat.h>

#include <filesystem>
#include <functional>
#include <ostream>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "cli/commands.h"
#include "rpc/server_fixture.h"

namespace reclaim::cli {

// Tells what was printed so far whenever it is flushed, on the thread that
// prints.
class FlushWatch : public std::stringbuf {
 public:
  using Visit = std::function<void(const std::string& printed)>;
  explicit FlushWatch(Visit visit) : visit_(std::move(visit)) {}

 protected:
  int sync() override {
    visit_(str());
    return 0;
  }

 private:
  Visit visit_;
};

class CommandFixture : public rpc::ServerFixture {
 protected:
  void SetUp() override {
    kept_ = tree_.Image("app", "v1", {"base", "new"});
    old_ = tree_.Image("app", "", {"base", "old"});
    orphan_ = tree_.Blob("nothing names me");
    const int64_t seconds =
        absl::ToUnixSeconds(clock_.Now() - absl::Hours(1000));
    const struct timespec times[2] = {{seconds, 0}, {seconds, 0}};
    for (const auto& entry :
         std::filesystem::recursive_directory_iterator(folder_.path())) {
      ASSERT_EQ(utimensat(AT_FDCWD, entry.path().c_str(), times, 0), 0);
    }
    ServerFixture::SetUp();
  }

  // Runs one command; its output is in out_ and err_.
  int Run(std::vector<std::string> arguments, const std::string& answer = "",
          bool asks = false) {
    return RunOn(Terminal(), std::move(arguments), answer, asks);
  }
  // On a terminal with these traits.
  int RunOn(Terminal terminal, std::vector<std::string> arguments,
            const std::string& answer = "", bool asks = false) {
    arguments.insert(arguments.begin(), {"--host", "unix:" + SocketPath()});
    std::istringstream in(answer);
    std::ostringstream out;
    std::ostringstream err;
    terminal.in = &in;
    terminal.out = &out;
    terminal.err = &err;
    terminal.asks = asks;
    terminal.now = [this] { return clock_.Now(); };
    const int code = RunCli(std::move(arguments), terminal);
    out_ = out.str();
    err_ = err.str();
    return code;
  }
  // Runs a command that prints as it goes on.
  int Follow(std::vector<std::string> arguments, FlushWatch::Visit visit) {
    arguments.insert(arguments.begin(), {"--host", "unix:" + SocketPath()});
    FlushWatch buffer(std::move(visit));
    std::ostream out(&buffer);
    std::ostringstream err;
    std::istringstream in;
    Terminal terminal;
    terminal.in = &in;
    terminal.out = &out;
    terminal.err = &err;
    terminal.now = [this] { return clock_.Now(); };
    const int code = RunCli(std::move(arguments), terminal);
    out_ = buffer.str();
    err_ = err.str();
    return code;
  }
  void AddAndScan() {
    ASSERT_EQ(
        Run({"store", "add", "registry:" + folder_.path(), "--name", "hub",
             "--descriptor-cache", "none", "--write-duration", "0s"}),
        kDone)
        << err_;
    ASSERT_EQ(Run({"scan"}), kDone) << err_;
    EXPECT_THAT(out_, ::testing::HasSubstr("Scanned hub: 8 blobs"));
  }
  // The word behind `before` in the last output.
  std::string WordAfter(const std::string& before) {
    const std::string text = out_ + err_;
    const size_t at = text.find(before);
    EXPECT_NE(at, std::string::npos) << text;
    if (at == std::string::npos) return "";
    const size_t begin = at + before.size();
    return text.substr(begin, text.find_first_of(" \n", begin) - begin);
  }

  store::RegistryTree tree_{&folder_};
  oci::Digest kept_;
  oci::Digest old_;
  oci::Digest orphan_;
  std::string out_;
  std::string err_;
};

}  // namespace reclaim::cli

#endif  // RECLAIM_CLI_COMMAND_FIXTURE_H_
