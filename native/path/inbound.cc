#include "path/inbound.h"

#include <sys/epoll.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <variant>

#include "host/clock.h"
#include "offload/mss-clamp.h"
#include "offload/partial-checksum.h"
#include "path/inbound-limits.h"
#include "wire/etherip.h"
#include "wire/legacy.h"

namespace vnetd {
namespace {

// Where a worker stands before vnetd has told it of an underlay.
const UnderlayView kNoUnderlay{};

// What epoll says is ready.
constexpr std::uint64_t kTagMailbox = 0;
constexpr std::uint64_t kTagUdp4 = 1;
constexpr std::uint64_t kTagUdp6 = 2;
constexpr std::uint64_t kTagEtherip4 = 3;
constexpr std::uint64_t kTagEtherip6 = 4;

// `part` shares memory with `whole`, which may be written.
MutableByteSpan writable(MutableByteSpan whole, ByteSpan part) {
  return whole.subspan(static_cast<std::size_t>(part.data() - whole.data()), part.size());
}

MacAddress macAt(ByteSpan frame, std::size_t offset) {
  return MacAddress::fromBytes(frame.subspan(offset).first<kMacAddressBytes>());
}

}  // namespace

Inbound::Inbound(WorkerContext& context)
    : context_(context),
      counters_(context.processCounters.of(CounterThread::kInbound)),
      mailbox_(context.inboundMailbox),
      sender_(context.sockets, context.offloads),
      reemitter_(context.sockets),
      view_(&kNoUnderlay),
      messageKey_(HashKey::random()),
      varpLimiter_(HashKey::random(), kVarpLimits, monotonicMs()),
      forwardHeaders_(std::make_unique<std::array<ForwardHeader, kForwardHeaders>>()),
      sas_(HashKey::random()),
      strangerLimiters_(SealedLimiters::make()),
      senderLimiters_(SealedLimiters::make()),
      ownSpiLimiter_(kOwnSpiRate, monotonicMs()),
      scratch_(std::make_unique_for_overwrite<std::array<std::byte, kPacketBytesMax>>()) {
  controlEvent_.datagram.reserve(kControlBytesMax);
  vnc1Event_.datagram.reserve(kVnc1BytesMax);
  sealedEvent_.payload.reserve(kSealedControlBytesMax);
}

Failure Inbound::watch(int descriptor, std::uint64_t tag) {
  if (descriptor < 0) {
    return noFailure();
  }
  epoll_event event{.events = EPOLLIN, .data = {.u64 = tag}};
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, descriptor, &event) != 0) {
    return failureOf("Cannot wait for the underlay's sockets");
  }
  return noFailure();
}

Failure Inbound::open() {
  for (Failure failure : {mailbox_.open(), events_.open(), capturer_.ring().openBell()}) {
    if (failure.failed()) {
      return failure;
    }
  }
  epoll_.reset(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll_.valid()) {
    return failureOf("Cannot make an epoll descriptor");
  }
  coalescer_ = std::make_unique<Coalescer>(CoalesceOptions{
      .tcp = context_.offloads.tap.load(),
      .udp = context_.offloads.tapUdp.load(),
      .hashSeed = HashKey::random().first,
  });
  const UnderlaySockets& sockets = context_.sockets;
  const std::array<std::pair<int, std::uint64_t>, 5> watched{{
      {mailbox_.descriptor(), kTagMailbox},
      {sockets.udp4.get(), kTagUdp4},
      {sockets.udp6.get(), kTagUdp6},
      {sockets.etherip4.get(), kTagEtherip4},
      {sockets.etherip6.get(), kTagEtherip6},
  }};
  for (const auto& [descriptor, tag] : watched) {
    if (Failure failure = watch(descriptor, tag); failure.failed()) {
      return failure;
    }
  }
  return noFailure();
}

bool Inbound::round(std::span<const epoll_event> ready) {
  bool isCalled = false;
  const bool hasWorked = assist(ready);
  for (const epoll_event& event : ready) {
    isCalled = isCalled || event.data.u64 == kTagMailbox;
  }
  if (nowMs_ >= nextTickMs_) {
    context_.quiescence.active(Worker::kInbound);
    tick();
    events_.wake();
    context_.quiescence.idle(Worker::kInbound);
  }
  // Last, when no pointer to a vnet is held any more: the call may remove one.
  if (isCalled) {
    mailbox_.serve();
  }
  return hasWorked;
}

