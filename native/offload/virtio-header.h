// The virtio-net header that precedes every frame on a TAP with IFF_VNET_HDR, and the rules by
// which an outbound one is believed.
//
// A guest writes these ten octets (vhost-net hands them through), so each number in them is
// hostile until compared with the frame. hdr_len is never used: on bridged traffic it is the
// whole packet.
#pragma once

#include <cstdint>

#include "wire/bytes.h"
#include "wire/ethernet.h"

namespace vnetd {

/** Native byte order, the TAP's default for a legacy header. */
struct VirtioHeader {
  std::uint8_t flags = 0;
  std::uint8_t gsoType = 0;
  std::uint16_t headerBytes = 0;
  std::uint16_t gsoSize = 0;
  std::uint16_t checksumStart = 0;
  std::uint16_t checksumOffset = 0;

  friend bool operator==(const VirtioHeader&, const VirtioHeader&) = default;
};
inline constexpr std::size_t kVirtioHeaderBytes = 10;
static_assert(sizeof(VirtioHeader) == kVirtioHeaderBytes);

inline constexpr std::uint8_t kVirtioNeedsChecksum = 1;
inline constexpr std::uint8_t kVirtioGsoNone = 0;
inline constexpr std::uint8_t kVirtioGsoTcp4 = 1;
inline constexpr std::uint8_t kVirtioGsoUdpFragments = 3;
inline constexpr std::uint8_t kVirtioGsoTcp6 = 4;
inline constexpr std::uint8_t kVirtioGsoUdpL4 = 5;
inline constexpr std::uint8_t kVirtioGsoEcn = 0x80;

inline constexpr std::uint16_t kTcpChecksumOffset = 16;
inline constexpr std::uint16_t kUdpChecksumOffset = 6;

/** Longest Ethernet to TCP/UDP header that is cut into segments; IPv6 extensions may be longer. */
inline constexpr std::size_t kMaxSuperHeaderBytes = 256;

/** `bytes` holds at least kVirtioHeaderBytes. */
VirtioHeader loadVirtioHeader(ByteSpan bytes);

enum class OutboundKind : std::uint8_t {
  kPlain,          // send as it is
  kNeedsChecksum,  // completeChecksum() first
  kSuperTcp,       // segment() it; IPv4 or IPv6
  kSuperUdp,       // segment() it at exactly gsoSize
  kInvalid,        // drop-virtio-header
};

/** `layout` is parseFrame(frame). Any header, any frame. */
OutboundKind checkOutbound(const VirtioHeader& header, const FrameLayout& layout);

/**
 * Does the TCP or UDP header at layout.l4Offset still hold only its pseudo-header's sum? For a
 * header that checkOutbound() did not refuse.
 */
inline bool checksumIsPending(const VirtioHeader& header, const FrameLayout& layout) {
  return (header.flags & kVirtioNeedsChecksum) != 0 && header.checksumStart == layout.l4Offset;
}

/**
 * Finishes the checksum of a kNeedsChecksum frame: the field holds the pseudo-header's sum, the
 * data is summed from `checksumStart` to the end of `packet`. The field must lie inside.
 */
void completeChecksum(MutableByteSpan packet, std::size_t checksumStart,
                      std::size_t checksumOffset);

/** The same with the offsets of a checked header; octets behind the IP packet do not count. */
inline void completeChecksum(MutableByteSpan frame, const FrameLayout& layout,
                             const VirtioHeader& header) {
  completeChecksum(frame.first(layout.packetEnd), header.checksumStart, header.checksumOffset);
}

}  // namespace vnetd
