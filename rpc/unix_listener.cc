#include "rpc/unix_listener.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "grpcpp/server_posix.h"

namespace reclaim::rpc {
namespace {

constexpr int kBacklog = 128;
constexpr mode_t kFolderMode = 0755;
// Supplementary groups of a peer; the kernel's own limit is 65,536.
constexpr size_t kGroupCountMax = 1024;
// After a failed accept (too many descriptors): milliseconds.
constexpr int kAcceptPause = 50;

absl::Status Failed(absl::string_view what, const std::string& path) {
  return absl::ErrnoToStatus(errno, absl::StrCat(what, " ", path));
}

absl::StatusOr<sockaddr_un> AddressOf(const std::string& path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof(address.sun_path)) {
    return absl::InvalidArgumentError(
        absl::StrCat("the socket path \"", path, "\" must have 1 to ",
                     sizeof(address.sun_path) - 1, " bytes"));
  }
  memcpy(address.sun_path, path.data(), path.size());
  return address;
}

// A socket file that nobody listens on any more is removed.
absl::Status TakeOver(const std::string& path, const sockaddr_un& address) {
  struct stat st;
  if (lstat(path.c_str(), &st) != 0) return absl::OkStatus();
  if (!S_ISSOCK(st.st_mode)) {
    return absl::AlreadyExistsError(
        absl::StrCat(path, " exists and is no socket; move it away"));
  }
  const int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (probe < 0) return Failed("socket for", path);
  const int connected = connect(
      probe, reinterpret_cast<const sockaddr*>(&address), sizeof(address));
  const int error = errno;
  close(probe);
  if (connected == 0) {
    return absl::AlreadyExistsError(
        absl::StrCat("a daemon answers on ", path, " already"));
  }
  if (error != ECONNREFUSED) {
    errno = error;
    return Failed("cannot tell whether a daemon answers on", path);
  }
  if (unlink(path.c_str()) != 0) return Failed("cannot remove", path);
  return absl::OkStatus();
}

absl::Status Bind(int fd, const UnixSocket& wanted,
                  const sockaddr_un& address) {
  // Nobody gets in between bind and chmod.
  const mode_t before = umask(0177);
  const int bound =
      bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address));
  const int error = errno;
  umask(before);
  errno = error;
  if (bound != 0) return Failed("cannot bind", wanted.path);
  if (wanted.group != static_cast<gid_t>(-1) &&
      chown(wanted.path.c_str(), static_cast<uid_t>(-1), wanted.group) != 0) {
    return Failed("cannot set the group of", wanted.path);
  }
  if (chmod(wanted.path.c_str(), wanted.mode) != 0) {
    return Failed("cannot set the mode of", wanted.path);
  }
  if (listen(fd, kBacklog) != 0) return Failed("cannot listen on", wanted.path);
  return absl::OkStatus();
}

// False: the kernel does not tell.
bool ReadCredentials(int peer, UnixPeer* who) {
  ucred credentials = {};
  socklen_t size = sizeof(credentials);
  if (getsockopt(peer, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) {
    return false;
  }
  who->uid = credentials.uid;
  who->groups.resize(kGroupCountMax);
  size = static_cast<socklen_t>(who->groups.size() * sizeof(gid_t));
  // Without them (an old kernel, too many) the primary group has to do: fewer
  // grants hold then, never more.
  if (getsockopt(peer, SOL_SOCKET, SO_PEERGROUPS, who->groups.data(), &size) !=
      0) {
    size = 0;
  }
  who->groups.resize(size / sizeof(gid_t));
  who->groups.push_back(credentials.gid);
  return true;
}

// Whether `fd` is a Unix socket that listens; then nothing blocks on it and no
// child inherits it.
absl::Status Adopt(int fd) {
  int domain = 0;
  int listens = 0;
  socklen_t size = sizeof(int);
  if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) != 0 ||
      getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) != 0 ||
      domain != AF_UNIX || listens == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("descriptor ", fd, " is no Unix socket that listens"));
  }
  if (fcntl(fd, F_SETFL, O_NONBLOCK) != 0 ||
      fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) {
    return Failed("cannot adopt descriptor", absl::StrCat(fd));
  }
  return absl::OkStatus();
}

