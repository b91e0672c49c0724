// Attaching to a TAP that vnetd has created, persistent and owned by our user.
#pragma once

#include <string>

#include "host/failure.h"
#include "host/file-descriptor.h"
#include "host/opener.h"

namespace vnetd {

// Which super-frames the TAP may be written, and gives.
struct TapOffloads {
  bool checksumAndTcp = false;
  bool udp = false;
};

// Attaches `device` (an open /dev/net/tun) to the TAP `name`, with a virtio header of
// 10 octets before each frame whatever the offloads. Fails when no such TAP exists: without
// privileges none can be made. `wanted.udp` is a wish, `got` says what the kernel took.
Failure attachTap(const FileDescriptor& device, const std::string& name, TapOffloads wanted,
                  TapOffloads& got);

}  // namespace vnetd
