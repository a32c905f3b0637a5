#include "server/confinement.h"

#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

#include "absl/strings/str_cat.h"

namespace reclaim::server {
namespace {

// Debian 12's headers end with version 2.
constexpr uint64_t kTruncate = uint64_t{1} << 14;  // version 3

// Of files, and with them of the folders that they are in.
constexpr uint64_t kWriteFile = LANDLOCK_ACCESS_FS_WRITE_FILE;
constexpr uint64_t kWriteBelow =
    kWriteFile | LANDLOCK_ACCESS_FS_REMOVE_DIR |
    LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR |
    LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK |
    LANDLOCK_ACCESS_FS_MAKE_SYM;
// What nobody here ever does.
constexpr uint64_t kNever =
    LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_MAKE_CHAR |
    LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO;

constexpr char kNull[] = "/dev/null";

// A descriptor that goes with its scope.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  const int fd_;
};

int CreateRuleset(const landlock_ruleset_attr* attributes, size_t size,
                  uint32_t flags) {
  return static_cast<int>(
      syscall(SYS_landlock_create_ruleset, attributes, size, flags));
}

absl::Status Allow(int ruleset, const std::string& path, uint64_t rights) {
  const Descriptor folder(open(path.c_str(), O_PATH | O_CLOEXEC));
  if (folder.get() < 0) {
    return absl::ErrnoToStatus(
        errno, absl::StrCat("cannot open ", path, " to allow writing there"));
  }
  landlock_path_beneath_attr rule = {};
  rule.allowed_access = rights;
  rule.parent_fd = folder.get();
  if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule,
              0) != 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot allow ", path));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ConfineWrites(const std::vector<std::string>& folders) {
  const int version =
      CreateRuleset(nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  if (version < 1) {
    return absl::UnimplementedError(
        "this kernel has no Landlock: set confine.writes = false, or boot with "
        "lsm=landlock,...");
  }
  uint64_t writes = kWriteBelow;
  if (version >= 2) writes |= LANDLOCK_ACCESS_FS_REFER;
  if (version >= 3) writes |= kTruncate;
  landlock_ruleset_attr attributes = {};
  attributes.handled_access_fs = writes | kNever;
  const Descriptor ruleset(CreateRuleset(&attributes, sizeof(attributes), 0));
  if (ruleset.get() < 0) {
    return absl::ErrnoToStatus(errno, "cannot make a Landlock ruleset");
  }
  for (const std::string& folder : folders) {
    const absl::Status allowed = Allow(ruleset.get(), folder, writes);
    if (!allowed.ok()) return allowed;
  }
  struct stat null = {};
  if (stat(kNull, &null) == 0) {
    const absl::Status allowed = Allow(ruleset.get(), kNull, kWriteFile);
    if (!allowed.ok()) return allowed;
  }
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
      syscall(SYS_landlock_restrict_self, ruleset.get(), 0) != 0) {
    return absl::ErrnoToStatus(errno, "cannot confine this process");
  }
  return absl::OkStatus();
}

}  // namespace reclaim::server
