// What vnet-dp counts, by the names of control/counters.def.
//
// One block a thread: a thread only writes its own, so that counting is a plain load and store
// on a cache line nobody else writes. Readers add the blocks up; a sum may be a few events
// behind, never wrong for good.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace vnetd {

enum class Counter : std::uint16_t {
#define VNETD_COUNTER(enumName, name, help) k##enumName,
#include "control/counters.def"
#undef VNETD_COUNTER
};

inline constexpr std::size_t kCounterCount = 0
#define VNETD_COUNTER(enumName, name, help) +1
#include "control/counters.def"
#undef VNETD_COUNTER
    ;

inline constexpr std::array<std::string_view, kCounterCount> kCounterNames = {
#define VNETD_COUNTER(enumName, name, help) std::string_view(name),
#include "control/counters.def"
#undef VNETD_COUNTER
};

inline constexpr std::size_t kCacheLineBytes = 64;

// The threads that count; each has its block.
enum class CounterThread : std::uint8_t { kOutbound, kInbound, kControl };
inline constexpr std::size_t kCounterThreadCount = 3;

class alignas(kCacheLineBytes) CounterBlock {
 public:
  // HOT PATH: no allocation, no throw. Only by the thread that owns this block.
  void add(Counter counter, std::uint64_t amount = 1) {
    auto& value = values_[static_cast<std::size_t>(counter)];
    value.store(value.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
  }

  [[nodiscard]] std::uint64_t read(Counter counter) const {
    return values_[static_cast<std::size_t>(counter)].load(std::memory_order_relaxed);
  }

 private:
  std::array<std::atomic<std::uint64_t>, kCounterCount> values_{};
};

// One for the process and one for each vnet.
class CounterSet {
 public:
  [[nodiscard]] CounterBlock& of(CounterThread thread) {
    return blocks_[static_cast<std::size_t>(thread)];
  }

  // The sum over the threads; by any thread.
  [[nodiscard]] std::uint64_t sum(Counter counter) const {
    std::uint64_t total = 0;
    for (const CounterBlock& block : blocks_) {
      total += block.read(counter);
    }
    return total;
  }

 private:
  std::array<CounterBlock, kCounterThreadCount> blocks_{};
};

}  // namespace vnetd
