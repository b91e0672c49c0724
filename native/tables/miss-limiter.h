// At most one FdbMiss event for a MAC and second, in fixed memory: for one vnet, one thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "tables/keyed-hash.h"
#include "wire/mac-address.h"

namespace vnetd {

// A MAC whose set is full of others that were told of within the second is not told of now: its
// next frame is a miss again. So one vnet's guests raise at most kSlotCount events a second.
class MissLimiter {
 public:
  static constexpr std::uint64_t kIntervalMs = 1'000;
  static constexpr std::size_t kSlotCount = 128;

  explicit MissLimiter(const HashKey& key) : key_(key) {}

  // HOT PATH: no allocation, no throw.
  [[nodiscard]] bool admit(const MacAddress& mac, std::uint64_t nowMs);

 private:
  static constexpr std::size_t kSlotsPerSet = 4;
  static constexpr std::size_t kSetCount = kSlotCount / kSlotsPerSet;

  struct Slot {
    std::uint64_t macBits = 0;  // 0: free, no station has this address.
    std::uint64_t toldMs = 0;
  };

  HashKey key_;
  std::array<std::array<Slot, kSlotsPerSet>, kSetCount> sets_{};
};

}  // namespace vnetd
