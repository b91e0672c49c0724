// Where the headers of an Ethernet frame are: Ethernet, up to two VLAN tags, IPv4 or IPv6, TCP
// or UDP. Any octets may be given; only what lies inside the frame is ever read.
#pragma once

#include <cstdint>

#include "wire/bytes.h"

namespace vnetd {

inline constexpr std::size_t kEthernetHeaderBytes = 14;
inline constexpr std::uint16_t kEtherTypeIpv4 = 0x0800;
inline constexpr std::uint16_t kEtherTypeIpv6 = 0x86DD;
inline constexpr std::uint16_t kEtherTypeVlan = 0x8100;
inline constexpr std::uint16_t kEtherTypeServiceVlan = 0x88A8;
inline constexpr std::uint16_t kEtherTypeOldServiceVlan = 0x9100;
inline constexpr std::uint8_t kIpProtocolTcp = 6;
inline constexpr std::uint8_t kIpProtocolUdp = 17;
inline constexpr std::size_t kIpv4HeaderBytes = 20;
inline constexpr std::size_t kIpv6HeaderBytes = 40;
inline constexpr std::size_t kTcpHeaderBytes = 20;
inline constexpr std::size_t kUdpHeaderBytes = 8;

enum class NetworkKind : std::uint8_t { kOther, kIpv4, kIpv6 };
enum class TransportKind : std::uint8_t { kNone, kTcp, kUdp };

/** How the IP header's own length compares with the frame. */
enum class LengthFit : std::uint8_t {
  kExact,   // the packet ends where the frame ends
  kPadded,  // octets follow the packet (Ethernet's minimum size)
  kWrong,   // zero, shorter than its own header, or beyond the frame's end
};

/** All offsets count from the frame's first octet. */
struct FrameLayout {
  std::uint32_t frameBytes = 0;
  std::uint32_t packetEnd = 0;      // end of the IP packet; the frame's end when not IP or kWrong
  std::uint32_t l3Offset = 0;       // 14, 18 or 22; 0 when even the Ethernet header is cut off
  std::uint32_t l4Offset = 0;       // behind IP options and known extensions; 0 when not IP
  std::uint16_t l4HeaderBytes = 0;  // 20…60 TCP, 8 UDP, else 0
  std::uint16_t etherType = 0;      // behind the tags
  std::uint8_t tagCount = 0;
  std::uint8_t ipProtocol = 0;  // what stands at l4Offset
  NetworkKind network = NetworkKind::kOther;
  TransportKind transport = TransportKind::kNone;  // kNone also when cut off or a fragment
  LengthFit lengthFit = LengthFit::kWrong;
  bool isFragment = false;
  bool hasExtensions = false;     // IPv4 options or IPv6 extension headers
  bool hasRoutingHeader = false;  // the pseudo-header's destination is not the IP header's

  [[nodiscard]] bool isEthernet() const { return l3Offset != 0; }
  /** Where the headers that were understood end. */
  [[nodiscard]] std::uint32_t headersEnd() const {
    return l4Offset != 0 ? l4Offset + l4HeaderBytes : l3Offset;
  }
};

FrameLayout parseFrame(ByteSpan frame);

/** Source and destination address as they lie in the IP header; `layout` must be of an IP frame. */
inline ByteSpan ipAddresses(ByteSpan frame, const FrameLayout& layout) {
  return layout.network == NetworkKind::kIpv4 ? frame.subspan(layout.l3Offset + 12U, 8)
                                              : frame.subspan(layout.l3Offset + 8U, 32);
}

/** Is the destination a group (multicast or broadcast) address? The frame holds ≥ 1 octet. */
inline bool hasGroupDestination(ByteSpan frame) { return (loadU8(frame.data()) & 1U) != 0; }

}  // namespace vnetd
