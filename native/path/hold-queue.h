// Sealed datagrams that came before their key: a host that has just drawn a new SPI may send with
// it before vnetd has asked what it is. They wait here for a moment, in the order in which they
// came.
//
// Strangers fill this: memory is fixed, each SPI has a share in datagrams and in octets, and
// nothing waits longer than kHoldMs. Used by one thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "path/origin.h"
#include "wire/bytes.h"

namespace vnetd {

class HoldQueue {
 public:
  static constexpr std::uint64_t kHoldMs = 200;
  // At 1,000 datagrams a second the time that a proof may take on a busy machine.
  static constexpr std::size_t kDatagramsPerSpi = 128;
  static constexpr std::size_t kDatagrams = 512;
  static constexpr std::size_t kBytes = std::size_t{768} * 1024;
  // As many datagrams of 1,500 octets.
  static constexpr std::size_t kBytesPerSpi = kBytes / 4;

  HoldQueue();

  enum class Outcome : std::uint8_t {
    kHeld,
    kFull,  // The SPI's share or the queue.
  };

  // HOT PATH: no allocation, no throw.
  [[nodiscard]] Outcome hold(std::uint32_t spi, const Origin& origin, ByteSpan datagram,
                             std::uint64_t nowMs);

  // Hands `visit(MutableByteSpan, const Origin&)` what is held for the SPI and is still good,
  // oldest first. The octets stay valid, and the visitor's to change, until the next call of
  // hold().
  template <class Visit>
  void release(std::uint32_t spi, std::uint64_t nowMs, Visit&& visit) {
    for (std::uint64_t number = first_; number != end_; ++number) {
      Held& held = heldAt(number);
      if (held.spi == spi && nowMs < held.untilMs) {
        held.spi = kNoSpi;
        visit(MutableByteSpan(octets_->data() + held.offset, held.bytes), held.origin);
      }
    }
  }

  // Forgets what has waited too long; how many of it nobody came for.
  std::size_t expire(std::uint64_t nowMs);

 private:
  static constexpr std::uint32_t kNoSpi = 0;

  struct Held {
    std::uint32_t spi = kNoSpi;  // kNoSpi: released.
    std::uint32_t offset = 0;
    std::uint32_t bytes = 0;
    std::uint64_t untilMs = 0;
    Origin origin;
  };

  [[nodiscard]] Held& heldAt(std::uint64_t number) { return held_->at(number % kDatagrams); }
  [[nodiscard]] bool findRoom(std::size_t bytes, std::uint32_t& offset);

  // A ring of datagrams over a ring of octets; a datagram does not wrap.
  std::unique_ptr<std::array<Held, kDatagrams>> held_;
  std::unique_ptr<std::array<std::byte, kBytes>> octets_;
  std::uint64_t first_ = 0;
  std::uint64_t end_ = 0;
  // Of those that expired unreleased, not told by expire() yet.
  std::size_t forgotten_ = 0;
};

}  // namespace vnetd