bool Inbound::assist(std::span<const epoll_event> ready) {
  context_.quiescence.active(Worker::kInbound);
  nowMs_ = monotonicMs();
  takeMovedFdb();
  bool hasWorked = false;
  for (const epoll_event& event : ready) {
    if (event.data.u64 != kTagMailbox) {
      hasWorked = true;
      drainSocket(event.data.u64);
    }
  }
  events_.wake();
  capturer_.ring().wake();
  context_.quiescence.idle(Worker::kInbound);
  return hasWorked;
}

// ---- one batch --------------------------------------------------------------------------

// HOT PATH: no allocation, no throw.
void Inbound::drainSocket(std::uint64_t tag) {
  const UnderlaySockets& sockets = context_.sockets;
  const bool isEtherip = tag == kTagEtherip4 || tag == kTagEtherip6;
  const int socket = tag == kTagUdp4       ? sockets.udp4.get()
                     : tag == kTagUdp6     ? sockets.udp6.get()
                     : tag == kTagEtherip4 ? sockets.etherip4.get()
                                           : sockets.etherip6.get();
  for (int batch = 0; batch < kBatchesPerRound; ++batch) {
    const std::span<const Received> received = receiver_.receive(socket);
    for (const Received& one : received) {
      if (isEtherip) {
        handleReceivedEtherip(one, tag == kTagEtherip4);
      } else {
        handleReceived(one);
      }
    }
    flushBatch();
    if (received.size() < Receiver::kBatch) {
      break;
    }
  }
  if (const std::uint64_t overflow = receiver_.takeOverflow(); overflow != 0) {
    counters_.add(Counter::kDropSocketOverflow, overflow);
  }
}

// Judges a source once for all datagrams of the buffer. False: counted and dropped.
// HOT PATH: no allocation, no throw.
bool Inbound::acceptSource(const Received& received, Origin& origin) {
  const IpAddress source = received.source.ip();
  const bool isGuestSide = view_->isGuestSide(received.deviceIndex);
  if (received.truncated || isGuestSide || view_->isLocal(source)) {
    const std::size_t count = received.count();
    counters_.add(Counter::kInboundDatagrams, count);
    counters_.add(Counter::kInboundDatagramBytes, received.octets.size());
    counters_.add(received.truncated ? Counter::kDropTruncated
                  : isGuestSide      ? Counter::kDropGuestSide
                                     : Counter::kDropFromSelf,
                  count);
    return false;
  }
  origin.host = resolveHost(source);
  if (received.destination.isMulticast()) {
    origin.via = Via::kMulticast;
    origin.way = view_->isOnLink(source) ? Way::segment() : Way::reemission();
  }
  return true;
}

// Once for each datagram; what was in a forward has been counted as that.
// HOT PATH: no allocation, no throw.
void Inbound::countDatagram(CounterBlock& counters, std::size_t bytes, const Origin& origin) {
  if (origin.via != Via::kForwarded) {
    counters.add(Counter::kInboundDatagrams);
    counters.add(Counter::kInboundDatagramBytes, bytes);
  }
}

// HOT PATH: no allocation, no throw.
void Inbound::handleReceived(const Received& received) {
  Origin origin;
  if (!acceptSource(received, origin)) {
    return;
  }
  if (received.octets.empty()) {
    countDatagram(counters_, 0, origin);
    counters_.add(Counter::kDropShort);
    return;
  }
  MutableByteSpan rest = received.octets;
  while (!rest.empty()) {
    const std::size_t bytes = std::min(received.segmentBytes, rest.size());
    handleDatagram(rest.first(bytes), origin);
    rest = rest.subspan(bytes);
  }
}

// An IPv4 raw socket gives the IP header too, an IPv6 one does not.
void Inbound::handleReceivedEtherip(const Received& received, bool hasIpHeader) {
  Origin origin;
  if (!acceptSource(received, origin)) {
    return;
  }
  const MutableByteSpan octets = received.octets;
  const std::size_t headerBytes =
      hasIpHeader && !octets.empty() ? (loadU8(octets.data()) & 0x0FU) * std::size_t{4} : 0;
  if (headerBytes > octets.size()) {
    countDatagram(counters_, octets.size(), origin);
    counters_.add(Counter::kDropShort);
    return;
  }
  const MutableByteSpan payload = octets.subspan(headerBytes);
  const EtheripOutcome outcome = decodeEtherip(payload);
  if (const auto* const frame = std::get_if<FrameMessage>(&outcome)) {
    handleFrame(payload, origin, *frame);
  } else if (const auto* const drop = std::get_if<DropMessage>(&outcome)) {
    countDatagram(counters_, payload.size(), origin);
    counters_.add(drop->reason);
  }
}

