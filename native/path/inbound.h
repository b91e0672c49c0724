// The inbound thread: datagrams from other hosts, to the TAPs of their vnets.
//
//   UDP ─▶ source ─▶ decode ─┬─▶ frame ─▶ seen? ─▶ learn ─▶ MSS, merge ─▶ TAP
//                            ├─▶ VARP ─▶ rate ─▶ vnetd
//                            └─▶ forward ─▶ peer? ─▶ segment (original source), then as above
//
// Group messages from the segment are passed on to the peers, those from a peer to the segment:
// never back the way they came, and none twice (tables/seen-cache.h).
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "control/messages.h"
#include "offload/coalesce.h"
#include "path/capturer.h"
#include "path/datagram-sender.h"
#include "path/duty.h"
#include "path/event-ring.h"
#include "path/flood.h"
#include "path/hold-queue.h"
#include "path/mailbox.h"
#include "path/origin.h"
#include "path/receiver.h"
#include "path/reemitter.h"
#include "path/security-associations.h"
#include "path/underlay-view.h"
#include "path/vnet.h"
#include "path/worker-context.h"
#include "tables/keyed-hash.h"
#include "tables/rate-limit.h"
#include "tables/seen-cache.h"
#include "tables/spi-table.h"

namespace vnetd {

class Inbound {
 public:
  explicit Inbound(WorkerContext& context);

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
  void attach(Vnet& vnet);
  static void detach(Vnet& vnet);
  void remove(Vnet& vnet);
  // Takes over the SA and opens what was held for it. False: there are too many of its SPI.
  [[nodiscard]] bool addSa(std::unique_ptr<ReceiveSa> sa);
  // Null: it is not there.
  [[nodiscard]] std::unique_ptr<ReceiveSa> removeSa(const ReceiveSa* sa);
  // Its sender is elsewhere now.
  void moveSa(ReceiveSa& sa, const Endpoint& host);
  // Every SA of the vnet, own ones too.
  [[nodiscard]] std::vector<std::unique_ptr<ReceiveSa>> removeSasOf(const Vnet& vnet);
  // The vnet's own ones, but for that with the SPI `except`.
  [[nodiscard]] std::vector<std::unique_ptr<ReceiveSa>> removeOwnSas(const Vnet& vnet,
                                                                     std::uint32_t except);
  [[nodiscard]] const SpiTable<ReceiveSa>& sas() const { return sas_; }
  // A vnet's remote MACs are not what they were.
  void forgetFdb(Vnet& vnet);

 private:
  static constexpr int kTickMs = 1000;
  // Batches of one socket before the next one's turn.
  static constexpr int kBatchesPerRound = 4;
  static constexpr std::size_t kForwardHeaders = 256;
  static constexpr std::size_t kPacketBytesMax = 65'536;

  struct SealedLimiters {
    SourceRateLimiter vnc1;
    SourceRateLimiter unknownSpi;

    [[nodiscard]] static SealedLimiters make();
  };

  // A frame that came sealed.
  struct SealedFrame {
    const ReceiveSa& sa;
    // Its TCP or UDP checksum is left to us.
    bool isPartial = false;
  };

  Failure watch(int descriptor, std::uint64_t tag);
  void drainSocket(std::uint64_t tag);
  [[nodiscard]] bool acceptSource(const Received& received, Origin& origin);
  static void countDatagram(CounterBlock& counters, std::size_t bytes, const Origin& origin);
  void handleReceived(const Received& received);
  void handleReceivedEtherip(const Received& received, bool hasIpHeader);
  void handleDatagram(MutableByteSpan payload, const Origin& origin);
  void handleMessage(MutableByteSpan message, const Origin& origin, const DatagramOutcome& outcome);
  void handleForward(MutableByteSpan payload, const Origin& origin, const ForwardMessage& forward);
  void handleFrame(MutableByteSpan message, const Origin& origin, const FrameMessage& frame);
  void handleVarp(ByteSpan message, const Origin& origin, const VarpMessage& varp);
  void handleRefused(MutableByteSpan message, const Origin& origin, Counter reason);
  [[nodiscard]] bool admitGroup(ByteSpan message, const Origin& origin);
  void passOn(ByteSpan message, const Origin& origin);
  // `sealed`: null for a frame that came in clear.
  void deliver(Vnet& vnet, MutableByteSpan frame, const Origin& origin, const SealedFrame* sealed);
  [[nodiscard]] bool takePartial(CounterBlock& counters, MutableByteSpan frame,
                                 const FrameLayout& layout, bool& isPending) const;
  void capture(Vnet& vnet, ByteSpan frame, const FrameLayout& layout, bool isPending);
  void keepDestination(Vnet& vnet, const MacAddress& destination);
  void learnSource(Vnet& vnet, const MacAddress& source, const Endpoint& host);
  void noteLearned(Vnet& vnet, const MacAddress& mac, const Endpoint& host,
                   const LearnResult<Endpoint>& learned);

