#include "host/tap.h"

#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>

#include <cstring>

#include "offload/virtio-header.h"

// Linux 6.2; older headers lack the names, older kernels answer EINVAL.
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#endif
#ifndef TUN_F_USO6
#define TUN_F_USO6 0x40
#endif

namespace vnetd {
namespace {

std::string explainAttach(int error, const std::string& name) {
  switch (error) {
    case EPERM:
      return "; it does not exist, or does not belong to vnet-dp's user";
    case EBUSY:
      return "; another process is attached to it";
    case EINVAL:
      return "; " + name + " is not a single-queue TAP";
    default:
      return {};
  }
}

}  // namespace

Failure attachTap(const FileDescriptor& device, const std::string& name, TapOffloads wanted,
                  TapOffloads& got) {
  got = {};
  ifreq request{};
  if (name.empty() || name.size() >= sizeof request.ifr_name) {
    return {.error = EINVAL, .message = "The interface name \"" + name + "\" is too long or empty"};
  }
  std::memcpy(request.ifr_name, name.data(), name.size());
  request.ifr_flags = static_cast<short>(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR);
  if (::ioctl(device.get(), TUNSETIFF, &request) != 0) {
    const int error = errno;
    Failure failure = failureOf("Cannot attach to " + name, error);
    failure.message += explainAttach(error, name);
    return failure;
  }
  int headerBytes = static_cast<int>(kVirtioHeaderBytes);
  if (::ioctl(device.get(), TUNSETVNETHDRSZ, &headerBytes) != 0) {
    return failureOf("Cannot set the virtio header of " + name);
  }
  if (!wanted.checksumAndTcp) {
    if (::ioctl(device.get(), TUNSETOFFLOAD, 0UL) != 0) {
      return failureOf("Cannot switch off the offloads of " + name);
    }
    return noFailure();
  }
  constexpr unsigned long kTcp = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6;
  constexpr unsigned long kUdp = TUN_F_USO4 | TUN_F_USO6;
  if (wanted.udp && ::ioctl(device.get(), TUNSETOFFLOAD, kTcp | kUdp) == 0) {
    got = {.checksumAndTcp = true, .udp = true};
  } else if (::ioctl(device.get(), TUNSETOFFLOAD, kTcp) == 0) {
    got = {.checksumAndTcp = true, .udp = false};
  } else if (::ioctl(device.get(), TUNSETOFFLOAD, 0UL) != 0) {
    return failureOf("Cannot set the offloads of " + name);
  }
  return noFailure();
}

}  // namespace vnetd