// ---- one datagram -----------------------------------------------------------------------

// HOT PATH: no allocation, no throw.
void Inbound::handleDatagram(MutableByteSpan payload, const Origin& origin) {
  const DatagramOutcome outcome = decodeDatagram(payload);
  if (const auto* const forward = std::get_if<ForwardMessage>(&outcome)) {
    handleForward(payload, origin, *forward);
  } else {
    handleMessage(payload, origin, outcome);
  }
}

// What came by itself, or was in a forward; a forward in a forward is none of ours.
// HOT PATH: no allocation, no throw.
void Inbound::handleMessage(MutableByteSpan message, const Origin& origin,
                            const DatagramOutcome& outcome) {
  if (const auto* const frame = std::get_if<FrameMessage>(&outcome)) {
    handleFrame(message, origin, *frame);
  } else if (const auto* const varp = std::get_if<VarpMessage>(&outcome)) {
    handleVarp(message, origin, *varp);
  } else if (const auto* const drop = std::get_if<DropMessage>(&outcome)) {
    handleRefused(message, origin, drop->reason);
  }
}

// A peer has wrapped a message that was multicast where we do not hear it.
void Inbound::handleForward(MutableByteSpan payload, const Origin& origin,
                            const ForwardMessage& forward) {
  countDatagram(counters_, payload.size(), origin);
  const Peer* const peer = view_->peerAt(origin.host.ip());
  if (peer == nullptr) {
    counters_.add(Counter::kDropNotPeer);
    return;
  }
  if (origin.via != Via::kUnicast) {
    counters_.add(Counter::kDropForwardMalformed);
    return;
  }
  const IpAddress source = forward.source.ip();
  if (view_->isLocal(source)) {
    counters_.add(Counter::kDropFromSelf);
    return;
  }
  counters_.add(Counter::kForwardedIn);
  peer->counters->forwardedIn.fetch_add(1, std::memory_order_relaxed);
  const Origin inner{.host = source.isUnspecified() ? peer->host : resolveHost(source),
                     .via = Via::kForwarded,
                     .way = Way::peer(peer->index)};
  handleMessage(writable(payload, forward.message), inner, decodeDatagram(forward.message));
}

// What is no legacy message: it may be one of a secure vnet.
void Inbound::handleRefused(MutableByteSpan message, const Origin& origin, Counter reason) {
  if (!isSecureMessage(message)) {
    countDatagram(counters_, message.size(), origin);
    counters_.add(reason);
  } else if (loadU32(message.data()) == 0) {
    handleVnc1(message, origin);
  } else {
    handleEsp(message, origin);
  }
}

void Inbound::handleVarp(ByteSpan message, const Origin& origin, const VarpMessage& varp) {
  countDatagram(counters_, message.size(), origin);
  if (!varpLimiter_.admit(origin.host, nowMs_)) {
    counters_.add(Counter::kDropControlRate);
    return;
  }
  Vnet* const vnet = findVnet(varp.vnetId);
  if (vnet != nullptr && vnet->inbound.security != Security::kNone) {
    countersOf(*vnet).add(Counter::kDropDowngrade);
    return;
  }
  if (origin.via != Via::kUnicast) {
    if (!admitGroup(message, origin)) {
      counters_.add(Counter::kDropDuplicate);
      return;
    }
    passOn(message, origin);
  }
  if (vnet == nullptr) {
    counters_.add(Counter::kDropUnknownVnet);
    return;
  }
  controlEvent_.source = origin.host;
  controlEvent_.via = static_cast<std::uint8_t>(origin.via);
  const ByteSpan raw = message.first(std::min(message.size(), kControlBytesMax));
  controlEvent_.datagram.assign(raw.begin(), raw.end());
  events_.push(controlEvent_);
}

// ---- one frame --------------------------------------------------------------------------

// HOT PATH: no allocation, no throw.
void Inbound::handleFrame(MutableByteSpan message, const Origin& origin,
                          const FrameMessage& frame) {
  Vnet* const vnet = findVnet(frame.vnetId);
  CounterBlock& counters = vnet == nullptr ? counters_ : countersOf(*vnet);
  countDatagram(counters, message.size(), origin);
  if (vnet != nullptr && vnet->inbound.security != Security::kNone) {
    counters.add(Counter::kDropDowngrade);
    return;
  }
  if (origin.via != Via::kUnicast) {
    if (!admitGroup(message, origin)) {
      counters.add(Counter::kDropDuplicate);
      return;
    }
    passOn(message, origin);
  }
  if (vnet == nullptr) {
    counters.add(Counter::kDropUnknownVnet);
    return;
  }
  deliver(*vnet, writable(message, frame.frame), origin, nullptr);
}

