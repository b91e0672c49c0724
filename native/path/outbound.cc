#include "path/outbound.h"

#include <sys/epoll.h>

#include <algorithm>
#include <cerrno>

#include "control/messages.h"
#include "host/clock.h"
#include "offload/mss-clamp.h"
#include "wire/recursion-guard.h"

namespace vnetd {
namespace {

// Where a worker stands before vnetd has told it of an underlay.
const UnderlayView kNoUnderlay{};

MacAddress macAt(ByteSpan frame, std::size_t offset) {
  return MacAddress::fromBytes(frame.subspan(offset).first<kMacAddressBytes>());
}

}  // namespace

Outbound::Outbound(WorkerContext& context)
    : context_(context),
      mailbox_(context.outboundMailbox),
      sender_(context.sockets, context.offloads),
      view_(&kNoUnderlay) {}

Failure Outbound::open() {
  for (Failure failure : {mailbox_.open(), events_.open(), capturer_.ring().openBell()}) {
    if (failure.failed()) {
      return failure;
    }
  }
  epoll_.reset(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll_.valid()) {
    return failureOf("Cannot make an epoll descriptor");
  }
  arena_ = std::make_unique<std::array<std::byte, kArenaBytes>>();
  segmentArena_ = std::make_unique<std::array<std::byte, kSegmentArenaBytes>>();
  sealArena_ = std::make_unique_for_overwrite<std::array<std::byte, kSealArenaBytes>>();
  // Null: the mailbox; anything else is the Vnet whose TAP it is.
  epoll_event event{.events = EPOLLIN, .data = {.ptr = nullptr}};
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, mailbox_.descriptor(), &event) != 0) {
    return failureOf("Cannot wait for the outbound mailbox");
  }
  return noFailure();
}

bool Outbound::round(std::span<const epoll_event> ready) {
  bool isCalled = false;
  const bool hasWorked = assist(ready);
  for (const epoll_event& event : ready) {
    isCalled = isCalled || event.data.ptr == nullptr;
  }
  if (nowMs_ >= nextTickMs_) {
    context_.quiescence.active(Worker::kOutbound);
    tick();
    events_.wake();
    context_.quiescence.idle(Worker::kOutbound);
  }
  // Last, when no pointer to a vnet is held any more: the call may remove one.
  if (isCalled) {
    mailbox_.serve();
  }
  return hasWorked;
}

bool Outbound::assist(std::span<const epoll_event> ready) {
  context_.quiescence.active(Worker::kOutbound);
  nowMs_ = monotonicMs();
  takeMovedVifs();
  bool hasWorked = false;
  for (const epoll_event& event : ready) {
    auto* const vnet = static_cast<Vnet*>(event.data.ptr);
    if (vnet == nullptr) {
      continue;
    }
    hasWorked = true;
    if ((event.events & EPOLLIN) != 0) {
      drainTap(*vnet);
    } else if ((event.events & (EPOLLERR | EPOLLHUP)) != 0) {
      loseTap(*vnet, EBADFD);
    }
  }
  events_.wake();
  capturer_.ring().wake();
  context_.quiescence.idle(Worker::kOutbound);
  return hasWorked;
}

// ---- one burst --------------------------------------------------------------------------

// HOT PATH: no allocation, no throw.
void Outbound::drainTap(Vnet& vnet) {
  for (int frames = 0; frames < kBurstFrames; ++frames) {
    if (!readFrame(vnet)) {
      break;
    }
    const bool isCold = arenaUsed_ >= kFlushBytes;
    const bool isFull = arenaUsed_ + kSlotBytesMax > kArenaBytes ||
                        segmentArenaUsed_ + segmentArenaBytes(kHeadroomBytes) > kSegmentArenaBytes;
    if (isCold || isFull) {
      flushArena();
    }
  }
  flushArena();
}

