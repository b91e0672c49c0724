#include "host/run-files.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace vnetd {
namespace {

constexpr int kLockTries = 50;
constexpr int kLockRetryMs = 10;
constexpr int kBacklog = 8;

sockaddr* asSockaddr(sockaddr_un& address) {
  return static_cast<sockaddr*>(static_cast<void*>(&address));
}

bool lockWithPatience(int file) {
  for (int attempt = 0; attempt < kLockTries; ++attempt) {
    if (::flock(file, LOCK_EX | LOCK_NB) == 0) {
      return true;
    }
    if (errno != EWOULDBLOCK && errno != EINTR) {
      return false;
    }
    ::poll(nullptr, 0, kLockRetryMs);
  }
  errno = EWOULDBLOCK;
  return false;
}

// False when the file was unlinked between open and lock: its lock then excludes nobody.
bool isStillAt(int file, const std::string& path) {
  struct stat held {};
  struct stat named {};
  return ::fstat(file, &held) == 0 && ::stat(path.c_str(), &named) == 0 &&
         held.st_dev == named.st_dev && held.st_ino == named.st_ino;
}

// Does a process listen on the socket file? ECONNREFUSED means that its maker is gone.
bool answers(const sockaddr_un& address) {
  const FileDescriptor probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_un copy = address;
  return probe.valid() &&
         (::connect(probe.get(), asSockaddr(copy), sizeof copy) == 0 || errno == EAGAIN);
}

}  // namespace

Failure lockPidFile(const std::string& path, FileDescriptor& file) {
  for (int attempt = 0; attempt < kLockTries; ++attempt) {
    file.reset(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644));
    if (!file.valid()) {
      return failureOf("Cannot open the pid file " + path);
    }
    if (!lockWithPatience(file.get())) {
      return failureOf("Cannot lock the pid file " + path + ": another vnet-dp runs");
    }
    if (isStillAt(file.get(), path)) {
      const std::string text = std::to_string(::getpid()) + "\n";
      if (::ftruncate(file.get(), 0) != 0 ||
          ::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
        return failureOf("Cannot write the pid file " + path);
      }
      return noFailure();
    }
  }
  return failureOf("Cannot lock the pid file " + path, EAGAIN);
}

Failure listenOn(const std::string& path, FileDescriptor& listener) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    return failureOf("Cannot listen on " + path, ENAMETOOLONG);
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  if (answers(address)) {
    return failureOf("Cannot listen on " + path + ": another vnet-dp answers there", EADDRINUSE);
  }
  struct stat existing {};
  if (::lstat(path.c_str(), &existing) == 0) {
    if (!S_ISSOCK(existing.st_mode)) {
      return failureOf("Cannot listen on " + path + ": it is a file, not a socket", EEXIST);
    }
    ::unlink(path.c_str());
  }
  listener.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!listener.valid()) {
    return failureOf("Cannot make the control socket");
  }
  // The umask, so that there is no moment in which others may connect.
  const mode_t former = ::umask(0177);
  const int bound = ::bind(listener.get(), asSockaddr(address), sizeof address);
  const int error = errno;
  ::umask(former);
  if (bound != 0) {
    listener.reset();  // Open means: the file is ours.
    return failureOf("Cannot listen on " + path, error);
  }
  if (::listen(listener.get(), kBacklog) != 0) {
    return failureOf("Cannot listen on " + path);
  }
  return noFailure();
}

}  // namespace vnetd