// HOT PATH: no allocation, no throw.
void Inbound::deliver(Vnet& vnet, MutableByteSpan frame, const Origin& origin,
                      const SealedFrame* sealed) {
  CounterBlock& counters = countersOf(vnet);
  const MacAddress source = macAt(frame, kMacAddressBytes);
  if (!source.isStation()) {
    counters.add(Counter::kDropSourceMac);
    return;
  }
  if (macAt(frame, 0).isLinkLocalReserved()) {
    counters.add(Counter::kDropReservedMac);
    return;
  }
  learnSource(vnet, source, origin.host);
  keepDestination(vnet, macAt(frame, 0));
  if (frame.size() > vnet.inbound.frameBytesMax) {
    counters.add(Counter::kDropGiantFrame);
    return;
  }
  const FrameLayout layout = parseFrame(frame);
  bool isPending = false;
  if (sealed != nullptr && sealed->isPartial && !takePartial(counters, frame, layout, isPending)) {
    return;
  }
  if (layout.transport == TransportKind::kTcp) {
    if (origin.via != Via::kUnicast) {
      sender_.flush();  // What is passed on must leave before its octets change here.
    }
    const std::size_t frameBytesMax =
        sealed == nullptr ? view_->maxFrameBytes(origin.host)
                          : view_->maxSealedFrameBytes(sealed->sa.key.suite(), origin.host);
    if (frameBytesMax > layout.l3Offset &&
        clampMss(frame, layout, mssForMtu(frameBytesMax - layout.l3Offset, layout.network),
                 isPending ? TcpChecksumState::kPending : TcpChecksumState::kComplete)) {
      counters.add(Counter::kMssClamped);
    }
  }
  if (vnet.captureIn.snapBytes != 0) {
    capture(vnet, frame, layout, isPending);
  }
  if (coalescer_->isFull()) {
    flushBatch();
  }
  counters.add(Counter::kInboundFrames);
  counters.add(Counter::kInboundBytes, frame.size());
  coalescer_->add(&vnet, frame, layout, isPending);
}

// As the guest gets it, before frames are merged.
void Inbound::capture(Vnet& vnet, ByteSpan frame, const FrameLayout& layout, bool isPending) {
  CaptureFrame copy{.vnet = vnet.settings.id, .octets = frame};
  if (isPending) {
    copy.checksumStart = layout.l4Offset;
    copy.checksumEnd = layout.packetEnd;
    copy.checksumOffset = checksumOffsetOf(layout);
  }
  capturer_.capture(vnet.captureIn, copy, countersOf(vnet));
}

// The sender left the checksum to us: to the guest's stack or device, or to this thread where the
// TAP has no offloads, or octets behind the packet would be summed too.
// HOT PATH: no allocation, no throw.
bool Inbound::takePartial(CounterBlock& counters, MutableByteSpan frame, const FrameLayout& layout,
                          bool& isPending) const {
  if (!hasPartialChecksum(frame, layout)) {
    counters.add(Counter::kDropChecksumFlag);
    return false;
  }
  counters.add(Counter::kChecksumPartialIn);
  storePseudoSum(frame, layout);
  isPending = layout.lengthFit == LengthFit::kExact &&
              context_.offloads.tap.load(std::memory_order_relaxed);
  if (!isPending) {
    completePseudoSum(frame, layout);
  }
  return true;
}

// HOT PATH: no allocation, no throw.
void Inbound::learnSource(Vnet& vnet, const MacAddress& source, const Endpoint& host) {
  if (learnedVnet_ == &vnet && learnedMac_ == source && learnedHost_ == host) {
    return;
  }
  const LearnResult<Endpoint> learned = vnet.fdb.learn(source, host, nowMs_);
  if (learned.outcome == LearnOutcome::kNew || learned.outcome == LearnOutcome::kMoved) {
    noteLearned(vnet, source, host, learned);
  }
  learnedVnet_ = &vnet;
  learnedMac_ = source;
  learnedHost_ = host;
}

