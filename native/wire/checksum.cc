#include "wire/checksum.h"

#include <algorithm>

namespace vnetd {

namespace {

// Sums are taken in the host's byte order, which commutes with the ones-complement sum
// (RFC 1071 §2 B), and swapped once at the end.

// Eight 32-bit lanes; each takes one 16-bit word a step, so it cannot overflow for 65,537 steps.
// Without AVX2 the compiler makes two SSE2 (or NEON) registers of it.
using Lanes = std::uint32_t __attribute__((vector_size(32)));
constexpr std::size_t kLanesBytes = sizeof(Lanes);
constexpr std::size_t kMaxSteps = 65536;
// Below this the set-up of the lanes costs more than it saves.
constexpr std::size_t kVectorMinBytes = 128;

// `stepCount` is even and at most kMaxSteps. Inlined into each of its two callers so that it is
// compiled once for the baseline and once for AVX2.
__attribute__((always_inline)) inline std::uint64_t sumLanes(const std::byte* at,
                                                             std::size_t stepCount) {
  Lanes lowWords[2] = {};   // NOLINT(*-avoid-c-arrays): registers
  Lanes highWords[2] = {};  // NOLINT(*-avoid-c-arrays): registers
  for (std::size_t step = 0; step < stepCount; step += 2) {
    Lanes first;
    Lanes second;
    std::memcpy(&first, at, kLanesBytes);
    std::memcpy(&second, at + kLanesBytes, kLanesBytes);
    at += 2 * kLanesBytes;
    lowWords[0] += first & 0xFFFFU;
    highWords[0] += first >> 16U;
    lowWords[1] += second & 0xFFFFU;
    highWords[1] += second >> 16U;
  }
  std::uint64_t sum = 0;
  for (std::size_t lane = 0; lane < kLanesBytes / sizeof(std::uint32_t); ++lane) {
    sum += std::uint64_t{lowWords[0][lane]} + highWords[0][lane];
    sum += std::uint64_t{lowWords[1][lane]} + highWords[1][lane];
  }
  return sum;
}

std::uint64_t sumLanesBaseline(const std::byte* at, std::size_t stepCount) {
  return sumLanes(at, stepCount);
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) std::uint64_t sumLanesAvx2(const std::byte* at,
                                                           std::size_t stepCount) {
  return sumLanes(at, stepCount);
}

std::uint64_t sumLanesBest(const std::byte* at, std::size_t stepCount) {
  return __builtin_cpu_supports("avx2") ? sumLanesAvx2(at, stepCount)
                                        : sumLanesBaseline(at, stepCount);
}
#else
std::uint64_t sumLanesBest(const std::byte* at, std::size_t stepCount) {
  return sumLanesBaseline(at, stepCount);
}
#endif

// Less than kVectorMinBytes: 32-bit words into 64 bits cannot overflow.
std::uint64_t sumShort(const std::byte* at, std::size_t byteCount) {
  std::uint64_t sum = 0;
  for (; byteCount >= 8; byteCount -= 8, at += 8) {
    const auto words = loadNative<std::uint64_t>(at);
    sum += (words & 0xFFFF'FFFFU) + (words >> 32U);
  }
  if ((byteCount & 4U) != 0) {
    sum += loadNative<std::uint32_t>(at);
    at += 4;
  }
  if ((byteCount & 2U) != 0) {
    sum += loadNative<std::uint16_t>(at);
    at += 2;
  }
  if ((byteCount & 1U) != 0) {
    std::uint16_t word = 0;  // The octet lies first in memory, zero behind it.
    std::memcpy(&word, at, 1);
    sum += word;
  }
  return sum;
}

}  // namespace

std::uint16_t sumBytes(ByteSpan bytes) {
  const std::byte* at = bytes.data();
  std::size_t left = bytes.size();
  std::uint64_t sum = 0;
  while (left >= kVectorMinBytes) {
    const std::size_t stepCount = std::min(left / kLanesBytes, kMaxSteps) & ~std::size_t{1};
    sum += sumLanesBest(at, stepCount);
    at += stepCount * kLanesBytes;
    left -= stepCount * kLanesBytes;
  }
  sum += sumShort(at, left);
  return swapToBigEndian(foldSum(sum));
}

std::uint64_t pseudoHeaderSum(ByteSpan addresses, std::uint8_t protocol, std::uint32_t l4Bytes) {
  return std::uint64_t{sumBytes(addresses)} + protocol + (l4Bytes >> 16U) + (l4Bytes & 0xFFFFU);
}

}  // namespace vnetd
