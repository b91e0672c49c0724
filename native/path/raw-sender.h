// Sends UDP datagrams in IP packets with a header of our own making, through the raw sockets. The
// kernel does not fragment what comes with a header, so it is cut here, to any size.
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "host/underlay-sockets.h"
#include "wire/bytes.h"
#include "wire/endpoint.h"

namespace vnetd {

struct RawDatagram {
  Endpoint source;
  Endpoint destination;
  // The second part may be empty.
  ByteSpan first;
  ByteSpan second;
  std::uint8_t ttl = 1;
  std::uint32_t deviceIndex = 0;
  // No packet is larger.
  std::size_t mtuBytes = 0;
  // With DF, so that nobody cuts it on its way.
  bool isWhole = false;
};

class RawSender {
 public:
  explicit RawSender(const UnderlaySockets& sockets);

  // 0, or the errno. EOPNOTSUPP: there is no raw socket of the family.
  // HOT PATH: no allocation, no throw.
  [[nodiscard]] int send(const RawDatagram& datagram);

 private:
  static constexpr std::size_t kPacketBytesMax = 65'535;

  // `payload`: the UDP header and what is behind it.
  [[nodiscard]] int sendIpv4(const RawDatagram& datagram, ByteSpan payload);
  [[nodiscard]] int sendIpv6(const RawDatagram& datagram, ByteSpan payload);
  [[nodiscard]] static int sendPacket(int socket, const RawDatagram& datagram, ByteSpan header,
                                      ByteSpan part);

  const UnderlaySockets& sockets_;
  std::uint32_t nextId_;
  std::unique_ptr<std::array<std::byte, kPacketBytesMax>> datagram_;
};

}  // namespace vnetd
