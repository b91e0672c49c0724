#include "wire/recursion-guard.h"

#include "wire/bytes.h"
#include "wire/etherip.h"
#include "wire/ethernet.h"

namespace vnetd {

namespace {

constexpr std::size_t kVlanTagBytes = 4;
constexpr int kVlanTagsMax = 2;
constexpr std::size_t kEtherTypeAt = 12;
constexpr std::uint16_t kFragmentOffsetBits = 0x1FFF;
constexpr std::uint8_t kNextFragment = 44;
constexpr std::size_t kFragmentHeaderBytes = 8;

struct IpPacket {
  std::uint16_t etherType = 0;
  std::span<const std::byte> octets;
};

bool isVlan(std::uint16_t etherType) {
  return etherType == kEtherTypeVlan || etherType == kEtherTypeServiceVlan ||
         etherType == kEtherTypeOldServiceVlan;
}

IpPacket findIpPacket(std::span<const std::byte> frame) {
  std::size_t at = kEtherTypeAt;
  for (int tags = 0; frame.size() >= at + 2; ++tags) {
    const std::uint16_t etherType = loadU16(&frame[at]);
    if (!isVlan(etherType) || tags == kVlanTagsMax) {
      return {.etherType = etherType, .octets = frame.subspan(at + 2)};
    }
    at += kVlanTagBytes;
  }
  return {};
}

// `transport`: from behind the IP header, at least the UDP ports for UDP.
bool isTunnel(std::uint8_t protocol, std::span<const std::byte> transport, std::uint16_t udpPort) {
  if (protocol == kIpProtocolUdp) {
    return transport.size() >= 4 && loadU16(&transport[2]) == udpPort;
  }
  return protocol == kEtheripProtocol;
}

std::optional<TunnelAddresses> findIn4(std::span<const std::byte> packet, std::uint16_t udpPort) {
  if (packet.size() < kIpv4HeaderBytes || loadU8(packet.data()) >> 4U != 4) {
    return std::nullopt;
  }
  const std::size_t headerBytes = std::size_t{4} * (loadU8(packet.data()) & 0xFU);
  const bool isLaterFragment = (loadU16(&packet[6]) & kFragmentOffsetBits) != 0;
  if (headerBytes < kIpv4HeaderBytes || packet.size() < headerBytes || isLaterFragment ||
      !isTunnel(loadU8(&packet[9]), packet.subspan(headerBytes), udpPort)) {
    return std::nullopt;
  }
  return TunnelAddresses{.source = IpAddress::fromIpv4(packet.subspan<12, kIpv4Bytes>()),
                         .destination = IpAddress::fromIpv4(packet.subspan<16, kIpv4Bytes>())};
}

// Of the extension headers only the fragment header, the one the kernel puts into our datagrams.
std::optional<TunnelAddresses> findIn6(std::span<const std::byte> packet, std::uint16_t udpPort) {
  if (packet.size() < kIpv6HeaderBytes || loadU8(packet.data()) >> 4U != 6) {
    return std::nullopt;
  }
  std::uint8_t protocol = loadU8(&packet[6]);
  auto transport = packet.subspan(kIpv6HeaderBytes);
  if (protocol == kNextFragment) {
    const bool isFirst =
        transport.size() >= kFragmentHeaderBytes && loadU16(&transport[2]) >> 3U == 0;
    if (!isFirst) {
      return std::nullopt;
    }
    protocol = loadU8(transport.data());
    transport = transport.subspan(kFragmentHeaderBytes);
  }
  if (!isTunnel(protocol, transport, udpPort)) {
    return std::nullopt;
  }
  return TunnelAddresses{.source = IpAddress::fromIpv6(packet.subspan<8, kIpv6Bytes>()),
                         .destination = IpAddress::fromIpv6(packet.subspan<24, kIpv6Bytes>())};
}

}  // namespace

std::optional<TunnelAddresses> findTunnelAddresses(std::span<const std::byte> frame,
                                                   std::uint16_t udpPort) {
  const IpPacket packet = findIpPacket(frame);
  switch (packet.etherType) {
    case kEtherTypeIpv4:
      return findIn4(packet.octets, udpPort);
    case kEtherTypeIpv6:
      return findIn6(packet.octets, udpPort);
    default:
      return std::nullopt;
  }
}

}  // namespace vnetd
