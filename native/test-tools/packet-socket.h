// An AF_PACKET socket on one device that gives and takes frames exactly as they are on the link:
// the VLAN tag that the kernel moves out of the frame on receipt is put back.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "hex-lines.h"

namespace vnetd {

struct PacketSocketOptions {
  bool promiscuous = false;
  bool outgoing = false;      // also what this host sends on the device
  bool virtioHeader = false;  // every frame begins with its 10-octet virtio header
};

class PacketSocket {
 public:
  PacketSocket(const std::string& device, PacketSocketOptions options);
  ~PacketSocket();
  PacketSocket(const PacketSocket&) = delete;
  PacketSocket& operator=(const PacketSocket&) = delete;
  PacketSocket(PacketSocket&&) = delete;
  PacketSocket& operator=(PacketSocket&&) = delete;

  [[nodiscard]] int descriptor() const { return descriptor_; }
  // 0 or an errno: tests send frames that the kernel may refuse.
  [[nodiscard]] int send(std::span<const std::byte> frame) const;
  // One frame with the kernel's time of receipt (CLOCK_REALTIME, nanoseconds); false when none
  // waits.
  bool receive(Octets& frame, std::uint64_t& timeNs) const;

 private:
  int descriptor_ = -1;
  std::size_t frameAt_ = 0;  // where the Ethernet header begins: after the virtio header, or 0
};

}  // namespace vnetd