// A VM that only receives is still here: its host goes on answering for it, or the sender would
// have to flood once both had forgotten it. Should it have moved, it is another host's as soon as
// it says a word there.
// HOT PATH: no allocation, no throw.
void Inbound::keepDestination(Vnet& vnet, const MacAddress& destination) {
  if (destination.isGroup() || (keptVnet_ == &vnet && keptMac_ == destination)) {
    return;
  }
  (void)vnet.vifs.findAndUse(destination, nowMs_);
  keptVnet_ = &vnet;
  keptMac_ = destination;
}

void Inbound::noteLearned(Vnet& vnet, const MacAddress& mac, const Endpoint& host,
                          const LearnResult<Endpoint>& learned) {
  if (const auto local = vnet.vifs.find(mac)) {
    if (local->pinned) {
      vnet.fdb.erase(mac);
      return;
    }
    context_.vifsMovedAway.push({.vnet = &vnet, .mac = mac});
    context_.outboundMailbox.ring();
  }
  if (learned.growthWanted) {
    vnet.fdbWantsGrowth.store(true, std::memory_order_relaxed);
    wakeControl();
  }
  if (learned.evicted) {
    countersOf(vnet).add(Counter::kFdbEvicted);
    events_.push(control::FdbGone{.vnet = vnet.settings.id, .mac = *learned.evicted});
  }
  events_.push(control::FdbLearned{.vnet = vnet.settings.id,
                                   .mac = mac,
                                   .host = host,
                                   .moved = learned.outcome == LearnOutcome::kMoved});
}

// HOT PATH: no allocation, no throw.
Vnet* Inbound::findVnet(const VnetId& id) {
  if (lastVnet_ != nullptr && lastVnetId_ == id) {
    return lastVnet_;
  }
  const auto found = vnets_.find(id);
  if (found == vnets_.end()) {
    return nullptr;
  }
  lastVnet_ = found->second;
  lastVnetId_ = id;
  return lastVnet_;
}

// A configured peer is answered where it was configured, any other host on our own port, like
// the original, whatever the port it sent from.
// HOT PATH: no allocation, no throw.
Endpoint Inbound::resolveHost(const IpAddress& address) const {
  const Peer* const peer = view_->peerAt(address);
  return peer != nullptr ? peer->host : Endpoint::from(address, view_->udpPort);
}

// ---- group messages ---------------------------------------------------------------------

bool Inbound::admitGroup(ByteSpan message, const Origin& origin) {
  Endpoint host = origin.host;
  host.udpPort = 0;  // Gateways do not agree on the port that they write.
  return seen_.admit(hashMessage(messageKey_, host, message), origin.way, nowMs_);
}

// From the segment to the peers, from a peer to the segment.
void Inbound::passOn(ByteSpan message, const Origin& origin) {
  if (origin.via == Via::kForwarded) {
    if (view_->membership.enabled) {
      const Endpoint source = Endpoint::from(origin.host.ip(), view_->udpPort);
      counters_.add(reemitter_.send(*view_, source, message) ? Counter::kReemittedOut
                                                             : Counter::kDropSendFailed);
    }
    return;
  }
  if (view_->peers.empty()) {
    return;
  }
  if (forwardHeadersUsed_ == kForwardHeaders) {
    sender_.flush();
    forwardHeadersUsed_ = 0;
  }
  forwardToPeers(sender_, *view_,
                 {.source = Endpoint::from(origin.host.ip(), view_->udpPort),
                  .message = message,
                  .header = &forwardHeaders_->at(forwardHeadersUsed_++),
                  .counters = &counters_});
}

// ---- to the TAPs ------------------------------------------------------------------------

// HOT PATH: no allocation, no throw.
void Inbound::flushBatch() {
  // First what is passed on: merging changes octets of the frames.
  sender_.flush();
  forwardHeadersUsed_ = 0;
  coalescer_->flush([this](const CoalescedFrame& frame) { writeFrame(frame); });
  const std::uint64_t bad = coalescer_->counts().checksumBadFrames;
  if (bad != checksumBadTold_) {
    counters_.add(Counter::kChecksumBadIn, bad - checksumBadTold_);
    checksumBadTold_ = bad;
  }
  learnedVnet_ = nullptr;
  keptVnet_ = nullptr;
}

