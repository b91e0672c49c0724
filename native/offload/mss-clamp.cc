#include "offload/mss-clamp.h"

#include "wire/checksum.h"

namespace vnetd {

namespace {

constexpr std::size_t kFlagsAt = 13;
constexpr std::uint8_t kFlagSyn = 0x02;
constexpr std::size_t kChecksumAt = 16;

constexpr std::uint8_t kOptionEnd = 0;
constexpr std::uint8_t kOptionNop = 1;
constexpr std::uint8_t kOptionMss = 2;
constexpr std::size_t kOptionMssBytes = 4;

// Stores `value` at `at` in the TCP header and carries the change over into its checksum. At an
// odd distance the two octets belong to two words of the sum, so both values are seen swapped.
void replaceWord(MutableByteSpan tcp, std::size_t at, std::uint16_t value,
                 TcpChecksumState checksumState) {
  const std::uint16_t oldValue = loadU16(&tcp[at]);
  storeU16(&tcp[at], value);
  if (checksumState == TcpChecksumState::kPending) {
    return;
  }
  const bool isOdd = at % 2 != 0;
  const std::uint16_t oldWord = isOdd ? __builtin_bswap16(oldValue) : oldValue;
  const std::uint16_t newWord = isOdd ? __builtin_bswap16(value) : value;
  storeU16(&tcp[kChecksumAt], updateChecksum(loadU16(&tcp[kChecksumAt]), oldWord, newWord));
}

}  // namespace

// HOT PATH: no allocation, no throw.
bool clampMss(MutableByteSpan frame, const FrameLayout& layout, std::uint16_t maxMss,
              TcpChecksumState checksumState) {
  if (layout.transport != TransportKind::kTcp ||
      (loadU8(&frame[layout.l4Offset + kFlagsAt]) & kFlagSyn) == 0) {
    return false;
  }
  const MutableByteSpan tcp = frame.subspan(layout.l4Offset, layout.l4HeaderBytes);
  bool isLowered = false;
  std::size_t at = kTcpHeaderBytes;
  while (at < tcp.size() && loadU8(&tcp[at]) != kOptionEnd) {
    if (loadU8(&tcp[at]) == kOptionNop) {
      ++at;
      continue;
    }
    if (at + 2 > tcp.size()) {
      break;
    }
    const std::size_t optionBytes = loadU8(&tcp[at + 1]);
    if (optionBytes < 2 || at + optionBytes > tcp.size()) {
      break;
    }
    // No break after the first: receivers take the last of several.
    if (loadU8(&tcp[at]) == kOptionMss && optionBytes == kOptionMssBytes &&
        loadU16(&tcp[at + 2]) > maxMss) {
      replaceWord(tcp, at + 2, maxMss, checksumState);
      isLowered = true;
    }
    at += optionBytes;
  }
  return isLowered;
}

}  // namespace vnetd
