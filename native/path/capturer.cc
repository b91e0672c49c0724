#include "path/capturer.h"

#include <algorithm>
#include <ctime>

#include "offload/virtio-header.h"

namespace vnetd {
namespace {

constexpr std::uint64_t kNsPerSecond = 1'000'000'000;
// The longest frame of a TAP, and what a datagram may hold.
constexpr std::size_t kFrameBytesMax = 66'000;

std::uint64_t wallClockNs() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * kNsPerSecond +
         static_cast<std::uint64_t>(now.tv_nsec);
}

}  // namespace

void Capturer::allocate() {
  ring_.allocate();
  event_.octets.reserve(kSnapBytesMax);
  copy_.reserve(kFrameBytesMax);
}

void Capturer::release() {
  ring_.release();
  event_ = {};
  copy_ = {};
}

void Capturer::capture(CaptureOrder& order, const CaptureFrame& frame, CounterBlock& counters) {
  // The checksum is of the whole frame, whatever is kept of it.
  copy_.assign(frame.octets.begin(), frame.octets.end());
  if (frame.checksumEnd != 0) {
    completeChecksum(MutableByteSpan(copy_).first(frame.checksumEnd), frame.checksumStart,
                     frame.checksumOffset);
  }
  const ByteSpan kept =
      ByteSpan(copy_).first(std::min<std::size_t>({order.snapBytes, kSnapBytesMax, copy_.size()}));
  event_.vnet = frame.vnet;
  event_.direction = static_cast<std::uint8_t>(direction_);
  event_.timeNs = wallClockNs();
  event_.frameBytes = static_cast<std::uint32_t>(copy_.size());
  event_.lost = order.lost;
  event_.octets.assign(kept.begin(), kept.end());
  if (ring_.push(event_)) {
    order.lost = 0;
  } else {
    ++order.lost;
    counters.add(Counter::kCaptureLost);
  }
}

}  // namespace vnetd
