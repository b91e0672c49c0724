// Where a host's tunnel socket is: an IP address and a UDP port.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <span>
#include <string>
#include <type_traits>

namespace vnetd {

// Address families as they stand in VARP and in control messages (Linux AF_INET, AF_INET6).
inline constexpr std::uint8_t kFamilyNone = 0;
inline constexpr std::uint8_t kFamilyIpv4 = 2;
inline constexpr std::uint8_t kFamilyIpv6 = 10;

inline constexpr std::size_t kIpv4Bytes = 4;
inline constexpr std::size_t kIpv6Bytes = 16;

// An IPv4 address is in the first four octets, the others are zero, so that values compare.
// IPv4-mapped IPv6 addresses never stand here: whoever reads a socket turns them to IPv4.
struct IpAddress {
  std::array<std::byte, kIpv6Bytes> octets{};
  std::uint8_t family = kFamilyNone;

  friend auto operator<=>(const IpAddress&, const IpAddress&) = default;

  [[nodiscard]] static IpAddress fromIpv4(std::span<const std::byte, kIpv4Bytes> bytes);
  [[nodiscard]] static IpAddress fromIpv4(std::uint32_t hostOrder);
  // An IPv4-mapped address (RFC 4291 §2.5.5.2) becomes the IPv4 address it holds.
  [[nodiscard]] static IpAddress fromIpv6(std::span<const std::byte, kIpv6Bytes> bytes);

  [[nodiscard]] bool isNone() const { return family == kFamilyNone; }
  // 0.0.0.0 or ::, or no address at all.
  [[nodiscard]] bool isUnspecified() const;
  // 224.0.0.0/4 or ff00::/8.
  [[nodiscard]] bool isMulticast() const;
  // Can be one host's address on an underlay: not none, multicast, 255.255.255.255 or loopback, and
  // not of 0.0.0.0/8 (RFC 1122 §3.2.1.3).
  [[nodiscard]] bool isHost() const;

  // "10.0.0.1", "2001:db8::1", "none". Allocates: for logs and tests.
  [[nodiscard]] std::string toText() const;
};

// Flat, so that it is 19 octets in tables and copied as bytes.
struct Endpoint {
  std::array<std::byte, kIpv6Bytes> address{};
  std::uint16_t udpPort = 0;  // Host order.
  std::uint8_t family = kFamilyNone;

  friend auto operator<=>(const Endpoint&, const Endpoint&) = default;

  [[nodiscard]] static Endpoint from(const IpAddress& ip, std::uint16_t udpPort) {
    return {.address = ip.octets, .udpPort = udpPort, .family = ip.family};
  }

  [[nodiscard]] IpAddress ip() const { return {.octets = address, .family = family}; }
  [[nodiscard]] bool isNone() const { return family == kFamilyNone; }

  // "10.0.0.1:1798", "[2001:db8::1]:1798", "none". Allocates: for logs and tests.
  [[nodiscard]] std::string toText() const;
};

static_assert(std::is_trivially_copyable_v<Endpoint>);
static_assert(std::is_trivially_copyable_v<IpAddress>);

}  // namespace vnetd

// Unkeyed: for tables whose keys come from vnetd (peers, local addresses). Tables that strangers
// can fill hash with a secret (tables/keyed-hash.h).
template <>
struct std::hash<vnetd::Endpoint> {
  std::size_t operator()(const vnetd::Endpoint& endpoint) const noexcept {
    std::uint64_t high = 0;
    std::uint64_t low = 0;
    std::memcpy(&high, endpoint.address.data(), sizeof high);
    std::memcpy(&low, &endpoint.address[sizeof high], sizeof low);
    const std::uint64_t rest = std::uint64_t{endpoint.udpPort} << 8U | endpoint.family;
    const std::uint64_t mixed =
        (high ^ low * 0x9E3779B97F4A7C15U ^ rest * 0xC2B2AE3D27D4EB4FU) * 0xD6E8FEB86659FD93U;
    return mixed ^ mixed >> 32U;
  }
};
