#include "server/confinement.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <functional>
#include <string>

#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "store/testing/store_tree.h"

namespace reclaim::server {
namespace {

using ::reclaim::base::StatusIs;

// In a child, for it is for ever.  `deed` returns 0 or an errno; 255 stands for
// a process that could not be confined.
int Confined(const std::string& folder, const std::function<int()>& deed) {
  const pid_t child = fork();
  if (child == 0) {
    _exit(ConfineWrites({folder}).ok() ? deed() : 255);
  }
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status));
  return WEXITSTATUS(status);
}

int Create(const std::string& path) {
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  return fd < 0 ? errno : 0;
}
int ErrnoOf(int result) { return result == 0 ? 0 : errno; }

class ConfinementTest : public ::testing::Test {
 protected:
  ConfinementTest() {
    inside_.Write("kept", "bytes");
    outside_.Write("kept", "bytes");
  }
  int Do(const std::function<int()>& deed) {
    return Confined(inside_.path(), deed);
  }
  std::string In(const char* name) const { return inside_.path() + "/" + name; }
  std::string Out(const char* name) const {
    return outside_.path() + "/" + name;
  }

  store::TempFolder inside_;
  store::TempFolder outside_;
};

TEST_F(ConfinementTest, BelowTheFolderEverythingGoesOn) {
  EXPECT_EQ(Do([&] { return Create(In("made")); }), 0);
  EXPECT_EQ(Do([&] { return ErrnoOf(mkdir(In("folder").c_str(), 0700)); }), 0);
  EXPECT_EQ(
      Do([&] {
        return ErrnoOf(rename(In("made").c_str(), In("folder/moved").c_str()));
      }),
      0);
  EXPECT_EQ(Do([&] { return ErrnoOf(unlink(In("folder/moved").c_str())); }), 0);
  EXPECT_EQ(Do([&] { return ErrnoOf(truncate(In("kept").c_str(), 0)); }), 0);
}

TEST_F(ConfinementTest, OutsideNothingCanBeWritten) {
  EXPECT_EQ(Do([&] { return Create(Out("made")); }), EACCES);
  EXPECT_EQ(Do([&] { return Create(Out("kept")); }), EACCES);
  EXPECT_EQ(Do([&] { return ErrnoOf(unlink(Out("kept").c_str())); }), EACCES);
  EXPECT_EQ(Do([&] { return ErrnoOf(mkdir(Out("folder").c_str(), 0700)); }),
            EACCES);
  EXPECT_NE(Do([&] {
              return ErrnoOf(rename(In("kept").c_str(), Out("moved").c_str()));
            }),
            0);
  EXPECT_TRUE(outside_.Exists("kept"));
  EXPECT_FALSE(outside_.Exists("made"));
}

TEST_F(ConfinementTest, ReadingGoesOn) {
  EXPECT_EQ(Do([&] {
              const int fd = open(Out("kept").c_str(), O_RDONLY | O_CLOEXEC);
              return fd < 0 ? errno : 0;
            }),
            0);
}

TEST_F(ConfinementTest, NoOtherProgramIsStarted) {
  EXPECT_EQ(Do([&] {
              execl("/bin/true", "true", nullptr);
              return errno;
            }),
            EACCES);
}

TEST_F(ConfinementTest, AFolderThatIsNotThereIsNamed) {
  const std::string missing = In("missing");
  const absl::Status status = ConfineWrites({missing});
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kNotFound,
                               ::testing::HasSubstr(missing)));
  EXPECT_EQ(Create(Out("made")), 0) << "nothing is restricted after an error";
}

}  // namespace
}  // namespace reclaim::server
