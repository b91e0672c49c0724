// Hashes with a secret, for tables whose keys strangers choose: who does not know the key cannot
// aim at one bucket. Not for integrity: no cryptography here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "wire/endpoint.h"

namespace vnetd {

// Both halves are full of random bits: small numbers do not spread.
struct HashKey {
  std::uint64_t first = 0;
  std::uint64_t second = 0;

  // From the kernel's random source; dies when that gives nothing.
  [[nodiscard]] static HashKey random();
};

// Both halves of the 128-bit product, folded: each bit of the result depends on all bits of both.
[[nodiscard]] inline std::uint64_t foldedProduct(std::uint64_t left, std::uint64_t right) {
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(left) * right;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64U);
}

[[nodiscard]] inline std::uint64_t hashBits(const HashKey& key, std::uint64_t bits) {
  return foldedProduct(foldedProduct(bits ^ key.first, key.second | 1U) ^ key.second,
                       key.first | 1U);
}

[[nodiscard]] std::uint64_t hashBytes(const HashKey& key, std::span<const std::byte> bytes);

// A host, whatever its port.
[[nodiscard]] std::uint64_t hashAddress(const HashKey& key, const Endpoint& endpoint);

// A group message: who multicast it, and what it says.
[[nodiscard]] std::uint64_t hashMessage(const HashKey& key, const Endpoint& source,
                                        std::span<const std::byte> message);

}  // namespace vnetd
