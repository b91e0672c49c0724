// VNC1, the control messages between the hosts of secure vnets, as far as vnet-dp reads them: is
// this as long as it says, does its chain of TLVs end where the MAC begins? What they mean, and
// whether the MAC is right, is for vnetd, which has the keys.
//
//      0                   1                   2                   3
//      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//     +---------------------------------------------------------------+
//   0 |                               0                               |
//     +---------------------------------------------------------------+
//   4 |      "V"      |      "N"      |      "C"      |      "1"      |
//     +---------------+---------------+-------------------------------+
//   8 |     type      |     flags     |      total length, octets     |
//     +---------------+---------------+-------------------------------+
//  12 |                       vnet tag, 8 octets                      |
//     +-------------------------------+-------------------------------+
//  20 |            key id             |         suites bitmap         |
//     +-------------------------------+-------------------------------+
//  24 |                      sender id, 16 octets                     |
//  40 |                      boot nonce, 16 octets                    |
//     +---------------------------------------------------------------+
//  56 |                             epoch                             |
//  60 |                   group SPI, 0: key only held                 |
//  64 |                    boot counter, 8 octets                     |
//  72 |                    hello sequence, 8 octets                   |
//     +---------------+-------------------------------+---------------+
//  80 |   TLV type    |         value's length        |   value       …   any number of these
//     +---------------+-------------------------------+---------------+
//     |                        MAC, 16 octets                         |
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace vnetd {

inline constexpr std::size_t kVnc1HeaderBytes = 80;
inline constexpr std::size_t kVnc1MacBytes = 16;
inline constexpr std::size_t kVnc1BytesMin = kVnc1HeaderBytes + kVnc1MacBytes;
inline constexpr std::size_t kVnc1TlvCountMax = 128;

enum class Vnc1Check : std::uint8_t {
  kGood,
  kNotVnc1,      // too short for a header and a MAC, or another first word or magic
  kWrongLength,  // the total length is not the datagram's
  kWrongType,    // no message we know, or one kept for later (3, 4, 5)
  kWrongField,   // key id 0, or an SPI that no sender may draw
  kWrongTlvs,    // the chain does not end at the MAC, is too long, or a known TLV has a wrong size
};

// Touches each octet at most once, keeps nothing.
// HOT PATH: no allocation, no throw.
[[nodiscard]] Vnc1Check checkVnc1(std::span<const std::byte> payload);

}  // namespace vnetd
