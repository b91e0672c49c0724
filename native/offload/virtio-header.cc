#include "offload/virtio-header.h"

#include "wire/checksum.h"

namespace vnetd {

namespace {

constexpr std::uint8_t kIpProtocolIcmp = 1;
constexpr std::uint8_t kIpProtocolIgmp = 2;
constexpr std::uint8_t kIpProtocolIcmp6 = 58;

// A guest chooses where the checksum is written, after the switch in front of us has judged the
// frame by its addresses, ports, ARP or neighbour discovery fields. So none of those may be hit:
// the field is the transport header's own checksum or lies behind every header that was parsed
// (the inner header of a tunnel of the guest's).
bool isChecksumPlaceAllowed(const VirtioHeader& header, const FrameLayout& layout) {
  const std::uint32_t start = header.checksumStart;
  if (layout.network == NetworkKind::kOther || layout.isFragment ||
      start + header.checksumOffset + 2U > layout.packetEnd) {
    return false;
  }
  switch (layout.ipProtocol) {
    case kIpProtocolTcp:
    case kIpProtocolUdp: {
      const bool isTcp = layout.transport == TransportKind::kTcp;
      if (layout.transport == TransportKind::kNone) {
        return false;  // Cut off or nonsense.
      }
      if (start != layout.l4Offset) {
        return start >= layout.headersEnd();
      }
      return header.checksumOffset == (isTcp ? kTcpChecksumOffset : kUdpChecksumOffset);
    }
    case kIpProtocolIcmp:
    case kIpProtocolIgmp:
    case kIpProtocolIcmp6:
      return false;  // No stack leaves these unfinished.
    default:
      return start >= layout.l4Offset;
  }
}

// The kernel never hands us UFO (type 3): we do not offer it. TSO_ECN (0x80) comes with TCP.
OutboundKind superKind(const VirtioHeader& header, const FrameLayout& layout) {
  const bool isTcp4 = (header.gsoType & ~kVirtioGsoEcn) == kVirtioGsoTcp4;
  const bool isTcp6 = (header.gsoType & ~kVirtioGsoEcn) == kVirtioGsoTcp6;
  if ((isTcp4 && layout.network == NetworkKind::kIpv4) ||
      (isTcp6 && layout.network == NetworkKind::kIpv6)) {
    return layout.transport == TransportKind::kTcp ? OutboundKind::kSuperTcp
                                                   : OutboundKind::kInvalid;
  }
  if (header.gsoType == kVirtioGsoUdpL4 && layout.transport == TransportKind::kUdp) {
    return OutboundKind::kSuperUdp;
  }
  return OutboundKind::kInvalid;
}

OutboundKind checkSuperFrame(const VirtioHeader& header, const FrameLayout& layout) {
  const OutboundKind kind = superKind(header, layout);
  if (kind == OutboundKind::kInvalid || header.gsoSize == 0 ||
      layout.headersEnd() > kMaxSuperHeaderBytes) {
    return OutboundKind::kInvalid;
  }
  if ((header.flags & kVirtioNeedsChecksum) == 0) {
    // Linux takes TCP super-frames without the flag too. With a routing header only the pending
    // field knows the pseudo-header's destination.
    return kind == OutboundKind::kSuperTcp && !layout.hasRoutingHeader ? kind
                                                                       : OutboundKind::kInvalid;
  }
  const std::uint16_t checksumOffset =
      kind == OutboundKind::kSuperTcp ? kTcpChecksumOffset : kUdpChecksumOffset;
  return header.checksumStart == layout.l4Offset && header.checksumOffset == checksumOffset
             ? kind
             : OutboundKind::kInvalid;
}

}  // namespace

VirtioHeader loadVirtioHeader(ByteSpan bytes) {
  VirtioHeader header;
  std::memcpy(&header, bytes.data(), sizeof header);
  return header;
}

// HOT PATH: no allocation, no throw.
OutboundKind checkOutbound(const VirtioHeader& header, const FrameLayout& layout) {
  if (header.gsoType != kVirtioGsoNone) {
    return checkSuperFrame(header, layout);
  }
  if ((header.flags & kVirtioNeedsChecksum) == 0) {
    return OutboundKind::kPlain;
  }
  return isChecksumPlaceAllowed(header, layout) ? OutboundKind::kNeedsChecksum
                                                : OutboundKind::kInvalid;
}

// HOT PATH: no allocation, no throw.
void completeChecksum(MutableByteSpan packet, std::size_t checksumStart,
                      std::size_t checksumOffset) {
  // The seed in the field is a part of what is summed: it need not be cleared first.
  const std::uint16_t sum = sumBytes(packet.subspan(checksumStart));
  std::byte* field = &packet[checksumStart + checksumOffset];
  const bool isUdp = checksumOffset == kUdpChecksumOffset;
  storeU16(field, isUdp ? udpChecksumOf(sum) : checksumOf(sum));
}

}  // namespace vnetd
