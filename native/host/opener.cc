#include "host/opener.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "host/privileges.h"
#include "host/seccomp.h"

namespace vnetd {
namespace {

constexpr const char* kTunDevice = "/dev/net/tun";

int openTun() { return ::open(kTunDevice, O_RDWR | O_NONBLOCK | O_CLOEXEC); }

union DescriptorControl {
  cmsghdr alignment;
  std::array<char, CMSG_SPACE(sizeof(int))> space;
};

// Answers with the errno of the open, and the descriptor when that is 0.
bool sendDescriptor(int channel, int device, int error) {
  DescriptorControl control{};
  iovec part{.iov_base = &error, .iov_len = sizeof error};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (device >= 0) {
    message.msg_control = &control;
    message.msg_controllen = sizeof control;
    cmsghdr* const header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(header), &device, sizeof device);
  }
  return ::sendmsg(channel, &message, MSG_NOSIGNAL) == static_cast<ssize_t>(sizeof error);
}

void serve(int channel) {
  for (;;) {
    char request = 0;
    const ssize_t received = ::recv(channel, &request, sizeof request, 0);
    if (received < 0 && errno == EINTR) {
      continue;
    }
    if (received != static_cast<ssize_t>(sizeof request)) {
      return;  // End of file: the data plane is gone.
    }
    const FileDescriptor device(openTun());
    if (!sendDescriptor(channel, device.get(), device.valid() ? 0 : errno)) {
      return;
    }
  }
}

[[noreturn]] void runChild(int channel, std::span<const std::string> toRemove) {
  prctl(PR_SET_NAME, "vnet-dp-opener", 0, 0, 0);
  if (dropCapabilities().failed() || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0 ||
      restrictOpener().failed()) {
    _exit(1);
  }
  serve(channel);
  for (const std::string& path : toRemove) {
    ::unlink(path.c_str());
  }
  _exit(0);
}

}  // namespace

Failure Opener::start(std::span<const std::string> toRemove,
                      std::span<const int> descriptorsToClose) {
  std::array<int, 2> ends{};
  // SEQPACKET: a request is whole or not there, and the end is seen as an empty message.
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    return failureOf("Cannot make the opener's channel");
  }
  FileDescriptor ours(ends[0]);
  const FileDescriptor theirs(ends[1]);
  const pid_t child = ::fork();
  if (child < 0) {
    return failureOf("Cannot fork the opener");
  }
  if (child == 0) {
    ours.reset();
    for (const int descriptor : descriptorsToClose) {
      ::close(descriptor);
    }
    runChild(theirs.get(), toRemove);
  }
  channel_ = std::move(ours);
  return noFailure();
}

Failure Opener::openTunDevice(FileDescriptor& device) const {
  if (!running()) {
    device.reset(openTun());
    return device.valid() ? noFailure() : failureOf("Cannot open /dev/net/tun");
  }
  const char request = 1;
  if (::send(channel_.get(), &request, sizeof request, MSG_NOSIGNAL) !=
      static_cast<ssize_t>(sizeof request)) {
    return failureOf("Cannot ask the opener for /dev/net/tun");
  }
  int error = 0;
  DescriptorControl control{};
  iovec part{.iov_base = &error, .iov_len = sizeof error};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = &control;
  message.msg_controllen = sizeof control;
  ssize_t received = 0;
  do {
    received = ::recvmsg(channel_.get(), &message, MSG_CMSG_CLOEXEC);
  } while (received < 0 && errno == EINTR);
  if (received != static_cast<ssize_t>(sizeof error)) {
    return failureOf("The opener is gone", received < 0 ? errno : ECONNRESET);
  }
  const cmsghdr* const header = CMSG_FIRSTHDR(&message);
  if (error != 0 || header == nullptr || header->cmsg_type != SCM_RIGHTS) {
    return failureOf("Cannot open /dev/net/tun", error != 0 ? error : EBADMSG);
  }
  int descriptor = -1;
  std::memcpy(&descriptor, CMSG_DATA(header), sizeof descriptor);
  device.reset(descriptor);
  return noFailure();
}

void Opener::stop() {
  if (!running()) {
    return;
  }
  ::shutdown(channel_.get(), SHUT_WR);
  char octet = 0;
  while (::recv(channel_.get(), &octet, sizeof octet, 0) < 0 && errno == EINTR) {
  }
  channel_.reset();
}

Failure checkTunDevice() {
  const FileDescriptor device(openTun());
  if (device.valid()) {
    return noFailure();
  }
  const int error = errno;
  Failure failure = failureOf("Cannot open /dev/net/tun", error);
  if (error == EACCES || error == EPERM) {
    failure.message += "; start vnet-dp as root, or give its user access to the device";
  } else {
    failure.message += "; load the module with: modprobe tun";
  }
  return failure;
}

}  // namespace vnetd
