// Which offloads work now. Workers switch one off when the kernel refuses it; the control thread
// sees the change and tells vnetd once.
#pragma once

#include <atomic>

namespace vnetd {

struct OffloadState {
  std::atomic<bool> tap{false};
  // UDP super-frames over the TAP; not told to vnetd, it is a part of `tap`.
  std::atomic<bool> tapUdp{false};
  std::atomic<bool> udpSegmentation{false};
  std::atomic<bool> udpCoalescing{false};
};

}  // namespace vnetd
