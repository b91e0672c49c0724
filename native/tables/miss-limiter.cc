#include "tables/miss-limiter.h"

namespace vnetd {

bool MissLimiter::admit(const MacAddress& mac, std::uint64_t nowMs) {
  const std::uint64_t macBits = mac.toBits();
  auto& set = sets_[hashBits(key_, macBits) % kSetCount];
  Slot* free = nullptr;
  for (Slot& slot : set) {
    const bool isOld = slot.macBits == 0 || nowMs - slot.toldMs >= kIntervalMs;
    if (slot.macBits == macBits) {
      if (isOld) {
        slot.toldMs = nowMs;
      }
      return isOld;
    }
    if (isOld) {
      free = &slot;
    }
  }
  if (free != nullptr) {
    *free = {.macBits = macBits, .toldMs = nowMs};
  }
  return free != nullptr;
}

}  // namespace vnetd
