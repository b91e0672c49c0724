// Events on their way from one worker to vnetd: encoded by the worker, passed on as they are by
// the control thread. A bounded queue with one writer and one reader and no lock; what finds it
// full is counted and lost, and vnetd is told to ask for the listings.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <vector>

#include "control/messages.h"
#include "host/failure.h"
#include "host/file-descriptor.h"
#include "wire/bytes.h"

namespace vnetd {

// The longest event: a control datagram, which may be a probe of the path MTU.
inline constexpr std::size_t kEventBytesMax = 10'240;

class EventRing {
 public:
  static constexpr std::size_t kBytes = std::size_t{1} << 19U;

  // `eventBytesMax`: the longest event that is pushed.
  explicit EventRing(std::size_t bytes = kBytes, std::size_t eventBytesMax = kEventBytesMax)
      : bytes_(bytes), eventBytesMax_(eventBytesMax) {}

  // The bell and the memory.
  Failure open();

  // Only the bell: before the system call filter. Nothing may be pushed before allocate().
  Failure openBell();
  // Control thread, while the worker does not use the ring.
  void allocate();
  void release();

  // Readable once per wake(), for the control thread's epoll.
  [[nodiscard]] int descriptor() const { return bell_.get(); }

  // Worker. False when the ring was full, and the event is lost.
  // HOT PATH: no allocation, no throw.
  template <class Event>
  bool push(const Event& event) {
    const std::size_t bytes = control::encodeMessage(MutableByteSpan(scratch_), 0, event);
    return bytes != 0 && pushBytes(ByteSpan(scratch_).first(bytes));
  }

  // Worker: has the next wake() ring although no event was pushed.
  void ring() { pushed_ = true; }

  // Worker, at the end of a round: wakes the control thread when something was pushed.
  void wake();

  // Control thread: the next event into `out`, or an empty span. `out` holds the longest event.
  ByteSpan pop(MutableByteSpan out);

  // Control thread: forgets the last wake(); before the pops.
  void silence();

  // Control thread: how many events were lost since it asked last.
  std::uint32_t takeLost() { return lost_.exchange(0, std::memory_order_relaxed); }

 private:
  bool pushBytes(ByteSpan bytes);
  void copyIn(std::uint64_t at, ByteSpan bytes);
  void copyOut(std::uint64_t at, MutableByteSpan bytes) const;

  FileDescriptor bell_;
  std::size_t bytes_;
  std::size_t eventBytesMax_;
  std::vector<std::byte> octets_;
  std::vector<std::byte> scratch_;
  bool pushed_ = false;
  // Octets ever written and ever read; the difference is what is in the ring.
  alignas(64) std::atomic<std::uint64_t> written_{0};
  alignas(64) std::atomic<std::uint64_t> read_{0};
  alignas(64) std::atomic<std::uint32_t> lost_{0};
};

}  // namespace vnetd
