// What the fuzz targets share: numbers drawn from the fuzzer's octets, and claims that end the
// run when they do not hold.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>

#include "wire/bytes.h"

namespace vnetd::fuzz {

inline void require(bool holds, const char* claim) {
  if (!holds) {
    std::fprintf(stderr, "does not hold: %s\n", claim);
    std::abort();
  }
}

/** Draws from the front; all zero when nothing is left. */
class FuzzInput {
 public:
  FuzzInput(const std::uint8_t* data, std::size_t size)
      : rest_(std::as_bytes(std::span<const std::uint8_t>(data, size))) {}

  [[nodiscard]] bool isEmpty() const { return rest_.empty(); }
  [[nodiscard]] ByteSpan rest() const { return rest_; }

  std::uint16_t u16() {
    const auto high = static_cast<unsigned>(u8());
    return static_cast<std::uint16_t>(high << 8U | u8());
  }

  std::uint8_t u8() {
    if (rest_.empty()) {
      return 0;
    }
    const std::uint8_t value = loadU8(rest_.data());
    rest_ = rest_.subspan(1);
    return value;
  }

  std::uint64_t below(std::uint64_t bound) { return (bound <= 256 ? u8() : u16()) % bound; }

  ByteSpan take(std::size_t byteCount) {
    const ByteSpan taken = rest_.first(byteCount < rest_.size() ? byteCount : rest_.size());
    rest_ = rest_.subspan(taken.size());
    return taken;
  }

 private:
  ByteSpan rest_;
};

}  // namespace vnetd::fuzz