// False when the TAP has no more.
// HOT PATH: no allocation, no throw.
bool Outbound::readFrame(Vnet& vnet) {
  // The virtio header lands in the end of the headroom, where the message header goes later.
  std::byte* const slot = arena_->data() + arenaUsed_;
  std::byte* const frame = slot + kHeadroomBytes;
  std::byte* const start = frame - kVirtioHeaderBytes;
  const ssize_t got = ::read(vnet.outbound.tap, start, kVirtioHeaderBytes + kFrameBytesMax);
  if (got < 0) {
    if (errno != EAGAIN && errno != EINTR) {
      loseTap(vnet, errno);
    }
    return false;
  }
  const auto bytes = static_cast<std::size_t>(got);
  if (bytes < kVirtioHeaderBytes + kEthernetHeaderBytes) {
    countersOf(vnet).add(Counter::kDropRuntFrame);
    return true;
  }
  const MutableByteSpan octets(frame, bytes - kVirtioHeaderBytes);
  // What is sent from here stays until the flush; the next frame goes behind it.
  arenaUsed_ += (kHeadroomBytes + octets.size() + 63) / 64 * 64;
  handleFrame(vnet, loadVirtioHeader(ByteSpan(start, kVirtioHeaderBytes)), octets);
  return true;
}

// ---- one frame, top to bottom -----------------------------------------------------------

// HOT PATH: no allocation, no throw.
void Outbound::handleFrame(Vnet& vnet, const VirtioHeader& header, MutableByteSpan octets) {
  CounterBlock& counters = countersOf(vnet);
  counters.add(Counter::kOutboundFrames);
  counters.add(Counter::kOutboundBytes, octets.size());
  const FrameLayout layout = parseFrame(octets);
  Frame frame{.vnet = vnet,
              .counters = counters,
              .octets = octets,
              .header = header,
              .layout = layout,
              .kind = checkOutbound(header, layout)};
  if (frame.kind == OutboundKind::kInvalid) {
    counters.add(Counter::kDropVirtioHeader);
    return;
  }
  const MacAddress source = macAt(octets, kMacAddressBytes);
  if (!source.isStation()) {
    counters.add(Counter::kDropSourceMac);
    return;
  }
  if (!learnSource(frame, source)) {
    counters.add(Counter::kDropSplitHorizon);
    return;
  }
  const MacAddress destination = macAt(octets, 0);
  if (destination.isLinkLocalReserved()) {
    counters.add(Counter::kDropReservedMac);
    return;
  }
  if (isGiant(frame)) {
    counters.add(Counter::kDropGiantFrame);
    return;
  }
  if (isRecursion(frame)) {
    counters.add(Counter::kDropRecursion);
    return;
  }
  if (vnet.captureOut.snapBytes != 0) {
    capture(frame);
  }
  if (destination.isGroup()) {
    counters.add(Counter::kFloodGroupOut);
    sendFlood(frame);
    return;
  }
  if (const auto found = vnet.fdb.findAndUse(destination, nowMs_)) {
    counters.add(Counter::kUnicastOut);
    sendUnicast(frame, found->value);
    return;
  }
  if (const auto local = vnet.vifs.find(destination); local && local->pinned) {
    counters.add(Counter::kDropLocalDestination);
    return;
  }
  counters.add(Counter::kFloodUnknownOut);
  if (vnet.misses.admit(destination, nowMs_)) {
    events_.push(control::FdbMiss{.vnet = vnet.settings.id, .mac = destination});
  }
  sendFlood(frame);
}

// As the guest sent it, a super-frame whole, with the checksum that was left to us.
void Outbound::capture(const Frame& frame) {
  CaptureFrame copy{.vnet = frame.vnet.settings.id, .octets = frame.octets};
  if ((frame.header.flags & kVirtioNeedsChecksum) != 0) {
    copy.checksumStart = frame.header.checksumStart;
    copy.checksumEnd = frame.layout.packetEnd;
    copy.checksumOffset = frame.header.checksumOffset;
  }
  capturer_.capture(frame.vnet.captureOut, copy, frame.counters);
}

