// Lowers the MSS option of TCP SYN segments (RFC 9293 §3.7.1), so that the ends of a connection
// never send single frames that the tunnel would have to leave to IP fragmentation.
#pragma once

#include <cstdint>

#include "wire/bytes.h"
#include "wire/ethernet.h"

namespace vnetd {

/**
 * Whether the TCP checksum field is already a whole checksum. While it is pending (NEEDS_CSUM)
 * it covers only the pseudo-header: the options are summed later and the field must not change.
 */
enum class TcpChecksumState : std::uint8_t { kComplete, kPending };

/**
 * True when the frame was a SYN (or SYN-ACK) whose MSS was above `maxMss` and is now `maxMss`. A
 * wrong checksum stays wrong. `layout` is parseFrame(frame).
 */
bool clampMss(MutableByteSpan frame, const FrameLayout& layout, std::uint16_t maxMss,
              TcpChecksumState checksumState);

/** The largest MSS whose segments, with 20 octets of TCP header, fit an IP packet of `mtu`. */
constexpr std::uint16_t mssForMtu(std::size_t mtu, NetworkKind network) {
  const std::size_t headers =
      kTcpHeaderBytes + (network == NetworkKind::kIpv6 ? kIpv6HeaderBytes : kIpv4HeaderBytes);
  const std::size_t room = mtu > headers ? mtu - headers : 0;
  return static_cast<std::uint16_t>(room > 0xFFFF ? 0xFFFF : room);
}

}  // namespace vnetd
