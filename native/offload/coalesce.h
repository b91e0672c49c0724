// Merges the inbound frames of one batch into super-frames, so that the TAP and the guest's
// stack are entered once for many frames.
//
// Frames are fed with add() in arrival order and come out of flush() in the order of each
// output's first frame. The frames of one flow (same vnet, same octets before the IP header,
// same addresses, protocol and ports) never overtake each other. Only what a segmenting kernel
// restores octet for octet is merged (but for the IPv4 ID where DF is set, which then has no
// meaning: RFC 6864 §4.1), and only after both frames' checksums proved right:
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
  std::uint32_t frameCount;  // 1 = untouched, its header all zero unless its checksum is pending
  std::uint32_t frameBytes;  // of the output, without the virtio header
};

struct CoalesceCounts {
  std::uint64_t mergedFrames = 0;       // coalesced-in: frames merged into a preceding one
  std::uint64_t checksumBadFrames = 0;  // checksum-bad-in
};

/** Some 100 KB of arrays: a member or a static, never on a thread's stack. */
class Coalescer {
 public:
  explicit Coalescer(const CoalesceOptions& options);

  /** flush() must come before the next add(). */
  [[nodiscard]] bool isFull() const { return frameCount_ == kCoalesceBatchFrames; }
  [[nodiscard]] bool isEmpty() const { return frameCount_ == 0; }

  // HOT PATH: no allocation, no throw. The octets of `frame` stay the caller's, must stay valid
  // until flush(), and those of its headers may be changed by flush(). Not to be called when
  // isFull(). Any octets may be given, also frames too short for an Ethernet header.
  // `isPending`: the TCP or UDP checksum is the receiver's to compute; its field holds the sum of
  // the pseudo-header (offload/partial-checksum.h).
  void add(void* vnet, MutableByteSpan frame) { add(vnet, frame, parseFrame(frame)); }
  void add(void* vnet, MutableByteSpan frame, const FrameLayout& layout, bool isPending = false);

  /** Calls visit(const CoalescedFrame&) for every output, then forgets the batch. */
  template <typename Visitor>
  void flush(Visitor&& visit) {
    for (std::uint32_t index = 0; index < chainCount_; ++index) {
      visit(buildOutput(index));
    }
    reset();
  }

  /** Since construction. */
  [[nodiscard]] const CoalesceCounts& counts() const { return counts_; }

  /** Kill switches and fallbacks at run time; only between flush() and add(). */
  void setOffloads(bool tcp, bool udp) {
    options_.tcp = tcp;
    options_.udp = udp;
  }

 private:
  struct Frame {
    std::byte* data;
    std::uint32_t byteCount;
    std::uint32_t next;  // the next frame of its chain
  };
  enum class AppendOutcome : std::uint8_t { kAppended, kUnfit, kFrameBad };
  enum class HeadState : std::uint8_t { kUnverified, kVerified };
  // One output: a frame alone or several merged.
  struct Chain {
    void* vnet;
    std::uint32_t firstFrame;
    std::uint32_t lastFrame;
    std::uint32_t frameCount;
    std::uint32_t payloadBytes;  // of all its frames
    std::uint16_t gsoSize;       // payload of the first frame
    std::uint16_t l3Offset;
    std::uint16_t l4Offset;
    std::uint16_t headerBytes;  // Ethernet to TCP/UDP
    NetworkKind network;
    TransportKind transport;
    HeadState headState;
    bool isHeadPending;
    bool isOpen;    // may grow
    bool isPushed;  // the last frame has PSH
  };
  // Flow to its newest chain. A slot is empty unless its generation is the present one, so a new
  // batch starts without clearing anything.
  struct Slot {
    std::uint32_t generation;
    std::uint32_t chain;
  };
  struct FlowHash {
    std::uint32_t addresses;  // index into barriers_
    std::uint32_t flow;       // index into slots_
  };
  struct Candidate {
    void* vnet;
    MutableByteSpan frame;
    const FrameLayout& layout;
    bool isPending;
  };
  static constexpr std::uint32_t kSlotCount = 2 * kCoalesceBatchFrames;
  static constexpr std::uint32_t kProbeMax = 8;
  static constexpr std::uint32_t kBarrierCount = 256;

  [[nodiscard]] FlowHash hashFlow(const Candidate& candidate) const;
  Slot* findSlot(const Candidate& candidate, std::uint32_t flowHash);
  [[nodiscard]] bool isSameFlow(const Chain& chain, const Candidate& candidate) const;
  [[nodiscard]] bool isMergeable(const Candidate& candidate) const;
  AppendOutcome tryAppend(Chain& chain, const Candidate& candidate);
  [[nodiscard]] bool doesContinue(const Chain& chain, const Candidate& candidate) const;
  std::uint32_t addChain(const Candidate& candidate, bool isOpen);
  CoalescedFrame buildOutput(std::uint32_t chainIndex);
  void finishHeaders(const Chain& chain);
  void reset();

  CoalesceOptions options_;
  CoalesceCounts counts_;
  std::uint32_t frameCount_ = 0;
  std::uint32_t chainCount_ = 0;
  std::uint32_t generation_ = 1;
  bool hasBarriers_ = false;
  VirtioHeader outputHeader_;
  std::array<Frame, kCoalesceBatchFrames> frames_;
  std::array<Chain, kCoalesceBatchFrames> chains_;
  std::array<Slot, kSlotCount> slots_{};
  // Chains below this number may not grow: a fragment or an unreadable packet between the same
  // addresses, which may belong to any of their flows, came after them.
  std::array<std::uint32_t, kBarrierCount> barriers_{};
  std::array<iovec, kCoalesceTcpFrames + 1> parts_;
};

}  // namespace vnetd