// False: the source is pinned to a remote host, and the frame is on its way back to it.
// HOT PATH: no allocation, no throw.
bool Outbound::learnSource(Frame& frame, const MacAddress& source) {
  if (lastVnet_ == &frame.vnet && lastSource_ == source) {
    return true;
  }
  const LearnResult<NoValue> learned = frame.vnet.vifs.learn(source, NoValue{}, nowMs_);
  if (learned.outcome == LearnOutcome::kNew && !noteNewVif(frame, source, learned)) {
    return false;
  }
  lastVnet_ = &frame.vnet;
  lastSource_ = source;
  return true;
}

// A source that no frame from this TAP had before, or not for long.
bool Outbound::noteNewVif(Frame& frame, const MacAddress& mac,
                          const LearnResult<NoValue>& learned) {
  Vnet& vnet = frame.vnet;
  const auto remote = vnet.fdb.find(mac);
  if (remote && remote->pinned) {
    // vnetd says that it is elsewhere; a local frame does not override that, but vnetd may: the
    // MAC's guest may have come here.
    vnet.vifs.erase(mac);
    if (vnet.misses.admit(mac, nowMs_)) {
      events_.push(control::VifLearned{.vnet = vnet.settings.id, .mac = mac, .moved = true});
    }
    const auto target = vnet.fdb.find(macAt(frame.octets, 0));
    return !target || target->value != remote->value;
  }
  if (remote) {
    context_.fdbMovedHere.push({.vnet = &vnet, .mac = mac});
    context_.inboundMailbox.ring();
  }
  if (learned.growthWanted) {
    vnet.vifsWantGrowth.store(true, std::memory_order_relaxed);
    context_.vnetsNeedCare.store(true, std::memory_order_release);
    events_.ring();
  }
  if (learned.evicted) {
    frame.counters.add(Counter::kVifEvicted);
    events_.push(
        control::VifGone{.vnet = vnet.settings.id, .mac = *learned.evicted, .moved = false});
  }
  events_.push(
      control::VifLearned{.vnet = vnet.settings.id, .mac = mac, .moved = remote.has_value()});
  return true;
}

// A super-frame is judged by the frames it stands for.
// HOT PATH: no allocation, no throw.
bool Outbound::isGiant(const Frame& frame) {
  const bool isSuper =
      frame.kind == OutboundKind::kSuperTcp || frame.kind == OutboundKind::kSuperUdp;
  const std::size_t bytes =
      isSuper ? std::min<std::size_t>(frame.layout.headersEnd() + frame.header.gsoSize,
                                      frame.octets.size())
              : frame.octets.size();
  return bytes > frame.vnet.outbound.frameBytesMax;
}

// HOT PATH: no allocation, no throw.
bool Outbound::isRecursion(const Frame& frame) const {
  const TunnelIdentity identity{.udpPort = view_->udpPort,
                                .group4 = view_->membership.group4,
                                .group6 = view_->membership.group6,
                                .localAddresses = view_->localAddresses};
  // A host of the underlay's own link as well: its multicasts get here when the underlay's device
  // is on the vnet's bridge, and every host that is wired so would send them round again.
  return isOwnTunnelTraffic(frame.octets, identity, [this](const IpAddress& address) {
    return view_->peerAt(address) != nullptr || view_->isOnLink(address);
  });
}

// HOT PATH: no allocation, no throw.
void Outbound::sendUnicast(Frame& frame, const Endpoint& host) {
  if (frame.vnet.outbound.security != Security::kNone) {
    sendSealed(frame, &host);
    return;
  }
  const Encapsulation encapsulation = frame.vnet.outbound.encapsulation;
  // Message id and opcode are not there in protocol 97.
  const std::size_t skipped = encapsulation == Encapsulation::kEtherip ? 4 : 0;
  for (const TunnelMessage& message : prepareMessages(frame, view_->maxFrameBytes(host))) {
    sender_.add({.destination = host,
                 .first = message.first.subspan(skipped),
                 .second = message.second,
                 .counters = &frame.counters,
                 .encapsulation = encapsulation});
  }
}

