// The one clock of the data plane, which never goes backwards. Read through the vDSO, so it costs
// no system call.
#pragma once

#include <cstdint>
#include <ctime>

namespace vnetd {

inline std::uint64_t monotonicMs() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1000 +
         static_cast<std::uint64_t>(now.tv_nsec) / 1'000'000;
}

inline std::int64_t monotonicNs() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::int64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
}

// For epoll_wait(): how long until `instantMs`, 0 when that has passed.
inline int untilMs(std::uint64_t instantMs) {
  const std::uint64_t nowMs = monotonicMs();
  return instantMs > nowMs ? static_cast<int>(instantMs - nowMs) : 0;
}

}  // namespace vnetd
