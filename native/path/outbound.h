// The outbound thread: frames of all TAPs, to the hosts their destinations are on.
//
//   TAP ─▶ virtio header ─▶ source ─▶ destination ─▶ checksum, MSS, segments ─▶ header ─▶ UDP
//
// Everything it uses belongs to it or is read without locks; the control thread changes it
// through mailbox(). outbound.cc reads from top to bottom in the order in which a frame passes.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "offload/segment.h"
#include "offload/virtio-header.h"
#include "path/datagram-sender.h"
#include "path/event-ring.h"
#include "path/flood.h"
#include "path/mailbox.h"
#include "path/underlay-view.h"
#include "path/vnet.h"
#include "path/worker-context.h"
#include "wire/ethernet.h"

namespace vnetd {

class Outbound {
 public:
  explicit Outbound(WorkerContext& context);

  Failure open();

  // The thread's body; returns after stop().
  void run();

  [[nodiscard]] Mailbox& mailbox() { return mailbox_; }
  [[nodiscard]] EventRing& events() { return events_; }

  // ---- only in closures given to mailbox().call() --------------------------------------
  void stop() { stopped_ = true; }
  void setUnderlay(const UnderlayView* view);
  void setAges(const Ages& ages) { ages_ = ages; }
  // Begins with this vnet, or takes its new TAP and settings.
  void attach(Vnet& vnet);
  void detach(Vnet& vnet);
  void remove(Vnet& vnet);

 private:
  // The longest frame a TAP gives: an IP packet of 65,535 octets, Ethernet, tags.
  static constexpr std::size_t kFrameBytesMax = 65'535 + 14 + 8;
  // Room for the message header and, in a flood, for what wraps it to peers.
  static constexpr std::size_t kHeadroomBytes = 96;
  static constexpr std::size_t kSlotBytesMax = kHeadroomBytes + kFrameBytesMax;
  static constexpr std::size_t kArenaBytes = 8 * kSlotBytesMax;
  static constexpr std::size_t kSegmentArenaBytes = 2 * segmentArenaBytes(kHeadroomBytes);
  // Frames of one TAP before the next one's turn.
  static constexpr int kBurstFrames = 64;
  // After so many octets what was gathered is sent: the arena stays in the cache.
  static constexpr std::size_t kFlushBytes = std::size_t{64} * 1024;
  static constexpr int kEpollEvents = 64;
  static constexpr int kTickMs = 1000;

  // One frame on its way, in outbound.cc's functions.
  struct Frame {
    Vnet& vnet;
    CounterBlock& counters;
    MutableByteSpan octets;
    VirtioHeader header;
    FrameLayout layout;
    OutboundKind kind;
  };

  void drainTap(Vnet& vnet);
  bool readFrame(Vnet& vnet);
  void handleFrame(Vnet& vnet, const VirtioHeader& header, MutableByteSpan octets);
  bool learnSource(Frame& frame, const MacAddress& source);
  bool noteNewVif(Frame& frame, const MacAddress& mac, const LearnResult<NoValue>& learned);
  [[nodiscard]] static bool isGiant(const Frame& frame);
  [[nodiscard]] bool isRecursion(const Frame& frame) const;
  void sendUnicast(Frame& frame, const Endpoint& host);
  void sendFlood(Frame& frame);
  std::span<const TunnelMessage> prepareMessages(Frame& frame, std::size_t frameBytesMax);
  std::span<const TunnelMessage> prepareSegments(Frame& frame, std::size_t frameBytesMax);
  [[nodiscard]] static TunnelMessage prependHeader(const Vnet& vnet, MutableByteSpan first,
                                                   ByteSpan second);
  void flushArena();

  void tick();
  void expireVifs(Vnet& vnet);
  void takeMovedVifs();
  void loseTap(Vnet& vnet, int error);
  [[nodiscard]] static CounterBlock& countersOf(Vnet& vnet) {
    return vnet.counters.of(CounterThread::kOutbound);
  }

  WorkerContext& context_;
  Mailbox& mailbox_;
  EventRing events_;
  DatagramSender sender_;
  FileDescriptor epoll_;
  bool stopped_ = false;
  std::uint64_t nowMs_ = 0;
  std::uint64_t nextTickMs_ = 0;
  const UnderlayView* view_;
  Ages ages_;
  std::vector<Vnet*> vnets_;

  // The source of the frame before: bursts have one, and need not look it up again.
  const Vnet* lastVnet_ = nullptr;
  MacAddress lastSource_;

  std::unique_ptr<std::array<std::byte, kArenaBytes>> arena_;
  std::size_t arenaUsed_ = 0;
  std::unique_ptr<std::array<std::byte, kSegmentArenaBytes>> segmentArena_;
  std::size_t segmentArenaUsed_ = 0;
  std::array<Segment, kMaxSegments> segments_{};
  std::array<TunnelMessage, kMaxSegments> messages_{};
};

}  // namespace vnetd
