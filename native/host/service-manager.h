// What systemd gives a service and wants to be told by it: the control socket that it listens on
// (sd_listen_fds(3)), readiness and signs of life (sd_notify(3)). Both are a few lines of protocol,
// so there is no library. Whoever was started otherwise has none of it.
#pragma once

#include <sys/un.h>

#include <string_view>

#include "host/failure.h"
#include "host/file-descriptor.h"

namespace vnetd {

// Before anything else is opened: it is known by its number. `listener` becomes the socket that was
// given to this very process.
Failure takeListener(FileDescriptor& listener);

// sd_notify. Opened early, because later no socket may be made.
class ServiceManager {
 public:
  // Without NOTIFY_SOCKET nobody wants to be told, and the rest does nothing.
  Failure open();

  void tellReady() const;
  void tellStopping() const;
  // To be called more often than WatchdogSec, and only while all is well.
  void tellAlive() const;

  [[nodiscard]] int descriptor() const { return socket_.get(); }

 private:
  void tell(std::string_view state) const;

  FileDescriptor socket_;
  sockaddr_un address_{};
  socklen_t addressBytes_ = 0;
};

}  // namespace vnetd