  // inbound-sealed.cc
  void handleVnc1(ByteSpan message, const Origin& origin);
  void handleEsp(MutableByteSpan packet, const Origin& origin);
  void openWith(ReceiveSa& sa, MutableByteSpan packet, const Origin& origin);
  void openWithOneOf(std::span<ReceiveSa* const> sas, MutableByteSpan packet, const Origin& origin);
  [[nodiscard]] static std::optional<std::uint64_t> admitCounter(ReceiveSa& sa, ByteSpan packet);
  void takeOpened(ReceiveSa& sa, std::uint64_t counter, const OpenOutcome& outcome,
                  const Origin& origin);
  void takeSealedControl(const ReceiveSa& sa, const OpenedPacket& opened, const Origin& origin);
  [[nodiscard]] bool passSealedOn(ByteSpan message, const Origin& origin);
  [[nodiscard]] OpenOutcome inMemoryOf(MutableByteSpan packet, const OpenOutcome& outcome) const;
  void tellOwnSpi(ReceiveSa& sa, const Origin& origin);
  void handleOwnSpi(ReceiveSa& sa, ByteSpan packet, const Origin& origin);
  void handleUnknownSpi(ByteSpan packet, const Origin& origin);
  [[nodiscard]] SealedLimiters& limitersOf(const Endpoint& source);
  void noteSender(const ReceiveSa& sa);
  void forgetSender(const ReceiveSa& sa);
  void tellUnknownSpi(std::uint32_t spi, const Endpoint& source);

  void flushBatch();
  void writeFrame(const CoalescedFrame& frame);

  [[nodiscard]] Endpoint resolveHost(const IpAddress& address) const;
  [[nodiscard]] Vnet* findVnet(const VnetId& id);
  void noteSecureVnets();
  template <class Matches>
  [[nodiscard]] std::vector<std::unique_ptr<ReceiveSa>> removeSasWhere(Matches&& matches);
  void tick();
  void sweepFdb(Vnet& vnet);
  SweepVerdict judgeFdbEntry(Vnet& vnet, MacEntry<Endpoint>& entry);
  void takeMovedFdb();
  void loseTap(Vnet& vnet, int error);
  void wakeControl();
  [[nodiscard]] static CounterBlock& countersOf(Vnet& vnet) {
    return vnet.counters.of(CounterThread::kInbound);
  }

  WorkerContext& context_;
  CounterBlock& counters_;  // Of the process: what no vnet can be named for.
  Mailbox& mailbox_;
  EventRing events_;
  Capturer capturer_{CaptureDirection::kIn};
  Receiver receiver_;
  DatagramSender sender_;
  Reemitter reemitter_;
  FileDescriptor epoll_;
  Turn turn_;
  bool stopped_ = false;
  std::uint64_t nowMs_ = 0;
  std::uint64_t nextTickMs_ = 0;
  const UnderlayView* view_;
  Ages ages_;
  std::unordered_map<VnetId, Vnet*> vnets_;

  HashKey messageKey_;
  SeenCache seen_;
  SourceRateLimiter varpLimiter_;
  std::unique_ptr<Coalescer> coalescer_;
  std::uint64_t checksumBadTold_ = 0;
  std::unique_ptr<std::array<ForwardHeader, kForwardHeaders>> forwardHeaders_;
  std::size_t forwardHeadersUsed_ = 0;
  // Its vector keeps its memory, so that an event allocates nothing.
  control::ControlReceived controlEvent_;

  // Sealed traffic. SAs are this thread's alone.
  SpiTable<ReceiveSa> sas_;
  ReceiveSa* lastSa_ = nullptr;
  HoldQueue hold_;
  bool hasSecureVnets_ = false;
  // For how many SAs a host is the sender; its port is 0 here. What such a host says is limited
  // apart from what strangers say, who may be more than all limits admit.
  std::unordered_map<Endpoint, std::uint32_t> senders_;
  SealedLimiters strangerLimiters_;
  SealedLimiters senderLimiters_;
  TokenBucket ownSpiLimiter_;
  struct UnknownSpiTold {
    std::uint64_t hash = 0;
    std::uint64_t toldMs = 0;
  };
  std::array<UnknownSpiTold, 256> unknownSpisTold_{};
  // Where a packet is opened that may not be the SA's after all.
  std::unique_ptr<std::array<std::byte, kPacketBytesMax>> scratch_;
  control::VncReceived vnc1Event_;
  control::SealedControl sealedEvent_;

  // The frame before: a batch has few vnets and sources, and need not look them up again.
  Vnet* lastVnet_ = nullptr;
  VnetId lastVnetId_;
  const Vnet* learnedVnet_ = nullptr;
  MacAddress learnedMac_;
  Endpoint learnedHost_;
  const Vnet* keptVnet_ = nullptr;
  MacAddress keptMac_;
};

}  // namespace vnetd
