// Multicasts on our segment what a peer forwarded to us, with its first source (wire/legacy.h,
// message 3), so that hosts there learn where a MAC really is. Needs the raw sockets, and cuts
// large packets itself: the kernel does not fragment what comes with a header.
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

 private:
  static constexpr std::size_t kPacketBytesMax = 65'535;

  // One IP payload (UDP header and message) on its way, in one or several packets.
  struct Payload {
    const UnderlayView& view;
    const Endpoint& source;
    const Endpoint& group;
    ByteSpan octets;
  };

  [[nodiscard]] bool sendIpv4(const Payload& payload);
  [[nodiscard]] bool sendIpv6(const Payload& payload);
  [[nodiscard]] static bool sendPacket(int socket, const Payload& payload, ByteSpan header,
                                       ByteSpan part);

  const UnderlaySockets& sockets_;
  std::uint32_t nextId_;
  std::unique_ptr<std::array<std::byte, kPacketBytesMax>> datagram_;
};

}  // namespace vnetd
