// An Ethernet (MAC) address, IEEE Std 802 §8: six octets, compared as a value.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace vnetd {

inline constexpr std::size_t kMacAddressBytes = 6;

struct MacAddress {
  std::array<std::byte, kMacAddressBytes> octets{};

  friend auto operator<=>(const MacAddress&, const MacAddress&) = default;

  [[nodiscard]] static MacAddress fromBytes(std::span<const std::byte, kMacAddressBytes> bytes);

  // The octets as an integer below 2^48, the first one on top: what hash tables keep.
  [[nodiscard]] constexpr std::uint64_t toBits() const {
    std::uint64_t bits = 0;
    for (const std::byte octet : octets) {
      bits = bits << 8U | std::to_integer<std::uint64_t>(octet);
    }
    return bits;
  }

  [[nodiscard]] static constexpr MacAddress fromBits(std::uint64_t bits) {
    MacAddress mac;
    for (std::size_t i = kMacAddressBytes; i > 0; --i) {
      mac.octets.at(i - 1) = static_cast<std::byte>(bits & 0xFFU);
      bits >>= 8U;
    }
    return mac;
  }

  // The I/G bit: multicast or broadcast.
  [[nodiscard]] constexpr bool isGroup() const {
    return (octets[0] & std::byte{1}) != std::byte{0};
  }

  [[nodiscard]] constexpr bool isZero() const { return toBits() == 0; }

  // A station's own address: may stand as a source and be learned.
  [[nodiscard]] constexpr bool isStation() const { return !isGroup() && !isZero(); }

  // 01:80:c2:00:00:00 … 0f (IEEE Std 802.1Q Table 8-1): never relayed by a bridge, nor by us.
  [[nodiscard]] constexpr bool isLinkLocalReserved() const {
    return toBits() >> 4U == 0x0180C2000000U >> 4U;
  }

  // "00:16:3e:01:02:0f". Allocates: for logs and tests.
  [[nodiscard]] std::string toText() const;
};

}  // namespace vnetd
