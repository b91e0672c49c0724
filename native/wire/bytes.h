// Unaligned big-endian loads and stores on raw octets, and the span names used everywhere.
//
// None of these check bounds: the caller has compared the offset with the span's size.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace vnetd {

using ByteSpan = std::span<const std::byte>;
using MutableByteSpan = std::span<std::byte>;

template <typename Unsigned>
inline Unsigned swapToBigEndian(Unsigned value) {
  if constexpr (std::endian::native == std::endian::big || sizeof(Unsigned) == 1) {
    return value;
  } else if constexpr (sizeof(Unsigned) == 2) {
    return __builtin_bswap16(value);
  } else if constexpr (sizeof(Unsigned) == 4) {
    return __builtin_bswap32(value);
  } else {
    static_assert(sizeof(Unsigned) == 8);
    return __builtin_bswap64(value);
  }
}

/** Reads an integer in the host's own byte order from an unaligned address. */
template <typename Unsigned>
inline Unsigned loadNative(const std::byte* at) {
  Unsigned value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

inline std::uint8_t loadU8(const std::byte* at) { return std::to_integer<std::uint8_t>(*at); }
inline std::uint16_t loadU16(const std::byte* at) {
  return swapToBigEndian(loadNative<std::uint16_t>(at));
}
inline std::uint32_t loadU32(const std::byte* at) {
  return swapToBigEndian(loadNative<std::uint32_t>(at));
}
inline std::uint64_t loadU64(const std::byte* at) {
  return swapToBigEndian(loadNative<std::uint64_t>(at));
}

inline void storeU8(std::byte* at, std::uint8_t value) { *at = std::byte{value}; }
inline void storeU16(std::byte* at, std::uint16_t value) {
  value = swapToBigEndian(value);
  std::memcpy(at, &value, sizeof value);
}
inline void storeU32(std::byte* at, std::uint32_t value) {
  value = swapToBigEndian(value);
  std::memcpy(at, &value, sizeof value);
}
inline void storeU64(std::byte* at, std::uint64_t value) {
  value = swapToBigEndian(value);
  std::memcpy(at, &value, sizeof value);
}

}  // namespace vnetd
