// Sends what needs an IP header of our own making, through the raw sockets. The kernel does not
// fragment what comes with a header.
//
// First of all, what a peer forwarded to us is multicast on our segment with its first source
// (wire/legacy.h, message 3), so that hosts there learn where a MAC really is; large packets are
// cut here. And then probes of the path MTU, which nobody may cut.
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "path/underlay-view.h"
#include "wire/bytes.h"
#include "wire/endpoint.h"

namespace vnetd {

class Reemitter {
 public:
  explicit Reemitter(const UnderlaySockets& sockets);

  // `source`: the host that multicast `message` first. False when it could not be sent.
  // HOT PATH: no allocation, no throw.
  [[nodiscard]] bool send(const UnderlayView& view, const Endpoint& source, ByteSpan message);

  // From this host to another. 0, or the errno.
  [[nodiscard]] int sendWhole(const UnderlayView& view, const Endpoint& host, ByteSpan message);

 private:
  static constexpr std::size_t kPacketBytesMax = 65'535;

  // One IP payload (UDP header and message) on its way, in one or several packets.
  struct Payload {
    const UnderlayView& view;
    const Endpoint& source;
    const Endpoint& destination;
    ByteSpan octets;
    std::uint8_t ttl = 1;
    // In one packet or not at all.
    bool isWhole = false;
  };

  [[nodiscard]] MutableByteSpan fillDatagram(const Endpoint& source, const Endpoint& destination,
                                             ByteSpan message);
  // 0, or the errno.
  [[nodiscard]] int sendIpv4(const Payload& payload);
  [[nodiscard]] int sendIpv6(const Payload& payload);
  [[nodiscard]] static int sendPacket(int socket, const Payload& payload, ByteSpan header,
                                      ByteSpan part);

  const UnderlaySockets& sockets_;
  std::uint32_t nextId_;
  std::unique_ptr<std::array<std::byte, kPacketBytesMax>> datagram_;
};

}  // namespace vnetd