// HOT PATH: no allocation, no throw.
void Outbound::sendFlood(Frame& frame) {
  if (!view_->hasAddress()) {
    frame.counters.add(Counter::kDropNoUnderlay);
    return;
  }
  if (frame.vnet.outbound.security != Security::kNone) {
    sendSealed(frame, nullptr);
    return;
  }
  flood(sender_, *view_,
        {.messages = prepareMessages(frame, view_->maxFloodFrameBytes()),
         .counters = &frame.counters,
         .encapsulation = frame.vnet.outbound.encapsulation});
}

// HOT PATH: no allocation, no throw.
void Outbound::clampMssOf(Frame& frame, std::size_t frameBytesMax) {
  if (frame.layout.transport == TransportKind::kTcp && frameBytesMax > frame.layout.l3Offset) {
    const std::uint16_t maxMss =
        mssForMtu(frameBytesMax - frame.layout.l3Offset, frame.layout.network);
    const TcpChecksumState state = checksumIsPending(frame.header, frame.layout)
                                       ? TcpChecksumState::kPending
                                       : TcpChecksumState::kComplete;
    if (clampMss(frame.octets, frame.layout, maxMss, state)) {
      frame.counters.add(Counter::kMssClamped);
    }
  }
}

// Completes what the guest's stack left to the device, and cuts a super-frame so that bulk TCP
// fits `frameBytesMax` and is never fragmented.
// HOT PATH: no allocation, no throw.
std::span<const TunnelMessage> Outbound::prepareMessages(Frame& frame, std::size_t frameBytesMax) {
  clampMssOf(frame, frameBytesMax);
  if (frame.kind == OutboundKind::kSuperTcp || frame.kind == OutboundKind::kSuperUdp) {
    return prepareSegments(frame, frameBytesMax);
  }
  if (frame.kind == OutboundKind::kNeedsChecksum) {
    completeChecksum(frame.octets, frame.layout, frame.header);
  }
  messages_[0] = prependHeader(frame.vnet, frame.octets, {});
  return std::span(messages_).first(1);
}

// HOT PATH: no allocation, no throw.
std::span<const TunnelMessage> Outbound::prepareSegments(Frame& frame, std::size_t frameBytesMax) {
  const std::span<const Segment> segments = cutSuperFrame(frame, frameBytesMax, false);
  for (std::size_t index = 0; index < segments.size(); ++index) {
    const Segment& segment = segments[index];
    messages_.at(index) = prependHeader(frame.vnet, segment.header, segment.payload);
  }
  return std::span(messages_).first(segments.size());
}

// HOT PATH: no allocation, no throw.
std::span<const Segment> Outbound::cutSuperFrame(Frame& frame, std::size_t frameBytesMax,
                                                 bool isPartial) {
  const MutableByteSpan arena = MutableByteSpan(*segmentArena_).subspan(segmentArenaUsed_);
  const SegmentResult result = segmentSuperFrame({.frame = frame.octets,
                                                  .layout = frame.layout,
                                                  .header = frame.header,
                                                  .maxFrameBytes = frameBytesMax,
                                                  .headroomBytes = kHeadroomBytes,
                                                  .isPartial = isPartial},
                                                 arena, segments_);
  if (result.outcome != SegmentResult::Outcome::kSegments) {
    frame.counters.add(Counter::kDropVirtioHeader);
    return {};
  }
  const std::size_t count = result.segments.size();
  if (count == 0) {
    return {};
  }
  segmentArenaUsed_ += count * segmentStrideBytes(kHeadroomBytes, result.segments[0].header.size());
  frame.counters.add(Counter::kSegmentsOut, count);
  return result.segments;
}

