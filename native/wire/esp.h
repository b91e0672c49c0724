// ESP in UDP (RFC 4303, the SPI in the place of RFC 3948 §2.1) as the secure vnets use it, and how
// it is told from whatever else comes on the port.
//
//      0                   1                   2                   3
//      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//     +---------------------------------------------------------------+  -
//   0 |                              SPI                              |  | authenticated
//     +---------------------------------------------------------------+  |
//   4 |            Seq: low 32 bits of the packet counter             |  |
//     +---------------------------------------------------------------+  |
//   8 |               IV: 0, 8 or 16 octets, by the suite             …  |
//     +-------+-----------------------+-------------------------------+  |  -
//     | 3     | flags                 | Ethernet frame                …  |  | sealed
//     +-------+-----------------------+-------------------------------+  |  |
//     …             | padding 1, 2, 3 … | pad length  | next header 97|  |  |
//     +---------------------------------------------------------------+  -  -
//     |                  ICV: 12 or 16 octets, by the suite           …
//
// Next header 17 and 59 have their own payload in the place of the EtherIP word and the frame.
// The cryptography is in crypto/; here are only the clear fields.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace vnetd {

// SPIs. A sender draws the first kind for all who hold the vnet's key, a receiver draws the second
// for one sender. What is below is IANA's or would look like a legacy message.
inline constexpr std::uint32_t kFirstGroupSpi = 0x10000000;
inline constexpr std::uint32_t kLastGroupSpi = 0x7FFFFFFF;
inline constexpr std::uint32_t kFirstPairSpi = 0x80000000;
inline constexpr std::uint32_t kLastPairSpi = 0xFFFFFFFE;

// Next headers (IANA protocol numbers).
inline constexpr std::uint8_t kNextHeaderUdp = 17;      // a VARP message in UDP: vnetd's
inline constexpr std::uint8_t kNextHeaderDummy = 59;    // nothing to deliver (RFC 4303 §2.6)
inline constexpr std::uint8_t kNextHeaderEtherip = 97;  // a frame

// Flags: the 12 low bits of the EtherIP word.
inline constexpr std::uint16_t kFlagChecksumPartial = 0x001;  // inner checksum not computed
inline constexpr std::uint16_t kFlagGroup = 0x002;            // broadcast, unknown or multicast
inline constexpr std::uint16_t kFlagForwarded = 0x004;
inline constexpr std::uint16_t kKnownFlags = kFlagChecksumPartial | kFlagGroup | kFlagForwarded;

// No packet of an SA has a higher counter: Seq would come close to its end (RFC 4303 §3.3.3).
inline constexpr std::uint64_t kLastPacketCounter = 0xFFFF0000;

// What a UDP payload on the port is, by its length and first octets alone.
enum class DatagramKind : std::uint8_t {
  kKeepalive,    // NAT keepalive, RFC 3948 §2.3
  kShort,        // below 8 octets
  kVnc1,         // SPI 0 and "VNC1": wire/vnc1.h
  kLegacy,       // ids 1, 2 and 3: wire/legacy.h
  kGroupEsp,     // the sender drew the SPI: SPI -> list of SAs
  kPairwiseEsp,  // we drew the SPI
  kUnknown,      // reserved SPIs and everything else
};

// HOT PATH: no allocation, no throw.
[[nodiscard]] DatagramKind classifyDatagram(std::span<const std::byte> payload);

// Only of a payload that is kGroupEsp or kPairwiseEsp.
struct EspHeader {
  std::uint32_t spi;
  std::uint32_t sequence;
};
[[nodiscard]] EspHeader decodeEspHeader(std::span<const std::byte> payload);

}  // namespace vnetd
