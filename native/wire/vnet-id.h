// A vnet id: 128 bits, as they stand on the wire.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <span>
#include <string>

namespace vnetd {

inline constexpr std::size_t kVnetIdBytes = 16;

struct VnetId {
  std::array<std::byte, kVnetIdBytes> octets{};

  friend auto operator<=>(const VnetId&, const VnetId&) = default;

  [[nodiscard]] static VnetId fromBytes(std::span<const std::byte, kVnetIdBytes> bytes);

  // All zero names no vnet; in control messages it stands for "every vnet".
  [[nodiscard]] bool isZero() const;

  // Eight fields of four hex digits. Allocates: for logs and tests.
  [[nodiscard]] std::string toText() const;
};

}  // namespace vnetd

// Unkeyed: the keys are vnets that vnetd configured, a stranger only probes for them.
template <>
struct std::hash<vnetd::VnetId> {
  std::size_t operator()(const vnetd::VnetId& id) const noexcept {
    std::uint64_t high = 0;
    std::uint64_t low = 0;
    std::memcpy(&high, id.octets.data(), sizeof high);
    std::memcpy(&low, &id.octets[sizeof high], sizeof low);
    const std::uint64_t mixed = (high ^ low * 0x9E3779B97F4A7C15U) * 0xD6E8FEB86659FD93U;
    return mixed ^ mixed >> 32U;
  }
};