// HOT PATH: no allocation, no throw.
void Inbound::writeFrame(const CoalescedFrame& frame) {
  Vnet& vnet = *static_cast<Vnet*>(frame.vnet);
  CounterBlock& counters = countersOf(vnet);
  if (vnet.inbound.tap < 0) {
    counters.add(Counter::kDropTapFailed, frame.frameCount);
    return;
  }
  const ssize_t written =
      ::writev(vnet.inbound.tap, frame.parts.data(), static_cast<int>(frame.parts.size()));
  if (written >= 0) {
    counters.add(Counter::kInboundWrites);
    counters.add(Counter::kCoalescedIn, frame.frameCount - 1);
    return;
  }
  counters.add(Counter::kDropTapFailed, frame.frameCount);
  // EIO: the interface is down, for now. EBADFD: it is gone.
  if (errno == EBADFD) {
    loseTap(vnet, EBADFD);
  } else if (errno == EINVAL && frame.frameCount > 1) {
    // This kernel does not take what we merge: never again.
    const bool isUdp = frame.header.gsoType == kVirtioGsoUdpL4;
    context_.offloads.tapUdp.store(false, std::memory_order_relaxed);
    if (!isUdp) {
      context_.offloads.tap.store(false, std::memory_order_relaxed);
    }
    wakeControl();
  }
}

// ---- once a second ----------------------------------------------------------------------

void Inbound::tick() {
  nextTickMs_ = nowMs_ + kTickMs;
  coalescer_->setOffloads(context_.offloads.tap.load(std::memory_order_relaxed),
                          context_.offloads.tapUdp.load(std::memory_order_relaxed));
  for (const auto& [id, vnet] : vnets_) {
    if (vnet->fdb.size() != 0) {
      sweepFdb(*vnet);
    }
  }
  counters_.add(Counter::kDropEspNoKey, hold_.expire(nowMs_));
}

void Inbound::sweepFdb(Vnet& vnet) {
  vnet.fdb.sweep(sweepBudget(vnet.fdb.slotCount()),
                 [&](MacEntry<Endpoint>& entry) { return judgeFdbEntry(vnet, entry); });
}

SweepVerdict Inbound::judgeFdbEntry(Vnet& vnet, MacEntry<Endpoint>& entry) {
  if (entry.pinned) {
    return SweepVerdict::kKeep;
  }
  const std::uint64_t silentMs = nowMs_ - std::min(nowMs_, entry.lastHeardMs);
  if (silentMs >= ages_.fdbTtlMs) {
    events_.push(control::FdbGone{.vnet = vnet.settings.id, .mac = entry.mac});
    return SweepVerdict::kErase;
  }
  const std::uint64_t unusedMs = nowMs_ - std::min(nowMs_, entry.lastUsedMs);
  const std::uint64_t untoldMs = nowMs_ - std::min(nowMs_, entry.noticeMs);
  if (silentMs >= ages_.refreshAfterMs && unusedMs < ages_.refreshAfterMs &&
      untoldMs >= ages_.refreshAfterMs / 4) {
    entry.noticeMs = nowMs_;
    events_.push(
        control::FdbStale{.vnet = vnet.settings.id, .mac = entry.mac, .host = entry.value});
  }
  return SweepVerdict::kKeep;
}

// What the outbound thread has heard from a TAP is not remote any more.
void Inbound::takeMovedFdb() {
  HandoverRing::Item item;
  while (context_.fdbMovedHere.pop(item)) {
    const auto remote = item.vnet->fdb.find(item.mac);
    if (remote && !remote->pinned) {
      item.vnet->fdb.erase(item.mac);
    }
  }
}

void Inbound::loseTap(Vnet& vnet, int error) {
  vnet.inbound.tap = -1;
  vnet.tapError.store(error, std::memory_order_relaxed);
  wakeControl();
}

void Inbound::wakeControl() {
  context_.vnetsNeedCare.store(true, std::memory_order_release);
  events_.ring();
}

// ---- changes, by the control thread's calls ---------------------------------------------

void Inbound::setUnderlay(const UnderlayView* view) {
  view_ = view;
  sender_.setUnderlay(view->sender);
}

void Inbound::attach(Vnet& vnet) {
  vnets_[vnet.settings.id] = &vnet;
  vnet.inbound = vnet.workerView();
  noteSecureVnets();
}

void Inbound::noteSecureVnets() {
  hasSecureVnets_ = std::ranges::any_of(
      vnets_, [](const auto& entry) { return entry.second->inbound.security != Security::kNone; });
}

void Inbound::detach(Vnet& vnet) { vnet.inbound.tap = -1; }

void Inbound::remove(Vnet& vnet) {
  takeMovedFdb();
  vnets_.erase(vnet.settings.id);
  noteSecureVnets();
  lastVnet_ = nullptr;
  learnedVnet_ = nullptr;
  keptVnet_ = nullptr;
}

}  // namespace vnetd
