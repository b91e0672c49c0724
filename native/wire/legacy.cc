#include "wire/legacy.h"

#include <algorithm>
#include <array>
#include <optional>

#include "wire/bytes.h"
#include "wire/esp.h"
#include "wire/ethernet.h"

namespace vnetd {

namespace {

constexpr std::uint16_t kIdVarp = 1;
constexpr std::uint16_t kIdFrame = 2;
constexpr std::uint16_t kIdForward = 3;
constexpr std::size_t kIdBytes = 4;
constexpr std::size_t kMessageBytesMin = 8;

constexpr std::size_t kVarpVnetAt = 4;
constexpr std::size_t kVarpMacAt = 20;
constexpr std::size_t kVarpFamilyAt = 26;
constexpr std::size_t kVarpAddressAt = 27;

constexpr std::size_t kIpPacketBytesMax = 65'535;
constexpr std::uint8_t kForwardTtl = 0x40;
constexpr std::uint16_t kDontFragment = 0x4000;

constexpr DropMessage kForwardMalformed{Counter::kDropForwardMalformed};

IpAddress decodeVarpAddress(std::span<const std::byte> payload) {
  const auto octets = payload.subspan(kVarpAddressAt).first<kIpv6Bytes>();
  switch (loadU8(&payload[kVarpFamilyAt])) {
    case kFamilyIpv4:
      return IpAddress::fromIpv4(octets.first<kIpv4Bytes>());
    case kFamilyIpv6:
      return IpAddress::fromIpv6(octets);
    default:
      return {};
  }
}

DatagramOutcome decodeVarp(std::span<const std::byte> payload) {
  if (payload.size() < kVarpBytes) {
    return DropMessage{Counter::kDropShort};
  }
  const auto opcode = static_cast<VarpOpcode>(loadU16(&payload[2]));
  const IpAddress address = decodeVarpAddress(payload);
  const bool isKnownOpcode = opcode == VarpOpcode::kRequest || opcode == VarpOpcode::kAnnounce;
  if (!isKnownOpcode || !address.isHost()) {
    return DropMessage{Counter::kDropVarpMalformed};
  }
  return VarpMessage{
      .opcode = opcode,
      .vnetId = VnetId::fromBytes(payload.subspan<kVarpVnetAt, kVnetIdBytes>()),
      .mac = MacAddress::fromBytes(payload.subspan<kVarpMacAt, kMacAddressBytes>()),
      .address = address,
      .raw = payload,
  };
}

DatagramOutcome decodeFrame(std::span<const std::byte> payload) {
  const EtheripOutcome outcome = decodeEtherip(payload.subspan(kIdBytes));
  if (const auto* frame = std::get_if<FrameMessage>(&outcome)) {
    return *frame;
  }
  return *std::get_if<DropMessage>(&outcome);
}

// What a forward's IP header says. `transport`: the octets behind it that belong to the packet.
struct InnerPacket {
  IpAddress source;
  IpAddress destination;
  std::uint8_t ttl = 0;
  std::span<const std::byte> transport;
  // The lengths were never written: the message goes to the end of the datagram.
  bool isUnmeasured = false;
};

// RFC 791 §3.1. The checksum is not looked at: the original leaves it 0.
std::optional<InnerPacket> parseInner4(std::span<const std::byte> packet) {
  if (packet.size() < kIpv4HeaderBytes) {
    return std::nullopt;
  }
  const std::size_t headerBytes = std::size_t{4} * (loadU8(packet.data()) & 0xFU);
  const std::size_t packetBytes = loadU16(&packet[2]);
  const bool isFragment = (loadU16(&packet[6]) & ~unsigned{kDontFragment}) != 0;
  if (headerBytes < kIpv4HeaderBytes || packetBytes < headerBytes || packetBytes > packet.size() ||
      isFragment || loadU8(&packet[9]) != kIpProtocolUdp) {
    return std::nullopt;
  }
  return InnerPacket{.source = IpAddress::fromIpv4(packet.subspan<12, kIpv4Bytes>()),
                     .destination = IpAddress::fromIpv4(packet.subspan<16, kIpv4Bytes>()),
                     .ttl = loadU8(&packet[8]),
                     .transport = packet.first(packetBytes).subspan(headerBytes)};
}

// The original, passing on what it heard, writes the protocol, both addresses and both ports; the
// rest of the two headers is memory that it never touched, the first octet 0. Its own receiver
// takes 20 and 8 octets, whatever they say.
std::optional<InnerPacket> parseInnerUnmeasured(std::span<const std::byte> packet) {
  if (packet.size() < kIpv4HeaderBytes || loadU8(&packet[9]) != kIpProtocolUdp) {
    return std::nullopt;
  }
  return InnerPacket{.source = IpAddress::fromIpv4(packet.subspan<12, kIpv4Bytes>()),
                     .destination = IpAddress::fromIpv4(packet.subspan<16, kIpv4Bytes>()),
                     .ttl = loadU8(&packet[8]),
                     .transport = packet.subspan(kIpv4HeaderBytes),
                     .isUnmeasured = true};
}

// RFC 8200 §3. No extension headers: nobody has a reason to send them.
std::optional<InnerPacket> parseInner6(std::span<const std::byte> packet) {
  if (packet.size() < kIpv6HeaderBytes) {
    return std::nullopt;
  }
  const std::size_t payloadBytes = loadU16(&packet[4]);
  if (payloadBytes > packet.size() - kIpv6HeaderBytes || loadU8(&packet[6]) != kIpProtocolUdp) {
    return std::nullopt;
  }
  const InnerPacket inner{.source = IpAddress::fromIpv6(packet.subspan<8, kIpv6Bytes>()),
                          .destination = IpAddress::fromIpv6(packet.subspan<24, kIpv6Bytes>()),
                          .ttl = loadU8(&packet[7]),
                          .transport = packet.subspan(kIpv6HeaderBytes, payloadBytes)};
  // IPv4-mapped addresses do not stand in packets (RFC 4291 §2.5.5.2).
  const bool isIpv6 = inner.source.family == kFamilyIpv6 && inner.destination.family == kFamilyIpv6;
  return isIpv6 ? std::optional(inner) : std::nullopt;
}

std::optional<InnerPacket> parseInner(std::span<const std::byte> packet) {
  if (packet.empty()) {
    return std::nullopt;
  }
  if (loadU8(packet.data()) == 0) {
    return parseInnerUnmeasured(packet);
  }
  switch (loadU8(packet.data()) >> 4U) {
    case 4:
      return parseInner4(packet);
    case 6:
      return parseInner6(packet);
    default:
      return std::nullopt;
  }
}

// May this stand in a forward? Sealed messages are passed on unread.
bool isGroupMessage(std::span<const std::byte> message) {
  if (message.size() < kMessageBytesMin) {
    return false;
  }
  const std::uint32_t word = loadU32(message.data());
  switch (word >> 16U) {
    case kIdVarp:
      return std::holds_alternative<VarpMessage>(decodeVarp(message));
    case kIdFrame:
      return std::holds_alternative<FrameMessage>(decodeFrame(message));
    default:
      return isSecureMessage(message);
  }
}

DatagramOutcome decodeForward(std::span<const std::byte> payload) {
  const auto inner = parseInner(payload.subspan(kIdBytes));
  if (!inner || inner->transport.size() < kUdpHeaderBytes) {
    return kForwardMalformed;
  }
  const auto& udp = inner->transport;
  const std::size_t udpBytes = inner->isUnmeasured ? udp.size() : loadU16(&udp[4]);
  const bool isSourceSane = inner->source.isUnspecified() || inner->source.isHost();
  if (udpBytes < kUdpHeaderBytes || udpBytes > udp.size() || !isSourceSane ||
      !inner->destination.isMulticast()) {
    return kForwardMalformed;
  }
  const auto message = udp.first(udpBytes).subspan(kUdpHeaderBytes);
  if (!isGroupMessage(message)) {
    return kForwardMalformed;
  }
  return ForwardMessage{.source = Endpoint::from(inner->source, loadU16(udp.data())),
                        .destination = Endpoint::from(inner->destination, loadU16(&udp[2])),
                        .ttl = inner->ttl,
                        .message = message};
}

// The IPv4 header as the original fills it: no id, no checksum.
void encodeInner4(std::span<std::byte> out, const IpAddress& source, const IpAddress& group,
                  std::uint16_t packetBytes) {
  std::ranges::fill(out, std::byte{0});
  storeU8(out.data(), 0x45);
  storeU16(&out[2], packetBytes);
  storeU8(&out[8], kForwardTtl);
  storeU8(&out[9], kIpProtocolUdp);
  std::copy_n(source.octets.begin(), kIpv4Bytes, &out[12]);
  std::copy_n(group.octets.begin(), kIpv4Bytes, &out[16]);
}

void encodeInner6(std::span<std::byte> out, const IpAddress& source, const IpAddress& group,
                  std::uint16_t payloadBytes) {
  std::ranges::fill(out, std::byte{0});
  storeU8(out.data(), 0x60);
  storeU16(&out[4], payloadBytes);
  storeU8(&out[6], kIpProtocolUdp);
  storeU8(&out[7], kForwardTtl);
  std::ranges::copy(source.octets, &out[8]);
  std::ranges::copy(group.octets, &out[24]);
}

}  // namespace

DatagramOutcome decodeDatagram(std::span<const std::byte> payload) {
  if (payload.size() < kMessageBytesMin) {
    return DropMessage{Counter::kDropShort};
  }
  const std::uint32_t word = loadU32(payload.data());
  switch (word >> 16U) {
    case kIdVarp:
      return decodeVarp(payload);
    case kIdFrame:
      return decodeFrame(payload);
    case kIdForward:
      return decodeForward(payload);
    default:
      return DropMessage{word >= kFirstGroupSpi && word <= kLastPairSpi
                             ? Counter::kDropEspNoKey
                             : Counter::kDropUnknownMessage};
  }
}

bool isSecureMessage(std::span<const std::byte> message) {
  const DatagramKind kind = classifyDatagram(message);
  return kind == DatagramKind::kVnc1 || kind == DatagramKind::kGroupEsp ||
         kind == DatagramKind::kPairwiseEsp;
}

void encodeFrameHeader(std::span<std::byte, kFrameMessageHeaderBytes> out, const VnetId& vnetId) {
  storeU32(out.data(), std::uint32_t{kIdFrame} << 16U);
  encodeEtheripHeader(out.subspan<kIdBytes>(), vnetId);
}

void encodeVarp(std::span<std::byte, kVarpBytes> out, const VarpMessage& message) {
  storeU16(out.data(), kIdVarp);
  storeU16(&out[2], static_cast<std::uint16_t>(message.opcode));
  std::ranges::copy(message.vnetId.octets, &out[kVarpVnetAt]);
  std::ranges::copy(message.mac.octets, &out[kVarpMacAt]);
  storeU8(&out[kVarpFamilyAt], message.address.family);
  std::ranges::copy(message.address.octets, &out[kVarpAddressAt]);
}

std::size_t encodeForwardHeader(std::span<std::byte> out, const Endpoint& source,
                                const Endpoint& group, std::size_t messageBytes) {
  const bool isIpv6 = group.family == kFamilyIpv6;
  const std::size_t headerBytes = isIpv6 ? kForwardHeaderBytes6 : kForwardHeaderBytes4;
  if (group.isNone() || (!source.isNone() && source.family != group.family) ||
      out.size() < headerBytes || messageBytes > kIpPacketBytesMax - (headerBytes - kIdBytes)) {
    return 0;
  }
  const auto udpBytes = static_cast<std::uint16_t>(kUdpHeaderBytes + messageBytes);
  storeU32(out.data(), std::uint32_t{kIdForward} << 16U);
  const auto ipHeader =
      out.subspan(kIdBytes, isIpv6 ? std::size_t{kIpv6HeaderBytes} : kIpv4HeaderBytes);
  if (isIpv6) {
    encodeInner6(ipHeader, source.ip(), group.ip(), udpBytes);
  } else {
    encodeInner4(ipHeader, source.ip(), group.ip(),
                 static_cast<std::uint16_t>(kIpv4HeaderBytes + udpBytes));
  }
  std::byte* const udp = &out[headerBytes - kUdpHeaderBytes];
  storeU16(udp, source.isNone() ? group.udpPort : source.udpPort);
  storeU16(udp + 2, group.udpPort);
  storeU16(udp + 4, udpBytes);
  storeU16(udp + 6, 0);
  return headerBytes;
}

}  // namespace vnetd