// Writes the 22 octets into the headroom before `first`.
// HOT PATH: no allocation, no throw.
TunnelMessage Outbound::prependHeader(const Vnet& vnet, MutableByteSpan first, ByteSpan second) {
  std::byte* const start = first.data() - kFrameMessageHeaderBytes;
  std::memcpy(start, vnet.messageHeader.data(), kFrameMessageHeaderBytes);
  return {.first = MutableByteSpan(start, kFrameMessageHeaderBytes + first.size()),
          .second = second};
}

// HOT PATH: no allocation, no throw.
void Outbound::flushArena() {
  sender_.flush();
  arenaUsed_ = 0;
  segmentArenaUsed_ = 0;
  sealArenaUsed_ = 0;
  lastVnet_ = nullptr;
}

// ---- once a second ----------------------------------------------------------------------

void Outbound::tick() {
  nextTickMs_ = nowMs_ + kTickMs;
  for (Vnet* const vnet : vnets_) {
    expireVifs(*vnet);
  }
}

void Outbound::expireVifs(Vnet& vnet) {
  if (vnet.vifs.size() == 0) {
    return;
  }
  vnet.vifs.sweep(sweepBudget(vnet.vifs.slotCount()), [&](MacEntry<NoValue>& entry) {
    const std::uint64_t aliveMs = std::max(entry.lastHeardMs, entry.lastUsedMs);
    if (entry.pinned || nowMs_ - std::min(nowMs_, aliveMs) < ages_.vifTtlMs) {
      return SweepVerdict::kKeep;
    }
    events_.push(control::VifGone{.vnet = vnet.settings.id, .mac = entry.mac, .moved = false});
    return SweepVerdict::kErase;
  });
}

// What the inbound thread has heard from another host is not ours any more.
void Outbound::takeMovedVifs() {
  HandoverRing::Item item;
  while (context_.vifsMovedAway.pop(item)) {
    const auto local = item.vnet->vifs.find(item.mac);
    if (!local || local->pinned) {
      continue;
    }
    item.vnet->vifs.erase(item.mac);
    events_.push(control::VifGone{.vnet = item.vnet->settings.id, .mac = item.mac, .moved = true});
  }
}

// The TAP is gone, deleted under us. The vnet stays, without it; others notice nothing.
void Outbound::loseTap(Vnet& vnet, int error) {
  if (vnet.outbound.tap < 0) {
    return;
  }
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, vnet.outbound.tap, nullptr);
  vnet.outbound.tap = -1;
  vnet.tapError.store(error, std::memory_order_relaxed);
  context_.vnetsNeedCare.store(true, std::memory_order_release);
  events_.ring();
}

// ---- changes, by the control thread's calls ---------------------------------------------

void Outbound::setUnderlay(const UnderlayView* view) {
  view_ = view;
  sender_.setUnderlay(view->sender);
}

void Outbound::attach(Vnet& vnet) {
  if (std::ranges::find(vnets_, &vnet) == vnets_.end()) {
    vnets_.push_back(&vnet);
  }
  const int former = vnet.outbound.tap;
  vnet.outbound = vnet.workerView();
  if (vnet.outbound.tap >= 0 && vnet.outbound.tap != former) {
    epoll_event event{.events = EPOLLIN, .data = {.ptr = &vnet}};
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, vnet.outbound.tap, &event) != 0) {
      loseTap(vnet, errno);
    }
  }
}

void Outbound::detach(Vnet& vnet) {
  if (vnet.outbound.tap >= 0) {
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, vnet.outbound.tap, nullptr);
    vnet.outbound.tap = -1;
  }
}

void Outbound::remove(Vnet& vnet) {
  // The queue may still name it: the inbound thread let go of it before we are called.
  takeMovedVifs();
  detach(vnet);
  std::erase(vnets_, &vnet);
}

}  // namespace vnetd
