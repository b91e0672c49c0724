// Merges the inbound frames of one batch into super-frames, so that the TAP and the guest's
// stack are entered once for many frames.
//
// Frames are fed with add() in arrival order and come out of flush() in the order of each
// output's first frame. The frames of one flow (same vnet, same octets before the IP header,
// same addresses, protocol and ports) never overtake each other. Only what a segmenting kernel
// would restore octet for octet is merged, and only after both frames' checksums proved right:
// the merged frame's checksum is computed anew by the kernel, which would make a corrupted
// frame look whole. Everything else passes unchanged, as an L2 switch must.
#pragma once

#include <sys/uio.h>

#include <array>
#include <cstdint>
#include <span>

#include "offload/virtio-header.h"
#include "wire/bytes.h"
#include "wire/ethernet.h"

namespace vnetd {

inline constexpr std::size_t kCoalesceBatchFrames = 1024;
/** Frames in one output. writev() takes 1,024 parts, the kernel 64 (later 128) UDP segments. */
inline constexpr std::size_t kCoalesceTcpFrames = 256;
inline constexpr std::size_t kCoalesceUdpFrames = 64;

struct CoalesceOptions {
  bool tcp;  // the TAP takes TSO4 and TSO6
  bool udp;  // the TAP takes USO4 and USO6
  // Keys the flow hash, so that a guest cannot aim at one bucket. Draw it at random.
  std::uint64_t hashSeed;
};

/** One write to a TAP. Valid until the visitor returns. */
struct CoalescedFrame {
  void* vnet;  // what was given to add()
  VirtioHeader header;
  // parts[0] is the virtio header, the rest the frame: one writev().
  std::span<const iovec> parts;
  std::uint32_t frameCount;  // 1 = untouched, with an all-zero header
  std::uint32_t frameBytes;  // of the output, without the virtio header
};

struct CoalesceCounts {
  std::uint64_t mergedFrames = 0;       // coalesced-in: frames merged into a preceding one
  std::uint64_t checksumBadFrames = 0;  // checksum-bad-in
};

/** Some 100 KB of arrays: a member or a static, never on a thread's stack. */
class Coalescer {
 public:
  explicit Coalescer(const CoalesceOptions& options) : options_(options) {}

  /** flush() must come before the next add(). */
  bool isFull() const { return frameCount_ == kCoalesceBatchFrames; }
  bool isEmpty() const { return frameCount_ == 0; }

  // HOT PATH: no allocation, no throw. The octets of `frame` stay the caller's, must stay valid
  // until flush(), and those of its headers may be changed by flush(). Not to be called when
  // isFull(). Any octets may be given, also frames too short for an Ethernet header.
  void add(void* vnet, MutableByteSpan frame) { add(vnet, frame, parseFrame(frame)); }
  void add(void* vnet, MutableByteSpan frame, const FrameLayout& layout);

  /** Calls visit(const CoalescedFrame&) for every output, then forgets the batch. */
  template <typename Visitor>
  void flush(Visitor&& visit) {
    for (std::uint32_t index = 0; index < chainCount_; ++index) {
      visit(buildOutput(index));
    }
    reset();
  }

  /** Since construction. */
  const CoalesceCounts& counts() const { return counts_; }

  /** Kill switches and fallbacks at run time; only between flush() and add(). */
  void setOffloads(bool tcp, bool udp) {
    options_.tcp = tcp;
    options_.udp = udp;
  }

 private:
  CoalescedFrame buildOutput(std::uint32_t chainIndex);
  void reset();

  CoalesceOptions options_;
  CoalesceCounts counts_;
  std::uint32_t frameCount_ = 0;
  std::uint32_t chainCount_ = 0;
};

}  // namespace vnetd
