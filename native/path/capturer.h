// Copies of frames for vnetd (`vn pcap`): a worker's half. What it is asked for costs what it
// costs, what it is not asked for costs a look at CaptureOrder::snapBytes.
#pragma once

#include <cstdint>

#include "control/messages.h"
#include "path/event-ring.h"
#include "path/vnet.h"
#include "wire/bytes.h"
#include "wire/ethernet.h"

namespace vnetd {

enum class CaptureDirection : std::uint8_t { kOut = 0, kIn = 1 };

// A frame as it is to be shown.
struct CaptureFrame {
  const VnetId& vnet;
  ByteSpan octets;
  // Where a checksum is to be completed in the copy: it is summed from `checksumStart` to
  // `checksumEnd` and stored `checksumOffset` behind the start. Nothing where both are 0.
  std::size_t checksumStart = 0;
  std::size_t checksumEnd = 0;
  std::size_t checksumOffset = 0;
};

class Capturer {
 public:
  // The most octets of a frame that are captured: what the event's length can say.
  static constexpr std::size_t kSnapBytesMax = 65'535;
  static constexpr std::size_t kRingBytes = std::size_t{4} << 20U;
  static constexpr std::size_t kEventBytesMax = kSnapBytesMax + 64;

  explicit Capturer(CaptureDirection direction)
      : direction_(direction), ring_(kRingBytes, kEventBytesMax) {}

  [[nodiscard]] EventRing& ring() { return ring_; }

  // The worker, while there are orders.
  void capture(CaptureOrder& order, const CaptureFrame& frame, CounterBlock& counters);

  // Control thread, while no order stands.
  void allocate();
  void release();

 private:
  CaptureDirection direction_;
  EventRing ring_;
  // Its vector keeps its memory.
  control::CapturedFrame event_;
  std::vector<std::byte> copy_;
};

}  // namespace vnetd
