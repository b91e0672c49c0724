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
#include <span>
#include <vector>

#include "offload/segment.h"
#include "offload/virtio-header.h"
#include "path/capturer.h"
#include "path/datagram-sender.h"
#include "path/duty.h"
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

  // For path/duty.h: what this worker waits for, and what it does then. `ready` is what epoll gave;
  // round() may only be called by the worker's own thread, assist() by any; both under turn().
  [[nodiscard]] int epollDescriptor() const { return epoll_.get(); }
  [[nodiscard]] Turn& turn() { return turn_; }
  [[nodiscard]] bool isStopped() const { return stopped_; }
  [[nodiscard]] int untilTickMs() const { return untilMs(nextTickMs_); }
  // Both say whether there were frames; assist() looks at nothing else.
  bool round(std::span<const epoll_event> ready);
  bool assist(std::span<const epoll_event> ready);

  [[nodiscard]] Mailbox& mailbox() { return mailbox_; }
  [[nodiscard]] EventRing& events() { return events_; }
  [[nodiscard]] Capturer& capturer() { return capturer_; }

  // ---- only in closures given to mailbox().call() --------------------------------------
  void stop() { stopped_ = true; }
  void setUnderlay(const UnderlayView* view);
  void setAges(const Ages& ages) { ages_ = ages; }
  // Begins with this vnet, or takes its new TAP and settings.
  void attach(Vnet& vnet);
  void detach(Vnet& vnet);
  void remove(Vnet& vnet);
  // Seals and sends a control message (messages.def, SealTo): to one host, or flooded where there
  // is none.
  Failure sealControl(Vnet& vnet, const Endpoint& host, std::uint8_t nextHeader, ByteSpan payload);

 private:
  // The longest frame a TAP gives: an IP packet of 65,535 octets, Ethernet, tags.
  static constexpr std::size_t kFrameBytesMax = 65'535 + 14 + 8;
  // Room for the message header and, in a flood, for what wraps it to peers.
  static constexpr std::size_t kHeadroomBytes = 96;
  // SPI, Seq, IV, EtherIP word, padding, trailer and ICV of any suite.
  static constexpr std::size_t kSealBytesMax = 8 + 16 + 2 + 15 + 2 + 16;
  // After so many octets what was gathered is sent: the arena stays in the cache.
  static constexpr std::size_t kFlushBytes = std::size_t{64} * 1024;
  static constexpr std::size_t kSlotBytesMax = kHeadroomBytes + kFrameBytesMax;
  static constexpr std::size_t kArenaBytes = 8 * kSlotBytesMax;
  static constexpr std::size_t kSegmentArenaBytes = 2 * segmentArenaBytes(kHeadroomBytes);
  // What any frame becomes when it is sealed: each segment with its headers and what sealing adds.
  static constexpr std::size_t kSealedFrameBytesMax =
      kFrameBytesMax + kMaxSegments * (kHeadroomBytes + kMaxSuperHeaderBytes + kSealBytesMax);
  static constexpr std::size_t kSealArenaBytes = kFlushBytes + kSealedFrameBytesMax;
  // Frames of one TAP before the next one's turn.
  static constexpr int kBurstFrames = 64;
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
  void capture(const Frame& frame);
  bool learnSource(Frame& frame, const MacAddress& source);
  bool noteNewVif(Frame& frame, const MacAddress& mac, const LearnResult<NoValue>& learned);
  [[nodiscard]] static bool isGiant(const Frame& frame);
  [[nodiscard]] bool isRecursion(const Frame& frame) const;
  void sendUnicast(Frame& frame, const Endpoint& host);
  void sendFlood(Frame& frame);
  std::span<const TunnelMessage> prepareMessages(Frame& frame, std::size_t frameBytesMax);
  std::span<const TunnelMessage> prepareSegments(Frame& frame, std::size_t frameBytesMax);
  static void clampMssOf(Frame& frame, std::size_t frameBytesMax);
  std::span<const Segment> cutSuperFrame(Frame& frame, std::size_t frameBytesMax, bool isPartial);

  // outbound-sealed.cc
  void sendSealed(Frame& frame, const Endpoint* host);
  std::span<const Segment> prepareClear(Frame& frame, std::size_t frameBytesMax, bool isPartial);
  std::span<const TunnelMessage> sealSegments(Frame& frame, SendSa& sa,
                                              std::span<const Segment> segments,
                                              std::uint16_t flags, std::size_t headroomBytes);
  void sendMessages(std::span<const TunnelMessage> messages, const Endpoint* host,
                    CounterBlock& counters);
  [[nodiscard]] static bool mayLeaveChecksum(const Frame& frame, const Endpoint& host);
  void tellSpent(const Vnet& vnet, SendSa& sa);
  void makeSealRoom(std::size_t bytes);

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
  Capturer capturer_{CaptureDirection::kOut};
  DatagramSender sender_;
  FileDescriptor epoll_;
  Turn turn_;
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
  std::unique_ptr<std::array<std::byte, kSealArenaBytes>> sealArena_;
  std::size_t sealArenaUsed_ = 0;
  std::array<Segment, kMaxSegments> segments_{};
  std::array<TunnelMessage, kMaxSegments> messages_{};
};

}  // namespace vnetd
