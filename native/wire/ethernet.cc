#include "wire/ethernet.h"

namespace vnetd {

namespace {

constexpr std::size_t kEtherTypeAt = 12;
constexpr std::size_t kTagBytes = 4;
constexpr std::uint8_t kMaxTags = 2;
constexpr std::size_t kMinExtensionBytes = 8;
// A legal packet has each extension once, destination options twice (RFC 8200 §4.1).
constexpr int kMaxExtensions = 8;

constexpr std::uint8_t kNextHopByHop = 0;
constexpr std::uint8_t kNextRouting = 43;
constexpr std::uint8_t kNextFragment = 44;
constexpr std::uint8_t kNextNone = 59;
constexpr std::uint8_t kNextDestinationOptions = 60;

bool isTagType(std::uint16_t etherType) {
  return etherType == kEtherTypeVlan || etherType == kEtherTypeServiceVlan ||
         etherType == kEtherTypeOldServiceVlan;
}

// `totalBytes` is the IP packet's length by its own header, `minBytes` what it must at least be.
void setPacketEnd(FrameLayout& layout, std::size_t totalBytes, std::size_t minBytes) {
  const std::size_t end = layout.l3Offset + totalBytes;
  if (totalBytes < minBytes || end > layout.frameBytes) {
    layout.lengthFit = LengthFit::kWrong;
    return;
  }
  layout.packetEnd = static_cast<std::uint32_t>(end);
  layout.lengthFit = end == layout.frameBytes ? LengthFit::kExact : LengthFit::kPadded;
}

void parseTransport(ByteSpan frame, FrameLayout& layout) {
  const std::size_t room = layout.packetEnd - layout.l4Offset;
  if (layout.ipProtocol == kIpProtocolUdp && room >= kUdpHeaderBytes) {
    layout.transport = TransportKind::kUdp;
    layout.l4HeaderBytes = kUdpHeaderBytes;
  } else if (layout.ipProtocol == kIpProtocolTcp && room >= kTcpHeaderBytes) {
    const std::size_t headerBytes =
        static_cast<std::size_t>(loadU8(&frame[layout.l4Offset + 12U]) >> 4U) * 4U;
    if (headerBytes >= kTcpHeaderBytes && headerBytes <= room) {
      layout.transport = TransportKind::kTcp;
      layout.l4HeaderBytes = static_cast<std::uint16_t>(headerBytes);
    }
  }
}

void parseIpv4(ByteSpan frame, FrameLayout& layout) {
  const ByteSpan packet = frame.subspan(layout.l3Offset);
  if (packet.size() < kIpv4HeaderBytes || loadU8(packet.data()) >> 4U != 4) {
    return;
  }
  const std::size_t headerBytes = (loadU8(packet.data()) & 0x0FU) * std::size_t{4};
  if (headerBytes < kIpv4HeaderBytes || headerBytes > packet.size()) {
    return;
  }
  layout.network = NetworkKind::kIpv4;
  layout.hasExtensions = headerBytes != kIpv4HeaderBytes;
  layout.isFragment = (loadU16(&packet[6]) & 0x3FFFU) != 0;  // MF or an offset
  layout.ipProtocol = loadU8(&packet[9]);
  layout.l4Offset = layout.l3Offset + static_cast<std::uint32_t>(headerBytes);
  setPacketEnd(layout, loadU16(&packet[2]), headerBytes);
  if (!layout.isFragment) {
    parseTransport(frame, layout);
  }
}

// Walks over the extensions that a segment of a super-frame may carry (as Linux does) and up to
// a fragment header; stops before anything else.
void skipIpv6Extensions(ByteSpan frame, FrameLayout& layout) {
  for (int count = 0; count < kMaxExtensions; ++count) {
    const std::uint8_t kind = layout.ipProtocol;
    const bool isOptions = kind == kNextHopByHop || kind == kNextDestinationOptions;
    if (!isOptions && kind != kNextRouting && kind != kNextFragment) {
      return;
    }
    const std::size_t room = layout.packetEnd - layout.l4Offset;
    if (room < kMinExtensionBytes) {
      return;
    }
    const std::byte* extension = &frame[layout.l4Offset];
    const std::size_t extensionBytes =
        kind == kNextFragment ? kMinExtensionBytes : (loadU8(extension + 1) + std::size_t{1}) * 8U;
    if (extensionBytes > room) {
      return;
    }
    layout.hasExtensions = true;
    layout.hasRoutingHeader |= kind == kNextRouting && loadU8(extension + 3) != 0;
    layout.ipProtocol = loadU8(extension);
    layout.l4Offset += static_cast<std::uint32_t>(extensionBytes);
    if (kind == kNextFragment) {
      layout.isFragment = true;
      return;
    }
  }
}

void parseIpv6(ByteSpan frame, FrameLayout& layout) {
  const ByteSpan packet = frame.subspan(layout.l3Offset);
  if (packet.size() < kIpv6HeaderBytes || loadU8(packet.data()) >> 4U != 6) {
    return;
  }
  layout.network = NetworkKind::kIpv6;
  layout.ipProtocol = loadU8(&packet[6]);
  layout.l4Offset = layout.l3Offset + kIpv6HeaderBytes;
  // A length of 0 with something behind it is a jumbogram or an unfinished super-frame.
  const std::size_t payloadBytes = loadU16(&packet[4]);
  const std::size_t minPayloadBytes = layout.ipProtocol == kNextNone ? 0 : 1;
  setPacketEnd(layout, kIpv6HeaderBytes + payloadBytes, kIpv6HeaderBytes + minPayloadBytes);
  skipIpv6Extensions(frame, layout);
  if (!layout.isFragment) {
    parseTransport(frame, layout);
  }
}

}  // namespace

// HOT PATH: no allocation, no throw.
FrameLayout parseFrame(ByteSpan frame) {
  FrameLayout layout;
  layout.frameBytes = static_cast<std::uint32_t>(frame.size());
  layout.packetEnd = layout.frameBytes;
  if (frame.size() < kEthernetHeaderBytes) {
    return layout;
  }
  std::size_t typeAt = kEtherTypeAt;
  layout.etherType = loadU16(&frame[typeAt]);
  while (isTagType(layout.etherType) && layout.tagCount < kMaxTags &&
         frame.size() >= typeAt + kTagBytes + 2) {
    typeAt += kTagBytes;
    ++layout.tagCount;
    layout.etherType = loadU16(&frame[typeAt]);
  }
  layout.l3Offset = static_cast<std::uint32_t>(typeAt + 2);
  if (layout.etherType == kEtherTypeIpv4) {
    parseIpv4(frame, layout);
  } else if (layout.etherType == kEtherTypeIpv6) {
    parseIpv6(frame, layout);
  }
  return layout;
}

}  // namespace vnetd
