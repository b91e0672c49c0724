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
#include <unordered_map>

#include "control/messages.h"
#include "offload/coalesce.h"
#include "path/datagram-sender.h"
#include "path/event-ring.h"
#include "path/flood.h"
#include "path/mailbox.h"
#include "path/receiver.h"
#include "path/reemitter.h"
#include "path/underlay-view.h"
#include "path/vnet.h"
#include "path/worker-context.h"
#include "tables/keyed-hash.h"
#include "tables/rate-limit.h"
#include "tables/seen-cache.h"

namespace vnetd {

class Inbound {
 public:
  explicit Inbound(WorkerContext& context);

  Failure open();

  // The thread's body; returns after stop().
  void run();

  [[nodiscard]] Mailbox& mailbox() { return mailbox_; }
  [[nodiscard]] EventRing& events() { return events_; }

  // ---- only in closures given to mailbox().call() --------------------------------------
  void stop() { stopped_ = true; }
  void setUnderlay(const UnderlayView* view);
  void setAges(const Ages& ages) { ages_ = ages; }
  void attach(Vnet& vnet);
  static void detach(Vnet& vnet);
  void remove(Vnet& vnet);

 private:
  static constexpr int kEpollEvents = 8;
  static constexpr int kTickMs = 1000;
  // Batches of one socket before the next one's turn.
  static constexpr int kBatchesPerRound = 4;
  static constexpr std::size_t kForwardHeaders = 256;

  enum class Via : std::uint8_t { kUnicast = 0, kMulticast = 1, kForwarded = 2 };

  // Who made a message, and by which way it came.
  struct Origin {
    Endpoint host;
    Via via = Via::kUnicast;
    Way way = Way::segment();
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
  void handleRefused(ByteSpan message, const Origin& origin, Counter reason);
  [[nodiscard]] bool admitGroup(ByteSpan message, const Origin& origin);
  void passOn(ByteSpan message, const Origin& origin);
  void deliver(Vnet& vnet, MutableByteSpan frame, const Origin& origin);
  void keepDestination(Vnet& vnet, const MacAddress& destination);
  void learnSource(Vnet& vnet, const MacAddress& source, const Endpoint& host);
  void noteLearned(Vnet& vnet, const MacAddress& mac, const Endpoint& host,
                   const LearnResult<Endpoint>& learned);
  void flushBatch();
  void writeFrame(const CoalescedFrame& frame);

  [[nodiscard]] Endpoint resolveHost(const IpAddress& address) const;
  [[nodiscard]] Vnet* findVnet(const VnetId& id);
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
  Receiver receiver_;
  DatagramSender sender_;
  Reemitter reemitter_;
  FileDescriptor epoll_;
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
