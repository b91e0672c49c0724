// The opener: a child that keeps uid 0, and with it the right to open /dev/net/tun where that is
// 0600, but no capability and next to no system call. It reads one octet from the data plane,
// opens the device and passes the descriptor back; the request has no content that could be
// abused. When the data plane ends, however it ends, it removes the socket and the pid file,
// which the data plane's own user may not.
//
//   data plane ──one octet──▶ opener ──open("/dev/net/tun")──▶ SCM_RIGHTS ──▶ data plane
#pragma once

#include <span>
#include <string>

#include "host/failure.h"
#include "host/file-descriptor.h"

namespace vnetd {

class Opener {
 public:
  // Forks the child; only root needs one (others open the device themselves). `toRemove`: files
  // the child unlinks at the end. `descriptorsToClose`: what the child must not keep open, or
  // ports and sockets would outlive the data plane.
  Failure start(std::span<const std::string> toRemove, std::span<const int> descriptorsToClose);

  // An open /dev/net/tun without an interface yet, non-blocking.
  Failure openTunDevice(FileDescriptor& device) const;

  // Ends the child, and waits until it has removed the files.
  void stop();

  [[nodiscard]] bool running() const { return channel_.valid(); }

  // Hangs up when the child is gone. Negative: there is no child.
  [[nodiscard]] int channel() const { return channel_.get(); }

 private:
  FileDescriptor channel_;
};

// Says what to do when /dev/net/tun is not there or may not be opened.
Failure checkTunDevice();

}  // namespace vnetd