// Those that are missing are for all to go through, whatever the umask hides:
// who gets in is decided by the mode and the group of the socket.
absl::Status MakeFolders(const std::filesystem::path& folder) {
  std::error_code error;
  if (folder.empty() || std::filesystem::exists(folder, error)) {
    return absl::OkStatus();
  }
  RECLAIM_RETURN_IF_ERROR(MakeFolders(folder.parent_path()));
  if (mkdir(folder.c_str(), kFolderMode) != 0) {
    return errno == EEXIST ? absl::OkStatus()
                           : Failed("cannot make", folder.string());
  }
  return chmod(folder.c_str(), kFolderMode) == 0
             ? absl::OkStatus()
             : Failed("cannot set the mode of", folder.string());
}

// A new socket at the path.
absl::StatusOr<int> Listen(const UnixSocket& wanted) {
  RECLAIM_ASSIGN_OR_RETURN(const sockaddr_un address, AddressOf(wanted.path));
  RECLAIM_RETURN_IF_ERROR(
      MakeFolders(std::filesystem::path(wanted.path).parent_path()));
  RECLAIM_RETURN_IF_ERROR(TakeOver(wanted.path, address));
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return Failed("socket for", wanted.path);
  const absl::Status bound = Bind(fd, wanted, address);
  if (bound.ok()) return fd;
  close(fd);
  return bound;
}

}  // namespace

absl::StatusOr<std::unique_ptr<UnixListener>> UnixListener::Open(
    const UnixSocket& wanted) {
  UnixSocket used = wanted;
  if (wanted.fd >= 0) {
    RECLAIM_RETURN_IF_ERROR(Adopt(wanted.fd));
    used.path.clear();
  } else {
    RECLAIM_ASSIGN_OR_RETURN(used.fd, Listen(wanted));
  }
  const int wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (wake < 0) {
    const absl::Status status = Failed("eventfd for", wanted.path);
    close(used.fd);
    return status;
  }
  return std::unique_ptr<UnixListener>(new UnixListener(used, used.fd, wake));
}

UnixListener::~UnixListener() {
  Stop();
  close(wake_fd_);
  close(fd_);
}

void UnixListener::Start(grpc::Server* server, Peers* peers) {
  thread_ = std::thread([this, server, peers] { AcceptAll(server, peers); });
}

void UnixListener::Stop() {
  if (is_stopped_) return;
  is_stopped_ = true;
  // Before the last connection is refused: a new daemon binds the path anew.
  if (!path_.empty()) unlink(path_.c_str());
  const uint64_t one = 1;
  // The counter can't overflow: it is written once.
  const bool is_told = write(wake_fd_, &one, sizeof(one)) == sizeof(one);
  if (is_told && thread_.joinable()) thread_.join();
}

void UnixListener::AcceptAll(grpc::Server* server, Peers* peers) {
  for (;;) {
    pollfd waits[2] = {{fd_, POLLIN, 0}, {wake_fd_, POLLIN, 0}};
    if (poll(waits, 2, -1) < 0 && errno != EINTR) return;
    if (waits[1].revents != 0) return;
    const int peer =
        accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (peer < 0) {
      if (errno == EMFILE || errno == ENFILE || errno == ENOMEM) {
        // Somebody closes one soon; the wake-up still ends the wait.
        poll(&waits[1], 1, kAcceptPause);
      }
      continue;
    }
    UnixPeer who;
    if (!ReadCredentials(peer, &who)) {
      close(peer);
      continue;
    }
    who.socket_roles = roles_;
    peers->Note(peer, std::move(who));
    // The server owns the descriptor from here on.
    grpc::AddInsecureChannelFromFd(server, peer);
  }
}

}  // namespace reclaim::rpc
