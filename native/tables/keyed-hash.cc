#include "tables/keyed-hash.h"

#include <sys/random.h>

#include <cstdlib>

#include "wire/bytes.h"

namespace vnetd {

namespace {

constexpr std::size_t kStepBytes = 16;

// One step takes in 16 octets. The running state is in the product and added behind it, so that a
// zero factor, which only who knows the key can aim at, does not wipe out what came before.
std::uint64_t step(const HashKey& key, std::uint64_t state, std::uint64_t first,
                   std::uint64_t second) {
  return foldedProduct(first ^ key.first ^ state, second ^ key.second) + state;
}

}  // namespace

HashKey HashKey::random() {
  HashKey key;
  // At most 256 octets are given whole or not at all (getrandom(2)).
  if (::getrandom(&key, sizeof key, 0) != static_cast<ssize_t>(sizeof key)) {
    std::abort();
  }
  return key;
}

std::uint64_t hashBytes(const HashKey& key, std::span<const std::byte> bytes) {
  std::uint64_t state = foldedProduct(bytes.size() ^ key.second, key.first | 1U);
  while (bytes.size() >= kStepBytes) {
    state = step(key, state, loadNative<std::uint64_t>(bytes.data()),
                 loadNative<std::uint64_t>(&bytes[sizeof(std::uint64_t)]));
    bytes = bytes.subspan(kStepBytes);
  }
  std::uint64_t first = 0;
  std::uint64_t second = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    std::uint64_t& half = i < sizeof first ? first : second;
    half = half << 8U | loadU8(&bytes[i]);
  }
  return hashBits(key, step(key, state, first, second));
}

std::uint64_t hashAddress(const HashKey& key, const Endpoint& endpoint) {
  const std::uint64_t state = foldedProduct(endpoint.family ^ key.second, key.first | 1U);
  return hashBits(key, step(key, state, loadNative<std::uint64_t>(endpoint.address.data()),
                            loadNative<std::uint64_t>(&endpoint.address[sizeof(std::uint64_t)])));
}

std::uint64_t hashMessage(const HashKey& key, const Endpoint& source,
                          std::span<const std::byte> message) {
  const std::uint64_t sender = hashAddress(key, source) + source.udpPort;
  return hashBits(key, hashBytes(key, message) ^ foldedProduct(sender, key.second | 1U));
}

}  // namespace vnetd
