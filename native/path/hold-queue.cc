#include "path/hold-queue.h"

#include <algorithm>
#include <utility>

namespace vnetd {

HoldQueue::HoldQueue()
    : held_(std::make_unique<std::array<Held, kDatagrams>>()),
      octets_(std::make_unique_for_overwrite<std::array<std::byte, kBytes>>()) {}

// Where so many octets are free in one piece, behind the newest datagram or at the start.
bool HoldQueue::findRoom(std::size_t bytes, std::uint32_t& offset) {
  if (first_ == end_) {
    offset = 0;
    return bytes <= kBytes;
  }
  const std::size_t tail = heldAt(first_).offset;
  const Held& newest = heldAt(end_ - 1);
  const std::size_t head = newest.offset + newest.bytes;
  if (head > tail) {
    if (bytes <= kBytes - head) {
      offset = static_cast<std::uint32_t>(head);
      return true;
    }
    offset = 0;
    return bytes < tail;
  }
  offset = static_cast<std::uint32_t>(head);
  return bytes < tail - head;
}

HoldQueue::Outcome HoldQueue::hold(std::uint32_t spi, const Origin& origin, ByteSpan datagram,
                                   std::uint64_t nowMs) {
  forgotten_ += expire(nowMs);
  std::size_t datagramsOfSpi = 0;
  std::size_t bytesOfSpi = datagram.size();
  for (std::uint64_t number = first_; number != end_; ++number) {
    const Held& held = heldAt(number);
    datagramsOfSpi += held.spi == spi ? 1U : 0U;
    bytesOfSpi += held.spi == spi ? held.bytes : 0U;
  }
  std::uint32_t offset = 0;
  if (datagramsOfSpi == kDatagramsPerSpi || bytesOfSpi > kBytesPerSpi ||
      end_ - first_ == kDatagrams || !findRoom(datagram.size(), offset)) {
    return Outcome::kFull;
  }
  heldAt(end_++) = {.spi = spi,
                    .offset = offset,
                    .bytes = static_cast<std::uint32_t>(datagram.size()),
                    .untilMs = nowMs + kHoldMs,
                    .origin = origin};
  std::ranges::copy(datagram, octets_->begin() + offset);
  return Outcome::kHeld;
}

std::size_t HoldQueue::expire(std::uint64_t nowMs) {
  std::size_t expired = std::exchange(forgotten_, 0);
  // Times never go back, so the oldest ends first.
  while (first_ != end_ && (heldAt(first_).untilMs <= nowMs || heldAt(first_).spi == kNoSpi)) {
    expired += heldAt(first_).spi == kNoSpi ? 0U : 1U;
    ++first_;
  }
  return expired;
}

}  // namespace vnetd
