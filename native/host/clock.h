// The one clock of the data plane: milliseconds that never go backwards. Read through the
// vDSO, so it costs no system call.
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

}  // namespace vnetd
