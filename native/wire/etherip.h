// The EtherIP header with a vnet id, 18 octets before an Ethernet frame: in a legacy frame
// message (wire/legacy.h) and, where a vnet asks for it, directly in IP protocol 97.
//
//      0                   1                   2                   3
//      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//     +-------+-------+-------+-------+
//   0 | 0     | 0     | 4     | 0     |
//     +-------+-------+-------+-------+-------------------------------+
//   2 |                          vnet id, 16 octets                   …
//
// The original fills an x86 bit field: its version 4 is the high nibble of the second octet and
// the other 12 bits are never set, so they hold anything. A big-endian build puts the version in
// the high nibble of the first octet. Either place is accepted, the rest is ignored. It is not
// RFC 3378, whose version is 3.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <variant>

#include "tables/counters.h"
#include "wire/vnet-id.h"

namespace vnetd {

inline constexpr std::size_t kEtheripHeaderBytes = 18;
inline constexpr std::uint8_t kEtheripProtocol = 97;

// `frame` shares memory with what was decoded and has at least an Ethernet header.
struct FrameMessage {
  VnetId vnetId;
  std::span<const std::byte> frame;
};

// Not ours to deliver; the counter says why.
struct DropMessage {
  Counter reason;
};

using EtheripOutcome = std::variant<FrameMessage, DropMessage>;

// Splits what stands in IP protocol 97 (the IP header is off already).
// HOT PATH: no allocation, no throw.
[[nodiscard]] EtheripOutcome decodeEtherip(std::span<const std::byte> payload);

void encodeEtheripHeader(std::span<std::byte, kEtheripHeaderBytes> out, const VnetId& vnetId);

}  // namespace vnetd
